/* A map whose name C does not have, only the object. Counts when prctl(DOTTED, key) is called. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u64);
	__type(value, u64);
} calls __asm__("k8s.pod_calls") SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_prctl")
int count(struct trace_event_raw_sys_enter *ctx)
{
	u64 key = ctx->args[1], one = 1;

	if ((u32)ctx->args[0] == 0x646f7474)
		bpf_map_update_elem(&calls, &key, &one, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
