/* Counts what a test tells it to: prctl(WORKLOAD, map, key, add, session) adds `add` to the entry of
 * `key` in the map of that number. So a test knows what every map of every type has to hold, and
 * may put any bytes in a key. The kernel knows no such prctl and answers EINVAL. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include "maps.bpf.h"

#define WORKLOAD 0x65627066

/* Calls of other sessions are not this object's: tests that run at once do not meet. Tests that start the
 * exporter put theirs into the object's file, where they find this number. */
const volatile __u64 session = 0x6e6f697373657320;

struct flow {
	u64 id;
	char text[24];
};

struct padded {
	u32 number;
	u32 : 32;
	u64 id;
};

struct latency {
	char kind[8];
	u64 bucket;
};

#define MAP(name, map_type, key_type, entries)                                                    \
	struct {                                                                                   \
		__uint(type, map_type);                                                            \
		__uint(max_entries, entries);                                                      \
		__type(key, key_type);                                                             \
		__type(value, u64);                                                                \
	} name SEC(".maps")

MAP(work_hash_total, BPF_MAP_TYPE_HASH, struct flow, 200000);
MAP(work_lru_hash_total, BPF_MAP_TYPE_LRU_HASH, u64, 1024);
MAP(work_array_total, BPF_MAP_TYPE_ARRAY, u32, 8);
MAP(work_percpu_hash_total, BPF_MAP_TYPE_PERCPU_HASH, u64, 1024);
MAP(work_percpu_array_total, BPF_MAP_TYPE_PERCPU_ARRAY, u32, 8);
MAP(work_lru_percpu_hash_total, BPF_MAP_TYPE_LRU_PERCPU_HASH, u64, 1024);
MAP(work_cpu_hash_total, BPF_MAP_TYPE_PERCPU_HASH, u64, 1024);
MAP(work_cpu_array_total, BPF_MAP_TYPE_PERCPU_ARRAY, u32, 8);
MAP(work_plain_total, BPF_MAP_TYPE_ARRAY, u32, 1);
MAP(work_exp2_seconds, BPF_MAP_TYPE_HASH, struct latency, 1024);
MAP(work_exp2zero_bytes, BPF_MAP_TYPE_PERCPU_HASH, struct latency, 1024);
MAP(work_linear_depth, BPF_MAP_TYPE_ARRAY, u32, 32);
MAP(work_fixed_size, BPF_MAP_TYPE_LRU_HASH, u64, 1024);
MAP(work_cpu_exp2_seconds, BPF_MAP_TYPE_PERCPU_HASH, u64, 1024);
MAP(work_padded_total, BPF_MAP_TYPE_HASH, struct padded, 1024);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 600);
	__type(key, u32);
	__type(value, u64);
} work_mmap_array_total SEC(".maps");

#define COUNT(number, map, key_type)                                                               \
	case number: {                                                                             \
		key_type key = {};                                                                 \
		if (!bpf_probe_read_user(&key, sizeof(key), from))                                 \
			add_to_map(&map, &key, add);                                               \
		break;                                                                             \
	}

SEC("tracepoint/syscalls/sys_enter_prctl")
int workload(struct trace_event_raw_sys_enter *ctx)
{
	const void *from = (const void *)ctx->args[2];
	u64 add = ctx->args[3];

	if ((u32)ctx->args[0] != WORKLOAD || ctx->args[4] != session)
		return 0;

	switch (ctx->args[1]) {
		COUNT(0, work_hash_total, struct flow)
		COUNT(1, work_lru_hash_total, u64)
		COUNT(2, work_array_total, u32)
		COUNT(3, work_percpu_hash_total, u64)
		COUNT(4, work_percpu_array_total, u32)
		COUNT(5, work_lru_percpu_hash_total, u64)
		COUNT(6, work_mmap_array_total, u32)
		COUNT(7, work_cpu_hash_total, u64)
		COUNT(8, work_cpu_array_total, u32)
		COUNT(9, work_plain_total, u32)
		COUNT(10, work_exp2_seconds, struct latency)
		COUNT(11, work_exp2zero_bytes, struct latency)
		COUNT(12, work_linear_depth, u32)
		COUNT(13, work_fixed_size, u64)
		COUNT(14, work_cpu_exp2_seconds, u64)
		COUNT(15, work_padded_total, struct padded)
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
