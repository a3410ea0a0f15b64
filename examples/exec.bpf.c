/* Programs started: all of them, and by name. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

#define COMM_LENGTH 16

/* The total is kept apart, for the names below may be forgotten. Mappable: the exporter reads it as memory,
 * without a system call. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} process_execs_total SEC(".maps");

/* LRU, for there is no end to names: the one not seen for longest makes room, and starts from 0 if it
 * comes back, which PromQL's rate() knows how to read. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, char[COMM_LENGTH]);
	__type(value, u64);
} process_execs_by_comm_total SEC(".maps");

SEC("tp_btf/sched_process_exec")
int BPF_PROG(sched_process_exec, struct task_struct *task)
{
	static const u32 only = 0;
	char comm[COMM_LENGTH] = {};

	/* By now it has the new program's name. */
	BPF_CORE_READ_STR_INTO(&comm, task, comm);

	add_to_map(&process_execs_total, &only, 1);
	add_to_map(&process_execs_by_comm_total, comm, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
