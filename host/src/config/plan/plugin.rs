//! A plugin as a config asks for it: where it comes from, what it is given, what it may use.
//!
//! None has been looked at.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::limits::Limits;
use crate::digest::Digest;
use crate::reference::PinnedReference;

/// A plugin as a file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginPlan {
    /// Its name in this file: letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// Its place in the file: `plugins.NAME`.
    pub path: String,
    /// Where its component comes from.
    pub origin: PluginOrigin,
    /// What the file's SHA-256 has to be.
    pub sha256: Option<Digest>,
    /// What it is given when it starts.
    pub settings: PluginSettings,
    /// The files that it reads.
    pub data: Vec<DataPlan>,
    /// What it may use.
    pub limits: Limits,
}

/// A file of the host that a plugin reads, again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataPlan {
    /// What the plugin calls it: letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// Whether the config has given it no name: then it is the one that the plugin asks for first.
    pub unnamed: bool,
    /// Its place in the config: `plugins.NAME.data.NAME`.
    pub path: String,
    /// The file, as the exporter opens it.
    pub file: PathBuf,
    /// How often it is looked at.
    pub refresh: Duration,
    /// Bytes that it may have.
    pub size: usize,
}

/// Where a plugin's component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginOrigin {
    /// A file beside the config, else in the directory for plugins.
    File(PathBuf),
    /// A registry, from which it was fetched into the directory for plugins.
    Registry(PinnedReference),
}

impl PluginOrigin {
    /// The key that it is written at.
    pub fn key(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Registry(_) => "oci",
        }
    }
}

/// The settings of a plugin: the text of a JSON object. May hold secrets, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PluginSettings {
    json: String,
    files: Vec<String>,
}

impl PluginSettings {
    pub(in crate::config) fn new(json: String, files: Vec<String>) -> Self {
        Self { json, files }
    }

    /// The JSON.
    pub fn as_str(&self) -> &str {
        &self.json
    }

    /// The files that the config names in it, as it calls them.
    pub fn files(&self) -> &[String] {
        &self.files
    }
}

impl fmt::Debug for PluginSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PluginSettings({} bytes)", self.json.len())
    }
}
