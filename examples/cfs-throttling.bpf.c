/* How long cgroups with a limit of CPU time are stopped once they have used it up. Counted when one may go on, on
 * each CPU that it was stopped on. Needs CONFIG_CFS_BANDWIDTH and CONFIG_KPROBES: no tracepoint tells of it. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "histogram.bpf.h"

#define LAST_BUCKET 20 /* 2^20 microseconds: 1 second */

struct throttling_key {
	u64 cgroup;
	u32 bucket;
	u32 padding;
};

/* LRU, for cgroups come and go. 22 entries for each that has a limit and meets it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 22 * 1024);
	__type(key, struct throttling_key);
	__type(value, u64);
} cfs_throttling_seconds SEC(".maps");

SEC("kprobe/unthrottle_cfs_rq")
int BPF_KPROBE(unthrottle_cfs_rq, struct cfs_rq *queue)
{
	struct throttling_key key = {};
	/* Both are the queue's own clock, which is not that of bpf_ktime_get_ns(). */
	u64 since = BPF_CORE_READ(queue, throttled_clock);
	u64 now = BPF_CORE_READ(queue, rq, clock);

	/* It has a new share before it was stopped. */
	if (!since || now < since)
		return 0;
	/* A task group's state names its cgroup in v1 and v2 alike. */
	key.cgroup = BPF_CORE_READ(queue, tg, css.cgroup, kn, id);
	observe_duration(&cfs_throttling_seconds, &key, &key.bucket, LAST_BUCKET, now - since);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
