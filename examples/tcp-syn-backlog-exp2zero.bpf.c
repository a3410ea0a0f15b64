/* The same as tcp-syn-backlog with buckets that double, the first of which is for an empty queue alone: that is what a
 * server that keeps up has. Needs CONFIG_KPROBES. */
#include "syn_backlog.bpf.h"
#include "histogram.bpf.h"

#define LAST_BUCKET 17 /* 2^16: 65536 */

/* The bucket is the whole key: entries 0 to LAST_BUCKET, and the sum behind them. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LAST_BUCKET + 2);
	__type(key, u32);
	__type(value, u64);
} tcp_syn_backlog SEC(".maps");

static __always_inline void observe_backlog(u64 length)
{
	u32 bucket = exp2zero_bucket(length);

	observe(&tcp_syn_backlog, &bucket, &bucket, LAST_BUCKET, length);
}

char LICENSE[] SEC("license") = "GPL";
