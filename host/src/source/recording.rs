//! Recordings: what maps held, read after read, in one file. Written on a host, replayed anywhere.
//!
//! ```text
//! file     "EWEREC02", then block…, then a block of 0 bytes
//! block    u32 n, then n bytes of what is packed, then 8 bytes: the first of the SHA-256 of all of the file before them
//! packed   one zstd frame, whose window is at most 2 MiB, of: head, then reading…
//! head     u32 n, then n bytes of JSON: see [`Head`]
//! reading  u8 1, u64 nanoseconds since the first, then each map of the head, in its order:
//!            u8 1 if it could be read, else 0 and nothing more of it
//!            u32 n, then n keys that are gone
//!            u32 n, then n keys that are new or have new values, each with its values: a u64 for each CPU
//! ```
//!
//! All numbers are little-endian. Keys and values are the bytes that the kernel gave, on a
//! little-endian machine. Keys that are new come in the map's order. No key comes twice in a reading. A newer version
//! has another number in its first eight bytes.
//!
//! A reading ends with a block. So a file that was not written to its end can be played up to the last reading that
//! is whole, and what is damaged is told from what is not.
//!
//! A recording is taken for hostile: each number in it has a bound, and what all maps take has one.

use std::io::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::advice::{few, plain};

mod block;
mod content;
mod fault;
mod play;
mod tape;
mod unpack;
mod write;

use block::BlockWriter;
pub use fault::{PlayError, RecordingFault};
pub use play::Player;
pub use tape::Tape;
pub use write::Recorder;

/// What a file begins with.
const MAGIC: &[u8; 8] = b"EWEREC02";
/// Before each reading.
const READING: u8 = 1;
/// Readings of a recording: one a second for eleven days.
pub const MOST_READINGS: u64 = 1_000_000;
/// Bytes of a text of the head that is shown to people, and names that are.
const SHOWN: usize = 64;
const MOST_SHOWN: usize = 8;
/// How many bytes are looked back to when a recording is packed, as a power of 2.
const WINDOW: u32 = 21;

/// What a recording is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The exporter's version that wrote it.
    pub exporter: String,
    /// The kernel's release.
    pub kernel: String,
    /// Which of its starts the kernel was in, by what it calls it; empty if it did not say. Names that it has for
    /// numbers are the same as long as it runs.
    pub boot: String,
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
    /// Which exporter has made it, on which kernel, as a message may show it.
    pub fn maker(&self) -> String {
        let [exporter, kernel] = [&self.exporter, &self.kernel].map(|text| plain(text, SHOWN));
        format!("ebpf_wasm_exporter {exporter} on Linux {kernel}")
    }

    /// The names of its configs, as a message may show them.
    pub fn names(&self) -> String {
        let names = self.configs.iter().map(|config| plain(&config.name, SHOWN));
        few(names, MOST_SHOWN)
    }

    /// All maps, in the order of a reading.
    pub fn maps(&self) -> impl Iterator<Item = &RecordedMap> {
        self.configs.iter().flat_map(|config| &config.maps)
    }
}

/// A file in whose blocks this is, whatever it is: for who tries what cannot be.
///
/// # Errors
///
/// Never: it is written to memory.
pub fn file_of(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut blocks = BlockWriter::begin(Vec::new())?;
    blocks.write_all(packed)?;
    blocks.end()
}

#[cfg(test)]
mod tests;
