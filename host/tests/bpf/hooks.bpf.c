/* One program for each kind of hook that a test can pull by itself. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u64);
	__type(value, u64);
} uprobe_hits_total SEC(".maps");

struct task_name {
	char comm[16];
};

#define NAMES(name)                                                                                \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_HASH);                                                   \
		__uint(max_entries, 4096);                                                         \
		__type(key, struct task_name);                                                     \
		__type(value, u64);                                                                \
	} name SEC(".maps")

NAMES(raw_tp_renames_total);
NAMES(tp_btf_renames_total);

/* A function of the test's own binary: its argument is the key. */
SEC("uprobe//proc/self/exe:kernel_test_uprobe")
int BPF_KPROBE(on_uprobe, u64 key)
{
	add_to_map(&uprobe_hits_total, &key, 1);
	return 0;
}

static __always_inline void count_name(void *map, const char *comm)
{
	struct task_name name = {};

	bpf_probe_read_kernel_str(&name.comm, sizeof(name.comm), comm);
	add_to_map(map, &name, 1);
}

SEC("raw_tp/task_rename")
int on_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	count_name(&raw_tp_renames_total, (const char *)ctx->args[1]);
	return 0;
}

SEC("tp_btf/task_rename")
int BPF_PROG(on_tp_btf, struct task_struct *task, const char *comm)
{
	(void)task;
	count_name(&tp_btf_renames_total, comm);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
