/* Lists which processes hold BPF programs, maps and links: by descriptors, of which the kernel knows all
 * without a walk through /proc.
 *
 * A file of one of these is known by the operations that it has. Not every kernel says where those of its
 * files lie, so they are learnt from descriptors of the reader's own, of which it says what they hold. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

enum kind {
	KIND_PROGRAM = 0,
	KIND_MAP = 1,
	KIND_LINK = 2,
	KINDS = 3,
};

/* A descriptor of a BPF object. */
struct holder {
	__u32 kind;
	__u32 id;
	__u32 pid;
	char name[16];
};

/* Of each kind, a descriptor of the reader's, as it says itself, and the operations of its file. */
struct {
	__u32 own[KINDS];
	__u32 padding;
	const void *operations[KINDS];
} known;

static void learn(const struct file *file, __u32 descriptor)
{
	for (int kind = 0; kind < KINDS; kind++)
		if (descriptor == known.own[kind])
			known.operations[kind] = file->f_op;
}

static bool describe(struct file *file, struct holder *holder)
{
	const void *operations = file->f_op;

	if (!operations)
		return false;
	if (operations == known.operations[KIND_PROGRAM]) {
		holder->kind = KIND_PROGRAM;
		holder->id = BPF_CORE_READ((struct bpf_prog *)file->private_data, aux, id);
	} else if (operations == known.operations[KIND_MAP]) {
		holder->kind = KIND_MAP;
		holder->id = BPF_CORE_READ((struct bpf_map *)file->private_data, id);
	} else if (operations == known.operations[KIND_LINK]) {
		holder->kind = KIND_LINK;
		holder->id = BPF_CORE_READ((struct bpf_link *)file->private_data, id);
	} else {
		return false;
	}
	return true;
}

SEC("iter/task_file")
int ewe_owners(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct holder holder = {};

	if (!file || !task)
		return 0;
	if (task->tgid == bpf_get_current_pid_tgid() >> 32)
		learn(file, ctx->fd);
	if (!describe(file, &holder))
		return 0;
	holder.pid = task->tgid;
	BPF_CORE_READ_STR_INTO(&holder.name, task, group_leader, comm);
	bpf_seq_write(ctx->meta->seq, &holder, sizeof(holder));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
