/* What the scheduler does to a program while it works on something: when its threads are woken, moved to another CPU and
 * taken off one, as spans of the trace that the program is in. Needs CONFIG_UPROBES, and a program that announces its
 * traces: see announced.bpf.h. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>
#include "announced.bpf.h"
#include "span.bpf.h"
#include "task.bpf.h"

/* All of them begin so. */
struct thread_span {
	struct span span;
	u32 tgid;
	u32 pid;
};

struct migrate_span {
	struct thread_span thread;
	u32 from;
	u32 to;
};

enum kind { PROBABLY_RUNNING, INTERRUPTIBLE_SLEEP, UNINTERRUPTIBLE_SLEEP };

struct switch_span {
	struct thread_span thread;
	u32 state;
	u8 preempted;
	u8 padding[3];
};

SPANS(sched_wakeup_spans);
SPANS(sched_migrate_spans);
SPANS(sched_switch_spans);

SEC(DEMO "sched_set_parent_span")
int BPF_USDT(sched_set_parent_span, u64 trace_id_hi, u64 trace_id_lo, u64 span_id)
{
	struct span_context context = { { trace_id_hi, trace_id_lo }, span_id };

	announce(bpf_get_current_pid_tgid() >> 32, &context);
	return 0;
}

SEC(DEMO "sched_clear_parent_span")
int BPF_USDT(sched_clear_parent_span)
{
	forget(bpf_get_current_pid_tgid() >> 32);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(sched_process_exit, struct task_struct *task)
{
	/* Of a thread, not of the program. */
	if (task->pid == task->tgid)
		forget(task->tgid);
	return 0;
}

/* A moment of this thread's; NULL if its program has announced nothing, or if there is no room. */
static __always_inline void *reserve(void *spans, u32 size, struct task_struct *task)
{
	struct span_context *context = context_of(task->tgid);
	struct thread_span *span;

	if (!context)
		return NULL;
	span = bpf_ringbuf_reserve(spans, size, 0);
	if (!span)
		return NULL;
	fill_span(&span->span, context, 0);
	span->tgid = task->tgid;
	span->pid = task->pid;
	return span;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(sched_wakeup, struct task_struct *task)
{
	struct thread_span *span = reserve(&sched_wakeup_spans, sizeof(*span), task);

	if (span)
		bpf_ringbuf_submit(span, 0);
	return 0;
}

SEC("tp_btf/sched_migrate_task")
int BPF_PROG(sched_migrate_task, struct task_struct *task, int cpu)
{
	struct migrate_span *span = reserve(&sched_migrate_spans, sizeof(*span), task);

	if (!span)
		return 0;
	span->from = cpu_of(task);
	span->to = cpu;
	bpf_ringbuf_submit(span, 0);
	return 0;
}

static __always_inline u32 kind_of(u32 state)
{
	if (state & TASK_INTERRUPTIBLE)
		return INTERRUPTIBLE_SLEEP;
	return state & TASK_UNINTERRUPTIBLE ? UNINTERRUPTIBLE_SLEEP : PROBABLY_RUNNING;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(sched_switch, bool preempted, struct task_struct *previous)
{
	struct switch_span *span = reserve(&sched_switch_spans, sizeof(*span), previous);

	if (!span)
		return 0;
	span->state = kind_of(state_of(previous));
	span->preempted = preempted;
	bpf_ringbuf_submit(span, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
