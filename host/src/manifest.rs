//! Manifests of OCI artifacts: what JSON says that an artifact is made of, and which component a plugin's is.
//!
//! Registries give them, `plugin fetch` keeps them beside the components, and an exporter that starts reads them
//! there. Nothing is asked or opened here. Whoever calls has the bytes and knows their digest; they are still
//! taken for hostile.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::advice::{Advise, plain};
use crate::digest::Digest;

/// Media types of manifests.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Those that are only known, to say what somebody found instead.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The media type of a layer that is a component.
pub(crate) const COMPONENT: &str = "application/wasm";

/// Bytes of a manifest.
pub(crate) const LARGEST_MANIFEST: u64 = 4 << 20;
/// Bytes of a component: as large as a plugin's file may be.
pub(crate) const LARGEST_COMPONENT: u64 = crate::plugin::limits::LARGEST_FILE;
/// Bytes of a text of a manifest's that a message shows.
const LONGEST_TEXT: usize = 200;

/// Texts about an artifact, by name.
pub type Annotations = BTreeMap<String, String>;

/// A manifest of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundArtifact {
    /// Of the manifest.
    pub digest: Digest,
    /// The manifest itself.
    pub manifest: Bytes,
    /// Of the component.
    pub component: Digest,
    /// Bytes of the component.
    pub size: u64,
    /// What is said of it. Nobody has checked any of it.
    pub annotations: Annotations,
}

/// Why a manifest is none of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not what JSON, or a manifest, looks like.
    #[error("the manifest is damaged: {0}")]
    Damaged(String),
    /// A list of manifests.
    #[error("it is an index of several artifacts, not a plugin")]
    Index,
    /// Something to run in a container.
    #[error("it is a container's image, not a plugin")]
    Image,
    /// A manifest that nobody here knows.
    #[error("its manifest is of the type `{0}`, not {MANIFEST}")]
    Type(String),
    /// An artifact of something else.
    #[error("it has {}, expected one of the type {COMPONENT}", layers(.0))]
    Layers(Vec<String>),
    /// More bytes than anybody should have to take.
    #[error("the component has more than {LARGEST_COMPONENT} bytes")]
    TooLarge,
}

impl Advise for ManifestError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::Damaged(_) => "push it again",
            Self::Index => "name one of them by its digest",
            Self::Image | Self::Type(_) | Self::Layers(_) => {
                "name a component that `plugin push`, `wkg oci push` or `oras push` has put there"
            }
            Self::TooLarge => "push something smaller: no plugin is so large",
        };
        Some(remedy.to_owned())
    }
}

fn layers(types: &[String]) -> String {
    match types {
        [] => "no layer".to_owned(),
        [one] => format!("a layer of the type `{one}`"),
        more => format!("{} layers", more.len()),
    }
}

/// A manifest, as JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    /// Some tools leave it out.
    #[serde(default)]
    pub(crate) media_type: String,
    /// What it is, if it is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: Annotations,
}

/// What a blob is, as JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: Annotations,
}

/// The part of any manifest that says what it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed {
    media_type: Option<String>,
}

impl FoundArtifact {
    /// Reads a manifest with this digest.
    ///
    /// # Errors
    ///
    /// If it is no manifest of a plugin.
    pub(crate) fn read(digest: Digest, bytes: Bytes) -> Result<Self, ManifestError> {
        let typed: Typed = parse(&bytes)?;
        match typed.media_type.as_deref() {
            // The type is in a header too, which nobody has signed and no digest holds.
            None | Some(MANIFEST) => {}
            Some(INDEX | DOCKER_INDEX) => return Err(ManifestError::Index),
            Some(DOCKER_MANIFEST) => return Err(ManifestError::Image),
            Some(other) => return Err(ManifestError::Type(plain(other, LONGEST_TEXT))),
        }
        let Manifest { layers, annotations, .. } = parse(&bytes)?;
        let layer = match &*layers {
            [layer] if layer.media_type == COMPONENT => layer,
            other => {
                let types = other.iter().map(|layer| plain(&layer.media_type, LONGEST_TEXT));
                return Err(ManifestError::Layers(types.collect()));
            }
        };
        let why = || ManifestError::Damaged("its layer has no digest of SHA-256".to_owned());
        let component = Digest::parse_tagged(&layer.digest).ok_or_else(why)?;
        match layer.size {
            size if size > LARGEST_COMPONENT => Err(ManifestError::TooLarge),
            size => Ok(Self { digest, manifest: bytes, component, size, annotations }),
        }
    }
}

fn parse<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Result<T, ManifestError> {
    let why = |error: serde_json::Error| plain(&error.to_string(), LONGEST_TEXT);
    serde_json::from_slice(bytes).map_err(|error| ManifestError::Damaged(why(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn anything_else_is_refused_by_what_it_is() {
        let said = |text: &str| {
            FoundArtifact::read(Digest::of(b""), text.to_owned().into())
                .unwrap_err()
                .advice()
                .to_string()
        };
        let layers = |layers: &str| {
            let config = format!(r#"{{"mediaType":"x","digest":"{EMPTY}","size":2}}"#);
            format!(
                r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{config},"layers":[{layers}]}}"#
            )
        };
        let layer = |kind: &str, digest: &str, size: &str| {
            format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}}}"#)
        };
        let typed = |kind: &str| said(&format!(r#"{{"mediaType":"{kind}"}}"#));
        insta::assert_snapshot!(said("<html>"), @"the manifest is damaged: expected value at line 1 column 1; push it again");
        insta::assert_snapshot!(said("{}"), @"the manifest is damaged: missing field `schemaVersion` at line 1 column 2; push it again");
        insta::assert_snapshot!(typed(INDEX), @"it is an index of several artifacts, not a plugin; name one of them by its digest");
        insta::assert_snapshot!(typed(DOCKER_INDEX), @"it is an index of several artifacts, not a plugin; name one of them by its digest");
        insta::assert_snapshot!(typed(DOCKER_MANIFEST), @"it is a container's image, not a plugin; name a component that `plugin push`, `wkg oci push` or `oras push` has put there");
        insta::assert_snapshot!(typed("text/\\u001b[2J"), @r"its manifest is of the type `text/\u{1b}[2J`, not application/vnd.oci.image.manifest.v1+json; name a component that `plugin push`, `wkg oci push` or `oras push` has put there");
        insta::assert_snapshot!(typed(MANIFEST), @"the manifest is damaged: missing field `schemaVersion` at line 1 column 58; push it again");
        insta::assert_snapshot!(said(&layers("")), @"it has no layer, expected one of the type application/wasm; name a component that `plugin push`, `wkg oci push` or `oras push` has put there");
        insta::assert_snapshot!(said(&layers(&layer("application/vnd.oci.image.layer.v1.tar", EMPTY, "1"))), @"it has a layer of the type `application/vnd.oci.image.layer.v1.tar`, expected one of the type application/wasm; name a component that `plugin push`, `wkg oci push` or `oras push` has put there");
        let wasm = layer(COMPONENT, EMPTY, "1");
        insta::assert_snapshot!(said(&layers(&format!("{wasm},{wasm}"))), @"it has 2 layers, expected one of the type application/wasm; name a component that `plugin push`, `wkg oci push` or `oras push` has put there");
        insta::assert_snapshot!(said(&layers(&layer(COMPONENT, "sha512:00", "1"))), @"the manifest is damaged: its layer has no digest of SHA-256; push it again");
        insta::assert_snapshot!(said(&layers(&layer(COMPONENT, EMPTY, "67108865"))), @"the component has more than 67108864 bytes; push something smaller: no plugin is so large");
        insta::assert_snapshot!(said(&layers(&layer(COMPONENT, EMPTY, "-1"))), @"the manifest is damaged: invalid value: integer `-1`, expected u64 at line 1 column 329; push it again");
        insta::assert_snapshot!(said(&"[".repeat(100_000)), @"the manifest is damaged: invalid type: sequence, expected a string at line 1 column 1; push it again");
    }
}
