/* The same as cgroup, and which of them the config asks for: the exporter keeps their ids in a map, which the program asks
 * at each event. Whoever needs only these counts no others, and has no labels of theirs to throw away. */
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
} cgroup_sched_migrations_total SEC(".maps"), cgroup_sched_migrations_not_match_total SEC(".maps");

/* Filled by the exporter: the id of each that is asked for, with 1. No LRU, for none of them may be forgotten. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, u64);
} cgroup_id_map SEC(".maps");

SEC("tp_btf/sched_migrate_task")
int BPF_PROG(sched_migrate_task, struct task_struct *task)
{
	/* The moved task's, which is rarely the current one's. */
	u64 cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);

	if (bpf_map_lookup_elem(&cgroup_id_map, &cgroup))
		add_to_map(&cgroup_sched_migrations_total, &cgroup, 1);
	else
		add_to_map(&cgroup_sched_migrations_not_match_total, &cgroup, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
