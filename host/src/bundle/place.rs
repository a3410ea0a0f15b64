//! Where a bundle is looked for: in a file, or by the reference of one that `bundle pull` has put into the
//! directory of `--plugins.dir`. No registry is asked.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::error::BundleError;
use super::form::Bundle;
use super::part::LARGEST_TAR;
use crate::advice::Advise;
use crate::digest::Digest;
use crate::files;
use crate::reference::{ArtifactReference, PinnedReference, ReferenceError, SCHEME};

/// Where a bundle is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundlePlace {
    /// The file.
    pub file: PathBuf,
    /// What it is called in a registry, if that was typed: then it is this one or none.
    pub reference: Option<PinnedReference>,
}

/// Why a text says of no bundle where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It names nothing in a registry.
    #[error("--config.bundle: {0}")]
    Reference(ReferenceError),
    /// It may name another one tomorrow.
    #[error("--config.bundle={SCHEME}{0} has no digest")]
    NoDigest(ArtifactReference),
    /// It is not known where to look.
    #[error("--config.bundle={SCHEME}{0} needs --plugins.dir")]
    NoDirectory(ArtifactReference),
}

impl Advise for PlaceError {
    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Reference(error) => return error.remedy(),
            Self::NoDigest(_) => {
                "write @sha256:… behind it: `bundle push` and `bundle inspect` print it".to_owned()
            }
            Self::NoDirectory(reference) => format!(
                "name the directory that was filled by `ebpf_wasm_exporter bundle pull {reference} --plugins.dir=DIR`"
            ),
        })
    }
}

impl BundlePlace {
    /// What was typed, with the directory of `--plugins.dir`.
    ///
    /// # Errors
    ///
    /// When it begins like a reference, and is none by which a bundle could be found.
    pub fn parse(text: &str, dir: Option<&Path>) -> Result<Self, PlaceError> {
        if !text.starts_with(SCHEME) {
            return Ok(Self { file: text.into(), reference: None });
        }
        let reference: ArtifactReference = text.parse().map_err(PlaceError::Reference)?;
        let pinned = PinnedReference::new(reference.clone())
            .ok_or_else(|| PlaceError::NoDigest(reference.clone()))?;
        let dir = dir.ok_or(PlaceError::NoDirectory(reference))?;
        Ok(Self { file: dir.join(file_name(pinned.digest())), reference: Some(pinned) })
    }

    /// All that were typed.
    ///
    /// # Errors
    ///
    /// As [`BundlePlace::parse`], of the first that has any.
    pub fn all(texts: &[String], dir: Option<&Path>) -> Result<Vec<Self>, PlaceError> {
        texts.iter().map(|text| Self::parse(text, dir)).collect()
    }

    /// Reads the bundle and checks all its digests.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not what it should be.
    pub fn open(&self) -> Result<Bundle, BundleError> {
        let bytes = files::read(&self.file, LARGEST_TAR);
        let bytes = bytes.map_err(|unread| BundleError::Unreadable(unread.why()))?;
        let bundle = Bundle::read(&Bytes::from(bytes))?;
        let found = bundle.digest();
        match self.reference.as_ref().map(PinnedReference::digest) {
            Some(wanted) if wanted != found => Err(BundleError::Pin { wanted, found }),
            _ => Ok(bundle),
        }
    }
}

/// Where the signatures of a bundle are that was kept by its digest: a bundle of Sigstore a line, each about its
/// manifest, in whatever number a registry had.
pub fn signatures_of(file: &Path) -> PathBuf {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".sigstore.jsonl");
    beside.into()
}

/// What a bundle's file is called that is kept by its digest.
pub fn file_name(digest: Digest) -> String {
    format!("sha256-{digest}.tar")
}
