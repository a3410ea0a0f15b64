/* TCP connections, and attempts that failed, by the other side's address. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

#define AF_INET 2
#define AF_INET6 10

enum direction { IN, OUT };

struct connection {
	struct in6_addr remote; /* IPv4 as ::ffff:a.b.c.d */
	u32 direction;
};

/* No LRU hashes: zones are sums over addresses. Addresses that find no room count under ::, which nobody has. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct connection);
	__type(value, u64);
} tcp_connections_total SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct in6_addr);
	__type(value, u64);
} tcp_connect_failures_total SEC(".maps");

static __always_inline bool read_remote(struct in6_addr *remote, const struct sock *socket)
{
	u16 family = BPF_CORE_READ(socket, __sk_common.skc_family);

	if (family == AF_INET) {
		remote->in6_u.u6_addr16[5] = 0xffff;
		remote->in6_u.u6_addr32[3] = BPF_CORE_READ(socket, __sk_common.skc_daddr);
		return true;
	}
	BPF_CORE_READ_INTO(remote, socket, __sk_common.skc_v6_daddr);
	return family == AF_INET6;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, const struct sock *socket, int from, int to)
{
	static const struct connection no_room = {};
	struct connection key = { .direction = from == TCP_SYN_SENT ? OUT : IN };

	/* Others have these states too, SCTP for one. */
	if (BPF_CORE_READ(socket, sk_protocol) != IPPROTO_TCP || !read_remote(&key.remote, socket))
		return 0;

	if (to == TCP_ESTABLISHED)
		add_or_rest(&tcp_connections_total, &key, &no_room, 1);
	else if (from == TCP_SYN_SENT && to == TCP_CLOSE)
		add_or_rest(&tcp_connect_failures_total, &key.remote, &no_room.remote, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
