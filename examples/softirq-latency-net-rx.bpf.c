/* The same as softirq-latency for received packets alone: cheaper, as it looks at one kind only and finds its
 * buckets by index instead of by hash. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "histogram.bpf.h"

#define LAST_BUCKET 21 /* 2^21 microseconds: 2.1 seconds */

/* A metric without labels is entry 0. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} softirq_raised_total SEC(".maps"), softirq_serviced_total SEC(".maps");

/* When it was raised, or entered; 0 when it was not. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} raised_at SEC(".maps"), entered_at SEC(".maps");

/* The bucket is the whole key: entries 0 to LAST_BUCKET, and the sum behind them. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LAST_BUCKET + 2);
	__type(key, u32);
	__type(value, u64);
} softirq_entry_latency_seconds SEC(".maps"), softirq_service_latency_seconds SEC(".maps");

static const u32 only = 0;

SEC("tp_btf/softirq_raise")
int BPF_PROG(softirq_raise, unsigned int kind)
{
	u64 *at;

	if (kind != NET_RX_SOFTIRQ)
		return 0;

	add_to_map(&softirq_raised_total, &only, 1);
	at = bpf_map_lookup_elem(&raised_at, &only);
	/* Raised again before it was served: the first one has waited longest. */
	if (at && !*at)
		*at = bpf_ktime_get_ns();
	return 0;
}

/* Ends what began at *at, if anything did. */
static __always_inline void finish(u64 *at, void *map, u64 now)
{
	u32 bucket;

	if (!at || !*at)
		return;
	observe_duration(map, &bucket, &bucket, LAST_BUCKET, now - *at);
	*at = 0;
}

SEC("tp_btf/softirq_entry")
int BPF_PROG(softirq_entry, unsigned int kind)
{
	u64 now;
	u64 *entered;

	if (kind != NET_RX_SOFTIRQ)
		return 0;

	now = bpf_ktime_get_ns();
	finish(bpf_map_lookup_elem(&raised_at, &only), &softirq_entry_latency_seconds, now);
	add_to_map(&softirq_serviced_total, &only, 1);
	entered = bpf_map_lookup_elem(&entered_at, &only);
	if (entered)
		*entered = now;
	return 0;
}

SEC("tp_btf/softirq_exit")
int BPF_PROG(softirq_exit, unsigned int kind)
{
	if (kind == NET_RX_SOFTIRQ)
		finish(bpf_map_lookup_elem(&entered_at, &only), &softirq_service_latency_seconds,
		       bpf_ktime_get_ns());
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
