//! Compiled code on disk, so that a start need not compile what an earlier one has compiled.
//!
//! What lies there is run, so all of it must be our own: nobody but root and who the exporter runs
//! as may be able to write the directory or what is above it. Each entry begins with a keyed hash
//! of its name and all its bytes; the key is random, made for this directory, and lies in it for
//! its owner alone. An entry that is damaged, cut short, of another version, somebody else's, or no
//! plain file is not there, and is written anew. This never fails a start: without a cache, plugins
//! are compiled.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use super::Digest;
use super::limits::LARGEST_CODE;
use crate::advice::Advise;

/// How much code is kept, in bytes. What was used longest ago goes first. A Rust guest takes 0.3 MB
/// and a Python guest 35 MB.
const MOST: u64 = 256 << 20;
/// What an entry begins with: what follows is its hash, then what the child replied.
const MAGIC: &[u8; 8] = b"ewecode2";
/// Bytes of a hash, and of the secret that it is made with.
const HASH: usize = 32;
/// The secret's file.
const SECRET: &str = "secret";
/// How the files of entries end.
const ENTRY: &str = "code";
/// How files end that are being written.
const NEW: &str = "new";
/// A file that was being written so long ago never will be.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The directory that compiled code is kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheDir(PathBuf);

impl CacheDir {
    /// What `--plugins.cache-dir` says, else the first directory that systemd gives in
    /// `$CACHE_DIRECTORY`. An empty flag is no directory.
    pub fn chosen(flag: Option<&OsStr>, systemd: Option<&OsStr>) -> Option<Self> {
        let first = |dirs: &OsStr| {
            let first = dirs.as_bytes().split(|byte| *byte == b':').next().unwrap_or_default();
            OsString::from_vec(first.to_vec())
        };
        let dir = match flag {
            Some(flag) => flag.to_owned(),
            None => first(systemd?),
        };
        (!dir.is_empty()).then(|| Self(dir.into()))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Opens it; makes it if it is not there.
    pub(super) fn open(&self) -> Result<Cache, CacheError> {
        let dir = &self.0;
        let failed = |source| CacheError::Open { dir: dir.clone(), source };
        let absolute = std::path::absolute(dir).map_err(failed)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&absolute).map_err(failed)?;
        let real = fs::canonicalize(&absolute).map_err(failed)?;
        above(&real, rustix::process::geteuid().as_raw())?;
        let secret = secret(&real).map_err(failed)?;
        Ok(Cache { dir: real, secret })
    }
}

/// Compiled code by what it was compiled of, and for what.
pub(super) struct Cache {
    dir: PathBuf,
    secret: [u8; HASH],
}

impl Cache {
    /// Where it is.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The name of the entry of a component's code for `target`.
    pub(super) fn name(&self, target: Digest, component: Digest) -> String {
        let mut hash = Sha256::new();
        hash.update(MAGIC);
        hash.update(crate::version::LONG);
        hash.update(target.as_bytes());
        hash.update(component.as_bytes());
        format!("{}.{ENTRY}", Digest::from_bytes(hash.finalize().into()))
    }

    /// What was written by this name, if it is there unharmed.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let file = open_own(&self.dir.join(name)).ok()?;
        let mut bytes = Vec::new();
        (&file).take(LARGEST_CODE * 2).read_to_end(&mut bytes).ok()?;
        let rest = bytes.strip_prefix(MAGIC)?;
        let (hash, content) = rest.split_at_checked(HASH)?;
        if self.hash(name, content) != *hash.first_chunk::<HASH>()? {
            return None;
        }
        // So that it is not what was used longest ago. What cannot be touched is read all the same.
        let _ = file.set_modified(SystemTime::now());
        bytes.drain(..MAGIC.len() + HASH);
        Some(bytes)
    }

    /// Writes an entry, whole or not at all, and forgets old ones to make room.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let hash = self.hash(name, content);
        place(&self.dir.join(name), &[MAGIC, hash.as_bytes(), content])?;
        self.tidy(name)
    }

    fn hash(&self, name: &str, content: &[u8]) -> blake3::Hash {
        blake3::Hasher::new_keyed(&self.secret).update(name.as_bytes()).update(content).finalize()
    }

    /// Removes what is too much, and what is left of writers that were ended. The entry `name` stays.
    fn tidy(&self, name: &str) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let Ok(metadata) = path.symlink_metadata() else { continue };
            let Ok(modified) = metadata.modified() else { continue };
            let ends = |with: &str| path.extension().is_some_and(|end| end == with);
            if ends(NEW) && modified.elapsed().is_ok_and(|age| age > ABANDONED) {
                let _ = fs::remove_file(&path);
            } else if ends(ENTRY) {
                entries.push((path.ends_with(name), modified, metadata.len(), path));
            }
        }
        // The newest first, and the one in hand before it.
        entries.sort_unstable_by(|one, other| other.cmp(one));
        let mut kept = 0;
        for (_, _, size, path) in entries {
            kept += size;
            if kept > MOST && !path.ends_with(name) {
                kept -= size;
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// The directory's secret; makes one if there is none that only its owner reads. With a new one no
/// entry is known.
fn secret(dir: &Path) -> io::Result<[u8; HASH]> {
    let path = dir.join(SECRET);
    let known = || -> io::Result<[u8; HASH]> {
        let file = open_own(&path)?;
        if file.metadata()?.mode() & 0o077 != 0 {
            return Err(io::Error::other("others may read it"));
        }
        let mut bytes = Vec::new();
        file.take(HASH as u64 + 1).read_to_end(&mut bytes)?;
        bytes.try_into().map_err(|_| io::Error::other("it has another size"))
    };
    if let Ok(secret) = known() {
        return Ok(secret);
    }
    let mut secret = [0; HASH];
    File::open("/dev/urandom")?.read_exact(&mut secret)?;
    place(&path, &[&secret])?;
    // Another exporter may have made one at the same time: the last one stands for both.
    known()
}

/// Opens a plain file that only root or who we are can have written.
fn open_own(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    let me = rustix::process::geteuid().as_raw();
    let own = metadata.uid() == 0 || metadata.uid() == me;
    if !metadata.is_file() || metadata.nlink() != 1 || !own || metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other("it is not ours"));
    }
    Ok(file)
}

/// Puts a file with these parts in the place of whatever is there, for its owner alone.
fn place(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let new = path.with_extension(format!("{}-{number}.{NEW}", std::process::id()));
    let write = || -> io::Result<()> {
        let options = OpenOptions::new().write(true).create_new(true).mode(0o600).clone();
        let mut file = options.open(&new)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(path)?;
        }
        fs::rename(&new, path)
    };
    // What an earlier process of this number has left.
    let _ = fs::remove_file(&new);
    write().inspect_err(|_| drop(fs::remove_file(&new)))
}

/// Why no compiled code is kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum CacheError {
    #[error("failed to use {} for compiled code", dir.display())]
    Open { dir: PathBuf, source: io::Error },
    #[error(
        "compiled code is not kept: {} belongs to the user {owner}, who could have it run code of \
         theirs",
        path.display()
    )]
    Foreign { path: PathBuf, owner: u32 },
    #[error(
        "compiled code is not kept: others may write {}, and could have the exporter run code of \
         theirs",
        path.display()
    )]
    Writable { path: PathBuf },
}

impl Advise for CacheError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::Open { .. } => "make it a directory that the exporter may write",
            Self::Foreign { .. } => "give it to root or to who the exporter runs as",
            Self::Writable { .. } => "take that from them (chmod go-w)",
        };
        Some(remedy.to_owned())
    }
}

/// Whether nobody else can replace the directory.
fn above(dir: &Path, me: u32) -> Result<(), CacheError> {
    let mut last = true;
    for path in dir.ancestors() {
        let metadata = look(path)?;
        // In a sticky directory others cannot touch what is not theirs.
        let sticky = !last && metadata.mode() & 0o1000 != 0;
        safe(path, &metadata, me, sticky)?;
        last = false;
    }
    Ok(())
}

fn look(path: &Path) -> Result<Metadata, CacheError> {
    path.symlink_metadata().map_err(|source| CacheError::Open { dir: path.to_owned(), source })
}

fn safe(path: &Path, metadata: &Metadata, me: u32, sticky: bool) -> Result<(), CacheError> {
    let owner = metadata.uid();
    if owner != 0 && owner != me {
        return Err(CacheError::Foreign { path: path.to_owned(), owner });
    }
    if metadata.mode() & 0o022 != 0 && !sticky {
        return Err(CacheError::Writable { path: path.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
