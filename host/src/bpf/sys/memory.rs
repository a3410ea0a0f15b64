//! Memory that the kernel and this process share.

use std::io;
use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// The u64s of a mapped array, which the kernel's programs may write while they are read.
#[derive(Debug)]
pub(crate) struct Mapping {
    memory: Shared,
    len: usize,
}

// SAFETY: many may read the numbers at once; who wants them to stand still has it alone.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` u64s of the array behind `fd`.
    pub(crate) fn new(fd: RawFd, len: usize) -> io::Result<Self> {
        Ok(Self { memory: Shared::readable(fd, 0, len * size_of::<u64>())?, len })
    }

    /// How many u64s there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The u64s, whoever may be writing them.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping has this many u64s, page aligned, and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.memory.start.as_ptr().cast(), self.len) }
    }

    /// The u64s of an array that nobody writes while this borrow lives: its only writer is a
    /// program that runs when its owner, who holds this borrow, says so.
    pub(crate) fn still(&mut self) -> &[u64] {
        // SAFETY: as above; and no one writes, says the caller.
        unsafe { std::slice::from_raw_parts(self.memory.start.as_ptr().cast(), self.len) }
    }
}

/// Bytes of a page.
pub(crate) fn page_size() -> usize {
    rustix::param::page_size()
}

/// Memory that the kernel writes and this process reads, and which they agree about by numbers in it.
#[derive(Debug)]
pub(crate) struct Shared {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone; all that is shared with the kernel are atomics, and
// bytes that the kernel does not write before it is told to.
unsafe impl Send for Shared {}

impl Shared {
    /// The first `len` bytes behind `fd`, whose numbers may be written.
    pub(crate) fn writable(fd: RawFd, len: usize) -> io::Result<Self> {
        Self::map(fd, 0, len, libc::PROT_READ | libc::PROT_WRITE)
    }

    /// `len` bytes behind `fd` from `offset` on.
    pub(crate) fn readable(fd: RawFd, offset: usize, len: usize) -> io::Result<Self> {
        Self::map(fd, offset, len, libc::PROT_READ)
    }

    fn map(fd: RawFd, offset: usize, len: usize, protection: i32) -> io::Result<Self> {
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        // SAFETY: a new mapping at an address of the kernel's choice, checked below.
        let address = unsafe {
            libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, fd, offset)
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mapped at 0"))?;
        Ok(Self { start, len })
    }

    /// The u64 at this place, which is a multiple of 8.
    pub(crate) fn u64(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(8) && at + 8 <= self.len);
        // SAFETY: it lies in the mapping, which is page aligned and lives as long as `self`.
        unsafe { &*self.start.as_ptr().add(at).cast::<AtomicU64>() }
    }

    /// The u32 at this place, which is a multiple of 4.
    pub(crate) fn u32(&self, at: usize) -> &AtomicU32 {
        assert!(at.is_multiple_of(4) && at + 4 <= self.len);
        // SAFETY: as above.
        unsafe { &*self.start.as_ptr().add(at).cast::<AtomicU32>() }
    }

    /// Bytes that the kernel has written, and does not write again before one of the numbers tells it
    /// that they were read.
    pub(crate) fn bytes(&self, at: usize, len: usize) -> &[u8] {
        assert!(at <= self.len && len <= self.len - at);
        // SAFETY: they lie in the mapping; and no one writes them, says the caller.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(at), len) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length, and no borrow of it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
