//! What single values of a config may be. The checks refuse what is outside; the schema and the
//! manual say the same.
//!
//! Never a bound of all configs together: those stand in [`super::bounds`].

use super::buckets::native;
use super::limits::MOST_INSTANCES;

/// The most bytes that a part of a map's key may have: the kernel allocates no larger key.
const LARGEST_PART: u64 = 4 << 20;
/// 2 to this is one more than a u64 holds: no observation has a larger bucket.
const LARGEST_EXPONENT: u32 = 64;

/// The least and the most, in bytes.
pub(super) type Bytes = (usize, usize);
/// The least and the most, as durations are written.
pub(super) type Times = (&'static str, &'static str);
/// The least and the most.
pub(super) type Count = (u64, u64);

/// What `limits.memory` may be.
pub(super) const MEMORY: Bytes = (64 << 10, 1 << 30);
/// What `limits.output` may be.
pub(super) const OUTPUT: Bytes = (1 << 10, 64 << 20);
/// What `limits.text` may be.
pub(super) const TEXT: Bytes = (1 << 10, 1 << 30);
/// What `limits.answers` may be.
pub(super) const ANSWERS: Bytes = (0, 1 << 30);
/// What `limits.compile.memory` may be.
pub(super) const COMPILE_MEMORY: Bytes = (64 << 20, 16 << 30);

/// What `size` of a file that a plugin reads may be.
pub(super) const DATA_SIZE: Bytes = (1, 64 << 20);

/// What `limits.deadline` may be.
pub(super) const DEADLINE: Times = ("1ms", "10s");
/// What `limits.hold` may be.
pub(super) const HOLD: Times = ("0s", "24h");
/// What `refresh` of a file that a plugin reads may be.
pub(super) const DATA_REFRESH: Times = ("1s", "24h");
/// What `limits.compile.time` may be.
pub(super) const COMPILE_TIME: Times = ("1s", "10m");
/// What `--plugins.scrape-budget` may be.
pub(super) const BUDGET: Times = ("100ms", "60s");

/// What `limits.table` may be.
pub(super) const TABLE: Count = (1, 10_000_000);
/// What `limits.instances` may be.
pub(super) const INSTANCES: Count = (1, MOST_INSTANCES as u64);
/// What `size` of a label may be.
pub(super) const LABEL_SIZE: Count = (1, LARGEST_PART);
/// What `padding` of a label may be.
pub(super) const PADDING: Count = (0, LARGEST_PART);
/// What `max_series` may be.
pub(super) const SERIES: Count = (1, u32::MAX as u64);
/// What `bucket_min` and `bucket_max` may be, before their type is looked at.
pub(super) const BUCKET: Count = (0, u32::MAX as u64);
/// What `bucket_schema` may be.
pub(super) const SCHEMA: Count = (0, native::FINEST as u64);
/// The most buckets of one histogram. More series than this for one label set is a slip, and would fill the
/// memory.
pub(super) const MOST_BUCKETS: usize = 10_000;

/// The largest key of buckets of this type. Of `native`, that of the finest schema.
pub(super) fn largest_key(bucket_type: &str) -> u32 {
    match bucket_type {
        "exp2" => LARGEST_EXPONENT,
        "exp2zero" => LARGEST_EXPONENT + 1,
        "native" => largest_native_key(native::FINEST),
        _ => u32::MAX,
    }
}

/// The largest key of native buckets of this schema.
pub(super) fn largest_native_key(schema: u8) -> u32 {
    native::OCTAVES << schema
}
