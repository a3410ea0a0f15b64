//! What a plugin is in a registry: a manifest that names a config and one layer, the component.
//!
//! This is the layout of the CNCF's Wasm working group, so `oras`, `wkg` and `cosign` know it too. What is
//! made here depends on the component and on what is said of it alone: the same file gives the same digest.
//! What is read here was checked against its digest before, and is still taken for hostile.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::limits::{LARGEST_COMPONENT, LONGEST_TEXT};
use crate::advice::{Advise, plain};
use crate::digest::Digest;
use crate::plugin::Inspection;

/// Media types that are written and read.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const COMPONENT: &str = "application/wasm";
/// Media types that are only known, to say what somebody found instead.
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(super) const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What annotations of OCI begin with.
const OCI: &str = "org.opencontainers.image.";
/// What annotations of ours begin with: nobody else gives them.
pub const OURS: &str = "io.github.ebpf-wasm-exporter.";

/// Texts about an artifact, by name.
pub type Annotations = BTreeMap<String, String>;

/// A component, ready to be pushed.
#[derive(Clone, Debug)]
pub struct Artifact {
    pub(super) manifest: Blob,
    pub(super) config: Blob,
    pub(super) component: Blob,
}

/// Bytes that a registry keeps by their digest.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) bytes: Bytes,
}

/// What is said of a component when it is pushed.
#[derive(Clone, Debug)]
pub struct Description {
    /// The name of its file, without a directory.
    pub title: String,
    /// Its version by its tag, if that is one.
    pub version: Option<String>,
    /// When it was made, in seconds after 1970.
    pub created: u64,
    /// What somebody says of it, in place of what it says of itself.
    pub annotations: Annotations,
}

/// A manifest that was found in a registry, and has a plugin's layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundArtifact {
    /// Of the manifest.
    pub digest: Digest,
    /// Of the component.
    pub component: Digest,
    /// Bytes of the component.
    pub size: u64,
    /// What is said of it. Nobody has checked any of it.
    pub annotations: Annotations,
}

/// Why what a registry has is not what it is to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// Other bytes than asked for.
    #[error("the registry gave another {what} than the one asked for: its digest is {}, not {}", found.tagged(), wanted.tagged())]
    Digest {
        /// A manifest or a component.
        what: &'static str,
        /// What was asked for.
        wanted: Digest,
        /// Of what came.
        found: Digest,
    },
    /// Fewer bytes than the manifest says.
    #[error(
        "the registry gave {found} bytes of the component, not the {wanted} that its manifest says"
    )]
    Short {
        /// Bytes by the manifest.
        wanted: u64,
        /// Bytes that came.
        found: u64,
    },
    /// More bytes than the manifest says.
    #[error(
        "the registry gave more bytes of the component than the {wanted} that its manifest says"
    )]
    Long {
        /// Bytes by the manifest.
        wanted: u64,
    },
    /// More bytes than anybody should have to take.
    #[error("the {what} has more than {most} bytes")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// The bound.
        most: u64,
    },
    /// Not what JSON, or a manifest, looks like.
    #[error("the {what} is damaged: {why}")]
    Damaged {
        /// What it is.
        what: &'static str,
        /// What the reader says.
        why: String,
    },
    /// A list of manifests.
    #[error("it is an index of several artifacts, not a plugin")]
    Index,
    /// Something to run in a container.
    #[error("it is a container's image, not a plugin")]
    Image,
    /// A manifest that nobody here knows.
    #[error("its manifest is of the type `{}`, not {MANIFEST}", .0)]
    Type(String),
    /// An artifact of something else.
    #[error("it has {}, expected one of the type {COMPONENT}", layers(.0))]
    Layers(Vec<String>),
}

impl Advise for ArtifactError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::Digest { .. } | Self::Short { .. } | Self::Long { .. } => {
                "try again; if that does not help, the registry or somebody before it cannot be trusted"
            }
            Self::TooLarge { .. } => "push something smaller: no plugin is so large",
            Self::Damaged { .. } => "push it again",
            Self::Index => "name one of them by its digest",
            Self::Image | Self::Type(_) | Self::Layers(_) => {
                "name a component that `plugin push`, `wkg oci push` or `oras push` has put there"
            }
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
struct Manifest {
    schema_version: u32,
    /// Some tools leave it out.
    #[serde(default)]
    media_type: String,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: Annotations,
}

/// What a blob is, as JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: Annotations,
}

/// The part of any manifest that says what it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed {
    media_type: Option<String>,
}

/// The config of a component, as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WasmConfig<'a> {
    created: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<&'a str>,
    architecture: &'static str,
    os: &'static str,
    layer_digests: [String; 1],
    component: Interfaces<'a>,
}

/// What a component asks for and gives, as JSON.
#[derive(Debug, Serialize)]
struct Interfaces<'a> {
    exports: Vec<&'a str>,
    imports: Vec<&'a str>,
}

impl Blob {
    fn of(bytes: Bytes) -> Self {
        Self { digest: Digest::of(&bytes), bytes }
    }

    fn json(value: &impl Serialize) -> Self {
        // Writing such a value to memory does not fail: all keys are texts.
        Self::of(serde_json::to_vec(value).unwrap_or_default().into())
    }

    fn descriptor(&self, media_type: &str) -> Descriptor {
        Descriptor {
            media_type: media_type.to_owned(),
            digest: self.digest.tagged(),
            size: self.bytes.len() as u64,
            annotations: Annotations::new(),
        }
    }
}

impl Artifact {
    /// Of a component that was looked at.
    pub fn new(component: Bytes, found: &Inspection, description: &Description) -> Self {
        let component = Blob::of(component);
        let created = timestamp(description.created);
        let annotations = annotations(found, description, created.clone());
        let config = Blob::json(&WasmConfig {
            created: &created,
            author: annotations.get(&oci("authors")).map(String::as_str),
            architecture: "wasm",
            os: "wasip2",
            layer_digests: [component.digest.tagged()],
            component: Interfaces {
                exports: found.exports.iter().map(String::as_str).collect(),
                imports: found.imports.iter().map(|import| &*import.name).collect(),
            },
        });
        let mut layer = component.descriptor(COMPONENT);
        layer.annotations.insert(oci("title"), description.title.clone());
        let manifest = Blob::json(&Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            config: config.descriptor(CONFIG),
            layers: vec![layer],
            annotations,
        });
        Self { manifest, config, component }
    }

    /// Of its manifest.
    pub fn digest(&self) -> Digest {
        self.manifest.digest
    }
}

/// All annotations: those that somebody gives, before what the component says of itself, before what is
/// known anyway; and those that follow from what it is.
fn annotations(found: &Inspection, description: &Description, created: String) -> Annotations {
    let Description { title, version, annotations, .. } = description;
    let known =
        [("title", Some(&**title)), ("created", Some(&*created)), ("version", version.as_deref())];
    let said = found.metadata.texts().map(|(name, text)| match name {
        "name" => ("title", text),
        "homepage" => ("url", text),
        name => (name, text),
    });
    let all = known.into_iter().chain(said);
    let mut all: Annotations =
        all.filter_map(|(name, text)| Some((oci(name), text?.to_owned()))).collect();
    all.extend(annotations.clone());
    all.insert(format!("{OURS}contract"), found.version.clone());
    all.insert(format!("{OURS}world"), found.world.word().to_owned());
    all
}

fn oci(name: &str) -> String {
    format!("{OCI}{name}")
}

impl FoundArtifact {
    /// Reads a manifest with this digest.
    ///
    /// # Errors
    ///
    /// If it is no manifest of a plugin.
    pub(super) fn read(digest: Digest, bytes: &[u8]) -> Result<Self, ArtifactError> {
        let typed: Typed = parse(bytes)?;
        match typed.media_type.as_deref() {
            // The type is in a header too, which nobody has signed and no digest holds.
            None | Some(MANIFEST) => {}
            Some(INDEX | DOCKER_INDEX) => return Err(ArtifactError::Index),
            Some(DOCKER_MANIFEST) => return Err(ArtifactError::Image),
            Some(other) => return Err(ArtifactError::Type(plain(other, LONGEST_TEXT))),
        }
        let Manifest { layers, annotations, .. } = parse(bytes)?;
        let layer = match &*layers {
            [layer] if layer.media_type == COMPONENT => layer,
            other => {
                let types = other.iter().map(|layer| plain(&layer.media_type, LONGEST_TEXT));
                return Err(ArtifactError::Layers(types.collect()));
            }
        };
        let why = || "its layer has no digest of SHA-256".to_owned();
        let component = Digest::parse_tagged(&layer.digest);
        let component = component.ok_or_else(|| damaged(why()))?;
        if layer.size > LARGEST_COMPONENT {
            return Err(ArtifactError::TooLarge { what: "component", most: LARGEST_COMPONENT });
        }
        Ok(Self { digest, component, size: layer.size, annotations })
    }
}

fn parse<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Result<T, ArtifactError> {
    serde_json::from_slice(bytes).map_err(|error| damaged(plain(&error.to_string(), LONGEST_TEXT)))
}

fn damaged(why: String) -> ArtifactError {
    ArtifactError::Damaged { what: "manifest", why }
}

/// So many seconds after 1970, as RFC 3339 writes it.
fn timestamp(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
}

/// Year, month and day of so many days after 1970. Years are counted from March, so that the day that some
/// years have more is the last one.
fn date(days: u64) -> (u64, u64, u64) {
    const CYCLE: u64 = 146_097; // days of 400 years
    let days = days + 719_468; // since March of the year 0
    let (cycle, day) = (days / CYCLE, days % CYCLE);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (cycle * 400 + year, month + 3);
    if month > 12 { (year + 1, month - 12, day) } else { (year, month, day) }
}

#[cfg(test)]
mod tests;
