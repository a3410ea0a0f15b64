/* What becomes of each request to a block device, as a trace of its own: when it waits in the I/O scheduler's queue, and
 * how long the driver has it. For a look at one slow device: each request is a record, and a span at the collector.
 *
 * Devices without an I/O scheduler (`none` in /sys/block/…/queue/scheduler), as fast ones are, have no queue to wait in. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "block_request.bpf.h"
#include "span.bpf.h"

struct request_span {
	struct span span;
	u32 device;
	u32 operation;
};

SPANS(block_rq_insert_spans);
SPANS(block_rq_service_spans);

static __always_inline void send(void *spans, struct request *request, u64 duration)
{
	/* The place and the time of its birth are the same in all of its spans, and in no other request's. */
	struct span_context context = { { BPF_CORE_READ(request, start_time_ns), (u64)request }, 0 };
	struct request_span *span = bpf_ringbuf_reserve(spans, sizeof(*span), 0);

	if (!span)
		return;
	fill_span(&span->span, &context, duration);
	span->device = device_of(request);
	span->operation = operation_of(request);
	bpf_ringbuf_submit(span, 0);
}

SEC("tp_btf/block_rq_insert")
int block_rq_insert(u64 *ctx)
{
	send(&block_rq_insert_spans, (struct request *)request_of(ctx), 0);
	return 0;
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(block_rq_complete, struct request *request, int error, unsigned int bytes)
{
	u64 duration;

	if (is_done(request, bytes, &duration))
		send(&block_rq_service_spans, request, duration);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
