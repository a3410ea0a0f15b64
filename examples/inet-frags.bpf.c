/* Fragments of IP packets that wait for the others, by the interface that they came in by. Those that pass through a
 * firewall with connection tracking are put together there, and count too. Needs Linux 5.1 and CONFIG_KPROBES: no
 * tracepoint tells of fragments. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

struct fragment_key {
	u32 interface;
	u8 ip_version;
	u8 padding[3];
};

/* LRU, for interfaces come and go with containers. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct fragment_key);
	__type(value, u64);
} inet_frags_total SEC(".maps");

SEC("kprobe/inet_frag_queue_insert")
int BPF_KPROBE(inet_frag_queue_insert, struct inet_frag_queue *queue, struct sk_buff *packet)
{
	struct fragment_key key = { .interface = BPF_CORE_READ(packet, skb_iif) };
	u8 first;

	/* Both headers begin with their version. */
	if (bpf_probe_read_kernel(&first, sizeof(first),
				  BPF_CORE_READ(packet, head) + BPF_CORE_READ(packet, network_header)))
		return 0;
	key.ip_version = first >> 4;
	add_to_map(&inet_frags_total, &key, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
