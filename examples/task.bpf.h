/* Tasks, as several kernels have them. */
#pragma once

#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define TASK_RUNNING 0
#define TASK_INTERRUPTIBLE 1
#define TASK_UNINTERRUPTIBLE 2
#define TASK_DEAD 0x80

/* Before Linux 5.14 the state had no underscores, and before 5.16 the CPU was the task's own. */
struct task_struct___old {
	volatile long state;
	unsigned int cpu;
};

static __always_inline u32 state_of(struct task_struct *task)
{
	struct task_struct___old *old = (void *)task;

	return bpf_core_field_exists(old->state) ? BPF_CORE_READ(old, state) : BPF_CORE_READ(task, __state);
}

/* The CPU that it runs on, or last did. */
static __always_inline u32 cpu_of(struct task_struct *task)
{
	struct task_struct___old *old = (void *)task;

	return bpf_core_field_exists(old->cpu) ? BPF_CORE_READ(old, cpu) : BPF_CORE_READ(task, thread_info.cpu);
}
