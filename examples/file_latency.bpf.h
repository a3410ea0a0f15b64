/* How long a file system takes for what it is asked: the time that its functions run, by operation. The includer
 * names the functions, and has a map of histograms with these keys.
 *
 * kprobes, for no file system has tracepoints at all of these places. A pair for each function costs a call about
 * a microsecond, which a read from the page cache feels and a disk does not. */
#pragma once

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include "calls.bpf.h"
#include "histogram.bpf.h"

#define LAST_BUCKET 27 /* 2^27 microseconds: 134 seconds */

struct operation_key {
	u32 operation;
	u32 bucket;
};

/* The map is small for what it counts: 29 entries for each operation. */
#define OPERATIONS_MAP(name, operations) \
	struct { \
		__uint(type, BPF_MAP_TYPE_HASH); \
		__uint(max_entries, (operations) * (LAST_BUCKET + 2)); \
		__type(key, struct operation_key); \
		__type(value, u64); \
	} name SEC(".maps")

static __always_inline void finish_operation(void *map, u32 operation)
{
	struct operation_key key = { .operation = operation };
	u64 since = leave(operation);

	if (since)
		observe_duration(map, &key, &key.bucket, LAST_BUCKET, bpf_ktime_get_ns() - since);
}

/* Two programs: `operation` is what begins when `function` is entered and ends when it returns. */
#define TIMED(function, map, operation) \
	SEC("kprobe/" #function) \
	int function##_entered(void *ctx) \
	{ \
		enter(operation, bpf_ktime_get_ns()); \
		return 0; \
	} \
	SEC("kretprobe/" #function) \
	int function##_returned(void *ctx) \
	{ \
		finish_operation(&map, operation); \
		return 0; \
	}
