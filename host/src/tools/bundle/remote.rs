//! `bundle push` and `pull`, and what `verify` and `inspect` get of a registry.
//!
//! Each asks within one time, and ends. A bundle is held in memory until all of it is there and its digests were
//! checked.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::Value;

use super::refused;
use crate::bundle::{self, Bundle, BundleManifest};
use crate::cli::RegistryFlags;
use crate::digest::Digest;
use crate::files;
use crate::reference::ArtifactReference;
use crate::registry::{Artifact, Purpose, PushRules};
use crate::signature::{Policy, SignatureError, SignedAs, Signer};
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
    /// Those of its manifest, if they were asked for. None is believed.
    signatures: Vec<Bytes>,
}

impl Got {
    /// Who has signed it.
    pub(super) fn signer(&self, policy: &Policy) -> Result<Signer, SignatureError> {
        let subject = SignedAs::Repository(&self.pinned.repository);
        policy.check(subject, &self.bundle.manifest().bytes, &self.signatures)
    }
}

/// The bundle that a reference means, with its signatures if they are wanted.
pub(super) fn fetch(
    reference: &str,
    with_signatures: bool,
    flags: &RegistryFlags,
) -> Result<Got, ToolError> {
    let named: ArtifactReference = reference.parse()?;
    let got = Way::of(flags)?.with(named.repository.clone(), Purpose::Pull, async |session| {
        let manifest = match BundleManifest::read(session.find_any(&named).await?.1) {
            Ok(manifest) => manifest,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut blobs = HashMap::new();
        for file in &manifest.files {
            if let Entry::Vacant(free) = blobs.entry(file.digest) {
                free.insert(session.bytes("file", file.digest, file.size).await?);
            }
        }
        let signatures = match with_signatures {
            true => session.signatures(Digest::of(&manifest.bytes)).await?,
            false => Vec::new(),
        };
        Ok(manifest.fill(&blobs).map(|bundle| (bundle, signatures)))
    })?;
    let (bundle, signatures) = got.map_err(|fault| refused(Path::new(reference), fault))?;
    Ok(Got { pinned: named.pinned(bundle.digest()), bundle, signatures })
}

/// `bundle pull`.
pub(super) fn pull(
    reference: &str,
    to: Goal<'_>,
    policy: Option<&Policy>,
    flags: &RegistryFlags,
) -> Result<String, ToolError> {
    // Who has them on disk may have a policy later.
    let got = fetch(reference, policy.is_some() || to.store.is_some(), flags)?;
    let signer = policy.map(|policy| got.signer(policy)).transpose()?;
    let Got { pinned, bundle, signatures } = got;
    let name = format!("{}.tar", pinned.repository.name());
    let file = match (to.store, to.output) {
        (Some(dir), _) => {
            let unwritten = |source| ToolError::Unwritten { file: dir.to_owned(), source };
            fs::create_dir_all(dir).map_err(unwritten)?;
            dir.join(bundle::file_name(bundle.digest()))
        }
        (None, Some(dir)) if dir.is_dir() => dir.join(name),
        (None, Some(file)) => file.to_owned(),
        (None, None) => PathBuf::from(name),
    };
    if to.store.is_some() && !signatures.is_empty() {
        let beside = bundle::signatures_of(&file);
        let written = files::replace(&beside, &lines_of(&signatures));
        written.map_err(|source| ToolError::Unwritten { file: beside, source })?;
    }
    write(&bundle, &file)?;
    let mut out = format!("pulled {pinned} to {}\n", file.display());
    out.extend(signer.map(|signer| format!("signed by {signer}\n")));
    Ok(out)
}

/// Signatures, one a line. What is no JSON is none.
fn lines_of(signatures: &[Bytes]) -> Vec<u8> {
    let lines = signatures.iter().filter_map(|signature| {
        let value: Value = serde_json::from_slice(signature).ok()?;
        Some(format!("{value}\n"))
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
