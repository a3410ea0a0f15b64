//! What a plugin may use, as its config says: the numbers and their defaults. The other bounds of a guest
//! are in [`crate::plugin`].

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

/// The most files of the host that a plugin reads.
pub const MOST_DATA: usize = 8;
/// How often a file of the host is looked at that a plugin reads, if the config does not say (`refresh:`).
pub const DATA_REFRESH: Duration = Duration::from_secs(10);
/// The most bytes that such a file may have, if the config does not say (`size:`).
pub const DATA_SIZE: usize = 4 << 20;

/// The most that [`Limits::instances`] can be: what has more is not compiled.
pub const MOST_INSTANCES: usize = 10_000;
/// How much text `settings` may hold, in bytes.
pub const LARGEST_SETTINGS: usize = 4 << 20;

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
