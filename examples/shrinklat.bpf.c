/* How long the kernel takes to free memory of a node, whoever has to wait for it: kswapd, or a program that wants
 * memory and finds none. Needs CONFIG_KPROBES: tracepoints are at parts of it alone. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include "calls.bpf.h"
#include "histogram.bpf.h"

#define LAST_BUCKET 26 /* 2^26 microseconds: 67 seconds */

/* The bucket is the whole key: entries 0 to LAST_BUCKET, and the sum behind them. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LAST_BUCKET + 2);
	__type(key, u32);
	__type(value, u64);
} shrink_node_latency_seconds SEC(".maps");

SEC("kprobe/shrink_node")
int shrink_node_entered(void *ctx)
{
	enter(0, bpf_ktime_get_ns());
	return 0;
}

SEC("kretprobe/shrink_node")
int shrink_node_returned(void *ctx)
{
	u64 since = leave(0);
	u32 bucket;

	if (since)
		observe_duration(&shrink_node_latency_seconds, &bucket, &bucket, LAST_BUCKET,
				 bpf_ktime_get_ns() - since);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
