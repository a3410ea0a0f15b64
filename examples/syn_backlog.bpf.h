/* TCP servers' queues of connections that wait for accept(), as they are when one more comes. What becomes of the length
 * is left to the includer, who defines observe_backlog().
 *
 * Needs CONFIG_KPROBES: the tracepoint that sees the new socket does not know the listener's. */
#pragma once

#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define ETH_P_IP 0x0800

static __always_inline void observe_backlog(u64 length);

SEC("kprobe/tcp_v4_syn_recv_sock")
int BPF_KPROBE(tcp_v4_syn_recv_sock, struct sock *listener)
{
	observe_backlog(BPF_CORE_READ(listener, sk_ack_backlog));
	return 0;
}

SEC("kprobe/tcp_v6_syn_recv_sock")
int BPF_KPROBE(tcp_v6_syn_recv_sock, struct sock *listener, struct sk_buff *packet)
{
	/* IPv4 at a socket for both, which calls the function above. */
	if (BPF_CORE_READ(packet, protocol) != bpf_htons(ETH_P_IP))
		observe_backlog(BPF_CORE_READ(listener, sk_ack_backlog));
	return 0;
}
