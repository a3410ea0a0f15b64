/* DNS queries that programs of this host send over UDP, by the name they ask for. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define DNS_PORT 53

#define LONGEST_NAME 255
#define LONGEST_LABEL 63
#define MOST_LABELS 128

/* Of a longer name the end is kept, from the first of its labels that fits. The domain is at the end. */
#define KEPT 96

/* No LRU hash: domains are sums over names. Names that find no room count under the empty one. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u8[KEPT]);
	__type(value, u64);
} dns_queries_total SEC(".maps");

/* A name is too long for the stack. Twice its length, so that the verifier sees that each end is in it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u8[512]);
} names SEC(".maps");

/* What stands in front of the question. */
struct query {
	struct udphdr udp;
	u16 id;
	u16 flags;
	u16 questions;
	u16 records[3];
};

/* Where the UDP header is, counted from `packet->head`; 0 if there is none. Extension headers of IPv6 are not
 * followed. */
static __always_inline u32 find_udp(struct sk_buff *packet)
{
	u32 offset = packet->network_header;
	u16 protocol = bpf_ntohs(BPF_CORE_READ(packet, protocol));
	struct iphdr ip4 = {};
	struct ipv6hdr ip6 = {};

	if (protocol == ETH_P_IP) {
		bpf_probe_read_kernel(&ip4, sizeof(ip4), packet->head + offset);
		/* Fragments behind the first have no header. */
		if (ip4.protocol == IPPROTO_UDP && !(ip4.frag_off & bpf_htons(0x1fff)))
			return offset + ip4.ihl * 4;
	} else if (protocol == ETH_P_IPV6) {
		bpf_probe_read_kernel(&ip6, sizeof(ip6), packet->head + offset);
		if (ip6.nexthdr == IPPROTO_UDP)
			return offset + sizeof(ip6);
	}
	return 0;
}

/* Where the name begins that is asked for; 0 if this is no query. */
static __always_inline u32 find_name(struct sk_buff *packet)
{
	u32 offset = find_udp(packet);
	struct query query = {};

	if (!offset || offset + sizeof(query) >= packet->tail)
		return 0;
	bpf_probe_read_kernel(&query, sizeof(query), packet->head + offset);
	/* The flags: an answer, or an operation other than a query. */
	if (query.udp.dest != bpf_htons(DNS_PORT) || query.flags & bpf_htons(0xf800) ||
	    query.questions != bpf_htons(1))
		return 0;
	return offset + sizeof(query);
}

/* The bytes of a name that has at most `most`, its end included; 0 if it has no end or is compressed, which the
 * first name of a message cannot be. */
static __always_inline u32 length_of(const u8 *name, u32 most)
{
	u32 length = 0;

	for (int i = 0; i < MOST_LABELS && length < most; i++) {
		u8 label = name[length & 0xff];

		length += 1 + label;
		if (!label)
			return length;
		if (label > LONGEST_LABEL)
			return 0;
	}
	return 0;
}

/* Copies the last labels of a name, as many as fit, in lowercase: some resolvers mix cases at random. */
static __always_inline void keep(u8 kept[KEPT], const u8 *name, u64 length)
{
	u64 from = 0;

	for (int i = 0; i < MOST_LABELS && length - from > KEPT; i++)
		from += 1 + name[from & 0xff];
	length -= from;
	/* Both hold already, which the verifier does not see. */
	barrier_var(length);
	if (from > LONGEST_NAME || length > KEPT)
		return;
	bpf_probe_read_kernel(kept, length, name + from);
	/* The lengths between are less than 'A'. */
	for (int i = 0; i < KEPT; i++)
		if (kept[i] >= 'A' && kept[i] <= 'Z')
			kept[i] += 'a' - 'A';
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(net_dev_queue, struct sk_buff *packet)
{
	static const u32 only = 0;
	static const u8 no_room[KEPT] = {};
	u8 kept[KEPT] = {};
	u32 offset, length;
	u8 *name;

	/* Packets that are passed on have no socket here: a container's are counted in the container alone. */
	if (!packet->sk)
		return 0;
	offset = find_name(packet);
	name = bpf_map_lookup_elem(&names, &only);
	if (!offset || !name)
		return 0;
	length = packet->tail - offset;
	if (length > LONGEST_NAME)
		length = LONGEST_NAME;
	bpf_probe_read_kernel(name, length, packet->head + offset);
	length = length_of(name, length);
	if (!length)
		return 0;
	keep(kept, name, length);
	add_or_rest(&dns_queries_total, kept, no_room, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
