//! Compiled code on disk, so that a start need not compile what an earlier one has compiled.
//!
//! What lies there is run without a further look, so all of it must be our own: nobody but root and
//! who the exporter runs as may be able to write the directory, what is above it, or what is in it.
//! Which code belongs to which component and engine is wasmtime's to know. This never fails a start:
//! without a cache, plugins are compiled.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use wasmtime::{Cache, CacheConfig};

use super::{lowercase, words};

/// How much code is kept, in bytes. What was used longest ago goes first. A Rust guest takes 40 KB
/// and a Python guest 10 MB.
const MOST: u64 = 256 << 20;
/// Directories in a directory that are looked into: wasmtime makes two.
const DEPTH: usize = 4;

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

    /// Opens it, with a thread that keeps it small; makes it if it is not there.
    pub(super) fn open(&self) -> Result<Cache, CacheError> {
        let dir = &self.0;
        let failed = |source| CacheError::Open { dir: dir.clone(), source };
        let absolute = std::path::absolute(dir).map_err(failed)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&absolute).map_err(failed)?;
        let real = fs::canonicalize(&absolute).map_err(failed)?;
        let me = rustix::process::geteuid().as_raw();
        above(&real, me)?;
        below(&real, me, DEPTH)?;
        let mut config = CacheConfig::new();
        config.with_directory(real).with_files_total_size_soft_limit(MOST);
        Cache::new(config).map_err(|error| CacheError::Engine(words(&error)))
    }
}

/// Why no compiled code is kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum CacheError {
    #[error(
        "failed to use {} for compiled code: {}; make it a directory that the exporter may write",
        dir.display(),
        lowercase(source)
    )]
    Open { dir: PathBuf, source: io::Error },
    #[error(
        "compiled code is not kept: {} belongs to the user {owner}, who could have it run code of \
         theirs; give it to root or to who the exporter runs as",
        path.display()
    )]
    Foreign { path: PathBuf, owner: u32 },
    #[error(
        "compiled code is not kept: others may write {}, and could have the exporter run code of \
         theirs; take that from them (chmod go-w)",
        path.display()
    )]
    Writable { path: PathBuf },
    #[error(
        "compiled code is not kept: {} is nothing that the exporter has put there; name a directory \
         of its own",
        path.display()
    )]
    Strange { path: PathBuf },
    #[error("failed to open the cache of compiled code: {0}")]
    Engine(String),
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

/// Whether nobody else can have written what is in the directory.
fn below(dir: &Path, me: u32, depth: usize) -> Result<(), CacheError> {
    let failed = |source| CacheError::Open { dir: dir.to_owned(), source };
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let metadata = look(&path)?;
        let folder = metadata.is_dir() && depth > 0;
        if !folder && !metadata.is_file() {
            return Err(CacheError::Strange { path });
        }
        safe(&path, &metadata, me, false)?;
        if folder {
            below(&path, me, depth - 1)?;
        }
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
