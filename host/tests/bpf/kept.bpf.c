/* Counts what a test tells it to, into maps that are handed on: prctl(KEPT, key, add, 0, session). The kernel knows
 * no such prctl and answers EINVAL. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include "maps.bpf.h"

#define KEPT 0x65627068

#ifndef KEPT_ENTRIES
#define KEPT_ENTRIES 512
#endif

#ifndef KEPT_HOOK
#define KEPT_HOOK "tracepoint/syscalls/sys_enter_prctl"
#endif

/* Calls of other sessions are not this object's. */
const volatile __u64 session = 0x6e6f697373657320;

struct kept_key {
	u32 number;
#ifdef KEPT_OTHER_FIELDS
	u32 other;
#else
	u32 zero;
#endif
};

#define MAP(name, map_type, key_type, entries)                                                     \
	struct {                                                                                   \
		__uint(type, map_type);                                                            \
		__uint(max_entries, entries);                                                      \
		__type(key, key_type);                                                             \
		__type(value, u64);                                                                \
	} name SEC(".maps")

MAP(kept_total, BPF_MAP_TYPE_HASH, u64, 64);
MAP(kept_cpu_total, BPF_MAP_TYPE_PERCPU_HASH, u64, 64);
MAP(kept_sized_total, BPF_MAP_TYPE_HASH, u64, KEPT_ENTRIES);
MAP(kept_struct_total, BPF_MAP_TYPE_HASH, struct kept_key, 64);
#ifdef KEPT_MORE
MAP(kept_more_total, BPF_MAP_TYPE_HASH, u64, 64);
#endif

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} kept_events SEC(".maps");

SEC(KEPT_HOOK)
int kept(struct trace_event_raw_sys_enter *ctx)
{
	u64 key = ctx->args[1], add = ctx->args[2];
	struct kept_key number = { .number = key };

#ifdef KEPT_REFUSED
	/* Memory is read through a number. */
	if (*(volatile int *)ctx->args[2])
		return 0;
#endif
#ifdef KEPT_BEYOND
	/* No event of this hook is so long: the verifier takes it, and the hook does not. */
	if (*(volatile u64 *)((void *)ctx + 1024))
		return 0;
#endif
	if ((u32)ctx->args[0] != KEPT || ctx->args[4] != session)
		return 0;

	add_to_map(&kept_total, &key, add);
	add_to_map(&kept_cpu_total, &key, add);
	add_to_map(&kept_sized_total, &key, add);
	add_to_map(&kept_struct_total, &number, add);
#ifdef KEPT_MORE
	add_to_map(&kept_more_total, &key, add);
#endif
	bpf_ringbuf_output(&kept_events, &key, sizeof(key), 0);
	/* A variable that is told: how often it was told to. */
	insert_failed();
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
