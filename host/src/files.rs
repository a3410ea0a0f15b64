//! Files that users name, read whole, whatever they turn out to be: a pipe, a device or a file of the
//! kernel's that has no end never holds up who reads, nor does a large one take more than it may. Written
//! whole or not at all.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write as _};
use std::mem::discriminant;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
use rustix::process::geteuid;

use crate::advice::words;

pub(crate) mod below;
mod held;
mod stamp;

pub(crate) use held::inner_name;
pub use held::{BundleId, HeldFiles};
pub(crate) use stamp::Stamp;

/// What is read while serving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readable {
    /// A file, or a directory with all that is below.
    Content(PathBuf),
    /// The names in a directory and in those below, and no file.
    Names(PathBuf),
}

/// Why a file is not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// The system's reason.
    Refused(io::Error),
    /// A directory.
    Directory,
    /// A pipe, a device, a socket, or what only waits for something to come.
    NoFile,
    /// It has so many bytes, which is more than it may; the system may not know how many.
    TooLarge(u64),
}

impl Unread {
    /// Whether it is the same, whatever the file's size is.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Refused(error), Self::Refused(other)) => error.kind() == other.kind(),
            _ => discriminant(self) == discriminant(other),
        }
    }

    /// The end of a sentence that begins with the file's name.
    pub(crate) fn why(&self) -> String {
        match self {
            Self::Refused(error) => format!("cannot be read: {}", words(error)),
            Self::Directory => "is a directory".to_owned(),
            Self::NoFile => "is no regular file".to_owned(),
            Self::TooLarge(size) => format!("is too large, with {size} bytes"),
        }
    }
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock => Self::NoFile,
            ErrorKind::IsADirectory => Self::Directory,
            _ => Self::Refused(error),
        }
    }
}

/// A file that can be read, and has `most` bytes at the most as far as the system knows.
///
/// # Errors
///
/// See [`Unread`].
pub(crate) fn open(path: &Path, most: u64) -> Result<File, Unread> {
    is_readable(&path.metadata()?, most)?;
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    // Another file may have come there meanwhile.
    is_readable(&file.metadata()?, most)?;
    Ok(file)
}

/// Whether it is a file of `most` bytes at the most.
fn is_readable(metadata: &Metadata, most: u64) -> Result<(), Unread> {
    match metadata {
        data if data.is_dir() => Err(Unread::Directory),
        data if !data.is_file() => Err(Unread::NoFile),
        data if data.len() > most => Err(Unread::TooLarge(data.len())),
        _ => Ok(()),
    }
}

/// The bytes of a file, if it has `most` of them at the most.
///
/// # Errors
///
/// See [`Unread`].
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, Unread> {
    read_open(&open(path, most)?, most)
}

/// The same, of a file that [`open`] gave.
///
/// # Errors
///
/// See [`Unread`].
pub(crate) fn read_open(file: &File, most: u64) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        found if found > most => Err(Unread::TooLarge(found)),
        _ => Ok(bytes),
    }
}

/// Puts these bytes into the file `path`, whole or not at all and for good. What was there is another file then, of
/// the same user, group and mode; if there is nothing, or what anybody could have put there, those are the process's
/// own and what its umask says.
///
/// # Errors
///
/// When something else than a file is there, a link too, the directory cannot be written into or is full, or the
/// file would be somebody else's.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let before = replaceable(path)?;
    let dir = directory(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (prefix, mode) = (format!(".{name}."), Permissions::from_mode(0o644));
    let mut new = tempfile::Builder::new();
    let mut file = new.prefix(&prefix).suffix(".new").permissions(mode).tempfile_in(dir)?;
    if let Some(before) = before.filter(|before| !is_anybodys(before, dir)) {
        belong(file.as_file(), &before)?;
        file.as_file().set_permissions(before.permissions())?;
    }
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|failed| failed.error)?;
    File::open(dir)?.sync_all()
}

/// A new file `path` to write into, that only its user may read. What was there before is not written over: it goes.
///
/// # Errors
///
/// When something else than a file is there, a link too, or the directory cannot be written into.
pub(crate) fn anew(path: &Path) -> io::Result<File> {
    replaceable(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut new = tempfile::Builder::new();
    let new = new.prefix(&format!(".{name}.")).suffix(".new").tempfile_in(directory(path))?;
    // It has mode 0600.
    new.persist(path).map_err(|failed| failed.error)
}

/// Says that the file `path` is still right: it was written now.
///
/// # Errors
///
/// As [`replace`], and when the file is neither the user's own nor one to write.
pub(crate) fn touch(path: &Path) -> io::Result<()> {
    replaceable(path)?;
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// What is there, if it is a file that another may take the place of.
fn replaceable(path: &Path) -> io::Result<Option<Metadata>> {
    let refused = |why| Err(io::Error::other(why));
    match fs::symlink_metadata(path) {
        Ok(is) if is.is_file() => Ok(Some(is)),
        Ok(is) if is.is_symlink() => refused("it is a link, which is not replaced"),
        Ok(_) => refused("it is there, and no regular file"),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a file lies where anybody may put one, as in `/tmp`, and is neither this user's nor the directory's: who has
/// put it there is to have nothing of what takes its place.
fn is_anybodys(is: &Metadata, dir: &Path) -> bool {
    const STICKY: u32 = 0o1000;
    const OTHERS_WRITE: u32 = 0o022;
    let Ok(dir) = fs::metadata(dir) else { return true };
    let is_shared = dir.mode() & STICKY != 0 && dir.mode() & OTHERS_WRITE != 0;
    is_shared && is.uid() != geteuid().as_raw() && is.uid() != dir.uid()
}

/// Gives a file to the user and group of another.
fn belong(file: &File, to: &Metadata) -> io::Result<()> {
    let (user, group) = (to.uid(), to.gid());
    let is = file.metadata()?;
    if (is.uid(), is.gid()) == (user, group) {
        return Ok(());
    }
    fchown(file, Some(user), Some(group)).map_err(|error| {
        let why = words(&error);
        io::Error::new(
            error.kind(),
            format!("no file of user {user} and group {group} can be put there: {why}"),
        )
    })
}

/// Where a file lies.
pub(crate) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::time::UNIX_EPOCH;

    use caps::{CapSet, Capability};
    use rustix::fs::{FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        replace(&path, b"one").unwrap();
        let mut before = open(&path, 9).unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let mut text = String::new();
        before.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one");
        // Others may read it, unless the umask says otherwise.
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode() & 0o733, 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(mode(), 0o640);
        assert!(replace(dir.path(), b"three").is_err());
        assert!(replace(&dir.path().join("gone/a.json"), b"three").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(directory(Path::new("a.json")), Path::new("."));
    }

    #[test]
    fn a_new_file_is_its_users_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "one").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        fs::hard_link(&path, dir.path().join("b")).unwrap();
        anew(&path).unwrap().write_all(b"two").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read(dir.path().join("b")).unwrap(), b"one", "it is another file");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn nothing_but_a_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "one").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        std::os::unix::fs::symlink("gone", at("none")).unwrap();
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        for (name, why) in [
            ("link", "it is a link, which is not replaced"),
            ("none", "it is a link, which is not replaced"),
            ("pipe", "it is there, and no regular file"),
            (".", "it is there, and no regular file"),
        ] {
            assert_eq!(replace(&at(name), b"two").unwrap_err().to_string(), why, "{name}");
            assert_eq!(touch(&at(name)).unwrap_err().to_string(), why, "{name}");
            assert_eq!(anew(&at(name)).unwrap_err().to_string(), why, "{name}");
        }
        assert_eq!(fs::read(at("file")).unwrap(), b"one");
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    }

    #[test]
    fn a_file_that_is_replaced_belongs_to_whom_it_did() {
        if !geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "it takes root");
            eprintln!("SKIPPED a_file_that_is_replaced_belongs_to_whom_it_did: it takes root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        fs::write(&path, "one").unwrap();
        std::os::unix::fs::chown(&path, Some(1234), Some(2345)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        replace(&path, b"two").unwrap();
        let is = fs::metadata(&path).unwrap();
        assert_eq!((is.uid(), is.gid(), is.mode() & 0o7777), (1234, 2345, 0o640));
        // Who may not give a file away leaves it as it is.
        let at = path.clone();
        let refused = std::thread::spawn(move || {
            caps::drop(None, CapSet::Effective, Capability::CAP_CHOWN).unwrap();
            replace(&at, b"three").unwrap_err().to_string()
        });
        insta::assert_snapshot!(refused.join().unwrap(), @"no file of user 1234 and group 2345 can be put there: operation not permitted");
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_anybody_could_have_put_there_is_replaced_by_a_file_of_ones_own() {
        if !geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "it takes root");
            eprintln!(
                "SKIPPED what_anybody_could_have_put_there_is_replaced_by_a_file_of_ones_own: it takes root"
            );
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        for (mode, uid) in [(0o1777, 0), (0o1775, 0), (0o755, 65534), (0o1755, 65534)] {
            fs::write(&path, "one").unwrap();
            std::os::unix::fs::chown(&path, Some(65534), Some(65534)).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
            fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
            replace(&path, b"two").unwrap();
            let is = fs::metadata(&path).unwrap();
            let found = (is.uid(), is.mode() & 0o022 == 0);
            assert_eq!(found, (uid, uid == 0), "{mode:o}");
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_file_that_is_touched_was_written_now() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        assert_eq!(touch(&path).unwrap_err().kind(), ErrorKind::NotFound);
        fs::write(&path, "one").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(UNIX_EPOCH).unwrap();
        touch(&path).unwrap();
        let is = fs::metadata(&path).unwrap();
        assert!(is.modified().unwrap() > UNIX_EPOCH);
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }

    #[test]
    fn only_files_are_read_and_none_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let found = |name: &str| {
            format!(
                "{:?}",
                read(&at(name), 3).map_err(|unread| match unread {
                    Unread::Refused(error) => format!("{:?}", error.kind()),
                    other => format!("{other:?}"),
                })
            )
        };
        fs::write(at("three"), "abc").unwrap();
        fs::write(at("four"), "abcd").unwrap();
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink(at("loop"), at("loop")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("zero")).unwrap();
        // They have no size, and more bytes.
        std::os::unix::fs::symlink("/proc/self/maps", at("maps")).unwrap();
        insta::assert_snapshot!(
            ["three", "four", "pipe", "socket", "loop", "zero", "maps", "gone", "."].map(found).join("\n"),
            @r#"
        Ok([97, 98, 99])
        Err("TooLarge(4)")
        Err("NoFile")
        Err("NoFile")
        Err("FilesystemLoop")
        Err("NoFile")
        Err("TooLarge(4)")
        Err("NotFound")
        Err("Directory")
        "#
        );
    }
}
