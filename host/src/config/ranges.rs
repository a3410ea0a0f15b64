//! What single values of a config may be. The checks refuse what is outside; the schema and the
//! manual say the same.
//!
//! Never a bound of all configs together: those stand in [`super::bounds`].

use super::buckets::native;
use super::limits::MOST_INSTANCES;

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
/// What `max_series` may be.
pub(super) const SERIES: Count = (1, u32::MAX as u64);
/// What `bucket_min` and `bucket_max` may be, before their type is looked at.
pub(super) const BUCKET: Count = (0, u32::MAX as u64);
/// What `bucket_schema` may be.
pub(super) const SCHEMA: Count = (0, native::FINEST as u64);
