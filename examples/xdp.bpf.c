/* Packets that come in by an interface, before the kernel has made anything of them. All go on as they would have.
 *
 * Needs an interface, which the section names: lo is everywhere, and a name of your own belongs in its place. Drivers that
 * know XDP run this for each packet before all else; for the others, as for lo, the kernel does it a little later. */
#include <vmlinux.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "maps.bpf.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd

/* Where Linux begins to hand out ports to clients, unless told otherwise. */
#define FIRST_CLIENT_PORT 32768

struct packet_key {
	u16 ip;
	u16 protocol;
	u16 dst_port;
};

/* LRU, for the network decides what comes in. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct packet_key);
	__type(value, u64);
} xdp_incoming_packets_total SEC(".maps");

/* What of the packet is still to be read. */
struct rest {
	void *begin;
	void *end;
};

/* The next `size` bytes; NULL if there are not so many. */
static __always_inline void *take(struct rest *rest, u32 size)
{
	void *taken = rest->begin;

	if (taken + size > rest->end)
		return NULL;
	rest->begin = taken + size;
	return taken;
}

/* Extension headers of IPv6 and options of IPv4 are not followed. False if the packet is cut off. */
static __always_inline bool read_protocol(struct packet_key *key, struct rest *rest)
{
	struct iphdr *ip4;
	struct ipv6hdr *ip6;

	switch (key->ip) {
	case ETH_P_IP:
		ip4 = take(rest, sizeof(*ip4));
		if (!ip4)
			return false;
		key->protocol = ip4->protocol;
		return true;
	case ETH_P_IPV6:
		ip6 = take(rest, sizeof(*ip6));
		if (!ip6)
			return false;
		key->protocol = ip6->nexthdr;
		return true;
	default:
		return true;
	}
}

/* The destination is the second field of both headers. */
static __always_inline bool read_port(struct packet_key *key, struct rest *rest)
{
	u16 *ports;

	if (key->protocol != IPPROTO_TCP && key->protocol != IPPROTO_UDP)
		return true;
	ports = take(rest, key->protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr));
	if (!ports)
		return false;
	key->dst_port = bpf_ntohs(ports[1]);
	return true;
}

SEC("xdp/lo")
int incoming(struct xdp_md *context)
{
	struct rest rest = { (void *)(long)context->data, (void *)(long)context->data_end };
	struct ethhdr *ethernet = take(&rest, sizeof(*ethernet));
	struct packet_key key = {};

	if (!ethernet)
		return XDP_PASS;
	key.ip = bpf_ntohs(ethernet->h_proto);
	/* What comes back to clients is not counted: their ports would be too many. */
	if (read_protocol(&key, &rest) && read_port(&key, &rest) && key.dst_port < FIRST_CLIENT_PORT)
		add_to_map(&xdp_incoming_packets_total, &key, 1);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
