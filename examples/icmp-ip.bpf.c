/* ICMP packets received, by who sent them. Needs CONFIG_KPROBES: a tracepoint for all packets (netif_receive_skb) would
 * cost each of them, and these are few. For IPv6 also CONFIG_IPV6. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

/* LRU, for whoever sends can fill it with addresses. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 10240);
	__type(key, u32);
	__type(value, u64);
} icmp4_received_packets_total SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 10240);
	__type(key, struct in6_addr);
	__type(value, u64);
} icmp6_received_packets_total SEC(".maps");

/* The IP header stays where it was when the packet is handed on to ICMP. */
static __always_inline void *ip_header(struct sk_buff *packet)
{
	return BPF_CORE_READ(packet, head) + BPF_CORE_READ(packet, network_header);
}

SEC("kprobe/icmp_rcv")
int BPF_KPROBE(icmp_rcv, struct sk_buff *packet)
{
	struct iphdr header;

	if (!bpf_probe_read_kernel(&header, sizeof(header), ip_header(packet)))
		add_to_map(&icmp4_received_packets_total, &header.saddr, 1);
	return 0;
}

SEC("kprobe/icmpv6_rcv")
int BPF_KPROBE(icmpv6_rcv, struct sk_buff *packet)
{
	struct ipv6hdr header;

	if (!bpf_probe_read_kernel(&header, sizeof(header), ip_header(packet)))
		add_to_map(&icmp6_received_packets_total, &header.saddr, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
