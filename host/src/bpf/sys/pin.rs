//! Names that a BPF file system gives to maps, programs and links.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::answer::{done, owned};

/// Gives what is behind a descriptor a name: it stays while it has one.
///
/// # Errors
///
/// `EINVAL` if it is nothing that can be pinned, `EEXIST` if the name is taken.
pub(crate) fn pin(what: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the path is terminated, and only read.
    done(unsafe { libbpf_sys::bpf_obj_pin(what.as_raw_fd(), path.as_ptr()) })
}

/// What has this name.
///
/// # Errors
///
/// `ENOENT` if nothing has.
pub(crate) fn pinned(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the path is terminated, and only read.
    let fd = unsafe { libbpf_sys::bpf_obj_get(path.as_ptr()) };
    // SAFETY: the kernel has just given us this descriptor.
    unsafe { owned(fd) }
}
