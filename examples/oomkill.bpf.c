/* Processes killed for want of memory, by the cgroup whose limit was met.
 *
 * Needs CONFIG_KPROBES: the tracepoint oom:mark_victim tells who is killed, and not whose limit it was. Each is an event
 * on its way to the exporter, which counts it when it comes: for what is seldom, and would be gone with its cgroup. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u32));
} oom_kills_total SEC(".maps");

SEC("kprobe/oom_kill_process")
int BPF_KPROBE(oom_kill_process, struct oom_control *control)
{
	struct mem_cgroup *limited = BPF_CORE_READ(control, memcg);
	/* 0: the whole machine has no more. */
	u64 cgroup = limited ? BPF_CORE_READ(limited, css.cgroup, kn, id) : 0;

	bpf_perf_event_output(ctx, &oom_kills_total, BPF_F_CURRENT_CPU, &cgroup, sizeof(cgroup));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
