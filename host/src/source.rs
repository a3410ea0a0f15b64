//! Where the entries of a map come from: the kernel, or a recording.
//!
//! A source never knows labels. It hands out entries and says how it came by them.

use std::fmt;
use std::io;

use crate::bpf::read::{Chunk, MapReader, ReadError, Reading, Sink, Way, Why};
use crate::bpf::{MapRef, kind_name};

pub mod recording;
pub mod redacted;

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

/// A map in the kernel.
#[derive(Debug)]
pub struct KernelMap {
    reader: MapReader,
    kind: String,
}

impl KernelMap {
    /// This map, read as `reading` says: see [`MapReader::new`].
    ///
    /// # Errors
    ///
    /// As [`MapReader::new`].
    pub fn new(map: &MapRef, reading: Reading, sink: Option<&Sink>) -> Result<Self, ReadError> {
        let reader = MapReader::new(map, reading, sink)?;
        Ok(Self { reader, kind: kind_name(map.spec.kind) })
    }
}

impl Source for KernelMap {
    fn name(&self) -> &str {
        self.reader.name()
    }

    fn kind(&self) -> &str {
        &self.kind
    }

    fn key_size(&self) -> usize {
        self.reader.key_size()
    }

    fn cpus(&self) -> usize {
        self.reader.cpus()
    }

    fn max_entries(&self) -> usize {
        self.reader.max_entries()
    }

    fn way(&self) -> (Way, Why) {
        (self.reader.way(), self.reader.why())
    }

    fn read(&mut self, visit: &mut dyn FnMut(Chunk<'_>)) -> Result<(), ReadError> {
        self.reader.read(visit)
    }

    fn read_quickly(&mut self, entries: Option<usize>, visit: &mut dyn FnMut(Chunk<'_>)) -> bool {
        self.reader.read_quickly(entries, visit)
    }

    fn needs_calm(&self) -> bool {
        self.reader.needs_calm()
    }

    fn lookup(&self, key: &[u8], values: &mut [u64]) -> io::Result<bool> {
        self.reader.lookup(key, values)
    }
}
