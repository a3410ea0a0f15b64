/* Segments that TCP sockets took while their window was down to less than 32 KiB: with so little the other side cannot
 * send fast, and what makes the kernel do it is a lack of memory, or what it takes for one.
 *
 * Needs CONFIG_KPROBES. The function that makes room for a segment (tcp_try_rmem_schedule) is what lowers the window, so
 * it is looked at when that returns, and the socket is kept meanwhile. Segments that find nothing in their way do not
 * come by here, so this is seldom. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "calls.bpf.h"
#include "maps.bpf.h"

#define SMALL (32 * 1024)

/* A metric without labels is entry 0. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} tcp_window_clamps_total SEC(".maps");

SEC("kprobe/tcp_try_rmem_schedule")
int BPF_KPROBE(tcp_try_rmem_schedule_entered, struct sock *socket)
{
	enter(0, (u64)socket);
	return 0;
}

SEC("kretprobe/tcp_try_rmem_schedule")
int tcp_try_rmem_schedule_returned(void *ctx)
{
	static const u32 only = 0;
	struct tcp_sock *socket = (void *)leave(0);

	if (socket && BPF_CORE_READ(socket, rcv_ssthresh) < SMALL)
		add_to_map(&tcp_window_clamps_total, &only, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
