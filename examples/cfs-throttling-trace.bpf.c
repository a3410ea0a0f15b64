/* When a program was stopped because its cgroup had used up its CPU time, as spans of the trace that the program is in:
 * why this one request took so long. Needs CONFIG_CFS_BANDWIDTH, CONFIG_KPROBES, CONFIG_UPROBES, cgroup v2, and a program that
 * announces its traces: see announced.bpf.h. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>
#include "announced.bpf.h"
#include "span.bpf.h"

#define DEPTH 20

struct throttle_span {
	struct span span;
	u64 kstack[DEPTH];
};

SPANS(cfs_throttle_spans);

/* A cgroup is stopped as a whole: it is known by its id. */
SEC(DEMO "cfs_set_parent_span")
int BPF_USDT(cfs_set_parent_span, u64 trace_id_hi, u64 trace_id_lo, u64 span_id)
{
	struct span_context context = { { trace_id_hi, trace_id_lo }, span_id };

	announce(bpf_get_current_cgroup_id(), &context);
	return 0;
}

SEC(DEMO "cfs_clear_parent_span")
int BPF_USDT(cfs_clear_parent_span)
{
	forget(bpf_get_current_cgroup_id());
	return 0;
}

SEC("tp_btf/cgroup_release")
int BPF_PROG(cgroup_release, struct cgroup *cgroup)
{
	forget(BPF_CORE_READ(cgroup, kn, id));
	return 0;
}

SEC("kprobe/unthrottle_cfs_rq")
int BPF_KPROBE(unthrottle_cfs_rq, struct cfs_rq *queue)
{
	/* Both are the queue's own clock, which is not that of bpf_ktime_get_ns(). */
	u64 since = BPF_CORE_READ(queue, throttled_clock);
	u64 now = BPF_CORE_READ(queue, rq, clock);
	struct span_context *context = context_of(BPF_CORE_READ(queue, tg, css.cgroup, kn, id));
	struct throttle_span *span;

	if (!since || now < since || !context)
		return 0;
	span = bpf_ringbuf_reserve(&cfs_throttle_spans, sizeof(*span), 0);
	if (!span)
		return 0;
	fill_span(&span->span, context, now - since);
	/* What lets it go on; the rest of what is reserved is whatever it was before. */
	__builtin_memset(span->kstack, 0, sizeof(span->kstack));
	bpf_get_stack(ctx, span->kstack, sizeof(span->kstack), 0);
	bpf_ringbuf_submit(span, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
