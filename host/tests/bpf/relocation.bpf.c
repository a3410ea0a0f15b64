/* Reads a field that no kernel has. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct task_struct___other {
	long no_such_field;
} __attribute__((preserve_access_index));

/* For a config to have a metric. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} counts SEC(".maps");

SEC("raw_tp/task_rename")
int unrelocated(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct___other *task = (void *)ctx->args[0];

	return BPF_CORE_READ(task, no_such_field) == 42;
}

char LICENSE[] SEC("license") = "GPL";
