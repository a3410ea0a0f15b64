/* How long block devices take for a request: from the moment the driver gets it (block_rq_issue) until it
 * says it is done (block_rq_complete). Time in the I/O scheduler's queue is not part of it. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "histogram.bpf.h"

#define LAST_BUCKET 27 /* 2^27 microseconds: 134 seconds */
#define OPERATION_MASK 0xff

struct latency_key {
	u32 device;
	u32 operation;
	u32 bucket;
};

/* Requests with the driver. It holds no more than that, and each leaves when it completes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, u64);
	__type(value, u64);
} issued SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192); /* 29 keys for each device and operation */
	__type(key, struct latency_key);
	__type(value, u64);
} bio_latency_seconds SEC(".maps");

/* Before Linux 5.11 the tracepoint had the queue as its first argument. */
typedef void (*btf_trace_block_rq_issue___queue)(void *, struct request_queue *, struct request *);

/* Before Linux 5.17 the request itself named its disk. */
struct request___disk {
	struct gendisk *rq_disk;
};

SEC("tp_btf/block_rq_issue")
int block_rq_issue(u64 *ctx)
{
	u64 now = bpf_ktime_get_ns();
	u64 request = bpf_core_type_exists(btf_trace_block_rq_issue___queue) ? ctx[1] : ctx[0];

	bpf_map_update_elem(&issued, &request, &now, BPF_ANY);
	return 0;
}

/* A device's number as user space has it, which is what the decoder `majorminor` reads: the kernel's
 * new_encode_dev(). */
static __always_inline u32 encode_device(u32 major, u32 minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xff) << 12;
}

/* 0 if the request has no disk. */
static __always_inline u32 device_of(struct request *request)
{
	struct request___disk *old = (void *)request;
	struct gendisk *disk;

	if (bpf_core_field_exists(old->rq_disk))
		disk = BPF_CORE_READ(old, rq_disk);
	else
		disk = BPF_CORE_READ(request, q, disk);

	return disk ? encode_device(BPF_CORE_READ(disk, major), BPF_CORE_READ(disk, first_minor)) : 0;
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(block_rq_complete, struct request *request, int error, unsigned int bytes)
{
	u64 now = bpf_ktime_get_ns();
	u64 address = (u64)request;
	u64 *start;
	u64 duration;
	struct latency_key key = {};

	/* A part of it is done, the rest will come. */
	if (bytes < request->__data_len)
		return 0;

	/* None: it was issued before this program was there. */
	start = bpf_map_lookup_elem(&issued, &address);
	if (!start)
		return 0;
	/* CPUs' clocks may differ by a little. */
	duration = now > *start ? now - *start : 0;
	bpf_map_delete_elem(&issued, &address);

	key.device = device_of(request);
	key.operation = request->cmd_flags & OPERATION_MASK;
	observe_duration(&bio_latency_seconds, &key, &key.bucket, LAST_BUCKET, duration);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
