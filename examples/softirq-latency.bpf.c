/* Soft interrupts: how often they are raised and served, how long they wait and how long they take. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "histogram.bpf.h"

#define LAST_BUCKET 21 /* 2^21 microseconds: 2.1 seconds */

struct latency_key {
	u32 kind;
	u32 bucket;
};

/* Soft interrupts are raised, entered and left on one CPU, so all of this is kept for each CPU apart. */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NR_SOFTIRQS);
	__type(key, u32);
	__type(value, u64);
} softirq_raised_total SEC(".maps"), softirq_serviced_total SEC(".maps");

/* When a kind was raised, or entered; 0 when it was not. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NR_SOFTIRQS);
	__type(key, u32);
	__type(value, u64);
} raised_at SEC(".maps"), entered_at SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, NR_SOFTIRQS * (LAST_BUCKET + 2));
	__type(key, struct latency_key);
	__type(value, u64);
} softirq_entry_latency_seconds SEC(".maps"), softirq_service_latency_seconds SEC(".maps");

SEC("tp_btf/softirq_raise")
int BPF_PROG(softirq_raise, unsigned int kind)
{
	u64 *at = bpf_map_lookup_elem(&raised_at, &kind);

	add_to_map(&softirq_raised_total, &kind, 1);
	/* Raised again before it was served: the first one has waited longest. */
	if (at && !*at)
		*at = bpf_ktime_get_ns();
	return 0;
}

/* Ends what began at *at, if anything did. */
static __always_inline void finish(u64 *at, void *map, u32 kind, u64 now)
{
	struct latency_key key = { .kind = kind };

	if (!at || !*at)
		return;
	observe_duration(map, &key, &key.bucket, LAST_BUCKET, now - *at);
	*at = 0;
}

SEC("tp_btf/softirq_entry")
int BPF_PROG(softirq_entry, unsigned int kind)
{
	u64 now = bpf_ktime_get_ns();
	u64 *entered = bpf_map_lookup_elem(&entered_at, &kind);

	finish(bpf_map_lookup_elem(&raised_at, &kind), &softirq_entry_latency_seconds, kind, now);
	add_to_map(&softirq_serviced_total, &kind, 1);
	if (entered)
		*entered = now;
	return 0;
}

SEC("tp_btf/softirq_exit")
int BPF_PROG(softirq_exit, unsigned int kind)
{
	finish(bpf_map_lookup_elem(&entered_at, &kind), &softirq_service_latency_seconds, kind,
	       bpf_ktime_get_ns());
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
