/* Streams what a test tells it to: prctl(EVENTS, map, key, count, session) writes so many records of that
 * key, 1,000 at most, to the buffer of that number, on the CPU it is called on. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

#define EVENTS 0x65627065
#define MOST 1000

/* As in workload.bpf.c. */
const volatile __u64 session = 0x6e6f697373657320;

struct event {
	u64 key;
	char text[8];
};

#define PERF(name)                                                                                 \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);                                       \
		__uint(key_size, sizeof(u32));                                                     \
		__uint(value_size, sizeof(u32));                                                   \
	} name SEC(".maps")

PERF(perf_events_total);
PERF(perf_plain_total);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring_events_total SEC(".maps");

/* What the exporter finds by its name. */
__u64 ebpf_exporter_lost_events;

/* The fourth of a ring buffer's records is taken back, and counts for nothing. */
static __always_inline void to_ring(const struct event *event, int n)
{
	struct event *record = bpf_ringbuf_reserve(&ring_events_total, sizeof(*record), 0);

	if (!record) {
		__sync_fetch_and_add(&ebpf_exporter_lost_events, 1);
		return;
	}
	*record = *event;
	if (n % 4 == 3)
		bpf_ringbuf_discard(record, 0);
	else
		bpf_ringbuf_submit(record, 0);
}

SEC("tracepoint/syscalls/sys_enter_prctl")
int events(struct trace_event_raw_sys_enter *ctx)
{
	struct event event = { .key = ctx->args[2], .text = "text" };
	u64 map = ctx->args[1], count = ctx->args[3];

	if ((u32)ctx->args[0] != EVENTS || ctx->args[4] != session)
		return 0;

	for (int n = 0; n < MOST && (u64)n < count; n++) {
		if (map == 0)
			bpf_perf_event_output(ctx, &perf_events_total, BPF_F_CURRENT_CPU, &event, sizeof(event));
		else if (map == 1)
			bpf_perf_event_output(ctx, &perf_plain_total, BPF_F_CURRENT_CPU, &event, 1);
		else
			to_ring(&event, n);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
