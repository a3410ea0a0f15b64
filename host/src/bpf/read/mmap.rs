//! [`Way::Mmap`](super::Way::Mmap): the memory of a `BPF_F_MMAPABLE` array, read in place.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{CHUNK, Chunk, Target, Walk};

/// A mapped array of u64 that the kernel's programs keep writing.
pub(super) struct Mapped {
    values: NonNull<AtomicU64>,
    entries: usize,
    /// The chunk's keys: an array has none of its own, they are its indexes.
    keys: Vec<u8>,
    /// The chunk's values: copied out, because a slice must not change under its reader.
    copied: Vec<u64>,
}

// SAFETY: the mapping belongs to this value alone, and is only read, by atomic loads.
unsafe impl Send for Mapped {}

impl Mapped {
    pub(super) fn new(map: &Target) -> io::Result<Self> {
        let entries = map.max_entries;
        // SAFETY: a new mapping at an address of the kernel's choice, checked below.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                entries * size_of::<u64>(),
                libc::PROT_READ,
                libc::MAP_SHARED,
                map.raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let values = NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mapped at 0"))?;
        Ok(Self { values, entries, keys: Vec::new(), copied: Vec::new() })
    }

    fn values(&self) -> &[AtomicU64] {
        // SAFETY: the mapping has this many values, page aligned, and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.values.as_ptr(), self.entries) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and no borrow of it outlives `self`.
        unsafe { libc::munmap(self.values.as_ptr().cast(), self.entries * size_of::<u64>()) };
    }
}

impl Walk for Mapped {
    fn walk(&mut self, map: &Target, visit: &mut dyn FnMut(Chunk<'_>)) -> io::Result<()> {
        let mut keys = std::mem::take(&mut self.keys);
        let mut copied = std::mem::take(&mut self.copied);
        let mut index = 0u32;
        for values in self.values().chunks(CHUNK) {
            keys.clear();
            copied.clear();
            for value in values {
                keys.extend_from_slice(&index.to_ne_bytes());
                copied.push(value.load(Ordering::Relaxed));
                index += 1;
            }
            visit(map.chunk(&keys, &copied));
        }
        self.keys = keys;
        self.copied = copied;
        Ok(())
    }
}
