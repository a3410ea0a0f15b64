//! `plugins.lock`: which file each reference of the configs means, as `plugin fetch` has found it.
//!
//! It lies in the directory of `--plugins.dir` beside those files. Each of them is called by its digest, so
//! that none ever takes the place of another. An exporter that starts reads it, and asks nobody. It is taken for
//! hostile: it is bounded, and what it says of a file is only what the file's SHA-256 has to be.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::advice::{Advise, plain};
use crate::digest::Digest;
use crate::files::{self, Unread};
use crate::plugin::World;
use crate::reference::{ArtifactReference, PinnedReference};

/// What it is called.
pub const NAME: &str = "plugins.lock";
/// The form that is written here, and the only one that is read.
const VERSION: u32 = 1;
/// Bytes of it.
const LARGEST: u64 = 4 << 20;
/// Bytes of a text of its that a message shows.
const LONGEST_TEXT: usize = 200;

/// What `plugins.lock` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginLock {
    /// By their references. Of a manifest there is one.
    plugins: Vec<LockedPlugin>,
}

/// A plugin that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedPlugin {
    /// Its manifest, and what it was called when it was fetched.
    pub reference: PinnedReference,
    /// Of the component.
    pub component: Digest,
    /// Bytes of the component.
    pub size: u64,
    /// The version of the contract that it was built for.
    pub contract: String,
    /// What it is.
    pub world: World,
}

/// Why what was fetched cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// It is not known where to look.
    #[error("a plugin of a registry needs --plugins.dir")]
    NoDirectory,
    /// Nothing was fetched.
    #[error("there is no {}", .0.display())]
    NotThere(PathBuf),
    /// It cannot be read.
    #[error("{} {why}", file.display())]
    Unreadable {
        /// The lock.
        file: PathBuf,
        /// The end of the sentence.
        why: String,
    },
    /// It is not what `plugin fetch` writes.
    #[error("{} is damaged: {why}", file.display())]
    Damaged {
        /// The lock.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another exporter has written it.
    #[error("{} has the form {found}, and this exporter knows {VERSION}", file.display())]
    Version {
        /// The lock.
        file: PathBuf,
        /// What it says.
        found: u32,
    },
    /// This one was not fetched.
    #[error("{} has no {reference}", file.display())]
    NoEntry {
        /// The lock.
        file: PathBuf,
        /// What was looked for.
        reference: Box<PinnedReference>,
    },
    /// It was fetched, and has gone.
    #[error("there is no {}, which {NAME} names", .0.display())]
    NoFile(PathBuf),
    /// It was fetched, and is another one now.
    #[error("{} was changed: its SHA-256 is {found}", file.display())]
    Changed {
        /// The component's file.
        file: PathBuf,
        /// What it is.
        found: Digest,
    },
}

impl Advise for LockError {
    fn remedy(&self) -> Option<String> {
        let dir = |file: &Path| file.parent().unwrap_or(Path::new(".")).display().to_string();
        let fetch = |dir: &str| {
            format!("`ebpf_wasm_exporter plugin fetch --plugins.dir={dir}` with the same configs")
        };
        Some(match self {
            Self::NoDirectory => format!("name the directory that was filled by {}", fetch("DIR")),
            Self::NotThere(file) | Self::NoEntry { file, .. } | Self::NoFile(file) => {
                format!("fetch it: {}", fetch(&dir(file)))
            }
            Self::Unreadable { file, .. } => {
                format!(
                    "make it a file that can be read, or remove it and run {}",
                    fetch(&dir(file))
                )
            }
            Self::Damaged { file, .. } | Self::Version { file, .. } => {
                format!("remove it, and run {}", fetch(&dir(file)))
            }
            Self::Changed { file, .. } => {
                format!("find out who has done that, then run {}", fetch(&dir(file)))
            }
        })
    }
}

/// The lock as JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    plugins: Vec<Row>,
}

/// The part of it that says what it is.
#[derive(Debug, Deserialize)]
struct Form {
    version: u32,
}

/// A plugin as JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// Without the digest.
    reference: String,
    manifest: String,
    component: String,
    size: u64,
    contract: String,
    world: String,
}

impl PluginLock {
    /// What stands in this directory.
    ///
    /// # Errors
    ///
    /// When there is none, or none that can be used.
    pub fn read(dir: &Path) -> Result<Self, LockError> {
        let file = dir.join(NAME);
        let bytes = files::read(&file, LARGEST).map_err(|unread| match unread {
            Unread::Refused(error) if error.kind() == io::ErrorKind::NotFound => {
                LockError::NotThere(file.clone())
            }
            unread => LockError::Unreadable { file: file.clone(), why: unread.why() },
        })?;
        let damaged = |why| LockError::Damaged { file: file.clone(), why };
        let no_json = |error: serde_json::Error| damaged(plain(&error.to_string(), LONGEST_TEXT));
        let Form { version: found } = serde_json::from_slice(&bytes).map_err(no_json)?;
        if found != VERSION {
            return Err(LockError::Version { file: file.clone(), found });
        }
        let document: Document = serde_json::from_slice(&bytes).map_err(no_json)?;
        let mut lock = Self::default();
        for row in document.plugins {
            let plugin = row.plugin().map_err(damaged)?;
            if lock.find(&plugin.reference).is_some() {
                let what = plain(&plugin.reference.to_string(), LONGEST_TEXT);
                return Err(damaged(format!("the manifest of {what} comes twice")));
            }
            lock.plugins.push(plugin);
        }
        lock.sort();
        Ok(lock)
    }

    /// Puts it into this directory, whole or not at all, in the place of what is there. Only one who has
    /// [taken](take) the directory may.
    ///
    /// # Errors
    ///
    /// When that fails.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        let document =
            Document { version: VERSION, plugins: self.plugins.iter().map(Row::of).collect() };
        let mut text = serde_json::to_vec_pretty(&document)?;
        text.push(b'\n');
        files::replace(&dir.join(NAME), &text)
    }

    /// The plugin that has this manifest.
    pub fn find(&self, reference: &PinnedReference) -> Option<&LockedPlugin> {
        self.plugins.iter().find(|plugin| plugin.reference.digest() == reference.digest())
    }

    /// All of them.
    pub fn plugins(&self) -> &[LockedPlugin] {
        &self.plugins
    }

    /// Adds one, in the place of the one that has the same manifest.
    pub fn put(&mut self, plugin: LockedPlugin) {
        self.plugins.retain(|other| other.reference.digest() != plugin.reference.digest());
        self.plugins.push(plugin);
        self.sort();
    }

    /// Takes out those that have none of these manifests.
    pub fn keep(&mut self, manifests: &[Digest]) -> Vec<LockedPlugin> {
        let (kept, gone) = std::mem::take(&mut self.plugins)
            .into_iter()
            .partition(|plugin| manifests.contains(&plugin.reference.digest()));
        self.plugins = kept;
        gone
    }

    fn sort(&mut self) {
        self.plugins.sort_by_cached_key(|plugin| plugin.reference.to_string());
    }
}

impl LockedPlugin {
    /// The name of its file.
    pub fn file_name(&self) -> String {
        file_name(self.component)
    }
}

/// The name of a component's file.
pub fn file_name(component: Digest) -> String {
    format!("sha256-{component}.wasm")
}

/// Has the directory for whoever writes into it, until what is returned goes. None if another process has it.
///
/// # Errors
///
/// When it cannot be had at all.
pub fn take(dir: &Path) -> io::Result<Option<File>> {
    let taken = File::open(dir)?;
    match taken.try_lock() {
        Ok(()) => Ok(Some(taken)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Row {
    fn of(plugin: &LockedPlugin) -> Self {
        let LockedPlugin { reference, component, size, contract, world } = plugin;
        let unpinned = ArtifactReference { digest: None, ..reference.reference().clone() };
        Self {
            reference: unpinned.to_string(),
            manifest: reference.digest().tagged(),
            component: component.tagged(),
            size: *size,
            contract: contract.clone(),
            world: world.word().to_owned(),
        }
    }

    /// What it says, or why it says nothing.
    fn plugin(self) -> Result<LockedPlugin, String> {
        let Self { reference, manifest, component, size, contract, world } = self;
        let digest = |text: &str| {
            let what = || format!("`{}` is no digest", plain(text, LONGEST_TEXT));
            Digest::parse_tagged(text).ok_or_else(what)
        };
        let named =
            reference.parse::<ArtifactReference>().ok().filter(|name| name.digest.is_none());
        let no_name = || format!("`{}` is no reference", plain(&reference, LONGEST_TEXT));
        let named = named.ok_or_else(no_name)?.pinned(digest(&manifest)?);
        let world = [World::Decoder, World::Transform].into_iter().find(|it| it.word() == world);
        Ok(LockedPlugin {
            reference: PinnedReference::new(named).ok_or_else(no_name)?,
            component: digest(&component)?,
            size,
            contract,
            world: world.ok_or("a world is neither `decoder` nor `transform`")?,
        })
    }
}

#[cfg(test)]
mod tests;
