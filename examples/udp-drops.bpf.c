/* UDP packets that came in and were thrown away, for their socket's receive buffer was full. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

/* LRU, for clients' sockets come with ever new ports. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u16);
	__type(value, u64);
} udp_fail_queue_rcv_skbs_total SEC(".maps");

/* The socket is asked, not the tracepoint's record, whose field for the local port has changed its name and
 * its meaning (lport until Linux 6.9, then sport, which is the remote one, and dport). */
SEC("tp_btf/udp_fail_queue_rcv_skb")
int BPF_PROG(udp_fail_queue_rcv_skb, int error, struct sock *socket)
{
	u16 port = BPF_CORE_READ(socket, __sk_common.skc_num);

	add_to_map(&udp_fail_queue_rcv_skbs_total, &port, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
