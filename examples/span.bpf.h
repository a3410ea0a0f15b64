/* Spans in ring buffers: what each begins with, which the config tells the exporter in the same order. */
#pragma once

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

/* Where in a trace: its id, and the span that is the cause. W3C's traceparent has the same two. */
struct span_context {
	u64 trace_id[2];
	u64 parent; /* 0: the trace begins here */
#ifdef SPAN_TAG
	u64 tag; /* what else a program has said of it; the config has a label more then */
#endif
};

struct span {
	struct span_context context;
	u64 id;       /* 0: the exporter makes one */
	u64 began_at; /* of bpf_ktime_get_ns() */
	u64 duration; /* 0: a moment */
};

/* Room for that many spans that the exporter has not read. */
#define SPANS(name) \
	struct { \
		__uint(type, BPF_MAP_TYPE_RINGBUF); \
		__uint(max_entries, 256 * 1024); \
	} name SEC(".maps")

/* A number that nobody has had, and not 0. */
static __always_inline u64 new_id(void)
{
	return (u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32() | 1;
}

/* A span that is over now, and began `duration` nanoseconds ago. */
static __always_inline void fill_span(struct span *span, const struct span_context *context, u64 duration)
{
	span->context = *context;
	span->id = 0;
	span->began_at = bpf_ktime_get_ns() - duration;
	span->duration = duration;
}
