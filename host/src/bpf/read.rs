//! Reads all entries of a map: one interface over the ways a kernel offers.
//!
//! | way | for | why |
//! |---|---|---|
//! | [`Way::Mmap`] | arrays made with `BPF_F_MMAPABLE` | no system call, no copy by the kernel |
//! | [`Way::Batch`] | every other map | one system call for thousands of entries |
//! | [`Way::Keys`] | kernels that refuse the batch call | two system calls an entry |
//!
//! Entries come in chunks of borrowed bytes; no way allocates per entry. This module knows nothing
//! of labels and must never turn a map that changes while it is read into an error: an entry that
//! stays in the map during the whole read is handed out exactly once, one that comes or goes
//! meanwhile at most once.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use libbpf_rs::MapType;

use super::{MapRef, MapSpec};

mod batch;
mod keys;
mod mmap;

/// Entries to hand out at a time: large enough that a system call's fixed cost vanishes, small
/// enough that a chunk of usual keys stays in the second-level cache.
const CHUNK: usize = 4096;

/// A way to read all entries of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The map's own memory, mapped into this process.
    Mmap,
    /// `BPF_MAP_LOOKUP_BATCH` (Linux 5.6; per-CPU arrays 5.13).
    Batch,
    /// `BPF_MAP_GET_NEXT_KEY` and `BPF_MAP_LOOKUP_ELEM` for each entry.
    Keys,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mmap => "mmap",
            Self::Batch => "batch",
            Self::Keys => "keys",
        })
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

/// A run of entries, borrowed from the reader until the next chunk.
#[derive(Clone, Copy)]
pub struct Chunk<'a> {
    keys: &'a [u8],
    values: &'a [u64],
    key_size: usize,
    cpus: usize,
}

/// One entry of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The key's bytes.
    pub key: &'a [u8],
    /// Its value; one for each possible CPU, in their order, if the map is per CPU.
    pub values: &'a [u64],
}

impl<'a> Chunk<'a> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.cpus
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The entries, in the map's order.
    pub fn entries(self) -> impl ExactSizeIterator<Item = Entry<'a>> {
        self.keys
            .chunks_exact(self.key_size)
            .zip(self.values.chunks_exact(self.cpus))
            .map(|(key, values)| Entry { key, values })
    }
}

/// What the ways need to know of a map. Values are 8 bytes: `bpf/check.rs` saw to that.
struct Target {
    fd: OwnedFd,
    key_size: usize,
    /// Values of one entry: the number of possible CPUs, or 1.
    cpus: usize,
    max_entries: usize,
}

impl Target {
    fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    fn chunk<'a>(&self, keys: &'a [u8], values: &'a [u64]) -> Chunk<'a> {
        Chunk { keys, values, key_size: self.key_size, cpus: self.cpus }
    }
}

/// A way of reading, with the buffers it keeps from one read to the next.
trait Walk: Send {
    fn walk(&mut self, map: &Target, visit: &mut dyn FnMut(Chunk<'_>)) -> io::Result<()>;
}

/// Reads one map, again and again.
pub struct MapReader {
    name: String,
    map: Target,
    way: Way,
    walk: Box<dyn Walk>,
}

impl MapReader {
    /// A reader of `map` in the best way that its type and this kernel allow.
    ///
    /// # Errors
    ///
    /// If the map's descriptor cannot be duplicated, the number of CPUs cannot be read, or a
    /// mappable array cannot be mapped.
    pub fn new(map: &MapRef<'_>) -> Result<Self, ReadError> {
        let way = if is_mappable_array(&map.spec) { Way::Mmap } else { Way::Batch };
        Self::with_way(map, way)
    }

    /// A reader of `map` in this way. [`Way::Batch`] still gives way to [`Way::Keys`] on a kernel
    /// that refuses it.
    ///
    /// # Errors
    ///
    /// As [`MapReader::new`]; and for [`Way::Mmap`] if the map is not a mappable array.
    pub fn with_way(map: &MapRef<'_>, way: Way) -> Result<Self, ReadError> {
        let name = map.spec.name.clone();
        let fail = |source| ReadError { map: name.clone(), way, source };
        let map = target(map).map_err(fail)?;
        let walk = new_walk(way, &map).map_err(fail)?;
        Ok(Self { name, map, way, walk })
    }

    /// The map's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of a key.
    pub fn key_size(&self) -> usize {
        self.map.key_size
    }

    /// Values of an entry: the number of possible CPUs if the map is per CPU, else 1.
    pub fn cpus(&self) -> usize {
        self.map.cpus
    }

    /// The way in use.
    pub fn way(&self) -> Way {
        self.way
    }

    /// Hands all entries to `visit`, chunk by chunk. Entries come in the map's order, which is the
    /// same each time as long as no key comes or goes.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the read. Chunks handed out before that are good but not all.
    pub fn read(&mut self, mut visit: impl FnMut(Chunk<'_>)) -> Result<(), ReadError> {
        let mut result = self.walk.walk(&self.map, &mut visit);
        if self.way == Way::Batch && result.as_ref().is_err_and(is_unsupported) {
            tracing::debug!(map = self.name, "no batch lookup on this kernel, reading key by key");
            self.way = Way::Keys;
            self.walk = Box::<keys::Keys>::default();
            result = self.walk.walk(&self.map, &mut visit);
        }
        result.map_err(|source| ReadError { map: self.name.clone(), way: self.way, source })
    }
}

fn new_walk(way: Way, map: &Target) -> io::Result<Box<dyn Walk>> {
    Ok(match way {
        Way::Mmap => Box::new(mmap::Mapped::new(map)?),
        Way::Batch => Box::new(batch::Batch::new(map)),
        Way::Keys => Box::<keys::Keys>::default(),
    })
}

fn target(map: &MapRef<'_>) -> io::Result<Target> {
    let cpus = if is_per_cpu(map.spec.kind) {
        libbpf_rs::num_possible_cpus().map_err(io::Error::other)?
    } else {
        1
    };
    Ok(Target {
        fd: map.fd.try_clone_to_owned()?,
        key_size: map.spec.key_size as usize,
        cpus,
        max_entries: map.spec.max_entries as usize,
    })
}

/// Whether maps of this type hold a value for each CPU.
pub fn is_per_cpu(kind: MapType) -> bool {
    matches!(kind, MapType::PercpuHash | MapType::PercpuArray | MapType::LruPercpuHash)
}

fn is_mappable_array(map: &MapSpec) -> bool {
    map.kind == MapType::Array && map.flags & libbpf_sys::BPF_F_MMAPABLE != 0
}

/// Whether this answer means that the kernel does not know the call for this type of map, rather
/// than that the call failed. `ENOTSUPP` (524) is what the kernel says inside, and lets out here.
fn is_unsupported(error: &io::Error) -> bool {
    const ENOTSUPP: i32 = 524;
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP | ENOTSUPP))
}

impl fmt::Debug for MapReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapReader")
            .field("name", &self.name)
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}
