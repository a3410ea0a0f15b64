//! The `bpf()` calls that libbpf-rs lacks or gets wrong, as safe functions over slices.
//!
//! Everything here checks that the slices are as large as what the kernel will write; nothing here
//! decides anything.

use std::io;
use std::os::fd::RawFd;

/// One `BPF_MAP_LOOKUP_BATCH`.
#[derive(Debug)]
pub(super) struct Looked {
    /// Entries written to the front of the buffers.
    pub(super) count: usize,
    /// Whether these were the last ones.
    pub(super) end: bool,
}

/// The place in a map where a batch ended; opaque to everyone but the kernel.
pub(super) struct Cursor {
    token: Vec<u8>,
    next: Vec<u8>,
    started: bool,
}

impl Cursor {
    /// A cursor before the first entry of a map with keys of this size.
    pub(super) fn new(key_size: usize) -> Self {
        // Hash maps write a u32, all others a key.
        let size = key_size.max(size_of::<u32>());
        Self { token: vec![0; size], next: vec![0; size], started: false }
    }

    /// Back to before the first entry.
    pub(super) fn rewind(&mut self) {
        self.started = false;
    }
}

/// Reads the entries behind `cursor` into `keys` and `values` and moves it.
///
/// # Errors
///
/// `ENOSPC` if the next hash bucket holds more entries than there is room for; the cursor stays.
pub(super) fn lookup_batch(
    fd: RawFd,
    cursor: &mut Cursor,
    (keys, key_size): (&mut [u8], usize),
    (values, cpus): (&mut [u64], usize),
) -> io::Result<Looked> {
    let room = (keys.len() / key_size).min(values.len() / cpus);
    let mut count = u32::try_from(room).unwrap_or(u32::MAX);
    let from = if cursor.started { cursor.token.as_mut_ptr().cast() } else { std::ptr::null_mut() };
    // SAFETY: `count` entries fit into both buffers, whose sizes are those of the map's key and
    // of its value (8 bytes for each CPU); both tokens are as large as a key and at least a u32.
    let answer = unsafe {
        libbpf_sys::bpf_map_lookup_batch(
            fd,
            from,
            cursor.next.as_mut_ptr().cast(),
            keys.as_mut_ptr().cast(),
            values.as_mut_ptr().cast(),
            &mut count,
            std::ptr::null(),
        )
    };
    let end = match -answer {
        0 => false,
        libc::ENOENT => true,
        errno => return Err(io::Error::from_raw_os_error(errno)),
    };
    std::mem::swap(&mut cursor.token, &mut cursor.next);
    cursor.started = true;
    Ok(Looked { count: count as usize, end })
}

/// Writes the key behind `key` (the first one for `None`) to `next`; `false` if there is none.
///
/// For a key that is not in the map the kernel starts again with the first one.
pub(super) fn next_key(fd: RawFd, key: Option<&[u8]>, next: &mut [u8]) -> io::Result<bool> {
    assert!(key.is_none_or(|key| key.len() == next.len()));
    let from = key.map_or(std::ptr::null(), |key| key.as_ptr().cast());
    // SAFETY: both buffers are as large as the map's key.
    let answer = unsafe { libbpf_sys::bpf_map_get_next_key(fd, from, next.as_mut_ptr().cast()) };
    found(answer)
}

/// Writes the value of `key` to `values`, one for each CPU; `false` if the key is not there.
pub(super) fn lookup(fd: RawFd, key: &[u8], values: &mut [u64]) -> io::Result<bool> {
    // SAFETY: `key` is as large as the map's key, `values` as its value (8 bytes for each CPU).
    let answer = unsafe {
        libbpf_sys::bpf_map_lookup_elem(fd, key.as_ptr().cast(), values.as_mut_ptr().cast())
    };
    found(answer)
}

fn found(answer: i32) -> io::Result<bool> {
    match -answer {
        0 => Ok(true),
        libc::ENOENT => Ok(false),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}
