/* What a shell starts, as a trace: each process is a span from its start to its end, below the one that has started it,
 * and named by its program. A trace begins with each bash that nobody who is traced has started, scripts of bash too. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "span.bpf.h"

/* Where debian and others have it; they are the same file. */
#define SHELL "/bin/bash"
#define SHELL_TOO "/usr/bin/bash"

#define PATH_LENGTH 64

struct process_span {
	struct span span;
	char path[PATH_LENGTH];
};

/* Processes that are traced, by id. LRU, for an end may be missed. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 10240);
	__type(key, u32);
	__type(value, struct process_span);
} processes SEC(".maps");

SPANS(exec_spans);

/* Whether the program is a shell, or a script of one. */
static __always_inline bool is_shell(struct linux_binprm *program)
{
	char path[PATH_LENGTH] = {};

	/* Of a script, its interpreter; else the program itself. */
	bpf_probe_read_kernel_str(path, sizeof(path), BPF_CORE_READ(program, interp));
	return !__builtin_memcmp(path, SHELL, sizeof(SHELL)) ||
	       !__builtin_memcmp(path, SHELL_TOO, sizeof(SHELL_TOO));
}

/* A process is a copy of another until it starts a program: what began with the copy gets its name here. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(sched_process_exec, struct task_struct *task, int old_pid, struct linux_binprm *program)
{
	u32 id = task->tgid;
	struct process_span *known = bpf_map_lookup_elem(&processes, &id);
	struct process_span first = {};

	if (known) {
		__builtin_memset(known->path, 0, sizeof(known->path));
		bpf_probe_read_kernel_str(known->path, sizeof(known->path), BPF_CORE_READ(program, filename));
		return 0;
	}
	if (!is_shell(program))
		return 0;
	first.span.context.trace_id[0] = new_id();
	first.span.context.trace_id[1] = new_id();
	first.span.id = new_id();
	first.span.began_at = bpf_ktime_get_ns();
	bpf_probe_read_kernel_str(first.path, sizeof(first.path), BPF_CORE_READ(program, filename));
	bpf_map_update_elem(&processes, &id, &first, BPF_ANY);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(sched_process_fork, struct task_struct *parent, struct task_struct *child)
{
	u32 parent_id = parent->tgid, child_id = child->tgid;
	struct process_span *known = bpf_map_lookup_elem(&processes, &parent_id);
	struct process_span copy;

	/* A thread is no process. */
	if (!known || parent_id == child_id)
		return 0;
	copy = *known;
	copy.span.context.parent = known->span.id;
	copy.span.id = new_id();
	copy.span.began_at = bpf_ktime_get_ns();
	bpf_map_update_elem(&processes, &child_id, &copy, BPF_ANY);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(sched_process_exit, struct task_struct *task)
{
	u32 id = task->tgid;
	struct process_span *known = bpf_map_lookup_elem(&processes, &id);
	struct process_span *span;

	/* Threads of it that still run. */
	if (!known || BPF_CORE_READ(task, signal, live.counter) > 0)
		return 0;
	span = bpf_ringbuf_reserve(&exec_spans, sizeof(*span), 0);
	if (span) {
		*span = *known;
		span->span.duration = bpf_ktime_get_ns() - known->span.began_at;
		bpf_ringbuf_submit(span, 0);
	}
	bpf_map_delete_elem(&processes, &id);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
