/* Tasks that wait for a CPU, and for how long. The programs that see them woken are here; the one
 * that sees them switched to is left to the includer. */
#pragma once

#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "task.bpf.h"

/* Tasks that wait for a CPU now, by thread id. Each leaves when it gets one. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, u64);
} queued SEC(".maps");

/* The task of this thread id can run, and has no CPU yet. */
static __always_inline void queue(u32 thread)
{
	u64 now = bpf_ktime_get_ns();

	/* The idle tasks all have id 0, and wait for nothing. */
	if (thread)
		bpf_map_update_elem(&queued, &thread, &now, BPF_ANY);
}

/* What a switch from `previous` means for it. */
static __always_inline void leave_cpu(bool preempted, struct task_struct *previous)
{
	u32 state = state_of(previous);
	u32 thread = previous->pid;

	if (preempted || state == TASK_RUNNING)
		/* Not asleep, but made to make way: it waits again. */
		queue(thread);
	else if (state & TASK_DEAD)
		/* It may have been woken while it ran, for the last time. */
		bpf_map_delete_elem(&queued, &thread);
}

/* `next` gets a CPU. Whether it was seen to wait, and the nanoseconds. */
static __always_inline bool get_cpu(struct task_struct *next, u64 *waited)
{
	u32 thread = next->pid;
	u64 *since = bpf_map_lookup_elem(&queued, &thread);
	u64 now;

	if (!since)
		return false;
	now = bpf_ktime_get_ns();
	/* It was queued by another CPU, whose clock may differ by a little. */
	*waited = now > *since ? now - *since : 0;
	bpf_map_delete_elem(&queued, &thread);
	return true;
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
