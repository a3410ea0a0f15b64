/* The same as cgroup_id_map, with the mark at each cgroup itself: to look at it costs no hash, and it goes with its
 * cgroup. Needs Linux 6.2. */
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
} cgroup_cgrp_storage_sched_migrations_total SEC(".maps"),
	cgroup_cgrp_storage_sched_migrations_not_match_total SEC(".maps");

/* Filled by the exporter: 1 at each that is asked for. */
struct {
	__uint(type, BPF_MAP_TYPE_CGRP_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} cgroup_id_map_cgrp_storage SEC(".maps");

SEC("tp_btf/sched_migrate_task")
int BPF_PROG(sched_migrate_task, struct task_struct *task)
{
	/* Read as it is, for the helper wants a pointer that the verifier knows. */
	struct cgroup *cgroup = task->cgroups->dfl_cgrp;
	u64 id = BPF_CORE_READ(cgroup, kn, id);
	/* The exporter makes a place where it has something to put; nobody else does. */
	u64 *asked_for = bpf_cgrp_storage_get(&cgroup_id_map_cgrp_storage, cgroup, NULL, 0);

	if (asked_for && *asked_for)
		add_to_map(&cgroup_cgrp_storage_sched_migrations_total, &id, 1);
	else
		add_to_map(&cgroup_cgrp_storage_sched_migrations_not_match_total, &id, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
