/* Counts calls of prctl(CGROUPS, session) that cgroups make: those that the exporter has put into the map of
 * ids, those that it keeps in the storage of cgroups, and the others. The kernel knows no such prctl. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include "maps.bpf.h"

#define CGROUPS 0x63677270

/* As in workload.bpf.c. */
const volatile __u64 session = 0x6e6f697373657320;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, u64);
	__type(value, u64);
} ids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGRP_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u32);
} stored SEC(".maps");

#define COUNTER(name)                                                                              \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_HASH);                                                   \
		__uint(max_entries, 64);                                                           \
		__type(key, u64);                                                                  \
		__type(value, u64);                                                                \
	} name SEC(".maps")

COUNTER(calls_in_ids_total);
COUNTER(calls_in_storage_total);
COUNTER(calls_of_others_total);

SEC("tracepoint/syscalls/sys_enter_prctl")
int cgroup_calls(struct trace_event_raw_sys_enter *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct cgroup *cgroup = task->cgroups->dfl_cgrp;
	u64 own = bpf_get_current_cgroup_id();
	bool found = false;
	u64 *in_ids;
	u32 *in_storage;

#ifdef CGROUPS_BEYOND
	/* No event of this hook is so long: the verifier takes it, and the hook does not. */
	if (*(volatile u64 *)((void *)ctx + 1024))
		return 0;
#endif
	if ((u32)ctx->args[0] != CGROUPS || ctx->args[1] != session)
		return 0;
	in_ids = bpf_map_lookup_elem(&ids, &own);
	if (in_ids && *in_ids == 1) {
		add_to_map(&calls_in_ids_total, &own, 1);
		found = true;
	}
	in_storage = bpf_cgrp_storage_get(&stored, cgroup, 0, 0);
	if (in_storage && *in_storage == 1) {
		add_to_map(&calls_in_storage_total, &own, 1);
		found = true;
	}
	if (!found)
		add_to_map(&calls_of_others_total, &own, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
