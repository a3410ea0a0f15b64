//! Where entries come from: a map in the kernel, records that are counted, or a recording.
//!
//! A source never knows labels. It hands out entries and says how it came by them.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::Duration;

mod entries;
pub mod events;
mod map;
pub mod recording;
pub mod redacted;
#[cfg(test)]
pub(crate) mod testing;
mod ways;

pub use entries::{Chunk, Entry};
pub use events::{Drained, Drains, EventSource};
pub use map::{MapReader, Sink};
pub use ways::{ReadError, Reading, Way, Why};

/// What has come of the records of a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Those that were received.
    pub received: u64,
    /// Those of them that were shorter than the labels.
    pub short: u64,
    /// Those of them whose keys were too many to be counted.
    pub beyond: u64,
    /// Those that the kernel had no room for, by CPU, if it says so.
    pub lost: Option<BTreeMap<u32, u64>>,
}

/// What becomes of new entries of a map that is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It always is: all of its entries are there from the start.
    Always,
    /// They take the place of others.
    Evicts,
    /// There is no room for them.
    Refuses,
}

impl WhenFull {
    /// The word for it in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "none_come",
            Self::Evicts => "evicts",
            Self::Refuses => "refuses",
        }
    }

    /// Of a map of this type, as the kernel names it.
    fn of(kind: &str) -> Self {
        match kind {
            "array" | "percpu_array" => Self::Always,
            kind if kind.starts_with("lru_") => Self::Evicts,
            _ => Self::Refuses,
        }
    }
}

/// The entries of one map, to be read again and again.
pub trait Source: fmt::Debug + Send {
    /// The map's name.
    fn name(&self) -> &str;

    /// The kernel's name for the map's type.
    fn kind(&self) -> &str;

    /// Bytes of a key.
    fn key_size(&self) -> usize;

    /// Values of an entry: the number of possible CPUs if the map is per CPU, else 1.
    fn cpus(&self) -> usize;

    /// How many entries the map can hold.
    fn max_entries(&self) -> usize;

    /// What becomes of new entries once it is full.
    fn when_full(&self) -> WhenFull {
        WhenFull::of(self.kind())
    }

    /// How the map was read last, and why so.
    fn way(&self) -> (Way, Why);

    /// Hands all entries to `visit`, chunk by chunk: see [`MapReader::read`].
    ///
    /// # Errors
    ///
    /// If they cannot be read. Chunks handed out before that are good but not all.
    fn read(&mut self, visit: &mut dyn FnMut(Chunk<'_>)) -> Result<(), ReadError>;

    /// As [`Source::read`] in less time and with less of a promise: see [`MapReader::read_quickly`].
    fn read_quickly(&mut self, entries: Option<usize>, visit: &mut dyn FnMut(Chunk<'_>)) -> bool {
        let _ = (entries, visit);
        false
    }

    /// Whether [`Source::read_quickly`] cannot be sure of a key that was not known before.
    fn needs_calm(&self) -> bool {
        true
    }

    /// Fills in the values of one key as they are now, one for each CPU; `false` if it is not there.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    fn lookup(&self, key: &[u8], values: &mut [u64]) -> io::Result<bool>;

    /// What has come of the records that are counted, if entries are made of such.
    fn events(&self) -> Option<EventCounts> {
        None
    }

    /// Whether it opens perf events on CPUs that come.
    fn opens_events(&self) -> bool {
        false
    }

    /// Counts records by so many bytes of them from now on, and keeps a key without any for so long, if entries are made
    /// of records.
    fn count_by(&mut self, key_size: usize, keep: Duration) {
        let _ = (key_size, keep);
    }

    /// What is to be drained by a worker, if it is.
    fn drained(&self) -> Option<Drained> {
        None
    }
}
