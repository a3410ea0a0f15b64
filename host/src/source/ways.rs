//! The ways of reading, which one is taken, and why: for people to see, and to choose.

use std::fmt;
use std::io;

use crate::advice::Advise;

/// A way to read all entries of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The map's own memory, mapped into this process.
    Mmap,
    /// The elements of a hash map as they lie in the kernel's memory, copied by a program of the
    /// exporter's own (Linux 5.14).
    Copy,
    /// A walk inside the kernel, by such a program (Linux 5.14).
    Harvest,
    /// `BPF_MAP_LOOKUP_BATCH` (Linux 5.6; per-CPU arrays 5.13).
    Batch,
    /// `BPF_MAP_GET_NEXT_KEY` and `BPF_MAP_LOOKUP_ELEM` for each entry.
    Keys,
    /// Records that programs stream, counted.
    Events,
    /// Not of the kernel: what another reading has written down.
    Recording,
}

impl Way {
    /// As a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mmap => "mmap",
            Self::Copy => "copy",
            Self::Harvest => "harvest",
            Self::Batch => "batch",
            Self::Keys => "keys",
            Self::Events => "events",
            Self::Recording => "recording",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a map could not be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read map {map} by {way}")]
pub struct ReadError {
    /// The map's name.
    pub map: String,
    /// The way that was tried last.
    pub way: Way,
    /// What the kernel answered.
    pub source: io::Error,
}

impl Advise for ReadError {
    fn remedy(&self) -> Option<String> {
        None
    }
}

/// How maps are to be read (`--maps.read`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// Each map in the way that costs least.
    #[default]
    Auto,
    /// Every map in this way, if it can be: for [`Way::Copy`], however few entries it has, for
    /// [`Way::Harvest`], however large it is.
    Pinned(Way),
}

impl Reading {
    /// What can be chosen.
    pub const ALL: [Self; 5] = [
        Self::Auto,
        Self::Pinned(Way::Copy),
        Self::Pinned(Way::Harvest),
        Self::Pinned(Way::Batch),
        Self::Pinned(Way::Keys),
    ];

    /// As a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Pinned(way) => way.as_str(),
        }
    }
}

/// Why a map is read the way it is. Its text is the value of a label: one or two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its memory can be mapped.
    Mappable,
    /// Hardly a key came or went since the scrape before.
    Calm,
    /// It has so many entries for its size that its elements are copied, or was not read before.
    Dense,
    /// It would be copied or harvested, but keys come and go, or this is the first scrape.
    Churn,
    /// It would be copied, but has so few entries for its size that the batch call costs less.
    Sparse,
    /// Its type can be neither copied nor harvested, or gains nothing by it.
    Type,
    /// Its keys are not made of whole 4-byte words, or longer than 96 bytes.
    KeySize,
    /// It may hold more entries than the kernel should walk over at a stretch.
    Size,
    /// The kernel, or what this process may do, rules the better way out.
    Kernel,
    /// `--maps.read` says so.
    Pinned,
    /// Programs stream it.
    Streamed,
    /// It is replayed.
    Recorded,
}

impl Why {
    /// As a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mappable => "mappable",
            Self::Calm => "calm",
            Self::Dense => "dense",
            Self::Churn => "churn",
            Self::Sparse => "sparse",
            Self::Type => "type",
            Self::KeySize => "key_size",
            Self::Size => "size",
            Self::Kernel => "kernel",
            Self::Pinned => "pinned",
            Self::Streamed => "streamed",
            Self::Recorded => "recorded",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
