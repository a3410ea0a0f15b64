/* Reads memory through a number: the verifier refuses it. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

SEC("tracepoint/syscalls/sys_enter_prctl")
int wild_read(struct trace_event_raw_sys_enter *ctx)
{
	return *(volatile int *)ctx->args[2];
}

char LICENSE[] SEC("license") = "GPL";
