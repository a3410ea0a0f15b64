/* Programs that run at samples of perf events. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include "counts.bpf.h"

COUNTS(clock_ticks_total, u32);
COUNTS(context_switches_total, u32);

/* By CPU. */
SEC("perf_event/type=1,config=0,frequency=200")
int tick(void *ctx)
{
	u32 cpu = bpf_get_smp_processor_id();

	(void)ctx;
	add_to_map(&clock_ticks_total, &cpu, 1);
	return 0;
}

/* By thread: each of its switches is a sample. */
SEC("perf_event/type=1,config=3,period=1")
int switched(void *ctx)
{
	u32 thread = bpf_get_current_pid_tgid();

	(void)ctx;
	add_to_map(&context_switches_total, &thread, 1);
	return 0;
}

/* Hardware that a virtual machine may lack. */
SEC("perf_event/type=7777,config=0,frequency=1")
int no_event(void *ctx)
{
	(void)ctx;
	return 0;
}

SEC("perf_event/type=1,config=0")
int no_rate(void *ctx)
{
	(void)ctx;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
