//! Copy: the elements of a hash map are copied as they lie in the kernel's memory, end to end, and
//! told apart here. A walk from bucket to bucket waits for memory at each element; this one does not,
//! and costs a twelfth of the batch call.
//!
//! Nothing is locked, so each stretch is copied twice, and an element counts only if it was an entry
//! with the same key both times: then its value, which lies between, is that key's. That takes a
//! processor whose loads do not pass one another. A key that moves from element to element meanwhile,
//! as it does when it is updated from outside, may be met twice or be missed: see
//! [`Source::read_quickly`](crate::source::Source::read_quickly).
//!
//! An element of a per-CPU map has a pointer to its values in place of a value. The program follows it,
//! and copies the values between the two copies of the elements; most lie end to end, so that they are
//! copied at once for each CPU. That costs a fifth of the batch call, and needs Linux 5.19.
//!
//! It rests on how the kernel keeps its elements, which its BTF tells only in part. So it is tried
//! first, as [`trial`](super::trial) says.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::sync::Arc;

use libbpf_rs::{MapCore as _, MapInfo};

use super::elements::{Elements, Found};
use super::window::{Program, Window};
use super::{Target, Walk};
use crate::bpf::{MapKind, MapRef, MapSpec, sys};
use crate::source::{Chunk, Reading, Way, Why};

/// u64s of a stretch: both copies stay in the second-level cache. The values of all its CPUs are as many
/// at most.
const STRETCH: usize = 16_384;
/// u64s of both copies.
const COPIES: usize = 2 * STRETCH;
/// u64s of the values behind them: the program copies so many at a time, wherever they begin.
const VALUES: usize = STRETCH + 512;
/// Elements for each entry from which on the batch call costs less: it passes over those that are
/// free.
const SPARSE: usize = 32;
/// The same of a per-CPU map: the values of those that are free are copied too.
const SPARSE_PER_CPU: usize = 8;

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/copy.bpf.o"));

/// Where the elements of maps lie, for all maps that can be copied.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// By the maps' ids.
    by_id: HashMap<u32, Place>,
    /// The offsets of all CPUs, if there are per-CPU maps among them.
    offsets: Vec<u64>,
}

/// The elements of one map.
#[derive(Clone, Debug)]
pub(super) struct Place {
    elements: Elements,
    /// How many there are.
    count: usize,
    /// Its number in the program.
    index: u32,
}

/// The program that copies, one for all maps: each would cost a descriptor. It reads the elements of
/// these maps and nothing else, whoever runs it.
#[derive(Debug)]
pub(super) struct Copier {
    window: Window,
    program: Program,
    places: Places,
}

/// Copies one map.
pub(super) struct Copy {
    copier: Arc<Copier>,
    elements: Elements,
    /// How many elements there are.
    count: usize,
    /// The map's number in the program.
    index: u32,
    /// How many elements there may be for each entry; `None` if it is used however few entries the map has.
    sparse: Option<usize>,
    /// The place of each element of a stretch, and [`Chunk::GAP`] for one that is no entry.
    places: Vec<u32>,
    /// The elements of a stretch of a per-CPU map: keys in whole u64s, each with its values behind it.
    rows: Vec<u64>,
}

/// Whether a map can be copied, if the kernel lets us.
pub(super) fn fits(map: &MapSpec, reading: Reading) -> bool {
    cfg!(target_arch = "x86_64")
        && matches!(reading, Reading::Auto | Reading::Pinned(Way::Copy))
        && (matches!(map.kind, MapKind::HASH | MapKind::LRU_HASH) || is_per_cpu_hash(map))
        && map.flags & libbpf_sys::BPF_F_NO_PREALLOC == 0
}

/// Whether each entry has a value for each CPU.
pub(super) fn is_per_cpu_hash(map: &MapSpec) -> bool {
    matches!(map.kind, MapKind::PERCPU_HASH | MapKind::LRU_PERCPU_HASH)
}

impl Places {
    /// The places of these maps among those that were found.
    pub(super) fn among<'a>(found: &Found, maps: impl IntoIterator<Item = &'a MapRef>) -> Self {
        let mut places = Self::default();
        for map in maps {
            let Some(id) = id(map.as_fd()) else { continue };
            let known = found.elements.get(&id).filter(|elements| elements.words <= STRETCH);
            let Some(elements) = known else { continue };
            if is_per_cpu_hash(&map.spec) {
                places.offsets.clone_from(&found.offsets);
            }
            let spare = if map.spec.kind == MapKind::HASH { spare_elements() } else { 0 };
            let (count, index) = (elements.max_entries + spare, places.by_id.len() as u32);
            // A map that two metrics read stands here once.
            let place = Place { elements: elements.clone(), count, index };
            places.by_id.entry(id).or_insert(place);
        }
        places
    }

    /// Whether this map can be copied.
    pub(super) fn has(&self, map: &MapRef) -> bool {
        id(map.as_fd()).is_some_and(|id| self.by_id.contains_key(&id))
    }

    /// Whether no map can be copied.
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The u64s that copies fill.
    pub(super) fn room(&self) -> usize {
        if self.offsets.is_empty() { COPIES } else { COPIES + VALUES }
    }
}

fn id(map: BorrowedFd<'_>) -> Option<u32> {
    MapInfo::new(map).ok().map(|map| map.info.id)
}

impl Copier {
    /// The program for these places, which copies into this window; `None` if the kernel does not take it.
    pub(super) fn load(window: &Window, places: Places) -> Option<Self> {
        match load(window, &places) {
            Ok(program) => Some(Self { window: window.clone(), program, places }),
            Err(error) => {
                tracing::debug!("maps cannot be copied: {error}");
                None
            }
        }
    }
}

impl Copy {
    /// Copies of `map`, or why there can be none.
    pub(super) fn new(
        reading: Reading,
        map: &Target,
        copier: Option<&Arc<Copier>>,
    ) -> Result<Self, Why> {
        if !fits(&map.map.spec, reading) {
            return Err(Why::Type);
        }
        let copier = copier.ok_or(Why::Kernel)?;
        let id = id(map.fd()).ok_or(Why::Kernel)?;
        let Place { elements, count, index } =
            copier.places.by_id.get(&id).cloned().ok_or(Why::Kernel)?;
        let words = elements.key + map.key_size.div_ceil(size_of::<u64>());
        let fits = match elements.values {
            Some(values) => words == values && map.cpus == copier.places.offsets.len(),
            None => words < elements.words && map.cpus == 1,
        };
        if !fits || map.cpus > STRETCH {
            return Err(Why::Kernel);
        }
        let sparse = if elements.values.is_some() { SPARSE_PER_CPU } else { SPARSE };
        let sparse = Some(sparse).filter(|_| reading == Reading::Auto);
        let (copier, rows, places) = (Arc::clone(copier), Vec::new(), Vec::new());
        Ok(Self { copier, elements, count, index, sparse, rows, places })
    }

    /// Which elements of a stretch are entries, the first of them being the element `first`: their places,
    /// and [`Chunk::GAP`] for others.
    fn sift(&mut self, stretch: &[u64], first: usize, count: usize, map: &Target) {
        let key_words = map.key_size.div_ceil(size_of::<u64>());
        // Keys of a known size are compared word by word, without a call.
        match key_words {
            1 => self.sift_by(stretch, first, count, same::<1>),
            2 => self.sift_by(stretch, first, count, same::<2>),
            3 => self.sift_by(stretch, first, count, same::<3>),
            4 => self.sift_by(stretch, first, count, same::<4>),
            _ => {
                self.sift_by(stretch, first, count, |one, two| one[..key_words] == two[..key_words])
            }
        }
    }

    #[inline]
    fn sift_by(
        &mut self,
        stretch: &[u64],
        first: usize,
        count: usize,
        same: impl Fn(&[u64], &[u64]) -> bool,
    ) {
        let Self { elements, places, count: all, .. } = self;
        let links = elements.links(*all);
        let (one, two) = stretch[..COPIES].split_at(STRETCH);
        let copies = one.chunks_exact(elements.words).zip(two.chunks_exact(elements.words));
        let sifted = copies.take(count).zip(first as u32..).map(|((one, two), place)| {
            // No jump: which elements are entries is hard to foretell.
            let stays = links.is_entry(one[elements.link])
                & links.is_entry(two[elements.link])
                & same(&one[elements.key..], &two[elements.key..]);
            if stays { place } else { Chunk::GAP }
        });
        places.clear();
        places.extend(sifted);
    }

    /// The entries of a stretch, whose elements have `places`.
    fn entries<'a>(&'a self, stretch: &'a [u64], key_words: usize, map: &Target) -> Chunk<'a> {
        let Elements { words, key, .. } = self.elements;
        let elements = &stretch[..words * self.places.len()];
        Chunk {
            keys: sys::bytes(&elements[key..]),
            key_stride: words * size_of::<u64>(),
            key_size: map.key_size,
            values: &elements[key + key_words..],
            value_stride: words,
            cpus: map.cpus,
            places: Some(&self.places),
        }
    }

    /// The same of a per-CPU map, whose values stand behind the copies: those of one CPU end to end. Only
    /// entries are left, each key with its values behind it.
    fn gather<'a>(&'a mut self, stretch: &[u64], key_words: usize, map: &Target) -> Chunk<'a> {
        let Self { elements, places, rows, .. } = self;
        let count = places.len();
        let values = &stretch[COPIES..][..map.cpus * count];
        let stride = key_words + map.cpus;
        rows.clear();
        let all = stretch.chunks_exact(elements.words).zip(&*places).enumerate();
        for (n, (element, _)) in all.filter(|(_, (_, place))| **place != Chunk::GAP) {
            rows.extend_from_slice(&element[elements.key..][..key_words]);
            rows.extend(values[n..].iter().step_by(count));
        }
        places.retain(|place| *place != Chunk::GAP);
        Chunk {
            keys: sys::bytes(rows),
            key_stride: stride * size_of::<u64>(),
            key_size: map.key_size,
            values: rows.get(key_words..).unwrap_or_default(),
            value_stride: stride,
            cpus: map.cpus,
            places: Some(places),
        }
    }
}

/// Whether two keys of `KEY` u64s are equal, without a jump.
#[inline]
fn same<const KEY: usize>(one: &[u64], two: &[u64]) -> bool {
    let (Some(one), Some(two)) = (one.first_chunk::<KEY>(), two.first_chunk::<KEY>()) else {
        return false;
    };
    one.iter().zip(two).fold(0, |differ, (one, two)| differ | (one ^ two)) == 0
}

impl Walk for Copy {
    fn pays(&self, entries: usize) -> bool {
        self.sparse.is_none_or(|sparse| entries * sparse >= self.count)
    }

    fn walk(&mut self, map: &Target, visit: &mut dyn FnMut(Chunk<'_>)) -> io::Result<()> {
        let copier = Arc::clone(&self.copier);
        let mut memory = copier.window.lock();
        let key_words = map.key_size.div_ceil(size_of::<u64>());
        let room = copier.places.room();
        let most = STRETCH / self.elements.words.max(map.cpus);
        for first in (0..self.count).step_by(most) {
            let count = most.min(self.count - first);
            if copier.program.run(&mut [self.index.into(), first as u64, count as u64])? != 0 {
                return Err(io::Error::other("the kernel cannot read its own memory there"));
            }
            let stretch = &memory.words.still()[..room];
            self.sift(stretch, first, count, map);
            visit(match self.elements.values {
                Some(_) => self.gather(stretch, key_words, map),
                None => self.entries(stretch, key_words, map),
            });
        }
        Ok(())
    }
}

/// Elements of a hash map beyond its size: one for each CPU to update with. Maps of recently used entries
/// and per-CPU maps have none.
fn spare_elements() -> usize {
    libbpf_rs::num_possible_cpus().unwrap_or(0)
}

fn load(window: &Window, places: &Places) -> libbpf_rs::Result<Program> {
    const PLACES: &str = "ewe_copy_places";
    const OFFSETS: &str = "ewe_copy_offsets";
    let Places { by_id, offsets } = places;
    let room = (STRETCH * size_of::<u64>()) as u64;
    let constants = [room, offsets.len() as u64].map(u64::to_ne_bytes).concat();
    let object = window.lock().load(("ewe_copy", OBJECT), &constants, |name, map| match name {
        PLACES => map.set_max_entries(by_id.len() as u32),
        OFFSETS => map.set_max_entries(offsets.len().max(1) as u32),
        _ => Ok(()),
    })?;
    let maps = [PLACES, OFFSETS].map(|name| object.maps().find(|map| map.name() == name));
    let [Some(of_maps), Some(of_cpus)] = maps else {
        return Err(io::Error::other("its object has no places").into());
    };
    let [of_maps, of_cpus] = [&of_maps, &of_cpus].map(|map| map.as_fd().as_raw_fd());
    for Place { elements, count, index } in by_id.values() {
        let [size, values] = [elements.words, elements.values.unwrap_or(0)]
            .map(|words| (words * size_of::<u64>()) as u64);
        sys::set_entry(of_maps, *index, &[elements.first, size, *count as u64, values])?;
    }
    for (cpu, offset) in (0..).zip(offsets) {
        sys::set_entry(of_cpus, cpu, &[*offset])?;
    }
    // Both maps are frozen before the program ever runs. So nobody can change what it reads, not even who takes this
    // process over.
    sys::freeze(of_maps)?;
    sys::freeze(of_cpus)?;
    Ok(Program::of(&object)?)
}
