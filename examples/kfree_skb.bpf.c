/* Network packets that the kernel threw away, with the reason it gives. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "drop_reasons.bpf.h"
#include "maps.bpf.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd

/* Where Linux begins to hand out ports to clients, unless told otherwise. */
#define FIRST_CLIENT_PORT 32768

struct drop_key {
	u16 eth_proto;
	u16 ip_proto;
	u16 port;
	u16 reason;
};

/* LRU, for what comes in from the network must not be able to fill it for good. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct drop_key);
	__type(value, u64);
} kfree_skb_total SEC(".maps");

/* The packet's destination port, 0 if it has none. Ports of clients are shown as 0 too: what remains is
 * services, which are few. `offset` is where the transport header starts. */
static __always_inline u16 service_port(struct sk_buff *packet, u16 ip_proto, u32 offset)
{
	u16 port = 0;

	if (ip_proto != IPPROTO_TCP && ip_proto != IPPROTO_UDP)
		return 0;
	/* The destination is the second field of both headers. */
	if (offset + 2 * sizeof(port) > packet->tail)
		return 0;
	bpf_probe_read_kernel(&port, sizeof(port), packet->head + offset + sizeof(port));
	port = bpf_ntohs(port);
	return port < FIRST_CLIENT_PORT ? port : 0;
}

/* Fills in what the IP header knows. Extension headers of IPv6 are not followed: the first one's number is
 * the protocol then. */
static __always_inline void read_ip(struct drop_key *key, struct sk_buff *packet)
{
	u32 offset = packet->network_header;
	struct iphdr ip4 = {};
	struct ipv6hdr ip6 = {};

	if (key->eth_proto == ETH_P_IP && offset + sizeof(ip4) <= packet->tail) {
		bpf_probe_read_kernel(&ip4, sizeof(ip4), packet->head + offset);
		key->ip_proto = ip4.protocol;
		/* Fragments behind the first hold no ports. */
		if (!(ip4.frag_off & bpf_htons(0x1fff)))
			key->port = service_port(packet, key->ip_proto, offset + ip4.ihl * 4);
	} else if (key->eth_proto == ETH_P_IPV6 && offset + sizeof(ip6) <= packet->tail) {
		bpf_probe_read_kernel(&ip6, sizeof(ip6), packet->head + offset);
		key->ip_proto = ip6.nexthdr;
		key->port = service_port(packet, key->ip_proto, offset + sizeof(ip6));
	}
}

/* (packet, where) before Linux 5.17, then also (…, reason), and the socket behind it since 6.11. */
SEC("tp_btf/kfree_skb")
int kfree_skb(u64 *ctx)
{
	struct sk_buff *packet = (void *)ctx[0];
	struct drop_key key = { .reason = DROP_REASON_NOT_SPECIFIED };

	if (bpf_core_type_exists(enum skb_drop_reason))
		key.reason = drop_reason(ctx[2]);
	key.eth_proto = bpf_ntohs(BPF_CORE_READ(packet, protocol));
	read_ip(&key, packet);

	add_to_map(&kfree_skb_total, &key, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
