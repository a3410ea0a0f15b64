//! What a guest may use beside what a config says: the numbers, and nothing else.
//!
//! A guest is hostile until it returns, so everything it can take from the host has a bound here.

use std::time::Duration;

pub use crate::config::limits::{CompileLimits, Limits, MOST_INSTANCES};

/// Threads of a process that compiles, each with memory of its own.
pub(super) const MOST_WORKERS: usize = 4;
/// Such processes at a time on a small machine. On a larger one as many as it has processors.
pub(super) const FEWEST_CHILDREN: usize = 2;
/// See [`FEWEST_CHILDREN`].
pub(super) const MOST_CHILDREN: usize = 16;
/// Bytes of memory that all of them may take together, if no config gives a single one more.
pub(super) const CHILDREN_MEMORY: u64 = 896 << 20;
/// Bytes of machine code, and all that is said of a plugin. A Python guest has 35 MB.
pub(super) const LARGEST_CODE: u64 = 256 << 20;
/// Imports of a component, and exports. All of WASI are some dozens.
pub(super) const MOST_NAMES: usize = 1000;
/// Everything that is imported, with what instances hold.
pub(super) const MOST_ITEMS: usize = 10_000;
/// Bytes of all names of imports, with what they hold, and of exports.
pub(super) const LARGEST_NAMES: usize = 1 << 20;
/// Instances within instances that are imported.
pub(super) const DEEPEST_IMPORT: usize = 16;
/// Table elements that are written whenever an instance starts, where no deadline is looked at.
pub(super) const MOST_ELEMENTS: u64 = 1_000_000;
/// Bytes of data that are written whenever an instance starts.
pub(super) const MOST_DATA: u64 = 256 << 20;
/// Bytes of an element of a table.
pub(super) const ELEMENT: usize = 8;

/// How long the first instance may take to start, if its deadline is shorter.
pub(super) const FIRST_START: Duration = Duration::from_secs(2);
/// How large a component's file may be, in bytes. A Python guest has 18 MB.
pub const LARGEST_FILE: u64 = 64 << 20;

/// Inputs, or rows, of one call.
pub(super) const MOST_INPUTS: usize = 1024;
/// Bytes of all inputs of one call, unless a single one is longer.
pub(super) const MOST_BYTES: usize = 1 << 20;
/// Bytes of each text that a plugin says of itself, among the labels of its own metrics.
pub(super) const LONGEST_INFO: usize = 128;
/// Bytes of one label.
pub(super) const LONGEST_LABEL: usize = 16_384;
/// Bytes of an error of one input that are kept.
pub(super) const LONGEST_ERROR: usize = 256;
/// Bytes of an error of `configure` that are shown.
pub(super) const LONGEST_REFUSAL: usize = 4096;
/// Bytes of a label's name that a transform agrees to: it stands in every line of the metric.
pub(super) const LONGEST_NAME: usize = 128;
/// Labels that a transform may return.
pub(super) const MOST_LABELS: usize = 64;
/// An answer never holds longer, in seconds.
pub(super) const LONGEST_HOLD: u32 = 86_400;

/// How long the first error of an input stands. It doubles with every one that follows.
pub(super) const FIRST_RETRY: Duration = Duration::from_secs(5);
/// The longest that an error of an input stands.
pub(super) const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// Inputs whose last answers are compared with the next ones. Beyond that all are forgotten, and what is
/// counted is less than what has changed.
pub(super) const MOST_COMPARED: usize = 1 << 16;

/// Tables of an instance.
pub(super) const TABLES: usize = 128;
/// Linear memories of an instance.
pub(super) const MEMORIES: usize = 16;
/// Bytes that wasmtime may allocate to copy one result out of a guest. Above [`Limits::output`],
/// because a list's elements count too: 32 bytes an outcome.
pub(super) const COPIED: usize = 8 << 20;

/// Time that a plugin may spend in its guests in any [`BUDGET_WINDOW`], and one call. Without it a guest
/// that stays within its deadline at every one of a hundred calls would hold a scrape for ten seconds.
pub(super) const BUDGET: Duration = Duration::from_secs(2);
/// See [`BUDGET`].
pub(super) const BUDGET_WINDOW: Duration = Duration::from_secs(10);
