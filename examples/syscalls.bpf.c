/* System calls by name, and the errors they return. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

/* Errors up to here reach a program. Larger ones, up to 4095, are the kernel's notes to itself, such as to
 * restart an interrupted call, and are replaced before it returns. */
#define LAST_ERRNO 511

/* A system call is the most frequent event there is: per CPU, for nothing else keeps CPUs from waiting for
 * each other's counter. A hash, for an array would show each call that was never made. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, u64);
} syscalls_total SEC(".maps"), syscall_errors_total SEC(".maps");

/* Counted on entry: some, like exit_group, never return. */
SEC("tp_btf/sys_enter")
int BPF_PROG(sys_enter, struct pt_regs *regs, long number)
{
	u64 key = number;

	add_to_map(&syscalls_total, &key, 1);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
	u64 error = -result;

	if (result < 0 && result >= -LAST_ERRNO)
		add_to_map(&syscall_errors_total, &error, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
