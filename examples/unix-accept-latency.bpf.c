/* How long connections to known sockets of the Unix domain wait until their server accepts them.
 *
 * Needs CONFIG_KPROBES, and CONFIG_SECURITY_NETWORK for a function that is there only to be asked: no tracepoint
 * tells of these sockets. Their paths stand in server_of() and in the config: write your own. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "calls.bpf.h"
#include "histogram.bpf.h"
#include "unix_path.bpf.h"

#define LAST_BUCKET 10 /* 2^10 milliseconds: 1 second */

enum server { DBUS, JOURNAL, MYSQL, SERVERS };

struct latency_key {
	u32 server;
	u32 bucket;
};

struct wait {
	u64 since;
	u64 server;
};

/* Connections that wait, by the address of the server's new socket. LRU, for some are closed before. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, struct wait);
} waiting SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SERVERS * (LAST_BUCKET + 2));
	__type(key, struct latency_key);
	__type(value, u64);
} unix_accept_latency_seconds SEC(".maps");

/* SERVERS if it is none of those that are asked for. */
static __always_inline u32 server_of(struct sock *listener)
{
	char path[PATH_LENGTH] = {};

	if (!read_path(path, listener))
		return SERVERS;
	if (is_path(path, "/run/dbus/system_bus_socket"))
		return DBUS;
	if (is_path(path, "/run/systemd/journal/stdout"))
		return JOURNAL;
	return is_path(path, "/var/run/mysqld/mysqld.sock") ? MYSQL : SERVERS;
}

/* The last that connect() does before the new socket is queued. */
SEC("kprobe/security_unix_stream_connect")
int BPF_KPROBE(security_unix_stream_connect, struct sock *client, struct sock *listener, struct sock *new)
{
	struct wait wait = { .since = bpf_ktime_get_ns(), .server = server_of(listener) };
	u64 address = (u64)new;

	if (wait.server < SERVERS)
		bpf_map_update_elem(&waiting, &address, &wait, BPF_ANY);
	return 0;
}

SEC("kprobe/unix_accept")
int BPF_KPROBE(unix_accept_entered, struct socket *listener, struct socket *accepted)
{
	enter(0, (u64)accepted);
	return 0;
}

/* What was handed in has the new socket now, if there was one. */
SEC("kretprobe/unix_accept")
int unix_accept_returned(void *ctx)
{
	struct socket *accepted = (void *)leave(0);
	u64 address = accepted ? (u64)BPF_CORE_READ(accepted, sk) : 0;
	struct wait *wait = bpf_map_lookup_elem(&waiting, &address);
	struct latency_key key = {};
	u64 now;

	if (!wait)
		return 0;
	now = bpf_ktime_get_ns();
	key.server = wait->server;
	/* The histogram's unit is a millisecond. CPUs' clocks may differ by a little. */
	observe_thousandths(&unix_accept_latency_seconds, &key, &key.bucket, LAST_BUCKET,
			    now > wait->since ? (now - wait->since + 999) / 1000 : 0);
	bpf_map_delete_elem(&waiting, &address);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
