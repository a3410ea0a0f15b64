/* Histograms of durations whose buckets are those of native histograms: `bucket_type: native`.
 *
 * Bucket k of schema s takes what is above 2^((k-1)/2^s - 30) seconds, up to 2^(k/2^s - 30) seconds. Bucket 0
 * takes 0 alone. Few bounds are a whole number of nanoseconds, yet each nanosecond is counted where it belongs: it
 * is compared with the last nanosecond that is not above the bound. */
#pragma once

#include <bpf/bpf_helpers.h>
#include "histogram.bpf.h"

/* The bucket that ends at 2^octave seconds. */
#define NATIVE_BUCKET(schema, octave) ((30 + (octave)) << (schema))

/* Which buckets there are: bucket_schema, bucket_min and bucket_max of the config. */
struct native_buckets {
	__u32 schema; /* 0 to 3 */
	__u32 min;
	__u32 max; /* at most 64 << schema */
};

/* 2^(n/8) seconds in nanoseconds, for n from 0 to 7, with 33 bits behind the point, rounded down. Shifted to the
 * right it is any bound in nanoseconds, rounded down: the last nanosecond that is not above the bound.
 * host/tests/kernel/native.rs holds all of them against exact arithmetic. */
static const __u64 native_eighths[8] = {
	0x7735940000000000, 0x81ffa7a9549ca6e3, 0x8dc3b8960164a7d9, 0x9a9867054d512391,
	0xa8965f74bf065071, 0xb7d88a12d0dd9ea0, 0xc87c3e7d03cdbec3, 0xdaa17c2cd19555db,
};

/* The bucket of a duration. From one power of two to the next, in seconds, is an octave: which one it is, the
 * highest bit and one comparison tell. Each step of the schema then halves what is left. */
static __always_inline __u32 native_bucket(__u64 nanoseconds, __u32 schema)
{
	__u32 octave, eighth = 0, shift;

	if (!nanoseconds)
		return 0;
	/* Octave n ends at 2^(n-30) seconds, which is below 2^n nanoseconds and not below 2^(n-1). */
	octave = 64 - __builtin_clzll(nanoseconds);
	if (octave < 64 && nanoseconds > native_eighths[0] >> (63 - octave))
		octave++;
	shift = 64 - octave;
	if (schema >= 1 && nanoseconds > native_eighths[4] >> shift)
		eighth = 4;
	if (schema >= 2 && nanoseconds > native_eighths[eighth + 2] >> shift)
		eighth += 2;
	if (schema >= 3 && nanoseconds > native_eighths[eighth + 1] >> shift)
		eighth += 1;
	return ((octave - 1) << schema) + (eighth >> (3 - schema)) + 1;
}

/* Counts a duration, and adds its nanoseconds to the sum. `bucket` points into `key`, which is filled in otherwise.
 * What is before the first bucket goes into it, and what is behind the last into that. */
static __always_inline void observe_native(void *map, const void *key, __u32 *bucket,
					   const struct native_buckets in, __u64 nanoseconds)
{
	*bucket = native_bucket(nanoseconds, in.schema);
	if (*bucket < in.min)
		*bucket = in.min;
	observe(map, key, bucket, in.max, nanoseconds);
}
