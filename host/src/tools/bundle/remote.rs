//! `bundle push` and `pull`, and what `verify` and `inspect` get of a registry.
//!
//! Each asks within one time, and ends. A bundle is held in memory until all of it is there and its digests were
//! checked.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::refused;
use crate::bundle::{self, Bundle, BundleManifest};
use crate::cli::RegistryFlags;
use crate::files;
use crate::reference::ArtifactReference;
use crate::registry::{Artifact, Purpose, PushRules};
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

/// The bundle that a reference means, and its digest in the reference.
pub(super) fn fetch(
    reference: &str,
    flags: &RegistryFlags,
) -> Result<(ArtifactReference, Bundle), ToolError> {
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
        Ok(manifest.fill(&blobs))
    })?;
    let bundle = got.map_err(|fault| refused(Path::new(reference), fault))?;
    Ok((named.pinned(bundle.digest()), bundle))
}

/// `bundle pull`.
pub(super) fn pull(
    reference: &str,
    to: Goal<'_>,
    flags: &RegistryFlags,
) -> Result<String, ToolError> {
    let (pinned, bundle) = fetch(reference, flags)?;
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
    write(&bundle, &file)?;
    Ok(format!("pulled {pinned} to {}\n", file.display()))
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
