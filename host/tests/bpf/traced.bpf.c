/* Sends what a test gives it: prctl(TRACED, bytes, size, 0, session) writes so many bytes as one record to
 * the ring buffer. The kernel knows no such prctl and answers EINVAL. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

#define TRACED 0x65627067
#define LARGEST 128

#ifndef TRACED_BYTES
#define TRACED_BYTES (64 * 1024)
#endif
#ifndef TRACED_FLAGS
#define TRACED_FLAGS 0
#endif

/* As that of workload.bpf.c. */
const volatile __u64 session = 0x6e6f697373657320;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, TRACED_BYTES);
} traced_spans SEC(".maps");

/* Of records, by what became of them: written, and refused for want of room. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u64);
} traced_records_total SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_prctl")
int traced(struct trace_event_raw_sys_enter *ctx)
{
	char record[LARGEST] = {};
	u64 size = ctx->args[2];
	u64 *count;
	u32 refused;

	if ((u32)ctx->args[0] != TRACED || ctx->args[4] != session || size > LARGEST)
		return 0;
	if (bpf_probe_read_user(record, size, (const void *)ctx->args[1]))
		return 0;
	refused = bpf_ringbuf_output(&traced_spans, record, size, TRACED_FLAGS) != 0;
	count = bpf_map_lookup_elem(&traced_records_total, &refused);
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
