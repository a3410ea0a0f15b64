/* The timers example again, through a raw tracepoint: it gets the kernel's own arguments instead of a record
 * that is put together for each event, which is cheaper, but no field is promised to stay. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024); /* there are so many functions that timers call, and no more */
	__type(key, u64);
	__type(value, u64);
} raw_timer_starts_total SEC(".maps");

SEC("raw_tp/timer_start")
int BPF_PROG(timer_start, struct timer_list *timer)
{
	u64 function = (u64)BPF_CORE_READ(timer, function);

	add_to_map(&raw_timer_starts_total, &function, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
