/* Observes what a test tells it to: prctl(NATIVE, 0, nanoseconds, session, 0) observes a duration in a histogram
 * of each schema, prctl(NATIVE, 1, value, session, 0) a number in histograms of exp2 and exp2zero, and
 * prctl(NATIVE, 2, add, session, 0) adds to a counter. The kernel knows no such prctl and answers EINVAL. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include "native.bpf.h"

#define NATIVE 0x65627068

/* As in workload.bpf.c. */
const volatile __u64 session = 0x6e6f697373657320;

#define HISTOGRAM(name, entries)                                                                   \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(max_entries, entries);                                                      \
		__type(key, u32);                                                                  \
		__type(value, u64);                                                                \
	} name SEC(".maps")

/* All buckets that there can be. */
HISTOGRAM(native_schema0_seconds, 66);
HISTOGRAM(native_schema1_seconds, 130);
HISTOGRAM(native_schema2_seconds, 258);
HISTOGRAM(native_schema3_seconds, 514);
/* From a microsecond to a second. */
HISTOGRAM(native_some_seconds, 242);
HISTOGRAM(native_exp2_size, 66);
HISTOGRAM(native_exp2zero_size, 67);
HISTOGRAM(native_empty_size, 67);
/* Microseconds: no multiplier makes powers of two of them. */
HISTOGRAM(native_decimal_seconds, 29);

/* A hash: its series comes with what is counted first. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u64);
} native_calls_total SEC(".maps");

#define DURATION(map, ...)                                                                         \
	{                                                                                          \
		const struct native_buckets in = { __VA_ARGS__ };                                  \
		observe_native(&map, &bucket, &bucket, in, value);                                 \
	}

SEC("tracepoint/syscalls/sys_enter_prctl")
int native(struct trace_event_raw_sys_enter *ctx)
{
	u64 value = ctx->args[2];
	u32 bucket;

	if ((u32)ctx->args[0] != NATIVE || ctx->args[3] != session)
		return 0;

	if (ctx->args[1] == 0) {
		DURATION(native_schema0_seconds, 0, 0, 64)
		DURATION(native_schema1_seconds, 1, 0, 128)
		DURATION(native_schema2_seconds, 2, 0, 256)
		DURATION(native_schema3_seconds, 3, 0, 512)
		DURATION(native_some_seconds, 3, NATIVE_BUCKET(3, -20), NATIVE_BUCKET(3, 0))
		observe_duration(&native_decimal_seconds, &bucket, &bucket, 27, value);
	} else if (ctx->args[1] == 1) {
		bucket = exp2_bucket(value);
		observe(&native_exp2_size, &bucket, &bucket, 64, value);
		bucket = exp2zero_bucket(value);
		observe(&native_exp2zero_size, &bucket, &bucket, 65, value);
	} else {
		bucket = 0;
		add_to_map(&native_calls_total, &bucket, value);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
