/* Run queue latency as a native histogram: how long a task that could run has waited for a CPU. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "native.bpf.h"
#include "run_queue.bpf.h"

/* Four buckets from a power of two to the next, from 2^-20 seconds, a microsecond, to 2^6. */
static const struct native_buckets buckets = {
	.schema = 2,
	.min = NATIVE_BUCKET(2, -20),
	.max = NATIVE_BUCKET(2, 6),
};

/* The bucket is the whole key, so an array will do, the cheapest of maps: this runs at each switch. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NATIVE_BUCKET(2, 6) + 2);
	__type(key, u32);
	__type(value, u64);
} run_queue_wait_seconds SEC(".maps");

SEC("tp_btf/sched_switch")
int BPF_PROG(sched_switch, bool preempted, struct task_struct *previous, struct task_struct *next)
{
	u32 bucket;
	u64 waited;

	leave_cpu(preempted, previous);
	if (get_cpu(next, &waited))
		observe_native(&run_queue_wait_seconds, &bucket, &bucket, buckets, waited);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
