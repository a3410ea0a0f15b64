//! `bundle push` and `pull`, and what `verify` and `inspect` get of a registry.
//!
//! Each asks within one time, and ends. A bundle is held in memory until all of it is there and its digests were
//! checked. While it is pulled into a file, its parts lie beside that file, so that the next pull goes on where this one
//! has ended.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::Value;

use super::refused;
use crate::bundle::{self, Bundle, BundleManifest, ListedFile};
use crate::cli::RegistryFlags;
use crate::digest::Digest;
use crate::files;
use crate::reference::ArtifactReference;
use crate::registry::{Artifact, Blob, Parts, Purpose, PushRules, RegistryError, Session};
use crate::signature::{self, LARGEST_BUNDLE, Policy, SignedAs, Signer};
use crate::tools::ToolError;
use crate::tools::remote::{Way, put, said_otherwise, tag_of};

/// Where a bundle is put to: a file or a directory, or a directory that has bundles by their digests.
pub(super) struct Goal<'a> {
    pub(super) output: Option<&'a Path>,
    pub(super) store: Option<&'a Path>,
}

/// What a reference means now, by its digest.
pub(super) fn manifest(
    reference: &str,
    flags: &RegistryFlags,
) -> Result<BundleManifest, ToolError> {
    let named: ArtifactReference = reference.parse()?;
    let found = Way::of(flags)?.with(named.repository.clone(), Purpose::Pull, async |session| {
        Ok(session.find_any(&named).await?.1)
    })?;
    BundleManifest::read(found).map_err(|fault| refused(Path::new(reference), fault))
}

/// A bundle of a registry.
pub(super) struct Got {
    /// What it is called, by its digest.
    pub(super) pinned: ArtifactReference,
    pub(super) bundle: Bundle,
    /// Who has signed it, if there is a policy.
    pub(super) signer: Option<Signer>,
    /// What says that it is a signature of its manifest, if that was asked for. None is believed.
    signatures: Vec<Bytes>,
    /// What lies beside the file that it is to be, if it is to be one.
    parts: Parts,
}

/// The bundle that a reference means. With a policy, what it does not trust is not even fetched. Signatures are asked for
/// if there is one, or they are to be kept with the bundle.
pub(super) fn fetch(
    reference: &str,
    policy: Option<&Policy>,
    to: Option<&Goal<'_>>,
    flags: &RegistryFlags,
) -> Result<Got, ToolError> {
    let named: ArtifactReference = reference.parse()?;
    let kept = to.is_some_and(|to| to.store.is_some());
    Way::of(flags)?.with(named.repository.clone(), Purpose::Pull, async |session| {
        let manifest = match BundleManifest::read(session.find_any(&named).await?.1) {
            Ok(manifest) => manifest,
            Err(fault) => return Ok(Err(refused(Path::new(reference), fault))),
        };
        let signatures = signatures(session, &manifest, policy, kept).await?;
        let subject = SignedAs::Repository(&named.repository);
        let check = |policy: &Policy| policy.check(subject, &manifest.bytes, &signatures);
        let signer = match policy.map(check).transpose() {
            Ok(signer) => signer,
            Err(error) => return Ok(Err(error.into())),
        };
        let place = match to.map(|to| to.place(&named, manifest.digest)).transpose() {
            Ok(place) => place,
            Err(error) => return Ok(Err(error)),
        };
        let mut parts = Parts::default();
        let blobs = blobs(session, &manifest, place.as_deref(), &mut parts).await?;
        Ok(match manifest.fill(&blobs) {
            Ok(bundle) => {
                let pinned = named.pinned(bundle.digest());
                Ok(Got { pinned, bundle, signer, signatures, parts })
            }
            Err(fault) => {
                parts.remove();
                Err(refused(Path::new(reference), fault))
            }
        })
    })?
}

/// What is said to be signatures of a manifest. Who keeps it may have a policy later; without one, nobody needs any.
async fn signatures(
    session: &mut Session,
    manifest: &BundleManifest,
    policy: Option<&Policy>,
    kept: bool,
) -> Result<Vec<Bytes>, RegistryError> {
    if policy.is_none() && !kept {
        return Ok(Vec::new());
    }
    match session.signatures(manifest.digest).await {
        Err(_) if policy.is_none() => Ok(Vec::new()),
        signatures => signatures,
    }
}

/// All blobs of a bundle: in memory alone, or also beside the file that they are to be in.
async fn blobs(
    session: &mut Session,
    manifest: &BundleManifest,
    place: Option<&Path>,
    parts: &mut Parts,
) -> Result<HashMap<Digest, Bytes>, RegistryError> {
    let mut blobs = HashMap::new();
    for ListedFile { digest, size, .. } in &manifest.files {
        let blob = Blob { what: "file", digest: *digest, size: *size };
        if let Entry::Vacant(free) = blobs.entry(*digest) {
            free.insert(match place {
                Some(file) => session.part(blob, file, parts).await?,
                None => session.bytes(blob).await?,
            });
        }
    }
    Ok(blobs)
}

impl Goal<'_> {
    /// The file that a bundle is to be. The directory of a store is made.
    fn place(&self, named: &ArtifactReference, bundle: Digest) -> Result<PathBuf, ToolError> {
        let name = || format!("{}.tar", named.repository.name());
        Ok(match (self.store, self.output) {
            (Some(dir), _) => {
                let unwritten = |source| ToolError::Unwritten { file: dir.to_owned(), source };
                fs::create_dir_all(dir).map_err(unwritten)?;
                dir.join(bundle::file_name(bundle))
            }
            (None, Some(dir)) if dir.is_dir() => dir.join(name()),
            (None, Some(file)) => file.to_owned(),
            (None, None) => PathBuf::from(name()),
        })
    }
}

/// `bundle pull`.
pub(super) fn pull(
    reference: &str,
    to: &Goal<'_>,
    policy: Option<&Policy>,
    flags: &RegistryFlags,
) -> Result<String, ToolError> {
    let got = fetch(reference, policy, Some(to), flags)?;
    let Got { pinned, bundle, signer, signatures, parts } = got;
    let file = to.place(&pinned, bundle.digest())?;
    if to.store.is_some() && !signatures.is_empty() {
        let beside = bundle::signatures_of(&file);
        let written = files::replace(&beside, &lines_of(&signatures, &bundle.manifest().bytes));
        written.map_err(|source| ToolError::Unwritten { file: beside, source })?;
    }
    write(&bundle, &file)?;
    parts.remove();
    let mut out = format!("pulled {pinned} to {}\n", file.display());
    out.extend(signer.map(|signer| format!("signed by {signer}\n")));
    Ok(out)
}

/// What says that it is a signature of this manifest, one a line.
fn lines_of(signatures: &[Bytes], manifest: &[u8]) -> Vec<u8> {
    let of_it = signatures.iter().filter(|bundle| signature::is_of(bundle, manifest));
    let lines = of_it.filter_map(|bundle| {
        let value: Value = serde_json::from_slice(bundle).ok()?;
        Some(format!("{value}\n")).filter(|line| line.len() <= LARGEST_BUNDLE)
    });
    lines.collect::<String>().into_bytes()
}

/// Writes a bundle in the place of what is there, whole or not at all.
pub(super) fn write(bundle: &Bundle, file: &Path) -> Result<(), ToolError> {
    let written = bundle.to_tar().and_then(|tar| files::replace(file, &tar));
    written.map_err(|source| ToolError::Unwritten { file: file.to_owned(), source })
}

/// `bundle push`.
pub(super) fn push(
    bundle: &Bundle,
    reference: &ArtifactReference,
    rules: PushRules,
    way: &Way,
) -> Result<String, ToolError> {
    let tag = tag_of(reference)?;
    let artifact = Artifact::of(bundle.manifest().bytes.clone(), bundle.blobs());
    let mut out = put(reference, &artifact, rules, way)?;
    let said = bundle.manifest().version();
    if !said.is_empty()
        && let Some(otherwise) = said_otherwise(tag, "bundle", &said)
    {
        let _ = writeln!(out, "{otherwise}: pack it with --version");
    }
    Ok(out)
}
