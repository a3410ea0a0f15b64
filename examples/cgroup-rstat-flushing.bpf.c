/* What it costs to sum up the statistics of cgroups: each reader of memory.stat or cpu.stat makes the kernel collect
 * them from all CPUs and cgroups below ("flush"), under a lock. How often, at which level of the hierarchy, how
 * long, and how long others wait for the lock.
 *
 * Needs Linux 6.10, which has tracepoints at the lock, and CONFIG_KPROBES for flushes themselves. Flushes are one
 * function or another, by kernel: the program of the one that is not there does not attach. */
#include <vmlinux.h>
#include <linux/errno.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "calls.bpf.h"
#include "histogram.bpf.h"

#define LAST_LEVEL 5 /* those below are counted with it */
#define LAST_BUCKET 24 /* 2^24 tenths of a microsecond: 1.7 seconds */

/* What is remembered of a thread: since when it waits for the lock, has the lock, flushes; and its flush's level. */
enum span { WAIT, HOLD, FLUSH, LEVEL };

enum error { OTHER_ERROR, NO_MEMORY, BUSY, ALREADY_EXISTS, NO_ELEM, TIMESTAMP_ZERO, ERRORS };

struct lock_key {
	u8 contended;
	u8 yield;
	u16 level;
};

struct flush_key {
	u32 level;
	u32 bucket;
};

/* Readers are on all CPUs, so all of this is kept for each CPU apart. */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LAST_LEVEL + 1);
	__type(key, u32);
	__type(value, u64);
} cgroup_rstat_flush_total SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4 * (LAST_LEVEL + 1));
	__type(key, struct lock_key);
	__type(value, u64);
} cgroup_rstat_locked_total SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ERRORS);
	__type(key, u32);
	__type(value, u64);
} cgroup_rstat_map_errors_total SEC(".maps");

/* The bucket is the whole key. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LAST_BUCKET + 2);
	__type(key, u32);
	__type(value, u64);
} cgroup_rstat_lock_wait_seconds SEC(".maps"), cgroup_rstat_lock_hold_seconds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, (LAST_LEVEL + 1) * (LAST_BUCKET + 2));
	__type(key, struct flush_key);
	__type(value, u64);
} cgroup_rstat_flush_latency_seconds SEC(".maps");

static __always_inline u32 level_of(struct cgroup *cgroup)
{
	u32 level = BPF_CORE_READ(cgroup, level);

	return level < LAST_LEVEL ? level : LAST_LEVEL;
}

static __always_inline void count_error(u32 error)
{
	add_to_map(&cgroup_rstat_map_errors_total, &error, 1);
}

static __always_inline void begin(u32 span)
{
	switch (enter(span, bpf_ktime_get_ns())) {
	case 0:
		return;
	case -ENOMEM:
		return count_error(NO_MEMORY);
	case -EBUSY:
		return count_error(BUSY);
	case -EEXIST:
		return count_error(ALREADY_EXISTS);
	default:
		return count_error(OTHER_ERROR);
	}
}

/* The tenths of a microsecond since it began, in thousandths; false if it began before this program was there. */
static __always_inline bool end(u32 span, u64 *thousandths)
{
	u64 since = leave(span);

	if (!since)
		count_error(NO_ELEM);
	*thousandths = (bpf_ktime_get_ns() - since) * 10;
	return since;
}

static __always_inline void observe_span(void *map, u32 span)
{
	u64 thousandths;
	u32 bucket;

	if (end(span, &thousandths))
		observe_thousandths(map, &bucket, &bucket, LAST_BUCKET, thousandths);
}

SEC("tp_btf/cgroup_rstat_lock_contended")
int cgroup_rstat_lock_contended(void *ctx)
{
	begin(WAIT);
	return 0;
}

/* `cpu` is -1 where the lock is taken, and a CPU where it had been given up in the middle for others' sake. Since
 * Linux 6.15 it is taken and given back for each CPU in turn. */
SEC("tp_btf/cgroup_rstat_locked")
int BPF_PROG(cgroup_rstat_locked, struct cgroup *cgroup, int cpu, bool contended)
{
	struct lock_key key = { .contended = contended, .yield = cpu >= 0, .level = level_of(cgroup) };

	add_to_map(&cgroup_rstat_locked_total, &key, 1);
	if (contended)
		observe_span(&cgroup_rstat_lock_wait_seconds, WAIT);
	begin(HOLD);
	return 0;
}

SEC("tp_btf/cgroup_rstat_unlock")
int cgroup_rstat_unlock(void *ctx)
{
	observe_span(&cgroup_rstat_lock_hold_seconds, HOLD);
	return 0;
}

static __always_inline void begin_flush(struct cgroup *cgroup)
{
	u32 level = level_of(cgroup);

	add_to_map(&cgroup_rstat_flush_total, &level, 1);
	/* Its argument is not there any more when the function returns. 0 would be nothing. */
	enter(LEVEL, level + 1);
	begin(FLUSH);
}

static __always_inline void end_flush(void)
{
	struct flush_key key = { .level = leave(LEVEL) - 1 };
	u64 thousandths;

	if (end(FLUSH, &thousandths) && key.level <= LAST_LEVEL)
		observe_thousandths(&cgroup_rstat_flush_latency_seconds, &key, &key.bucket, LAST_BUCKET,
				    thousandths);
}

/* Until Linux 6.14, within the lock. */
SEC("kprobe/cgroup_rstat_flush_locked")
int BPF_KPROBE(cgroup_rstat_flush_locked, struct cgroup *cgroup)
{
	begin_flush(cgroup);
	return 0;
}

SEC("kretprobe/cgroup_rstat_flush_locked")
int cgroup_rstat_flush_locked_returned(void *ctx)
{
	end_flush();
	return 0;
}

/* Since Linux 6.16, with its waits for the lock. */
SEC("kprobe/css_rstat_flush")
int BPF_KPROBE(css_rstat_flush, struct cgroup_subsys_state *state)
{
	begin_flush(BPF_CORE_READ(state, cgroup));
	return 0;
}

SEC("kretprobe/css_rstat_flush")
int css_rstat_flush_returned(void *ctx)
{
	end_flush();
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
