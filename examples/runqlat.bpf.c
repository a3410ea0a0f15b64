/* Run queue latency: how long a task that could run has waited for a CPU. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "histogram.bpf.h"

#define LAST_BUCKET 26 /* 2^26 microseconds: 67 seconds */

#define TASK_RUNNING 0
#define TASK_DEAD 0x80

/* Tasks that wait for a CPU now, by thread id. Each leaves when it gets one. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, u64);
} queued SEC(".maps");

/* The bucket is the whole key, so an array will do, the cheapest of maps: this runs at each switch. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LAST_BUCKET + 2);
	__type(key, u32);
	__type(value, u64);
} run_queue_latency_seconds SEC(".maps");

/* Before Linux 5.14 the state had no underscores. */
struct task_struct___state {
	volatile long state;
};

static __always_inline u32 state_of(struct task_struct *task)
{
	struct task_struct___state *old = (void *)task;

	return bpf_core_field_exists(old->state) ? BPF_CORE_READ(old, state) : BPF_CORE_READ(task, __state);
}

static __always_inline void queue(u32 thread)
{
	u64 now = bpf_ktime_get_ns();

	/* The idle tasks all have id 0, and wait for nothing. */
	if (thread)
		bpf_map_update_elem(&queued, &thread, &now, BPF_ANY);
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(sched_wakeup, struct task_struct *task)
{
	queue(task->pid);
	return 0;
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(sched_wakeup_new, struct task_struct *task)
{
	queue(task->pid);
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(sched_switch, bool preempted, struct task_struct *previous, struct task_struct *next)
{
	u32 state = state_of(previous);
	u32 thread = previous->pid;
	u32 bucket;
	u64 *since;

	if (preempted || state == TASK_RUNNING)
		/* Not asleep, but made to make way: it waits again. */
		queue(thread);
	else if (state & TASK_DEAD)
		/* It may have been woken while it ran, for the last time. */
		bpf_map_delete_elem(&queued, &thread);

	thread = next->pid;
	since = bpf_map_lookup_elem(&queued, &thread);
	if (since) {
		u64 now = bpf_ktime_get_ns();

		/* It was queued by another CPU, whose clock may differ by a little. */
		observe_duration(&run_queue_latency_seconds, &bucket, &bucket, LAST_BUCKET,
				 now > *since ? now - *since : 0);
		bpf_map_delete_elem(&queued, &thread);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
