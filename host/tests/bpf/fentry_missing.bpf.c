/* A hook on a function that no kernel has. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

SEC("fentry/no_such_function_at_all")
int on_nanosleep(void *ctx)
{
	(void)ctx;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
