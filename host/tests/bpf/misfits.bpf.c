/* Maps and programs that do not go with their config: never loaded, only checked. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

struct address {
	u32 ip;
	u16 port;
};

struct flow {
	u16 family;
	struct address peer;
	u64 cgroup;
	char comm[5];
};

#define MAP(name, map_type, key_type, value_type)                                                 \
	struct {                                                                                   \
		__uint(type, map_type);                                                            \
		__uint(max_entries, 64);                                                           \
		__type(key, key_type);                                                             \
		__type(value, value_type);                                                         \
	} name SEC(".maps")

MAP(flows_total, BPF_MAP_TYPE_HASH, struct flow, u64);
MAP(narrow_total, BPF_MAP_TYPE_HASH, u32, u32);
MAP(stacks, BPF_MAP_TYPE_STACK_TRACE, u32, u64);
MAP(events_total, BPF_MAP_TYPE_PERF_EVENT_ARRAY, u32, u32);

MAP(stacks_total, BPF_MAP_TYPE_STACK_TRACE, u32, u64);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring_total SEC(".maps");

SEC("trcepoint/sched/sched_switch")
int misspelt(void *ctx)
{
	(void)ctx;
	return 0;
}

SEC("?no_such_kind")
int switched_off(void *ctx)
{
	(void)ctx;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
