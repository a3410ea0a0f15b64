//! `plugins.lock`: which file each reference of the configs means, as `plugin fetch` has found it.
//!
//! It lies in the directory of `--plugins.dir` beside those files: components, their manifests and their signatures.
//! Each of them is called by its digest, so that none ever takes the place of another. An exporter that starts
//! reads them, and asks nobody. All are taken for hostile. A config has the digest of the manifest, and the manifest
//! that of the component, so whoever can write there cannot have another one served. The lock only helps to find
//! them.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::advice::plain;
use crate::digest::Digest;
use crate::files::{self, Unread};
use crate::manifest::{FoundArtifact, LARGEST_MANIFEST};
use crate::plugin::World;
use crate::reference::{ArtifactReference, PinnedReference};
use crate::signature::{LARGEST_BUNDLE, MOST_BUNDLES};

mod error;
#[cfg(test)]
mod tests;

pub use error::LockError;

/// What it is called.
pub const NAME: &str = "plugins.lock";
/// The form that is written here, and the only one that is read.
const VERSION: u32 = 2;
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
    /// The bundles of signatures that were found with it. None is believed here.
    pub signatures: Vec<Digest>,
    /// Who had signed it when it was fetched, for people to read.
    pub signer: Option<String>,
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    signatures: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signer: Option<String>,
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
        Self::parse(&file, &bytes)
    }

    /// What these bytes say, which are those of this file.
    ///
    /// # Errors
    ///
    /// When they are no lock, or one that cannot be used.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self, LockError> {
        let damaged = |why| LockError::Damaged { file: file.to_owned(), why };
        let no_json = |error: serde_json::Error| damaged(plain(&error.to_string(), LONGEST_TEXT));
        let Form { version: found } = serde_json::from_slice(bytes).map_err(no_json)?;
        if found != VERSION {
            return Err(LockError::Version { file: file.to_owned(), found });
        }
        let document: Document = serde_json::from_slice(bytes).map_err(no_json)?;
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
        files::replace(&dir.join(NAME), &self.text()?)
    }

    /// As it is written.
    ///
    /// # Errors
    ///
    /// Never: all keys are texts.
    pub fn text(&self) -> io::Result<Vec<u8>> {
        let plugins = self.plugins.iter().map(Row::of).collect();
        let mut text = serde_json::to_vec_pretty(&Document { version: VERSION, plugins })?;
        text.push(b'\n');
        Ok(text)
    }

    /// The plugin that has this manifest.
    pub fn find(&self, reference: &PinnedReference) -> Option<&LockedPlugin> {
        self.plugins.iter().find(|plugin| plugin.reference.digest() == reference.digest())
    }

    /// The same, of the lock in this directory.
    ///
    /// # Errors
    ///
    /// When it was not fetched there.
    pub fn entry(
        &self,
        dir: &Path,
        reference: &PinnedReference,
    ) -> Result<&LockedPlugin, LockError> {
        self.find(reference).ok_or_else(|| LockError::NoEntry {
            file: dir.join(NAME),
            reference: Box::new(reference.clone()),
        })
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

    /// The manifest that the config names, as it was fetched.
    ///
    /// # Errors
    ///
    /// When it has gone, is another one, or names another component than the lock.
    pub fn manifest(&self, dir: &Path) -> Result<FoundArtifact, LockError> {
        let digest = self.reference.digest();
        let file = dir.join(manifest_name(digest));
        let bytes = kept(&file, LARGEST_MANIFEST, digest)?;
        let found = FoundArtifact::read(digest, bytes.into())
            .map_err(|fault| LockError::Manifest { file: file.clone(), fault })?;
        if (found.component, found.size) != (self.component, self.size) {
            let what = plain(&self.reference.to_string(), LONGEST_TEXT);
            let why = format!("it has another component for {what} than the manifest");
            return Err(LockError::Damaged { file: dir.join(NAME), why });
        }
        Ok(found)
    }

    /// The bundles of signatures that were fetched with it. None is believed here.
    ///
    /// # Errors
    ///
    /// When one has gone, or is another one.
    pub fn bundles(&self, dir: &Path) -> Result<Vec<Vec<u8>>, LockError> {
        let one = |digest: &Digest| {
            kept(&dir.join(signature_name(*digest)), LARGEST_BUNDLE as u64, *digest)
        };
        self.signatures.iter().take(MOST_BUNDLES).map(one).collect()
    }

    /// The names of all files that it has.
    pub fn files(&self) -> Vec<String> {
        let mut files = vec![self.file_name(), manifest_name(self.reference.digest())];
        files.extend(self.signatures.iter().map(|digest| signature_name(*digest)));
        files
    }
}

/// The bytes of a file that was fetched.
fn kept(file: &Path, most: u64, digest: Digest) -> Result<Vec<u8>, LockError> {
    let bytes = files::read(file, most).map_err(|unread| match unread {
        Unread::Refused(error) if error.kind() == io::ErrorKind::NotFound => {
            LockError::NoFile(file.to_owned())
        }
        unread => LockError::Unreadable { file: file.to_owned(), why: unread.why() },
    })?;
    match Digest::of(&bytes) {
        found if found != digest => Err(LockError::Changed { file: file.to_owned(), found }),
        _ => Ok(bytes),
    }
}

/// The name of a manifest's file.
pub fn manifest_name(manifest: Digest) -> String {
    format!("sha256-{manifest}.json")
}

/// The name of the file of a bundle of signatures.
pub fn signature_name(bundle: Digest) -> String {
    format!("sha256-{bundle}.sigstore.json")
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
        let LockedPlugin { reference, component, size, contract, world, signatures, signer } =
            plugin;
        let unpinned = ArtifactReference { digest: None, ..reference.reference().clone() };
        Self {
            reference: unpinned.to_string(),
            manifest: reference.digest().tagged(),
            component: component.tagged(),
            size: *size,
            contract: contract.clone(),
            world: world.word().to_owned(),
            signatures: signatures.iter().map(Digest::tagged).collect(),
            signer: signer.clone(),
        }
    }

    /// What it says, or why it says nothing.
    fn plugin(self) -> Result<LockedPlugin, String> {
        let Self { reference, manifest, component, size, contract, world, signatures, signer } =
            self;
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
            signatures: signatures.iter().map(|text| digest(text)).collect::<Result<_, _>>()?,
            signer,
        })
    }
}
