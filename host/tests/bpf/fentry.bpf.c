/* A hook that not every kernel allows, on a function that all have. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

SEC("fentry/do_nanosleep")
int on_nanosleep(void *ctx)
{
	(void)ctx;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
