//! What a guest may use: the numbers, and nothing else.
//!
//! A guest is hostile until it returns, so everything it can take from the host has a bound here.

use std::time::Duration;

/// The bounds that a config may set for a plugin (`limits:`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an instance: its linear memories, tables, globals and contexts together.
    pub memory: usize,
    /// How long one call may take: a batch, or `configure`, which has 2 seconds at the exporter's
    /// start.
    pub deadline: Duration,
    /// Bytes of text that one call may return.
    pub output: usize,
    /// Elements of all tables of an instance together, 8 bytes each.
    pub table: usize,
    /// Core instances of an instance: each Wasm module of a guest and each adapter is one. Python
    /// guests, which bring their libraries as modules, have some dozens.
    pub instances: usize,
    /// Bytes of answers that are remembered: of a decoder, all of them; of a transform, those of
    /// each of its metrics. With 0 each new key asks.
    pub answers: usize,
    /// Bytes of the text of all labels that the plugin makes in a metric, as they stand in the lines of
    /// its series.
    pub text: usize,
    /// The least time that an answer holds which does not hold for ever, and an error of an input.
    pub hold: Duration,
    /// What compiling may take.
    pub compile: CompileLimits,
}

impl Default for Limits {
    /// 16 MiB, 100 ms, 1 MiB, 100,000, 128, 4 MiB, 32 MiB and 5 s: an instance of a Rust guest takes 1.1 MiB, a
    /// batch of 1,024 inputs about 0.2 ms, and an answer about 200 bytes.
    fn default() -> Self {
        Self {
            memory: 16 << 20,
            deadline: Duration::from_millis(100),
            output: 1 << 20,
            table: 100_000,
            instances: 128,
            answers: 4 << 20,
            text: 32 << 20,
            hold: Duration::from_secs(5),
            compile: CompileLimits::default(),
        }
    }
}

/// What the process that compiles a plugin may take (`limits.compile:`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CompileLimits {
    /// Processor time, if not what the file's size gives it.
    pub time: Option<Duration>,
    /// Memory that it allocates, in bytes.
    pub memory: u64,
}

impl Default for CompileLimits {
    /// A Python guest of 18 MB takes 20 s and 360 MB, a JavaScript guest of 1.6 MB 4 s and 90 MB, a
    /// Rust guest 0.3 s and 25 MB: read on two processors that twelve others wanted too. With its
    /// program and the code that it makes, which are not counted, a process stays below 512 MiB.
    fn default() -> Self {
        Self { time: None, memory: 448 << 20 }
    }
}

impl CompileLimits {
    /// Processor time for a file of so many bytes: 10 s, and 4 s for each MiB beyond 8, at most 60 s, if
    /// the config does not say.
    pub fn time_for(&self, bytes: usize) -> Duration {
        let beyond = bytes.div_ceil(1 << 20).saturating_sub(8) as u64;
        let by_size = || Duration::from_secs((10 + beyond * 4).min(60));
        self.time.unwrap_or_else(by_size)
    }
}

/// Threads of a process that compiles, each with memory of its own.
pub(super) const MOST_WORKERS: usize = 4;
/// Such processes at a time.
pub(super) const MOST_CHILDREN: usize = 2;
/// Bytes of machine code, and all that is said of a plugin. A Python guest has 35 MB.
pub(super) const LARGEST_CODE: u64 = 256 << 20;
/// Imports of a component. All of WASI are some dozens.
pub(super) const MOST_NAMES: usize = 1000;
/// Everything that is imported, with what instances hold.
pub(super) const MOST_ITEMS: usize = 10_000;
/// Bytes of all names among these.
pub(super) const LARGEST_NAMES: usize = 1 << 20;
/// Instances within instances that are imported.
pub(super) const DEEPEST_IMPORT: usize = 16;
/// The most that [`Limits::instances`] can be: what has more is not compiled.
pub const MOST_INSTANCES: usize = 10_000;
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
/// How much text `settings` may hold, in bytes.
pub const LARGEST_SETTINGS: usize = 4 << 20;

/// Inputs, or rows, of one call.
pub(super) const MOST_INPUTS: usize = 1024;
/// Bytes of all inputs of one call, unless a single one is longer.
pub(super) const MOST_BYTES: usize = 1 << 20;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_files_have_longer_to_compile() {
        let seconds = |mib: usize| CompileLimits::default().time_for(mib << 20).as_secs();
        assert_eq!([0, 1, 8, 9, 18, 64].map(seconds), [10, 10, 10, 14, 50, 60]);
        let said = CompileLimits { time: Some(Duration::from_secs(3)), ..CompileLimits::default() };
        assert_eq!(said.time_for(64 << 20), Duration::from_secs(3));
    }
}
