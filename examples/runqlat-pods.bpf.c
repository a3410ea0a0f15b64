/* Run queue latency by cgroup: how long its tasks, ready to run, have waited for a CPU. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "histogram.bpf.h"
#include "run_queue.bpf.h"

#define LAST_BUCKET 26 /* 2^26 microseconds: 67 seconds */

struct wait {
	u64 cgroup;
	u32 bucket;
	u32 padding;
};

/* No LRU hash: units are sums over cgroups. Cgroups that are gone leave it by themselves, see below. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, struct wait);
	__type(value, u64);
} pod_run_queue_latency_seconds SEC(".maps");

SEC("tp_btf/sched_switch")
int BPF_PROG(sched_switch, bool preempted, struct task_struct *previous, struct task_struct *next)
{
	struct wait key = {};
	u64 waited;

	leave_cpu(preempted, previous);
	if (get_cpu(next, &waited)) {
		key.cgroup = BPF_CORE_READ(next, cgroups, dfl_cgrp, kn, id);
		observe_duration(&pod_run_queue_latency_seconds, &key, &key.bucket, LAST_BUCKET, waited);
	}
	return 0;
}

/* What a cgroup has counted is its parent's when it goes, so that sums over both never fall. */
SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(cgroup_rmdir, struct cgroup *cgroup)
{
	struct wait gone = {}, parent = {};

	/* Those of cgroup v1 have numbers of their own. */
	if (BPF_CORE_READ(cgroup, root, hierarchy_id) != 0)
		return 0;
	gone.cgroup = BPF_CORE_READ(cgroup, kn, id);
	parent.cgroup = BPF_CORE_READ(cgroup, self.parent, cgroup, kn, id);
	for (u32 bucket = 0; bucket <= LAST_BUCKET + 1; bucket++) {
		u64 *value;

		gone.bucket = parent.bucket = bucket;
		value = bpf_map_lookup_elem(&pod_run_queue_latency_seconds, &gone);
		if (!value)
			continue;
		add_to_map(&pod_run_queue_latency_seconds, &parent, *value);
		bpf_map_delete_elem(&pod_run_queue_latency_seconds, &gone);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
