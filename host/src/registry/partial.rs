//! A file that is on its way: beside its goal until it is whole, so that the goal is never a part of it.
//!
//! What there is of it stays when a pull ends early, under a name that its digest is part of. The next pull
//! goes on behind it. Only one process writes it at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::error::RegistryError;
use crate::digest::Digest;

/// The part of a file that is there.
pub(super) struct Partial {
    file: File,
    path: PathBuf,
    goal: PathBuf,
    hash: Sha256,
    length: u64,
    /// Whether it is where it belongs.
    finished: bool,
}

impl Partial {
    /// What there is of the file with this digest and size, beside its goal.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or another process does so.
    pub(super) fn open(goal: &Path, digest: Digest, size: u64) -> Result<Self, RegistryError> {
        let name = goal.file_name().unwrap_or_default().to_string_lossy();
        let path = goal.with_file_name(format!(".{name}.{digest}.part"));
        let failed = |source| failure("write", &path, source);
        // A link that somebody put there leads nowhere.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).custom_flags(flags);
        let mut file = options.open(&path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(failed(io::Error::other("it is no regular file")));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RegistryError::Busy(goal.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Whoever had it may have put it where it belongs, or removed it.
        if !is_still(&file, &path).map_err(failed)? {
            return Err(RegistryError::Busy(goal.to_owned()));
        }
        let (hash, length) = hashed(&mut file, size).map_err(failed)?;
        let mut partial = Self { file, path, goal: goal.to_owned(), hash, length, finished: false };
        if partial.length > size {
            partial.restart()?;
        }
        Ok(partial)
    }

    /// Bytes that are there.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Begins anew.
    pub(super) fn restart(&mut self) -> Result<(), RegistryError> {
        (self.hash, self.length) = (Sha256::new(), 0);
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(|error| failure("write", &self.path, error))
    }

    /// Goes on.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), RegistryError> {
        self.file.write_all(bytes).map_err(|error| failure("write", &self.path, error))?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Of what is there.
    pub(super) fn digest(&self) -> Digest {
        Digest::from_bytes(self.hash.clone().finalize().into())
    }

    /// All that is there, as it is now. Whether it is what was written is for who uses it to check.
    pub(super) fn bytes(&mut self) -> Result<Bytes, RegistryError> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.length).unwrap_or_default());
        let read = self.file.rewind();
        let read = read.and_then(|()| (&self.file).take(self.length).read_to_end(&mut bytes));
        read.map_err(|error| failure("read", &self.path, error))?;
        Ok(bytes.into())
    }

    /// Puts it where it belongs, in one step and for good.
    pub(super) fn finish(mut self) -> Result<(), RegistryError> {
        self.file.sync_all().map_err(|error| failure("write", &self.path, error))?;
        fs::rename(&self.path, &self.goal).map_err(|error| failure("write", &self.goal, error))?;
        self.finished = true;
        Ok(())
    }
}

/// Files that are whole, of which one is made elsewhere. They stay for the next pull to go on from, until they are
/// removed.
#[derive(Default)]
pub struct Parts(Vec<Partial>);

impl Parts {
    pub(super) fn add(&mut self, part: Partial) {
        self.0.push(part);
    }

    /// Removes them: what they are parts of is there, or never will be.
    pub fn remove(self) {
        for part in &self.0 {
            // One that stays is found by the next pull, as if this one had ended early.
            let _ = fs::remove_file(&part.path);
        }
    }
}

impl Drop for Partial {
    /// Leaves nothing behind where there is nothing to go on from.
    fn drop(&mut self) {
        if self.length == 0 && !self.finished {
            // If it stays, the next pull finds it empty.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The hash and the number of bytes of a file that may have `size`; the file is then at their end.
fn hashed(file: &mut File, size: u64) -> io::Result<(Sha256, u64)> {
    let (mut hash, mut length, mut piece) = (Sha256::new(), 0, vec![0; 64 << 10]);
    while length <= size {
        match file.read(&mut piece)? {
            0 => break,
            more => {
                hash.update(&piece[..more]);
                length += more as u64;
            }
        }
    }
    Ok((hash, length))
}

/// Whether an open file is the one that has this path.
fn is_still(file: &File, path: &Path) -> io::Result<bool> {
    let of = |is: fs::Metadata| (is.dev(), is.ino());
    let opened = of(file.metadata()?);
    Ok(fs::symlink_metadata(path).is_ok_and(|is| of(is) == opened))
}

fn failure(doing: &'static str, file: &Path, source: io::Error) -> RegistryError {
    RegistryError::File { doing, file: file.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn open(goal: &Path, bytes: &[u8]) -> Result<Partial, RegistryError> {
        Partial::open(goal, Digest::of(bytes), bytes.len() as u64)
    }

    #[test]
    fn goes_on_where_it_stopped_and_appears_whole() {
        let dir = tempfile::tempdir().unwrap();
        let goal = dir.path().join("a.wasm");
        fs::write(&goal, "old").unwrap();
        open(&goal, b"abcdef").unwrap().write(b"abc").unwrap();
        // Another file has a part of its own.
        assert_eq!(open(&goal, b"abcxyz").unwrap().length(), 0);
        let mut again = open(&goal, b"abcdef").unwrap();
        assert_eq!(again.length(), 3);
        again.write(b"def").unwrap();
        assert_eq!(again.digest(), Digest::of(b"abcdef"));
        assert_eq!(fs::read(&goal).unwrap(), b"old");
        again.finish().unwrap();
        assert_eq!(fs::read(&goal).unwrap(), b"abcdef");
    }

    #[test]
    fn what_is_too_long_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let goal = dir.path().join("a.wasm");
        open(&goal, b"ab").unwrap().write(b"abc").unwrap();
        let mut again = open(&goal, b"ab").unwrap();
        again.write(b"ab").unwrap();
        assert_eq!((again.length(), again.digest()), (2, Digest::of(b"ab")));
        again.restart().unwrap();
        drop(again);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn nobody_else_writes_it_or_leads_it_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let goal = dir.path().join("a.wasm");
        let _first = open(&goal, b"ab").unwrap();
        let said = open(&goal, b"ab").err().unwrap().to_string();
        assert_eq!(said, format!("another process pulls to {}", goal.display()));
        let place = goal.with_file_name(format!(".a.wasm.{}.part", Digest::of(b"xy")));
        symlink(dir.path().join("elsewhere"), &place).unwrap();
        assert!(open(&goal, b"xy").is_err());
        assert!(!dir.path().join("elsewhere").exists());
    }
}
