/* Histograms in maps: the key's last part is the bucket, and the bucket after the last is the sum. */
#pragma once

#include <bpf/bpf_helpers.h>
#include "maps.bpf.h"

/* The exp2 bucket of `value`: the smallest k for which value <= 2^k, as Prometheus's `le` has it. */
static __always_inline __u32 exp2_bucket(__u64 value)
{
	return value > 1 ? 64 - __builtin_clzll(value - 1) : 0;
}

/* Counts a duration in a histogram of microseconds: bucket_type exp2, bucket_min 0, bucket_max `max`,
 * bucket_multiplier 0.000001. `bucket` points into `key`, which is filled in otherwise. What is
 * longer than 2^max goes into the last bucket, for a bucket nobody reads would be lost to the count.
 * The bucket is exact to the nanosecond; the sum is rounded so that its errors even out. */
static __always_inline void observe_duration(void *map, const void *key, __u32 *bucket, __u32 max,
					     __u64 nanoseconds)
{
	__u32 slot = exp2_bucket((nanoseconds + 999) / 1000);

	*bucket = slot < max ? slot : max;
	add_to_map(map, key, 1);
	*bucket = max + 1;
	add_to_map(map, key, (nanoseconds + 500) / 1000);
}
