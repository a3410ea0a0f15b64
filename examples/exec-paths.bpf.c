/* Programs started, by their file and by the user who started them. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

struct start {
	u32 user;
	char path[92];
};

/* LRU, for there is no end to paths. Each is a series of its own, which may come back and begin at 0. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct start);
	__type(value, u64);
} process_execs_by_path_total SEC(".maps");

SEC("tp_btf/sched_process_exec")
int BPF_PROG(sched_process_exec, struct task_struct *task, int old_pid, struct linux_binprm *program)
{
	struct start key = { .user = bpf_get_current_uid_gid() };

	/* As it was given to execve; of a script its own, not its interpreter's. */
	bpf_probe_read_kernel_str(key.path, sizeof(key.path), BPF_CORE_READ(program, filename));
	add_to_map(&process_execs_by_path_total, &key, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
