//! Where the entries of a map come from: the kernel, or a recording.
//!
//! A source never knows labels. It hands out entries and says how it came by them.

use std::fmt;
use std::io;

mod entries;
mod map;
pub mod recording;
pub mod redacted;
#[cfg(test)]
pub(crate) mod testing;
mod ways;

pub use entries::{Chunk, Entry};
pub use map::{MapReader, Sink};
pub use ways::{ReadError, Reading, UnknownWay, Way, Why};

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
}
