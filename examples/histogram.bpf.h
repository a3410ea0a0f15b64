/* Histograms in maps: the key's last part is the bucket, and the bucket after the last is the sum. */
#pragma once

#include <bpf/bpf_helpers.h>
#include "maps.bpf.h"

/* The exp2 bucket of `value`: the smallest k for which value <= 2^k, as Prometheus's `le` has it. */
static __always_inline __u32 exp2_bucket(__u64 value)
{
	return value > 1 ? 64 - __builtin_clzll(value - 1) : 0;
}

/* The exp2zero bucket of `value`: bucket 0 is for 0 alone, and all others have moved up by one. */
static __always_inline __u32 exp2zero_bucket(__u64 value)
{
	return value ? exp2_bucket(value) + 1 : 0;
}

/* Counts `value` in the bucket that `*bucket` says, and adds it to the sum. `bucket` points into `key`, which is
 * filled in otherwise. What is behind bucket `max` goes into it, for a bucket nobody reads would be lost to the
 * count. */
static __always_inline void observe(void *map, const void *key, __u32 *bucket, __u32 max, __u64 value)
{
	if (*bucket > max)
		*bucket = max;
	add_to_map(map, key, 1);
	*bucket = max + 1;
	add_to_map(map, key, value);
}

/* Counts a value that is given in thousandths of the histogram's unit: bucket_type exp2, bucket_min 0, bucket_max
 * `max`. The bucket is exact to the thousandth; the sum is rounded so that its errors even out. */
static __always_inline void observe_thousandths(void *map, const void *key, __u32 *bucket, __u32 max,
						__u64 thousandths)
{
	*bucket = exp2_bucket((thousandths + 999) / 1000);
	observe(map, key, bucket, max, (thousandths + 500) / 1000);
}

/* Counts a duration in a histogram of microseconds: as above, with bucket_multiplier 0.000001. */
static __always_inline void observe_duration(void *map, const void *key, __u32 *bucket, __u32 max,
					     __u64 nanoseconds)
{
	observe_thousandths(map, key, bucket, max, nanoseconds);
}
