//! A host made of files in a temporary directory, for tests of explanations.

use std::fs;

use caps::Capability;
use tempfile::TempDir;

use super::Host;

/// `/proc` and `/sys` of a host.
pub(in super::super) struct Fake(TempDir);

impl Fake {
    /// A host with this kernel and nothing else.
    pub(in super::super) fn new(release: &str) -> Self {
        let fake = Self(tempfile::tempdir().unwrap());
        fake.write("proc/sys/kernel/osrelease", release);
        fake
    }

    /// Puts a file there; `path` has no slash in front.
    pub(in super::super) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let file = self.0.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
        self
    }

    /// Takes a directory away.
    pub(in super::super) fn remove(&self, path: &str) -> &Self {
        fs::remove_dir_all(self.0.path().join(path)).unwrap();
        self
    }

    /// The host as seen by a thread with these capabilities.
    pub(in super::super) fn host(&self, capabilities: &[Capability]) -> Host {
        Host { root: self.0.path().to_owned(), capabilities: capabilities.to_vec() }
    }
}
