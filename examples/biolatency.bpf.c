/* How long block devices take for a request: from the moment the driver gets it (block_rq_issue) until it
 * says it is done (block_rq_complete). Time in the I/O scheduler's queue is not part of it. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "block_request.bpf.h"
#include "histogram.bpf.h"

#define LAST_BUCKET 27 /* 2^27 microseconds: 134 seconds */

struct latency_key {
	u32 device;
	u32 operation;
	u32 bucket;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192); /* 29 keys for each device and operation */
	__type(key, struct latency_key);
	__type(value, u64);
} bio_latency_seconds SEC(".maps");

SEC("tp_btf/block_rq_complete")
int BPF_PROG(block_rq_complete, struct request *request, int error, unsigned int bytes)
{
	struct latency_key key = {};
	u64 duration;

	if (!is_done(request, bytes, &duration))
		return 0;
	key.device = device_of(request);
	key.operation = operation_of(request);
	observe_duration(&bio_latency_seconds, &key, &key.bucket, LAST_BUCKET, duration);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
