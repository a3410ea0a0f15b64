//! A bundle's manifest: made of files, and read back with each file checked against it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use super::error::BundleError;
use super::part::{LARGEST_BUNDLE, LARGEST_JSON, LONGEST_NAME, LONGEST_TEXT, MOST_FILES, Part};
use crate::advice::plain;
use crate::config::{Beside, ConfigFile};
use crate::digest::Digest;
use crate::files::{BundleId, HeldFiles, inner_name};
use crate::manifest::{Annotations, Descriptor, MANIFEST, Manifest};
use crate::reference::Repository;

/// What kind of artifact a bundle is.
pub(super) const ARTIFACT: &str = "application/vnd.ebpf-wasm-exporter.bundle.v1";
/// The config of an artifact that has none, as OCI wants it.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(super) const EMPTY_BYTES: &[u8] = b"{}";
/// The annotations that say what a file is called, and a bundle's version.
const TITLE: &str = "org.opencontainers.image.title";
const VERSION: &str = "org.opencontainers.image.version";

/// A bundle whose files are what its manifest says.
#[derive(Clone)]
pub struct Bundle {
    manifest: BundleManifest,
    files: Vec<BundledFile>,
}

/// A file of a bundle.
#[derive(Clone)]
pub struct BundledFile {
    /// What it is for.
    pub part: Part,
    /// What the config calls it: words with `/` between, of which none is `..`.
    pub name: String,
    /// What it holds.
    pub bytes: Bytes,
}

/// What a manifest says. Its files were not seen yet.
#[derive(Clone, Debug)]
pub struct BundleManifest {
    /// Of the manifest.
    pub digest: Digest,
    /// Of the manifest.
    pub bytes: Bytes,
    /// What is said of it. Nobody has checked any of it.
    pub annotations: Annotations,
    /// In its order.
    pub files: Vec<ListedFile>,
}

/// A file that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// What it is for.
    pub part: Part,
    /// See [`BundledFile::name`].
    pub name: String,
    /// Of what it holds.
    pub digest: Digest,
    /// Bytes of it.
    pub size: u64,
}

impl Bundle {
    /// Of these files.
    ///
    /// # Errors
    ///
    /// When a bundle cannot have them: see [`BundleError`].
    pub fn new(mut files: Vec<BundledFile>, annotations: Annotations) -> Result<Self, BundleError> {
        files.sort_by(|one, other| (one.part, &one.name).cmp(&(other.part, &other.name)));
        let layers = files.iter().map(|file| {
            let title = (TITLE.to_owned(), file.name.clone());
            Descriptor { annotations: [title].into(), ..blob(file.part.media_type(), &file.bytes) }
        });
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            artifact_type: Some(ARTIFACT.to_owned()),
            config: blob(EMPTY, EMPTY_BYTES),
            layers: layers.collect(),
            annotations,
        };
        // Writing such a value to memory does not fail: all keys are texts.
        let bytes = Bytes::from(serde_json::to_vec(&manifest).unwrap_or_default());
        let blobs = files.iter().map(|file| (Digest::of(&file.bytes), file.bytes.clone()));
        // What was made is held against the same rules as what is read.
        BundleManifest::read(bytes)?.fill(&blobs.collect())
    }

    /// Of its manifest: what it is known by.
    pub fn digest(&self) -> Digest {
        self.manifest.digest
    }

    /// Its manifest.
    pub fn manifest(&self) -> &BundleManifest {
        &self.manifest
    }

    /// Its files, in the manifest's order.
    pub fn files(&self) -> &[BundledFile] {
        &self.files
    }

    /// All that its manifest names by digests: the config that artifacts have, and its files.
    pub fn blobs(&self) -> impl Iterator<Item = Bytes> {
        let files = self.files.iter().map(|file| file.bytes.clone());
        std::iter::once(Bytes::from_static(EMPTY_BYTES)).chain(files)
    }

    /// The only file for this, which there is if every bundle has one.
    pub fn file(&self, part: Part) -> Option<&BundledFile> {
        self.files.iter().find(|file| file.part == part)
    }

    /// Its config, with all that it names, of a bundle that messages call so, and that was asked for of this
    /// repository, if of any.
    pub fn config(&self, called: &Path, repository: Option<&Repository>) -> ConfigFile {
        let held = self.files.iter().filter(|file| file.part.is_served());
        let held = held.map(|file| (file.name.clone(), file.bytes.clone()));
        let (digest, version) = (self.digest(), self.manifest.version());
        let id = BundleId { digest, version, repository: repository.cloned() };
        let beside = Beside::Bundle(Arc::new(HeldFiles::new(id, held)));
        let path = self.path(called, Part::Config);
        let text = self.file(Part::Config).map(|file| String::from_utf8_lossy(&file.bytes));
        ConfigFile { beside, ..ConfigFile::new(path, text.unwrap_or_default()) }
    }

    /// What messages call a file of a bundle that they call so.
    pub fn path(&self, called: &Path, part: Part) -> PathBuf {
        self.file(part).map_or_else(|| called.to_owned(), |file| called.join(&file.name))
    }
}

/// What its bytes are is nobody's to read in a log.
impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Bundle").field(&self.manifest).finish()
    }
}

impl BundleManifest {
    /// Reads a manifest.
    ///
    /// # Errors
    ///
    /// If it is none of a bundle, or names files that no bundle may have.
    pub fn read(bytes: Bytes) -> Result<Self, BundleError> {
        if bytes.len() as u64 > LARGEST_JSON {
            let what = "the manifest".to_owned();
            return Err(BundleError::TooLarge { what, most: LARGEST_JSON });
        }
        let Manifest { media_type, artifact_type, config, layers, annotations, .. } =
            parse(&bytes, "the manifest")?;
        let shown = |text: &str| plain(text, LONGEST_TEXT);
        if media_type != MANIFEST {
            return Err(BundleError::Type(shown(&media_type)));
        }
        match artifact_type {
            Some(kind) if kind == ARTIFACT => {}
            other => return Err(BundleError::Foreign(shown(&other.unwrap_or(config.media_type)))),
        }
        if config.digest != Digest::of(EMPTY_BYTES).tagged() {
            let why = "it names a config, and a bundle has none".to_owned();
            return Err(BundleError::Damaged { what: "the manifest", why });
        }
        if layers.len() > MOST_FILES {
            return Err(BundleError::TooMany);
        }
        let files = layers.iter().map(ListedFile::read).collect::<Result<Vec<_>, _>>()?;
        fits(&files)?;
        Ok(Self { digest: Digest::of(&bytes), bytes, annotations, files })
    }

    /// The bundle, whose files are among these blobs.
    ///
    /// # Errors
    ///
    /// When one is missing, or is another one.
    pub fn fill(self, blobs: &HashMap<Digest, Bytes>) -> Result<Bundle, BundleError> {
        let files = self.files.iter().map(|listed| listed.fill(blobs)).collect::<Result<_, _>>()?;
        Ok(Bundle { manifest: self, files })
    }

    /// The digests of all that it names.
    pub(super) fn blobs(&self) -> HashSet<Digest> {
        let files = self.files.iter().map(|file| file.digest);
        files.chain([Digest::of(EMPTY_BYTES)]).collect()
    }

    /// The version that it says it has, as a label or a message may have it; empty if it says none.
    pub fn version(&self) -> String {
        plain(self.annotations.get(VERSION).map_or("", String::as_str), LONGEST_TEXT)
    }
}

impl ListedFile {
    fn read(layer: &Descriptor) -> Result<Self, BundleError> {
        let shown = |text: &str| plain(text, LONGEST_TEXT);
        let part = Part::of(&layer.media_type)
            .ok_or_else(|| BundleError::Layer(shown(&layer.media_type)))?;
        let name = layer.annotations.get(TITLE).map_or("", String::as_str);
        let is_good = name.len() <= LONGEST_NAME
            && inner_name(Path::new(name)).as_deref() == Some(name)
            && !name.chars().any(char::is_control);
        if !is_good {
            return Err(BundleError::Name(shown(name)));
        }
        let why = || "a layer has no digest of SHA-256".to_owned();
        let digest = Digest::parse_tagged(&layer.digest)
            .ok_or_else(|| BundleError::Damaged { what: "the manifest", why: why() })?;
        if layer.size > part.largest() {
            let (what, most) = (shown(name), part.largest());
            return Err(BundleError::TooLarge { what, most });
        }
        Ok(Self { part, name: name.to_owned(), digest, size: layer.size })
    }

    fn fill(&self, blobs: &HashMap<Digest, Bytes>) -> Result<BundledFile, BundleError> {
        let Self { part, name, digest, size } = self;
        let what = || plain(name, LONGEST_TEXT);
        let bytes = blobs.get(digest).ok_or_else(|| BundleError::Missing(what()))?;
        if bytes.len() as u64 != *size {
            let found = bytes.len() as u64;
            return Err(BundleError::Size { what: what(), wanted: *size, found });
        }
        let found = Digest::of(bytes);
        if found != *digest {
            return Err(BundleError::Changed { what: what(), wanted: *digest, found });
        }
        if *part == Part::Config && std::str::from_utf8(bytes).is_err() {
            return Err(BundleError::NoText(what()));
        }
        Ok(BundledFile { part: *part, name: name.clone(), bytes: bytes.clone() })
    }
}

/// Whether a bundle may have these files.
fn fits(files: &[ListedFile]) -> Result<(), BundleError> {
    let mut names = HashSet::new();
    if let Some(file) = files.iter().find(|file| !names.insert(&file.name)) {
        return Err(BundleError::Twice(plain(&file.name, LONGEST_TEXT)));
    }
    let of = |part| files.iter().filter(move |file| file.part == part);
    for part in Part::ALL {
        match of(part).count() {
            0 if part.is_needed() => return Err(BundleError::NoPart(part)),
            2.. if !part.may_repeat() => return Err(BundleError::Parts(part)),
            _ => {}
        }
    }
    // Each is bounded, and so is their number: the sum is far from what a u64 holds.
    if files.iter().map(|file| file.size).sum::<u64>() > LARGEST_BUNDLE {
        return Err(BundleError::all_too_large());
    }
    let name = |part| of(part).next().map(|file| file.name.as_str()).unwrap_or_default();
    let (config, object) = (name(Part::Config), name(Part::Object));
    match config.strip_suffix(".yaml") {
        Some(stem) if object.strip_suffix(".bpf.o") == Some(stem) && !stem.contains('/') => Ok(()),
        _ => {
            let [config, object] = [config, object].map(|name| plain(name, LONGEST_TEXT));
            Err(BundleError::Apart { config, object })
        }
    }
}

/// A blob of this type, with nothing said of it.
pub(super) fn blob(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest: Digest::of(bytes).tagged(),
        size: bytes.len() as u64,
        annotations: Annotations::new(),
    }
}

pub(super) fn parse<'b, T: Deserialize<'b>>(
    bytes: &'b [u8],
    what: &'static str,
) -> Result<T, BundleError> {
    let why = |error: serde_json::Error| plain(&error.to_string(), LONGEST_TEXT);
    serde_json::from_slice(bytes).map_err(|error| BundleError::Damaged { what, why: why(error) })
}
