/* A program and a part of it that is compiled for itself, by names that nothing else in the kernel
 * has. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

__noinline int part_of_symbols_trial(int n)
{
	return n + (int)bpf_ktime_get_ns();
}

SEC("raw_tp/task_rename")
int whole_of_symbols_trial(void *ctx)
{
	return part_of_symbols_trial(1) & 1;
}

char LICENSE[] SEC("license") = "GPL";
