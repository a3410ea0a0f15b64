/* How often tasks of each cgroup are moved to another CPU. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

/* LRU, for cgroups come and go with containers and sessions: dead ones make room for new ones. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u64);
} cgroup_sched_migrations_total SEC(".maps");

SEC("tp_btf/sched_migrate_task")
int BPF_PROG(sched_migrate_task, struct task_struct *task)
{
	/* The moved task's, which is rarely the current one's: bpf_get_current_cgroup_id() would be wrong.
	 * The id of a cgroup v2 is its directory's inode number. */
	u64 cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);

	add_to_map(&cgroup_sched_migrations_total, &cgroup, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
