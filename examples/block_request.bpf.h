/* Requests of block devices, as several kernels have them. */
#pragma once

#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define OPERATION_MASK 0xff

/* Requests with the driver, since when. It holds no more than that, and each leaves when it completes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, u64);
	__type(value, u64);
} issued SEC(".maps");

/* Before Linux 5.11 block_rq_insert and block_rq_issue had the queue as their first argument. */
typedef void (*btf_trace_block_rq_issue___queue)(void *, struct request_queue *, struct request *);

/* Before Linux 5.17 the request itself named its disk. */
struct request___disk {
	struct gendisk *rq_disk;
};

/* The request of either tracepoint. */
static __always_inline u64 request_of(u64 *ctx)
{
	return bpf_core_type_exists(btf_trace_block_rq_issue___queue) ? ctx[1] : ctx[0];
}

SEC("tp_btf/block_rq_issue")
int block_rq_issue(u64 *ctx)
{
	u64 now = bpf_ktime_get_ns();
	u64 request = request_of(ctx);

	bpf_map_update_elem(&issued, &request, &now, BPF_ANY);
	return 0;
}

/* Whether the request is done, and how long the driver had it. */
static __always_inline bool is_done(struct request *request, unsigned int bytes, u64 *duration)
{
	u64 now = bpf_ktime_get_ns();
	u64 address = (u64)request;
	u64 *start;

	/* A part of it is done, the rest will come. */
	if (bytes < request->__data_len)
		return false;
	/* None: it was issued before this program was there. */
	start = bpf_map_lookup_elem(&issued, &address);
	if (!start)
		return false;
	/* CPUs' clocks may differ by a little. */
	*duration = now > *start ? now - *start : 0;
	bpf_map_delete_elem(&issued, &address);
	return true;
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

/* The kernel's REQ_OP_*. */
static __always_inline u32 operation_of(struct request *request)
{
	return BPF_CORE_READ(request, cmd_flags) & OPERATION_MASK;
}
