//! What a plugin has done and cost since the start.

use std::fmt;
use std::time::Duration;

use super::breaker::BreakerState;

/// Numbers of one plugin of one config, all of its instances together.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Calls with inputs.
    pub calls: u64,
    /// Inputs, or rows, that the plugin was to answer.
    pub inputs: u64,
    /// How many of them became what, in the order of [`OutcomeKind::ALL`].
    pub outcomes: [u64; OutcomeKind::ALL.len()],
    /// Failures of calls, in the order of [`Cause::ALL`].
    pub failures: [u64; Cause::ALL.len()],
    /// Calls by the time they took: those in bucket k took at most 2^k µs, or are in the last.
    pub times: [u64; Stats::BUCKETS],
    /// Keys that did not get their turn, in each scrape.
    pub deferred: u64,
    /// Rows whose labels would have been more text than `limits.text` allows.
    pub refused: u64,
    /// Time in the guest, of all calls.
    pub time: Duration,
    /// Whether it is asked.
    pub breaker: BreakerState,
    /// The most that an instance took, in bytes: linear memories, tables, globals and contexts.
    pub memory_peak: usize,
    /// Answers that are remembered.
    pub remembered: Remembered,
    /// Lines that the guest wrote to the log.
    pub lines_written: u64,
    /// Lines of the guest that were left out because there were too many.
    pub lines_dropped: u64,
}

/// What has come of remembering answers, and what it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Inputs whose answer was remembered, or that another input of the same batch asked for.
    pub hits: u64,
    /// Inputs that were asked.
    pub misses: u64,
    /// Answers that were forgotten to make room.
    pub evictions: u64,
    /// Answers that were not what the same input had been answered before.
    pub changed: u64,
    /// Answers that are remembered now.
    pub entries: usize,
    /// Bytes that they take.
    pub bytes: usize,
}

impl Remembered {
    /// Adds what one memory of several has changed.
    pub(super) fn change(&mut self, before: Self, now: Self) {
        self.hits += now.hits - before.hits;
        self.misses += now.misses - before.misses;
        self.evictions += now.evictions - before.evictions;
        self.changed += now.changed - before.changed;
        self.entries = self.entries + now.entries - before.entries;
        self.bytes = self.bytes + now.bytes - before.bytes;
    }
}

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeKind {
    /// A label that holds as long as the key.
    Label,
    /// A label that holds for some time.
    LabelFor,
    /// The row is left out.
    Drop,
    /// The row is left out for some time.
    DropFor,
    /// The guest has no answer, or none that can be a label.
    Error,
    /// The call failed.
    Failed,
    /// The plugin was not asked: its breaker is open, or its time or that of all was used up.
    NotAsked,
}

impl OutcomeKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Label,
        Self::LabelFor,
        Self::Drop,
        Self::DropFor,
        Self::Error,
        Self::Failed,
        Self::NotAsked,
    ];

    /// The word for it in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::LabelFor => "label_for",
            Self::Drop => "drop",
            Self::DropFor => "drop_for",
            Self::Error => "error",
            Self::Failed => "failed",
            Self::NotAsked => "not_asked",
        }
    }
}

/// Why a call failed. The instance is replaced after each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It ran longer than `limits.deadline`.
    Deadline,
    /// It wanted more memory or tables than `limits.memory` and the host allow.
    Memory,
    /// Its stack overflowed.
    Stack,
    /// It called an import that the contract does not give.
    Import,
    /// It trapped otherwise: a panic, a wild pointer.
    Trap,
    /// It returned more than `limits.output`.
    Output,
    /// It returned too few or too many outcomes, or values that make no rows.
    Count,
    /// An instance in the place of one that failed refused its settings, or agreed to other labels.
    Configure,
    /// The system had no memory or addresses for an instance.
    System,
    /// The time of all plugins in a scrape was used up while it ran, or before it was called.
    Budget,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Deadline,
        Self::Memory,
        Self::Stack,
        Self::Import,
        Self::Trap,
        Self::Output,
        Self::Count,
        Self::Configure,
        Self::System,
        Self::Budget,
    ];

    /// The word for it in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Stack => "stack",
            Self::Import => "import",
            Self::Trap => "trap",
            Self::Output => "output",
            Self::Count => "count",
            Self::Configure => "configure",
            Self::System => "system",
            Self::Budget => "budget",
        }
    }
}

impl Stats {
    /// Buckets of [`Stats::times`]: up to 2^24 µs, longer than any deadline.
    pub const BUCKETS: usize = 25;

    pub(super) fn new() -> Self {
        Self {
            calls: 0,
            inputs: 0,
            outcomes: [0; OutcomeKind::ALL.len()],
            failures: [0; Cause::ALL.len()],
            times: [0; Self::BUCKETS],
            deferred: 0,
            refused: 0,
            time: Duration::ZERO,
            breaker: BreakerState::Closed,
            memory_peak: 0,
            remembered: Remembered::default(),
            lines_written: 0,
            lines_dropped: 0,
        }
    }

    pub(super) fn count(&mut self, kind: OutcomeKind, inputs: u64) {
        self.outcomes[kind as usize] += inputs;
    }

    pub(super) fn failed(&mut self, cause: Cause) {
        self.failures[cause as usize] += 1;
    }

    /// Notes a call that took so long.
    pub(super) fn called(&mut self, took: Duration) {
        self.calls += 1;
        self.time += took;
        let micros = took.as_nanos().div_ceil(1000).max(1);
        let bucket = micros.next_power_of_two().trailing_zeros() as usize;
        self.times[bucket.min(Self::BUCKETS - 1)] += 1;
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_causes_are_where_their_numbers_are() {
        for (index, kind) in OutcomeKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
        for (index, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, index);
        }
    }

    #[test]
    fn times_are_in_the_smallest_bucket_that_holds_them() {
        let bucket = |nanos: u64| {
            let mut stats = Stats::new();
            stats.called(Duration::from_nanos(nanos));
            stats.times.iter().position(|calls| *calls == 1)
        };
        for (nanos, expected) in [
            (0, Some(0)),
            (1000, Some(0)),
            (1001, Some(1)),
            (2000, Some(1)),
            (4_000_001, Some(12)),
            (1_048_576_001, Some(21)),
            (99_000_000_000, Some(24)),
        ] {
            assert_eq!(bucket(nanos), expected, "{nanos}");
        }
    }
}
