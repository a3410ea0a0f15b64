//! Reads all entries of a map: one interface over the ways a kernel offers.
//!
//! | way | for | why |
//! |---|---|---|
//! | [`Way::Mmap`] | arrays made with `BPF_F_MMAPABLE` | no system call, no copy by the kernel |
//! | [`Way::Copy`] | hash maps whose elements the kernel has in one piece | a twelfth of the batch call |
//! | [`Way::Harvest`] | other hash maps, and arrays | a third of the batch call |
//! | [`Way::Batch`] | every other map, and those whose keys come and go | exact, whatever happens |
//! | [`Way::Keys`] | kernels that refuse the batch call | two system calls an entry |
//!
//! Entries come in chunks of borrowed bytes; no way allocates per entry. This module knows nothing
//! of labels and must never turn a map that changes while it is read into an error: but for copy and
//! harvest, which say what they cannot promise, an entry that stays in the map during the whole read
//! is handed out exactly once, one that comes or goes meanwhile at most once.

use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, RawFd};

use libbpf_rs::MapType;

use super::{MapRef, MapSpec, sys};
use crate::advice::Advise;

mod batch;
mod copy;
mod elements;
mod harvest;
mod keys;
mod mmap;
mod reading;
mod sink;
mod window;

use copy::Copy;
use harvest::Harvest;
pub use reading::{Reading, UnknownWay, Why};
pub use sink::Sink;

/// Entries to hand out at a time: large enough that a system call's fixed cost vanishes, small
/// enough that a chunk of usual keys stays in the second-level cache.
const CHUNK: usize = 4096;

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

/// A run of entries, borrowed from the reader until the next chunk.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    keys: &'a [u8],
    /// From one key to the next, bytes.
    key_stride: usize,
    key_size: usize,
    values: &'a [u64],
    /// From one entry's values to the next one's.
    value_stride: usize,
    cpus: usize,
    /// Where each entry has its place in the map, if it is known; it stays while the key does, unless
    /// the entry is written anew from outside.
    places: Option<&'a [u32]>,
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
    /// Entries whose keys stand end to end, and so do their values, `cpus` for each.
    pub fn new(keys: &'a [u8], key_size: usize, values: &'a [u64], cpus: usize) -> Self {
        Self {
            keys,
            key_stride: key_size,
            key_size,
            values,
            value_stride: cpus,
            cpus,
            places: None,
        }
    }

    /// The same entries, which have these places in the map.
    #[must_use]
    pub fn at(self, places: &'a [u32]) -> Self {
        Self { places: Some(places), ..self }
    }

    /// The place of each entry, as a small number, if it is known.
    pub fn places(&self) -> Option<&'a [u32]> {
        self.places
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.values.len().div_ceil(self.value_stride)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The entries, in the map's order.
    pub fn entries(self) -> impl ExactSizeIterator<Item = Entry<'a>> {
        self.keys.chunks(self.key_stride).zip(self.values.chunks(self.value_stride)).map(
            move |(key, values)| Entry { key: &key[..self.key_size], values: &values[..self.cpus] },
        )
    }
}

/// What the ways need to know of a map. Values are 8 bytes: `bpf/check.rs` saw to that.
struct Target {
    map: MapRef,
    key_size: usize,
    /// Values of one entry: the number of possible CPUs, or 1.
    cpus: usize,
    max_entries: usize,
}

impl Target {
    fn fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }

    fn raw_fd(&self) -> RawFd {
        self.fd().as_raw_fd()
    }

    fn chunk<'a>(&self, keys: &'a [u8], values: &'a [u64]) -> Chunk<'a> {
        Chunk::new(keys, self.key_size, values, self.cpus)
    }
}

/// A way of reading, with the buffers it keeps from one read to the next.
trait Walk: Send {
    /// Whether it costs less than the batch call for a map of so many entries.
    fn pays(&self, entries: usize) -> bool {
        let _ = entries;
        true
    }

    fn walk(&mut self, map: &Target, visit: &mut dyn FnMut(Chunk<'_>)) -> io::Result<()>;
}

/// Reads one map, again and again.
pub struct MapReader {
    name: String,
    map: Target,
    /// The way of [`MapReader::read`].
    exact: Way,
    walk: Box<dyn Walk>,
    /// The way of [`MapReader::read_quickly`].
    quick: Option<(Way, Box<dyn Walk>)>,
    /// The way that was used last.
    way: Way,
    /// Why `exact` is the way when it is.
    why: Why,
}

impl MapReader {
    /// A reader of `map` in the best way that its type and this kernel allow, or in the one that
    /// `reading` says; by copy or harvest only if there is a sink.
    ///
    /// # Errors
    ///
    /// If the number of CPUs cannot be read, or a mappable array cannot be mapped.
    pub fn new(map: &MapRef, reading: Reading, sink: Option<&Sink>) -> Result<Self, ReadError> {
        match reading {
            Reading::Pinned(way @ (Way::Batch | Way::Keys)) => return Self::with_way(map, way),
            Reading::Auto | Reading::Pinned(_) => {}
        }
        if is_mappable_array(&map.spec) {
            return Ok(Self { why: Why::Mappable, ..Self::with_way(map, Way::Mmap)? });
        }
        let mut reader = Self::with_way(map, Way::Batch)?;
        match quick(reading, &reader.map, sink) {
            Ok(quick) => (reader.quick, reader.why) = (Some(quick), Why::Churn),
            Err(why) => reader.why = why,
        }
        Ok(reader)
    }

    /// A reader of `map` in this exact way. [`Way::Batch`] still gives way to [`Way::Keys`] on a
    /// kernel that refuses it.
    ///
    /// # Errors
    ///
    /// As [`MapReader::new`]; and for [`Way::Mmap`] if the map is not a mappable array, for
    /// [`Way::Copy`] and [`Way::Harvest`] always, because these are not exact.
    pub fn with_way(map: &MapRef, way: Way) -> Result<Self, ReadError> {
        let name = map.spec.name.clone();
        let fail = |source| ReadError { map: name.clone(), way, source };
        let map = target(map).map_err(fail)?;
        let walk = new_walk(way, &map).map_err(fail)?;
        Ok(Self { name, map, exact: way, walk, quick: None, way, why: Why::Pinned })
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

    /// The way that was used last.
    pub fn way(&self) -> Way {
        self.way
    }

    /// Why it was this one.
    pub fn why(&self) -> Why {
        match self.way {
            Way::Copy => Why::Dense,
            Way::Harvest => Why::Calm,
            _ => self.why,
        }
    }

    /// Hands all entries to `visit`, chunk by chunk. Entries come in the map's order, which is the
    /// same each time as long as no key comes or goes.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the read. Chunks handed out before that are good but not all.
    pub fn read(&mut self, mut visit: impl FnMut(Chunk<'_>)) -> Result<(), ReadError> {
        let mut result = self.walk.walk(&self.map, &mut visit);
        if self.exact == Way::Batch && result.as_ref().is_err_and(is_unsupported) {
            tracing::debug!(map = self.name, "no batch lookup on this kernel, reading key by key");
            (self.exact, self.why) = (Way::Keys, Why::Kernel);
            self.walk = Box::<keys::Keys>::default();
            result = self.walk.walk(&self.map, &mut visit);
        }
        self.way = self.exact;
        result.map_err(|source| ReadError { map: self.name.clone(), way: self.way, source })
    }

    /// Hands all entries to `visit` as [`MapReader::read`] does, but in less time and without its
    /// promise: of entries that come or go meanwhile, or are written anew from outside, any may be
    /// missing or come twice, and by harvest have a key that the map never held. `false` if the map
    /// cannot be read so, or it would cost more, the map having about so many `entries`, if that is
    /// known: what was handed out then, if anything, is to be forgotten.
    pub fn read_quickly(
        &mut self,
        entries: Option<usize>,
        mut visit: impl FnMut(Chunk<'_>),
    ) -> bool {
        let Some((way, walk)) = &mut self.quick else { return false };
        if entries.is_some_and(|entries| !walk.pays(entries)) {
            self.why = Why::Sparse;
            return false;
        }
        self.why = Why::Churn;
        if let Err(error) = walk.walk(&self.map, &mut visit) {
            tracing::debug!(map = self.name, "can no longer be read by {way}: {error}");
            (self.quick, self.why) = (None, Why::Kernel);
            return false;
        }
        self.way = *way;
        true
    }

    /// Whether [`MapReader::read_quickly`] cannot be sure of a key that was not known before, so that
    /// it pays only while hardly any come.
    pub fn needs_calm(&self) -> bool {
        self.quick.as_ref().is_none_or(|(way, _)| *way != Way::Copy)
    }

    /// How many entries the map can hold.
    pub fn max_entries(&self) -> usize {
        self.map.max_entries
    }

    /// Fills in the values of one key, one for each CPU; `false` if the map does not hold it.
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    pub fn lookup(&self, key: &[u8], values: &mut [u64]) -> io::Result<bool> {
        assert_eq!((key.len(), values.len()), (self.map.key_size, self.map.cpus));
        sys::lookup(self.map.raw_fd(), key, values)
    }
}

/// The quickest way that there is for this map, or why there is none.
fn quick(reading: Reading, map: &Target, sink: Option<&Sink>) -> Result<(Way, Box<dyn Walk>), Why> {
    match Copy::new(reading, map, sink.and_then(|sink| sink.copier.as_ref())) {
        Ok(copy) => return Ok((Way::Copy, Box::new(copy))),
        Err(why) if reading == Reading::Pinned(Way::Copy) => return Err(why),
        Err(_) => {}
    }
    let harvest = Harvest::new(reading, map, sink.map(|sink| &sink.window))?;
    Ok((Way::Harvest, Box::new(harvest)))
}

fn new_walk(way: Way, map: &Target) -> io::Result<Box<dyn Walk>> {
    Ok(match way {
        Way::Mmap => Box::new(mmap::Mapped::new(map)?),
        Way::Batch => Box::new(batch::Batch::new(map)),
        Way::Keys => Box::<keys::Keys>::default(),
        Way::Copy | Way::Harvest | Way::Recording => {
            return Err(io::ErrorKind::Unsupported.into());
        }
    })
}

fn target(map: &MapRef) -> io::Result<Target> {
    let cpus = if is_per_cpu(map.spec.kind) {
        libbpf_rs::num_possible_cpus().map_err(io::Error::other)?
    } else {
        1
    };
    Ok(Target {
        map: map.clone(),
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
