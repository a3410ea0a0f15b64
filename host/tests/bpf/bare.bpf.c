/* One program that attaches, among others whose sections name nothing to attach to, or nothing that any
 * kernel has: of each kind one. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

/* For a config to have a metric. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} counts SEC(".maps");

#define PROGRAM(section, name)                                                                     \
	SEC(section)                                                                               \
	int name(void *ctx)                                                                        \
	{                                                                                          \
		(void)ctx;                                                                         \
		return 0;                                                                          \
	}

PROGRAM("tracepoint/syscalls/sys_enter_prctl", attaches)
/* These are loaded, and nobody attaches them. */
PROGRAM("xdp", packets)
PROGRAM("xdp/devmap", forwarded)
PROGRAM("perf_event", clock)
PROGRAM("tc", traffic)
PROGRAM("sk_skb", stream)
PROGRAM("cgroup/skb", group)
PROGRAM("sockops", sockets)
PROGRAM("tracepoint", no_tracepoint)
PROGRAM("raw_tp", no_raw_tracepoint)
/* These cannot be loaded. */
PROGRAM("fentry", no_function)
PROGRAM("fentry/no_such_function_at_all", function_unknown)
PROGRAM("tp_btf/no_such_tracepoint_at_all", tracepoint_unknown)
PROGRAM("freplace/function", replacement)
PROGRAM("struct_ops/function", operation)

char LICENSE[] SEC("license") = "GPL";
