/* Reads that came as far as the last level of the CPU's cache, and those that it did not have: each of them waits for
 * memory, a hundred times as long as an instruction takes.
 *
 * Needs a CPU whose counters the kernel can use; most virtual machines have none. The hardware counts. Once a second on
 * each CPU (frequency=1) it interrupts, and the program learns how many there were since the last time. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

/* Per CPU, and the config shows each: `cpu` is its label, and no part of the key. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} llc_references_total SEC(".maps"), llc_misses_total SEC(".maps");

static const u32 only = 0;

/* PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES. */
SEC("perf_event/type=0,config=2,frequency=1")
int cache_references(struct bpf_perf_event_data *event)
{
	add_to_map(&llc_references_total, &only, event->sample_period);
	return 0;
}

/* PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES. */
SEC("perf_event/type=0,config=3,frequency=1")
int cache_misses(struct bpf_perf_event_data *event)
{
	add_to_map(&llc_misses_total, &only, event->sample_period);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
