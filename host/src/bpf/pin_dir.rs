//! A directory of a BPF file system in which maps, programs and links stay when the exporter ends
//! (`--bpf.pin-dir`).
//!
//! ```text
//! DIR/CONFIG/maps/NAME-MARK         MARK: what the map holds
//!            programs/NAME
//!            links/NAME-PLACE       PLACE: where the program hangs
//! ```
//!
//! Whoever can write there can have the exporter serve what was never counted. So the directory belongs to who runs
//! the exporter, nobody else may write into it, and one exporter at a time has it. All names are looked up below the
//! descriptor that was checked. Never touches a file that is not named so.

use std::fs::{self, DirBuilder, DirEntry};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, fstatfs, open};
use rustix::process::geteuid;

mod config;
mod names;
mod unpin;

pub(super) use config::{ConfigPins, Taken};
pub use unpin::{NotUnpinned, Unpinned};

use super::pin_file::{self, PinFile};
use crate::advice::{self, Advise};

/// The directories of a config. Links come first: what counts no more may go.
const KINDS: [Kind; 3] = [Kind::Links, Kind::Programs, Kind::Maps];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Maps,
    Programs,
    Links,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Maps => "maps",
            Self::Programs => "programs",
            Self::Links => "links",
        }
    }
}

/// What `fstatfs` calls a BPF file system.
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;
/// Others may write.
const EXPOSED: u32 = 0o022;

/// Such a directory.
#[derive(Clone, Debug)]
pub struct PinDir {
    /// As the flag has it, for messages.
    path: PathBuf,
    /// Its descriptor, by which all below it is reached. It holds the lock too.
    dir: Arc<OwnedFd>,
    /// Whether another shape of a map is a fault.
    strict: bool,
}

/// Why a directory cannot be had pins in.
#[derive(Debug, thiserror::Error)]
pub enum PinDirError {
    /// It cannot be made or opened.
    #[error("failed to open the directory of pins {}: {}", .0.display(), advice::words(.1))]
    System(PathBuf, io::Error),
    /// It is of another file system.
    #[error("the directory of pins {} is not in a BPF file system", .0.display())]
    NotBpf(PathBuf),
    /// It is somebody else's.
    #[error("the directory of pins {} belongs to the user {owner}, not to {own}, who runs the exporter", path.display())]
    NotOwn {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs the exporter.
        own: u32,
    },
    /// Others may write into it.
    #[error("others may write into the directory of pins {}: its mode is {mode:03o}", path.display())]
    Exposed {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Another exporter has it.
    #[error("another exporter has the directory of pins {}", .0.display())]
    InUse(PathBuf),
}

impl Advise for PinDirError {
    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::System(path, error) => match error.raw_os_error() {
                Some(libc::ENOENT) => "make the directory above it".to_owned(),
                Some(libc::EPERM) if has_dot(path) => {
                    "names in a BPF file system have no dots: give another".to_owned()
                }
                _ => return None,
            },
            Self::NotBpf(_) => {
                "mount -t bpf bpf /sys/fs/bpf, and give a directory there: /sys/fs/bpf/ebpf_exporter".to_owned()
            }
            Self::NotOwn { path, .. } => {
                format!("give another, or remove it: rm -r {}", path.display())
            }
            Self::Exposed { path, .. } => {
                format!("if nobody else was there: chmod 700 {}; else remove it", path.display())
            }
            Self::InUse(_) => "stop it, or give each a directory of its own".to_owned(),
        })
    }
}

fn has_dot(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().contains(&b'.'))
}

impl PinDir {
    /// Opens the directory, or makes it if only that lacks, and keeps others from it until all clones are gone.
    /// With `strict` a pinned map of another shape is a fault.
    ///
    /// # Errors
    ///
    /// See [`PinDirError`].
    pub fn open(path: &Path, strict: bool) -> Result<Self, PinDirError> {
        let dir = Self::unlocked(path, true)?;
        match flock(&*dir.dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { strict, ..dir }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(PinDirError::InUse(path.to_owned())),
            Err(error) => Err(PinDirError::System(path.to_owned(), error.into())),
        }
    }

    /// The directory as it is, whoever has it; and whether somebody has.
    ///
    /// # Errors
    ///
    /// See [`PinDirError`].
    pub fn look(path: &Path) -> Result<(Self, bool), PinDirError> {
        let dir = Self::unlocked(path, false)?;
        let free = flock(&*dir.dir, FlockOperation::NonBlockingLockExclusive).is_ok();
        Ok((dir, !free))
    }

    fn unlocked(path: &Path, make: bool) -> Result<Self, PinDirError> {
        let failed = |error| PinDirError::System(path.to_owned(), error);
        let dir = match open_directory(path) {
            Err(error) if make && error.kind() == io::ErrorKind::NotFound => {
                make_in_bpf(path)?;
                open_directory(path)
            }
            dir => dir,
        };
        let dir = dir.map_err(failed)?;
        if !is_bpf(&dir).map_err(failed)? {
            return Err(PinDirError::NotBpf(path.to_owned()));
        }
        check_owner(&dir, path)?;
        Ok(Self { path: path.to_owned(), dir: Arc::new(dir), strict: false })
    }

    /// Where it is, as the flag has it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or directory of a config.
    fn file(&self, config: &str, below: impl AsRef<Path>) -> PinFile {
        let below = Path::new(&names::directory(config)).join(below);
        PinFile::new(&self.dir, &self.path, below)
    }

    /// The configs that have pins here, by name, in their order.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn configs(&self) -> Result<Vec<String>, PinDirError> {
        let names = names_in(&pin_file::place(&self.dir));
        let names = names.map_err(|error| PinDirError::System(self.path.clone(), error))?;
        Ok(names.iter().filter_map(|name| names::text(name)).collect())
    }

    /// The pins of a config, which need not be there yet.
    pub(super) fn of(&self, config: &str) -> ConfigPins {
        ConfigPins::new(self.clone(), config)
    }
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(open(path, flags, Mode::empty())?)
}

fn is_bpf(dir: &OwnedFd) -> io::Result<bool> {
    // Its type has another width on other machines.
    Ok(fstatfs(dir)?.f_type as u64 & 0xffff_ffff == BPF_FS_MAGIC)
}

/// Makes a directory, but not where it could not be used.
fn make_in_bpf(path: &Path) -> Result<(), PinDirError> {
    let failed = |error| PinDirError::System(path.to_owned(), error);
    let above = match path.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => path,
    };
    let above = fs::canonicalize(above).and_then(|above| open_directory(&above)).map_err(failed)?;
    if !is_bpf(&above).map_err(failed)? {
        return Err(PinDirError::NotBpf(path.to_owned()));
    }
    DirBuilder::new().mode(0o700).create(path).map_err(failed)
}

fn check_owner(dir: &OwnedFd, path: &Path) -> Result<(), PinDirError> {
    let found = fstat(dir).map_err(|error| PinDirError::System(path.to_owned(), error.into()))?;
    let (path, own) = (path.to_owned(), geteuid().as_raw());
    if found.st_uid != own {
        return Err(PinDirError::NotOwn { path, owner: found.st_uid, own });
    }
    match found.st_mode & 0o777 {
        mode if mode & EXPOSED != 0 => Err(PinDirError::Exposed { path, mode }),
        _ => Ok(()),
    }
}

/// The names in a directory, in their order; those that are no text are left out.
fn names_in(dir: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(dir)?.collect::<io::Result<Vec<DirEntry>>>()?;
    let mut names: Vec<_> =
        entries.iter().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}
