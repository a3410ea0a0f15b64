/* How many connections wait at known sockets of the Unix domain, each time that somebody looks one of them up to connect
 * or to send.
 *
 * Needs CONFIG_KPROBES: no tracepoint tells of these sockets. What is looked up is what the function returns, whatever
 * its arguments are, which have changed with nearly every kernel. Paths stand in server_of() and in the config: write
 * your own. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "histogram.bpf.h"
#include "unix_path.bpf.h"

#define LAST_BUCKET 17 /* 2^16: 65536 */

enum server { DOCKER_METRICS, DOCKER, SERVERS };

struct backlog_key {
	u32 server;
	u32 bucket;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SERVERS * (LAST_BUCKET + 2));
	__type(key, struct backlog_key);
	__type(value, u64);
} unix_socket_backlog SEC(".maps");

/* SERVERS if it is none of those that are asked for. /var/run is /run, and either may have been bound to. */
static __always_inline u32 server_of(struct sock *socket)
{
	char path[PATH_LENGTH] = {};

	if (!read_path(path, socket))
		return SERVERS;
	if (is_path(path, "/var/run/docker/metrics.sock") || is_path(path, "/run/docker/metrics.sock"))
		return DOCKER_METRICS;
	return is_path(path, "/var/run/docker.sock") || is_path(path, "/run/docker.sock") ? DOCKER : SERVERS;
}

SEC("kretprobe/unix_find_other")
int BPF_KRETPROBE(unix_find_other, struct sock *found)
{
	struct backlog_key key = {};
	u64 length;

	/* None was found: it is 0 or an error's number, and can be read as little as any other wrong address. */
	key.server = server_of(found);
	if (key.server == SERVERS)
		return 0;
	length = BPF_CORE_READ(found, sk_receive_queue.qlen);
	key.bucket = exp2zero_bucket(length);
	observe(&unix_socket_backlog, &key, &key.bucket, LAST_BUCKET, length);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
