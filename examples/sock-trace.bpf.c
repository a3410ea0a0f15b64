/* What the kernel does with a connection that a program works with, as spans of the trace that the program is in: the
 * functions that its packets pass, errors, and its end. Needs CONFIG_KPROBES, CONFIG_UPROBES, Linux 5.15 for errors, and a
 * program that announces its connections by their cookie (SO_COOKIE): see announced.bpf.h. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>
#define SPAN_TAG
#include "announced.bpf.h"
#include "span.bpf.h"

#define DEPTH 8

/* Of a tracepoint's stack the first two are this program and who calls it. */
#define SKIPPED 2

struct stitch_span {
	struct span span;
	u64 socket_cookie;
};

/* The function's own address, as a stack of one. */
struct function_span {
	struct span span;
	u64 function;
};

struct error_span {
	struct span span;
	u64 kstack[DEPTH];
	u32 error;
	u32 padding;
};

SPANS(stitch_spans);
SPANS(sock_release_spans);
SPANS(sk_spans);
SPANS(sk_error_report_spans);

SEC(DEMO "sock_set_parent_span")
int BPF_USDT(sock_set_parent_span, u64 cookie, u64 trace_id_hi, u64 trace_id_lo, u64 span_id, u64 tag)
{
	struct span_context context = { { trace_id_hi, trace_id_lo }, span_id, tag };
	struct stitch_span *span = bpf_ringbuf_reserve(&stitch_spans, sizeof(*span), 0);

	announce(cookie, &context);
	if (!span)
		return 0;
	/* Where the program's spans and the kernel's are sewn together. */
	fill_span(&span->span, &context, 0);
	span->socket_cookie = cookie;
	bpf_ringbuf_submit(span, 0);
	return 0;
}

/* The cookie that the kernel has given to a connection whose program has asked for it; 0 to all others. */
static __always_inline u64 cookie_of(const struct sock *socket)
{
	return socket ? BPF_CORE_READ(socket, __sk_common.skc_cookie.counter) : 0;
}

/* The socket of a packet that goes out. */
static __always_inline const struct sock *socket_of(struct sk_buff *packet)
{
	return BPF_CORE_READ(packet, sk);
}

SEC("kprobe/__sock_release")
int BPF_KPROBE(__sock_release, struct socket *file)
{
	u64 cookie = cookie_of(BPF_CORE_READ(file, sk));
	struct span_context *context = context_of(cookie);
	struct span *span;

	if (!context)
		return 0;
	span = bpf_ringbuf_reserve(&sock_release_spans, sizeof(*span), 0);
	if (span) {
		fill_span(span, context, 0);
		bpf_ringbuf_submit(span, 0);
	}
	forget(cookie);
	return 0;
}

/* A span that is named by the function that is probed. */
static __always_inline int pass(void *ctx, const struct sock *socket)
{
	struct span_context *context = context_of(cookie_of(socket));
	struct function_span *span;

	if (!context)
		return 0;
	span = bpf_ringbuf_reserve(&sk_spans, sizeof(*span), 0);
	if (!span)
		return 0;
	fill_span(&span->span, context, 0);
	span->function = 0;
	/* The first of the stack, which is a byte or so behind the function's address. */
	bpf_get_stack(ctx, &span->function, sizeof(span->function), 0);
	bpf_ringbuf_submit(span, 0);
	return 0;
}

SEC("kprobe/tcp_v4_do_rcv")
int BPF_KPROBE(tcp_v4_do_rcv, struct sock *socket)
{
	return pass(ctx, socket);
}

SEC("kprobe/__ip_local_out")
int BPF_KPROBE(__ip_local_out, struct net *net, struct sock *socket)
{
	return pass(ctx, socket);
}

SEC("kprobe/ip_finish_output")
int BPF_KPROBE(ip_finish_output, struct net *net, struct sock *socket)
{
	return pass(ctx, socket);
}

SEC("kprobe/__tcp_retransmit_skb")
int BPF_KPROBE(__tcp_retransmit_skb, struct sock *socket)
{
	return pass(ctx, socket);
}

SEC("kprobe/nf_hook_slow")
int BPF_KPROBE(nf_hook_slow, struct sk_buff *packet)
{
	return pass(ctx, socket_of(packet));
}

SEC("kprobe/__dev_queue_xmit")
int BPF_KPROBE(__dev_queue_xmit, struct sk_buff *packet)
{
	return pass(ctx, socket_of(packet));
}

SEC("kprobe/dev_hard_start_xmit")
int BPF_KPROBE(dev_hard_start_xmit, struct sk_buff *packet)
{
	return pass(ctx, socket_of(packet));
}

/* A tracepoint, for the function was a pointer of each socket's before. */
SEC("tp_btf/inet_sk_error_report")
int BPF_PROG(inet_sk_error_report, const struct sock *socket)
{
	struct span_context *context = context_of(cookie_of(socket));
	struct error_span *span;

	if (!context)
		return 0;
	span = bpf_ringbuf_reserve(&sk_error_report_spans, sizeof(*span), 0);
	if (!span)
		return 0;
	fill_span(&span->span, context, 0);
	span->error = BPF_CORE_READ(socket, sk_err);
	span->padding = 0;
	__builtin_memset(span->kstack, 0, sizeof(span->kstack));
	bpf_get_stack(ctx, span->kstack, sizeof(span->kstack), SKIPPED);
	bpf_ringbuf_submit(span, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
