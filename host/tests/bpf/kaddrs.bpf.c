/* Reports the constants that it was loaded with when prctl(WORKLOAD, …) is called. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

const volatile char before[3] = "ab";
const volatile __u64 kaddr_first_symbol = 0;
const volatile __u32 kaddr_narrow = 7;
const volatile __u64 kaddr_second_symbol = 1;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 3);
	__type(key, u32);
	__type(value, u64);
} constants SEC(".maps");

static __always_inline void put(u32 index, u64 value)
{
	bpf_map_update_elem(&constants, &index, &value, BPF_ANY);
}

SEC("tracepoint/syscalls/sys_enter_prctl")
int report(struct trace_event_raw_sys_enter *ctx)
{
	if ((u32)ctx->args[0] != 0x65627066)
		return 0;
	put(0, kaddr_first_symbol);
	put(1, kaddr_second_symbol);
	put(2, kaddr_narrow + (u64)before[0]);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
