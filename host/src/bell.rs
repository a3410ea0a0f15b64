//! A bell: one thread waits for it among other descriptors, and another rings it.
//!
//! Never says why it was rung.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};

/// A bell. Cheap to clone: all clones are one bell.
#[derive(Clone, Debug)]
pub(crate) struct Bell(Arc<OwnedFd>);

impl Bell {
    /// One that was not rung.
    ///
    /// # Errors
    ///
    /// When no descriptor is left.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Rings it. It rings until it is hushed, if anybody does that.
    pub(crate) fn ring(&self) {
        // It fails only if it was rung very often before.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }

    /// Has it be silent until it is rung again.
    pub(crate) fn hush(&self) {
        // It fails if it was not rung.
        let _ = rustix::io::read(&*self.0, &mut [0; size_of::<u64>()]);
    }
}

impl AsFd for Bell {
    /// A descriptor that can be read from when it was rung.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
