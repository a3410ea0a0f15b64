/* Run queue latency: how long a task that could run has waited for a CPU. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "histogram.bpf.h"
#include "run_queue.bpf.h"

#define LAST_BUCKET 26 /* 2^26 microseconds: 67 seconds */

/* The bucket is the whole key, so an array will do, the cheapest of maps: this runs at each switch. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LAST_BUCKET + 2);
	__type(key, u32);
	__type(value, u64);
} run_queue_latency_seconds SEC(".maps");

SEC("tp_btf/sched_switch")
int BPF_PROG(sched_switch, bool preempted, struct task_struct *previous, struct task_struct *next)
{
	u32 bucket;
	u64 waited;

	leave_cpu(preempted, previous);
	if (get_cpu(next, &waited))
		observe_duration(&run_queue_latency_seconds, &bucket, &bucket, LAST_BUCKET, waited);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
