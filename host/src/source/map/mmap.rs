//! [`Way::Mmap`](crate::source::Way::Mmap): the memory of a `BPF_F_MMAPABLE` array, read in place.

use std::io;
use std::sync::atomic::Ordering;

use super::{CHUNK, Chunk, Target, Walk};
use crate::bpf::sys::Mapping;

/// A mapped array of u64 that the kernel's programs keep writing.
pub(super) struct Mapped {
    values: Mapping,
    /// The chunk's keys: an array has none of its own, they are its indexes.
    keys: Vec<u8>,
    /// The chunk's values: copied out, because a slice must not change under its reader.
    copied: Vec<u64>,
}

impl Mapped {
    pub(super) fn new(map: &Target) -> io::Result<Self> {
        let values = Mapping::new(map.raw_fd(), map.max_entries)?;
        Ok(Self { values, keys: Vec::new(), copied: Vec::new() })
    }
}

impl Walk for Mapped {
    fn walk(&mut self, map: &Target, visit: &mut dyn FnMut(Chunk<'_>)) -> io::Result<()> {
        let Self { values, keys, copied } = self;
        let mut index = 0u32;
        for values in values.words().chunks(CHUNK) {
            keys.clear();
            copied.clear();
            for value in values {
                keys.extend_from_slice(&index.to_ne_bytes());
                copied.push(value.load(Ordering::Relaxed));
                index += 1;
            }
            visit(map.chunk(keys, copied));
        }
        Ok(())
    }
}
