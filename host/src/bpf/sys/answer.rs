//! What libbpf's calls answer, as results.

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};

/// An answer that says nothing but that it worked, or a negative error number.
pub(super) fn done(answer: i32) -> io::Result<()> {
    if answer < 0 { Err(io::Error::from_raw_os_error(-answer)) } else { Ok(()) }
}

/// Whether what was asked for is there.
pub(super) fn found(answer: i32) -> io::Result<bool> {
    if -answer == libc::ENOENT { Ok(false) } else { done(answer).map(|()| true) }
}

/// An answer that is a new descriptor.
///
/// # Safety
///
/// A number that is not negative is a descriptor that nobody else owns.
pub(super) unsafe fn owned(answer: i32) -> io::Result<OwnedFd> {
    done(answer)?;
    // SAFETY: says the caller.
    Ok(unsafe { OwnedFd::from_raw_fd(answer) })
}
