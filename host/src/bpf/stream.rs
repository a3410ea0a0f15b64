//! Buffers that programs stream records through: a ring buffer, or a perf event array.
//!
//! Who reads them says what a record means. Nothing here waits: what stands in the buffer is handed out,
//! and whoever waits does so at the descriptor.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::{MapKind, MapRef};

mod perf;
mod ring;

pub use ring::Ring;

use perf::PerfBuffers;

/// A buffer of either kind.
#[derive(Debug)]
pub struct Stream(Buffer);

#[derive(Debug)]
enum Buffer {
    Ring(Ring),
    Perf(PerfBuffers),
}

impl Stream {
    /// Opens the buffer of a map. Of a perf event array each CPU that is online gets one.
    ///
    /// # Errors
    ///
    /// When the map is of another type, or the kernel has no memory or descriptor for it.
    pub fn new(map: &MapRef) -> io::Result<Self> {
        Ok(Self(match map.spec.kind {
            MapKind::RINGBUF => Buffer::Ring(Ring::new(map)?),
            MapKind::PERF_EVENT_ARRAY => Buffer::Perf(PerfBuffers::new(map)?),
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        }))
    }

    /// Hands out all records that stand in the buffer, oldest first; of several CPUs, one CPU after the
    /// other. Records that come meanwhile may be left for the next time. How many there were.
    pub fn drain(&mut self, visit: &mut dyn FnMut(&[u8])) -> u64 {
        match &mut self.0 {
            Buffer::Ring(ring) => ring.drain(visit),
            Buffer::Perf(buffers) => buffers.drain(visit),
        }
    }

    /// How many records the kernel had said that it had no room for when this last kept up, by CPU. A ring buffer does
    /// not know: only the program does that wanted to write.
    pub fn lost(&self) -> Option<&BTreeMap<u32, u64>> {
        match &self.0 {
            Buffer::Ring(_) => None,
            Buffer::Perf(buffers) => Some(buffers.lost()),
        }
    }

    /// Whether it opens perf events on CPUs that come.
    pub fn opens_events(&self) -> bool {
        matches!(self.0, Buffer::Perf(_))
    }

    /// Opens buffers for CPUs that have come, closes those of CPUs that have gone, and asks what was lost.
    pub fn keep_up(&mut self) {
        if let Buffer::Perf(buffers) = &mut self.0 {
            buffers.keep_up();
        }
    }
}

impl AsFd for Stream {
    /// A descriptor that can be read when records are to be drained: at once of a ring buffer, and when an
    /// eighth of one CPU's is full of a perf event array.
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Buffer::Ring(ring) => ring.as_fd(),
            Buffer::Perf(buffers) => buffers.as_fd(),
        }
    }
}
