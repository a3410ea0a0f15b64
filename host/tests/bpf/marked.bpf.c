/* Notes that the exporter has attached everything: programs that want to begin with what is there already hook
 * the function that it calls then. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include "maps.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, u64);
} marks_total SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u32));
} mark_events_total SEC(".maps");

/* By process: other exporters call theirs. */
SEC("uprobe//proc/self/exe:post_attach_mark")
int marked(void *ctx)
{
	u32 process = bpf_get_current_pid_tgid() >> 32;

	add_to_map(&marks_total, &process, 1);
	bpf_perf_event_output(ctx, &mark_events_total, BPF_F_CURRENT_CPU, &process, sizeof(process));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
