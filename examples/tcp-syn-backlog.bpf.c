/* How many TCP connections wait for accept() when one more comes, in steps of 50: the queue's length is what a server
 * asks for in listen(), and connections are lost when it is full. Needs CONFIG_KPROBES. */
#include "syn_backlog.bpf.h"
#include "histogram.bpf.h"

#define STEP 50
#define LAST_BUCKET 20 /* 1000 */

/* The bucket is the whole key: entries 0 to LAST_BUCKET, and the sum behind them. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LAST_BUCKET + 2);
	__type(key, u32);
	__type(value, u64);
} tcp_syn_backlog SEC(".maps");

/* The exporter multiplies the sum with 50, so only whole steps can be added to it. What is left waits here. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} rest SEC(".maps");

static __always_inline void observe_backlog(u64 length)
{
	static const u32 only = 0;
	u32 bucket = (length + STEP - 1) / STEP;
	u64 *left = bpf_map_lookup_elem(&rest, &only);
	u64 sum;

	if (!left)
		return;
	sum = *left + length;
	*left = sum % STEP;
	observe(&tcp_syn_backlog, &bucket, &bucket, LAST_BUCKET, sum / STEP);
}

char LICENSE[] SEC("license") = "GPL";
