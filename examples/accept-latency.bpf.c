/* How long TCP connections wait for their server: from the moment that one is complete and queued until accept()
 * has taken it. The handshake, which is the network's time, is no part of it.
 *
 * Needs CONFIG_KPROBES: no tracepoint tells of accept(). That a connection is there is told by one
 * (inet_sock_set_state): its new socket goes from the listener's state, of which it is a copy, to SYN_RECV. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "histogram.bpf.h"

#define LAST_BUCKET 26 /* 2^26 microseconds: 67 seconds */

struct latency_key {
	u32 port;
	u32 bucket;
};

/* Connections that wait, by their socket's address, since when. Each leaves when it is accepted or closed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, u64);
} waiting SEC(".maps");

/* 28 entries for each port, of which there is one for each server. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 28 * 1024);
	__type(key, struct latency_key);
	__type(value, u64);
} accept_latency_seconds SEC(".maps");

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, const struct sock *socket, int from, int to)
{
	u64 address = (u64)socket;
	u64 now;

	if (from == TCP_LISTEN && to == TCP_SYN_RECV) {
		now = bpf_ktime_get_ns();
		bpf_map_update_elem(&waiting, &address, &now, BPF_ANY);
	} else if (to == TCP_CLOSE) {
		bpf_map_delete_elem(&waiting, &address);
	}
	return 0;
}

SEC("kretprobe/inet_csk_accept")
int BPF_KRETPROBE(inet_csk_accept, struct sock *accepted)
{
	struct latency_key key = {};
	u64 address = (u64)accepted;
	u64 *since = bpf_map_lookup_elem(&waiting, &address);
	u64 now;

	/* None was accepted, or it was there before this program. */
	if (!since)
		return 0;
	now = bpf_ktime_get_ns();
	key.port = BPF_CORE_READ(accepted, __sk_common.skc_num);
	/* It was queued by another CPU, whose clock may differ by a little. */
	observe_duration(&accept_latency_seconds, &key, &key.bucket, LAST_BUCKET, now > *since ? now - *since : 0);
	bpf_map_delete_elem(&waiting, &address);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
