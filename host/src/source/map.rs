//! A map in the kernel: one interface over the ways of reading it that there are.
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

use super::{Chunk, ReadError, Reading, Source, Way, Why};
use crate::bpf::{MapKind, MapRef, MapSpec, sys};

mod batch;
mod keys;
mod mmap;
mod quick;

pub use quick::Sink;

/// Entries to hand out at a time: large enough that a system call's fixed cost vanishes, small
/// enough that a chunk of usual keys stays in the second-level cache.
const CHUNK: usize = 4096;

/// What the ways need to know of a map. Values are 8 bytes: `bpf/check.rs` saw to that.
struct Target {
    map: MapRef,
    key_size: usize,
    /// Values of one entry: the number of possible CPUs, or 1.
    cpus: usize,
    /// How many the kernel may write for it: of a type that is not known here, one for each CPU.
    room: usize,
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

    /// Whether the map has many more entries than the `known` ones of the last walk: the next walk begins with a look
    /// at it, which costs nothing more if it is taken.
    fn outgrows(&mut self, map: &Target, known: usize) -> bool {
        let _ = (map, known);
        false
    }

    fn walk(&mut self, map: &Target, visit: &mut dyn FnMut(Chunk<'_>)) -> io::Result<()>;
}

/// Reads one map, again and again.
pub struct MapReader {
    name: String,
    kind: String,
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
        match quick::best(reading, &reader.map, sink) {
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
        let (name, kind) = (map.spec.name.clone(), map.spec.kind.to_string());
        let fail = |source| ReadError { map: name.clone(), way, source };
        let map = target(map).map_err(fail)?;
        let walk = new_walk(way, &map).map_err(fail)?;
        Ok(Self { name, kind, map, exact: way, walk, quick: None, way, why: Why::Pinned })
    }
}

impl Source for MapReader {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &str {
        &self.kind
    }

    fn key_size(&self) -> usize {
        self.map.key_size
    }

    fn cpus(&self) -> usize {
        self.map.cpus
    }

    fn max_entries(&self) -> usize {
        self.map.max_entries
    }

    fn way(&self) -> (Way, Why) {
        let why = match self.way {
            Way::Copy => Why::Dense,
            Way::Harvest => Why::Calm,
            _ => self.why,
        };
        (self.way, why)
    }

    fn read(&mut self, visit: &mut dyn FnMut(Chunk<'_>)) -> Result<(), ReadError> {
        let mut result = self.walk.walk(&self.map, visit);
        if self.exact == Way::Batch && result.as_ref().is_err_and(is_unsupported) {
            tracing::debug!(map = self.name, "no batch lookup on this kernel, reading key by key");
            (self.exact, self.why) = (Way::Keys, Why::Kernel);
            self.walk = Box::<keys::Keys>::default();
            result = self.walk.walk(&self.map, visit);
        }
        self.way = self.exact;
        result.map_err(|source| ReadError { map: self.name.clone(), way: self.way, source })
    }

    fn read_quickly(&mut self, entries: Option<usize>, visit: &mut dyn FnMut(Chunk<'_>)) -> bool {
        let Some((way, walk)) = &mut self.quick else { return false };
        // Rows keep the order in which they are first met: a map that has filled meanwhile is to be met in that of its
        // elements, in which it is read from then on.
        if let Some(known) = entries.filter(|entries| !walk.pays(*entries))
            && !self.walk.outgrows(&self.map, known)
        {
            self.why = Why::Sparse;
            return false;
        }
        self.why = Why::Churn;
        if let Err(error) = walk.walk(&self.map, visit) {
            tracing::debug!(map = self.name, "can no longer be read by {way}: {error}");
            (self.quick, self.why) = (None, Why::Kernel);
            return false;
        }
        self.way = *way;
        true
    }

    fn needs_calm(&self) -> bool {
        self.quick.as_ref().is_none_or(|(way, _)| *way != Way::Copy)
    }

    fn lookup(&self, key: &[u8], values: &mut [u64]) -> io::Result<bool> {
        assert_eq!((key.len(), values.len()), (self.map.key_size, self.map.cpus));
        if self.map.room == self.map.cpus {
            return sys::lookup(self.map.raw_fd(), key, values);
        }
        let mut written = vec![0; self.map.room];
        let found = sys::lookup(self.map.raw_fd(), key, &mut written);
        values.copy_from_slice(&written[..self.map.cpus]);
        found
    }
}

fn new_walk(way: Way, map: &Target) -> io::Result<Box<dyn Walk>> {
    Ok(match way {
        Way::Mmap => Box::new(mmap::Mapped::new(map)?),
        Way::Batch => Box::new(batch::Batch::new(map)),
        Way::Keys => Box::<keys::Keys>::default(),
        Way::Copy | Way::Harvest | Way::Events | Way::Recording => {
            return Err(io::ErrorKind::Unsupported.into());
        }
    })
}

fn target(map: &MapRef) -> io::Result<Target> {
    let possible = || libbpf_rs::num_possible_cpus().map_err(io::Error::other);
    let cpus = if map.spec.kind.is_per_cpu() { possible()? } else { 1 };
    let room = if map.spec.kind.is_known() { cpus } else { possible()? };
    Ok(Target {
        map: map.clone(),
        key_size: map.spec.key_size as usize,
        cpus,
        room,
        max_entries: map.spec.max_entries as usize,
    })
}

fn is_mappable_array(map: &MapSpec) -> bool {
    map.kind == MapKind::ARRAY && map.flags & libbpf_sys::BPF_F_MMAPABLE != 0
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
