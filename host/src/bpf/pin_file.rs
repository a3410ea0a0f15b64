//! A name in a BPF file system, below a directory that is held open: it is found again whatever has become of the
//! directory's own name.
//!
//! Never makes a directory, and never decides what is pinned.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::warn;

use super::sys;
use crate::advice::words;

/// A name that something is pinned by, or is to be.
#[derive(Clone, Debug)]
pub(super) struct PinFile {
    dir: Arc<OwnedFd>,
    /// Its path below the directory.
    below: PathBuf,
    /// Its path for a person.
    shown: PathBuf,
}

/// What has a program stay attached: the name of its link, and its own.
#[derive(Debug)]
pub(super) struct LinkPin {
    pub(super) link: PinFile,
    pub(super) program: PinFile,
}

/// The path by which the kernel finds what is held open.
pub(super) fn place(dir: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", dir.as_raw_fd()).into()
}

impl PinFile {
    /// The name `below` of what is held open, which people call `dir`.
    pub(super) fn new(held: &Arc<OwnedFd>, dir: &Path, below: PathBuf) -> Self {
        Self { dir: Arc::clone(held), shown: dir.join(&below), below }
    }

    /// Its path, for a person.
    pub(super) fn shown(&self) -> &Path {
        &self.shown
    }

    /// Its path, as long as this lives.
    pub(super) fn path(&self) -> PathBuf {
        place(&self.dir).join(&self.below)
    }

    /// What is pinned there.
    pub(super) fn open(&self) -> io::Result<OwnedFd> {
        sys::pinned(&self.path())
    }

    /// Gives what is behind a descriptor this name.
    pub(super) fn pin(&self, what: BorrowedFd<'_>) -> io::Result<()> {
        sys::pin(what, &self.path())
    }

    /// Takes the name away, if it is there. That it cannot be is said.
    pub(super) fn remove(&self) {
        self.removed(fs::remove_file(self.path()));
    }

    /// The same for a directory, which is empty.
    pub(super) fn remove_dir(&self) {
        self.removed(fs::remove_dir(self.path()));
    }

    fn removed(&self, result: io::Result<()>) {
        match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                warn!("failed to remove the pin {}: {}", self.shown.display(), words(&error));
            }
            _ => {}
        }
    }
}

impl LinkPin {
    /// Takes both away. What they have held goes with the last descriptor.
    pub(super) fn remove(&self) {
        self.link.remove();
        self.program.remove();
    }
}
