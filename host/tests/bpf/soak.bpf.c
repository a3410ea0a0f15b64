/* Counts, deletes and streams what the soak tells it to: prctl(SOAK, map, key, add, session) adds `add` to the entry
 * of `key` in the map of that number, and deletes the entry if `add` is 0. To the ring buffer it writes a record of
 * the key. The kernel knows no such prctl and answers EINVAL.
 *
 * Each config of the soak has this object under names of its own: the soak puts another number in the place of 00. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include "maps.bpf.h"

#define SOAK 0x65627069

/* As in workload.bpf.c. */
const volatile __u64 session = 0x6e6f697373657320;

/* What the exporter finds by its name. */
__u64 ebpf_exporter_lost_events;

struct latency {
	u64 kind;
	u64 bucket;
};

#define MAP(name, map_type, key_type, entries, flags)                                             \
	struct {                                                                                   \
		__uint(type, map_type);                                                            \
		__uint(map_flags, flags);                                                          \
		__uint(max_entries, entries);                                                      \
		__type(key, key_type);                                                             \
		__type(value, u64);                                                                \
	} name SEC(".maps")

MAP(s00_hash_total, BPF_MAP_TYPE_HASH, u64, 1024, 0);
MAP(s00_lru_total, BPF_MAP_TYPE_LRU_HASH, u64, 256, 0);
MAP(s00_percpu_hash_total, BPF_MAP_TYPE_PERCPU_HASH, u64, 1024, 0);
MAP(s00_array_total, BPF_MAP_TYPE_ARRAY, u32, 8, 0);
MAP(s00_percpu_array_total, BPF_MAP_TYPE_PERCPU_ARRAY, u32, 8, 0);
MAP(s00_mmap_total, BPF_MAP_TYPE_ARRAY, u32, 8, BPF_F_MMAPABLE);
MAP(s00_seconds, BPF_MAP_TYPE_HASH, struct latency, 1024, 0);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} s00_events_total SEC(".maps");

static __always_inline void touch(void *map, const void *key, u64 add)
{
	if (add)
		add_to_map(map, key, add);
	else
		bpf_map_delete_elem(map, key);
}

SEC("tracepoint/syscalls/sys_enter_prctl")
int soak(struct trace_event_raw_sys_enter *ctx)
{
	u64 key = ctx->args[2], add = ctx->args[3];
	/* The buckets of a kind are in the lowest byte. */
	struct latency latency = { .kind = key >> 8, .bucket = key & 0xff };
	u32 index = key;

	if ((u32)ctx->args[0] != SOAK || ctx->args[4] != session)
		return 0;

	switch (ctx->args[1]) {
	case 0:
		touch(&s00_hash_total, &key, add);
		break;
	case 1:
		touch(&s00_lru_total, &key, add);
		break;
	case 2:
		touch(&s00_percpu_hash_total, &key, add);
		break;
	case 3:
		add_to_map(&s00_array_total, &index, add);
		break;
	case 4:
		add_to_map(&s00_percpu_array_total, &index, add);
		break;
	case 5:
		add_to_map(&s00_mmap_total, &index, add);
		break;
	case 6:
		touch(&s00_seconds, &latency, add);
		break;
	case 7:
		if (bpf_ringbuf_output(&s00_events_total, &key, sizeof(key), 0))
			__sync_fetch_and_add(&ebpf_exporter_lost_events, 1);
		break;
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
