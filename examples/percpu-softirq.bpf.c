/* Soft interrupts served, by kind and CPU. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

/* An array for each CPU: a CPU writes only its own memory, so nothing is contended. The kinds are few and
 * numbered from 0, so nothing is wasted either, and a kind that never occurred is there as 0. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NR_SOFTIRQS);
	__type(key, u32);
	__type(value, u64);
} softirqs_total SEC(".maps");

SEC("tp_btf/softirq_entry")
int BPF_PROG(softirq_entry, unsigned int kind)
{
	add_to_map(&softirqs_total, &kind, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
