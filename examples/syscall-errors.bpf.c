/* System calls that failed, by the name of the thread that made them, and by error. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

/* As in syscalls.bpf.c. */
#define LAST_ERRNO 511

struct failure {
	char comm[16];
	u32 error;
};

/* No LRU hash: services are sums over threads. Names that find no room count under the empty one and error 0. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct failure);
	__type(value, u64);
} service_syscall_errors_total SEC(".maps");

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
	static const struct failure no_room = {};
	struct failure key = { .error = -result };

	if (result >= 0 || result < -LAST_ERRNO)
		return 0;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	add_or_rest(&service_syscall_errors_total, &key, &no_room, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
