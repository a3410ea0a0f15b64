//! Recordings: what maps held, read after read, in one file. Written on a host, replayed anywhere.
//!
//! ```text
//! file    "EWEREC01", then one zstd frame of: head, round…, end
//! head    u32 n, then n bytes of JSON: see [`Head`]
//! round   u8 1, u64 nanoseconds since the first, then each map of the head, in its order:
//!           u8 1 if it could be read, else 0 and nothing more of it
//!           u32 n, then n keys that are gone
//!           u32 n, then n keys that are new or have new values, each with its values: a u64 for each CPU
//! end     u8 0
//! ```
//!
//! All numbers are little-endian. Keys and values are the bytes that the kernel gave, on a
//! little-endian machine. Keys that are new come in the map's order. A newer version has another number in
//! its first eight bytes.
//!
//! A recording is taken for hostile: each number in it has a bound, and nothing is kept that the bound of
//! its map does not allow.

use serde::{Deserialize, Serialize};

mod play;
mod write;

pub use play::{PlayError, Player, Tape};
pub use write::Recorder;

/// What a file begins with.
const MAGIC: &[u8; 8] = b"EWEREC01";
/// Before each round.
const ROUND: u8 = 1;
/// Behind the last one.
const END: u8 = 0;

/// What a recording is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The exporter's version that wrote it.
    pub exporter: String,
    /// The kernel's release.
    pub kernel: String,
    /// What the configs were.
    pub configs: Vec<RecordedConfig>,
}

/// A config of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedConfig {
    /// Its name.
    pub name: String,
    /// The text of its file.
    pub yaml: String,
    /// The maps that its metrics are fed from, each once for each metric.
    pub maps: Vec<RecordedMap>,
}

/// A map of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedMap {
    /// Its name in the object.
    pub name: String,
    /// Its type, as the kernel numbers them.
    pub kind: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// How many entries it can hold.
    pub max_entries: u32,
    /// `BPF_F_…` flags.
    pub flags: u32,
    /// Values of an entry.
    pub cpus: u32,
}

impl Head {
    /// All maps, in the order of the rounds.
    pub fn maps(&self) -> impl Iterator<Item = &RecordedMap> {
        self.configs.iter().flat_map(|config| &config.maps)
    }
}

#[cfg(test)]
mod tests;
