/* Calls a helper that its license does not give it. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

SEC("tracepoint/syscalls/sys_enter_prctl")
int unlicensed(struct trace_event_raw_sys_enter *ctx)
{
	int word;

	return bpf_probe_read_kernel(&word, sizeof(word), (void *)ctx->args[2]);
}

char LICENSE[] SEC("license") = "MIT";
