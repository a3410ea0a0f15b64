/* Counts who is switched from, by name. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include "maps.bpf.h"

struct task_name {
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct task_name);
	__type(value, u64);
} switches_total SEC(".maps");

SEC("raw_tp/sched_switch")
int count_switch(void *ctx)
{
	struct task_name name = {};

	bpf_get_current_comm(name.comm, sizeof(name.comm));
	add_to_map(&switches_total, &name, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
