/* Programs that see the packets of an interface. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include "counts.bpf.h"

COUNTS(received_total, u32);
COUNTS(ingress_total, u32);
COUNTS(egress_total, u32);

/* The key is the UDP packet's port of destination. */
static __always_inline void count_port(void *map, void *data, void *end)
{
	struct ethhdr *link = data;
	struct iphdr *ip = (void *)(link + 1);
	struct udphdr *udp = (void *)(ip + 1);
	u32 port;

	if ((void *)(udp + 1) > end || ip->protocol != IPPROTO_UDP)
		return;
	port = __builtin_bswap16(udp->dest);
	add_to_map(map, &port, 1);
}

SEC("xdp/lo")
int received(struct xdp_md *ctx)
{
	count_port(&received_total, (void *)(long)ctx->data, (void *)(long)ctx->data_end);
	return XDP_PASS;
}

SEC("xdp/no-such-iface")
int no_interface(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

SEC("tc/ingress/lo")
int came_in(struct __sk_buff *skb)
{
	count_port(&ingress_total, (void *)(long)skb->data, (void *)(long)skb->data_end);
	return -1;
}

SEC("tcx/egress/lo")
int went_out(struct __sk_buff *skb)
{
	count_port(&egress_total, (void *)(long)skb->data, (void *)(long)skb->data_end);
	return -1;
}

char LICENSE[] SEC("license") = "GPL";
