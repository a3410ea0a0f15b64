//! A file that is on its way: beside its goal until it is whole, so that the goal is never a part of it.
//!
//! What there is of it stays when a pull ends early, under a name that its digest is part of. The next pull
//! goes on behind it. Only one process writes it at a time.
//!
//! Others may write into the directory too. Never becomes the goal what one of them has put there: who has made a
//! file, or may write it, can change it after it was checked.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::process::geteuid;
use sha2::{Digest as _, Sha256};

use super::error::RegistryError;
use crate::digest::Digest;
use crate::files;

/// What a new file is, before the umask is taken away.
const MODE: u32 = 0o644;
/// Those who may write a file but are not its owner.
const OTHERS_WRITE: u32 = 0o022;

/// The part of a file that is there.
pub struct Partial {
    file: File,
    path: PathBuf,
    goal: PathBuf,
    hash: Sha256,
    length: u64,
    /// Whether the next pull finds it.
    lasts: bool,
    /// Whether it is where it belongs.
    finished: bool,
}

impl Partial {
    /// What there is of the file with this digest and size, beside its goal. Where something else has its name, an
    /// empty file of another name.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or another process does so.
    pub(super) fn open(goal: &Path, digest: Digest, size: u64) -> Result<Self, RegistryError> {
        let name = goal.file_name().unwrap_or_default().to_string_lossy();
        let path = goal.with_file_name(format!(".{name}.{digest}.part"));
        let failed = |source| failure("write", &path, source);
        let Some(mut file) = own(&path).map_err(failed)? else {
            let (file, path) = apart(&path).map_err(failed)?;
            let (goal, hash) = (goal.to_owned(), Sha256::new());
            return Ok(Self { file, path, goal, hash, length: 0, lasts: false, finished: false });
        };
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
        let goal = goal.to_owned();
        let mut partial = Self { file, path, goal, hash, length, lasts: true, finished: false };
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
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn bytes(&mut self) -> Result<Bytes, RegistryError> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.length).unwrap_or_default());
        let read = self.file.rewind();
        let read = read.and_then(|()| (&self.file).take(self.length).read_to_end(&mut bytes));
        read.map_err(|error| failure("read", &self.path, error))?;
        Ok(bytes.into())
    }

    /// Puts it where it belongs, in one step and for good.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<(), RegistryError> {
        self.file.sync_all().map_err(|error| failure("write", &self.path, error))?;
        fs::rename(&self.path, &self.goal).map_err(|error| failure("write", &self.goal, error))?;
        self.finished = true;
        Ok(())
    }

    /// Leaves nothing of it: it is nothing to go on from.
    pub fn remove(mut self) {
        self.lasts = false;
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
        self.0.into_iter().for_each(Partial::remove);
    }
}

impl Drop for Partial {
    /// Leaves nothing behind where there is nothing to go on from. What cannot be removed is found by the next pull, as if
    /// this one had ended early.
    fn drop(&mut self) {
        if (self.length == 0 || !self.lasts) && !self.finished {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What an earlier pull by this user has left at a path, or an empty file there; none if something else is there.
fn own(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match options.clone().create_new(true).mode(MODE).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        new => return new.map(Some),
    }
    // A link that somebody put there leads nowhere, and nobody is waited for.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let Ok(file) = options.custom_flags(flags).open(path) else { return Ok(None) };
    let is = file.metadata()?;
    let is_own = is.uid() == geteuid().as_raw() && is.mode() & OTHERS_WRITE == 0;
    Ok((is.is_file() && is_own && is.nlink() == 1).then_some(file))
}

/// A new file beside a path, of a name that nobody could know before.
fn apart(path: &Path) -> io::Result<(File, PathBuf)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (prefix, mode) =
        (format!("{}.", name.trim_end_matches(".part")), Permissions::from_mode(MODE));
    let mut new = tempfile::Builder::new();
    let new = new.prefix(&prefix).suffix(".part").permissions(mode);
    new.tempfile_in(files::directory(path))?.keep().map_err(|failed| failed.error)
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
    use std::os::unix::fs::{chown, symlink};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

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
        let place = part(&goal, b"xy");
        symlink(dir.path().join("elsewhere"), &place).unwrap();
        open(&goal, b"xy").unwrap().write(b"x").unwrap();
        assert!(!dir.path().join("elsewhere").exists());
        assert!(fs::symlink_metadata(&place).unwrap().is_symlink());
    }

    #[test]
    fn what_others_may_write_never_becomes_the_goal() {
        let dir = tempfile::tempdir().unwrap();
        let goal = dir.path().join("a.wasm");
        let place = part(&goal, b"ab");
        let prepared: [fn(&Path); 5] = [
            |place| fs::set_permissions(place, Permissions::from_mode(0o666)).unwrap(),
            |place| fs::set_permissions(place, Permissions::from_mode(0o620)).unwrap(),
            |place| fs::hard_link(place, place.with_file_name("second")).unwrap(),
            |place| {
                fs::remove_file(place).unwrap();
                fs::create_dir(place).unwrap();
            },
            |place| {
                fs::remove_dir(place).unwrap();
                mknodat(CWD, place, FileType::Fifo, Mode::RWXU, 0).unwrap();
            },
        ];
        for (case, prepare) in prepared.iter().enumerate() {
            if case < 4 {
                fs::write(&place, b"a").unwrap();
            }
            prepare(&place);
            assert_safe(&goal, &place);
            if case < 3 {
                fs::remove_file(&place).unwrap();
            }
        }
    }

    #[test]
    fn what_somebody_else_has_put_there_never_becomes_the_goal() {
        if !geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "it takes root");
            eprintln!(
                "SKIPPED what_somebody_else_has_put_there_never_becomes_the_goal: it takes root"
            );
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let goal = dir.path().join("a.wasm");
        let place = part(&goal, b"ab");
        fs::write(&place, b"a").unwrap();
        chown(&place, Some(65534), Some(65534)).unwrap();
        assert_safe(&goal, &place);
    }

    /// Whether a pull begins anew, its file becomes the goal as this user's own, and `place` is left alone.
    fn assert_safe(goal: &Path, place: &Path) {
        let id = |path: &Path| {
            let is = fs::symlink_metadata(path).unwrap();
            (is.dev(), is.ino())
        };
        let before = id(place);
        let mut partial = open(goal, b"ab").unwrap();
        assert_eq!(partial.length(), 0);
        partial.write(b"ab").unwrap();
        partial.finish().unwrap();
        assert_eq!(fs::read(goal).unwrap(), b"ab");
        let is = fs::metadata(goal).unwrap();
        assert_eq!((is.uid(), is.mode() & 0o7022, is.nlink()), (geteuid().as_raw(), 0, 1));
        assert_eq!(id(place), before);
        // One that is not finished leaves nothing: nobody would find it.
        let count = || fs::read_dir(files::directory(goal)).unwrap().count();
        let there = count();
        open(goal, b"ab").unwrap().write(b"a").unwrap();
        assert_eq!(count(), there);
    }

    fn part(goal: &Path, bytes: &[u8]) -> PathBuf {
        goal.with_file_name(format!(".a.wasm.{}.part", Digest::of(bytes)))
    }
}
