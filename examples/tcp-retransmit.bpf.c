/* TCP segments that are sent again, and probes for whether the last one has arrived, by who talks to whom.
 *
 * Needs CONFIG_KPROBES. The tracepoint tcp_retransmit_skb sees both and does not tell them apart: the functions that
 * decide on each are probed. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

#define AF_INET 2
#define AF_INET6 10

/* Where Linux begins to hand out ports to clients, unless told otherwise. */
#define FIRST_CLIENT_PORT 32768

enum kind { RETRANSMIT = 1, TAIL_LOSS_PROBE };

struct ipv4_key {
	u32 local;
	u32 peer;
	u16 main_port;
	u16 kind;
};

struct ipv6_key {
	struct in6_addr local;
	struct in6_addr peer;
	u16 main_port;
	u16 kind;
};

/* LRU, for there is no end to addresses. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct ipv4_key);
	__type(value, u64);
} tcp_retransmit_ipv4_packets_total SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct ipv6_key);
	__type(value, u64);
} tcp_retransmit_ipv6_packets_total SEC(".maps");

/* The server's, which is the lower one; 0 if both are clients'. */
static __always_inline u16 main_port(struct sock *socket)
{
	u16 local = BPF_CORE_READ(socket, __sk_common.skc_num);
	u16 peer = bpf_ntohs(BPF_CORE_READ(socket, __sk_common.skc_dport));
	u16 lower = local < peer ? local : peer;

	return lower <= FIRST_CLIENT_PORT ? lower : 0;
}

static __always_inline int count_segment(struct sock *socket, u16 kind)
{
	struct ipv4_key ip4 = { .kind = kind };
	struct ipv6_key ip6 = { .kind = kind };

	switch (BPF_CORE_READ(socket, __sk_common.skc_family)) {
	case AF_INET:
		ip4.local = BPF_CORE_READ(socket, __sk_common.skc_rcv_saddr);
		ip4.peer = BPF_CORE_READ(socket, __sk_common.skc_daddr);
		ip4.main_port = main_port(socket);
		add_to_map(&tcp_retransmit_ipv4_packets_total, &ip4, 1);
		break;
	case AF_INET6:
		BPF_CORE_READ_INTO(&ip6.local, socket, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&ip6.peer, socket, __sk_common.skc_v6_daddr);
		ip6.main_port = main_port(socket);
		add_to_map(&tcp_retransmit_ipv6_packets_total, &ip6, 1);
		break;
	}
	return 0;
}

SEC("kprobe/tcp_retransmit_skb")
int BPF_KPROBE(tcp_retransmit_skb, struct sock *socket)
{
	return count_segment(socket, RETRANSMIT);
}

SEC("kprobe/tcp_send_loss_probe")
int BPF_KPROBE(tcp_send_loss_probe, struct sock *socket)
{
	return count_segment(socket, TAIL_LOSS_PROBE);
}

char LICENSE[] SEC("license") = "GPL";
