//! What a plugin is when it is pushed: a manifest that names a config and one layer, the component.
//!
//! This is the layout of the CNCF's Wasm working group, so `oras`, `wkg` and `cosign` know it too. What is
//! made here depends on the component and on what is said of it alone: the same file gives the same digest.

use bytes::Bytes;
use serde::Serialize;

use crate::advice::Advise;
use crate::digest::Digest;
use crate::manifest::{Annotations, COMPONENT, Descriptor, MANIFEST, Manifest, ManifestError};
use crate::plugin::Inspection;

/// The media type of a component's config.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// What annotations of OCI begin with.
const OCI: &str = "org.opencontainers.image.";
/// What annotations of ours begin with: nobody else gives them.
pub const OURS: &str = "io.github.ebpf-wasm-exporter.";

/// An artifact, ready to be pushed.
#[derive(Clone, Debug)]
pub struct Artifact {
    pub(super) manifest: Blob,
    /// All that the manifest names.
    pub(super) blobs: Vec<Blob>,
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
        "the registry gave {found} bytes of the {what}, not the {wanted} that its manifest says"
    )]
    Short {
        /// A component or a file.
        what: &'static str,
        /// Bytes by the manifest.
        wanted: u64,
        /// Bytes that came.
        found: u64,
    },
    /// More bytes than the manifest says.
    #[error("the registry gave more bytes of the {what} than the {wanted} that its manifest says")]
    Long {
        /// A component or a file.
        what: &'static str,
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
    /// No manifest of a plugin.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

impl Advise for ArtifactError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::Digest { .. } | Self::Short { .. } | Self::Long { .. } => {
                "try again; if that does not help, the registry or somebody before it cannot be trusted"
            }
            Self::TooLarge { .. } => "push something smaller: no plugin is so large",
            Self::Manifest(error) => return error.remedy(),
        };
        Some(remedy.to_owned())
    }
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
            artifact_type: None,
            config: config.descriptor(CONFIG),
            layers: vec![layer],
            annotations,
        });
        Self { manifest, blobs: vec![config, component] }
    }

    /// Of a manifest, and all that it names.
    pub fn of(manifest: Bytes, blobs: impl IntoIterator<Item = Bytes>) -> Self {
        let blobs = blobs.into_iter().map(Blob::of).collect();
        Self { manifest: Blob::of(manifest), blobs }
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

/// So many seconds after 1970, as RFC 3339 writes it.
pub fn timestamp(seconds: u64) -> String {
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
