/* A map that outlives its program: libbpf pins it by its name. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

#ifndef PINNED_ENTRIES
#define PINNED_ENTRIES 1
#endif

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PINNED_ENTRIES);
	__type(key, u32);
	__type(value, u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} hits_total SEC(".maps");

SEC("raw_tp/task_rename")
int on_rename(void *ctx)
{
	(void)ctx;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
