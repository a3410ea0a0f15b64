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
//! It rests on how the kernel keeps its elements, which its BTF tells only in part. So it is tried
//! first, on a map made for that, and is not used where it does not give what the kernel says.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::sync::Arc;

use libbpf_rs::{MapCore, MapFlags, MapHandle, MapInfo, MapType};

use super::elements::{self, Elements};
use super::window::{Program, Window};
use super::{Target, Walk};
use crate::bpf::{MapRef, MapSpec, sys};
use crate::source::{Chunk, Reading, Way, Why};

/// u64s of a stretch: both copies stay in the second-level cache.
const STRETCH: usize = 16_384;
/// u64s of the window.
pub(super) const ROOM: usize = 2 * STRETCH;
/// Elements for each entry from which on the batch call costs less: it passes over those that are
/// free.
const SPARSE: usize = 32;

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/copy.bpf.o"));

/// Where the maps that can be copied have their elements, by the maps' ids.
pub(super) type Places = HashMap<u32, Place>;

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
    /// Whether it is used however few entries the map has.
    pinned: bool,
    /// The entries of a stretch: keys in whole u64s, each with its value behind it.
    rows: Vec<u64>,
    /// Which element each of them is.
    places: Vec<u32>,
}

/// Whether a map can be copied, if the kernel lets us.
pub(super) fn fits(map: &MapSpec, reading: Reading) -> bool {
    cfg!(target_arch = "x86_64")
        && matches!(reading, Reading::Auto | Reading::Pinned(Way::Copy))
        && matches!(map.kind, MapType::Hash | MapType::LruHash)
        && map.flags & libbpf_sys::BPF_F_NO_PREALLOC == 0
}

/// The places of these maps, or of none if copies of them are not right on this kernel.
pub(super) fn places<'a>(maps: impl Iterator<Item = &'a MapRef>) -> Places {
    let maps: Vec<_> = maps.collect();
    if maps.is_empty() {
        return Places::new();
    }
    let found = Trial::new().and_then(|trial| {
        let found = elements::find()?;
        if trial.passes(&found)? {
            Ok(found)
        } else {
            Err(io::Error::other("a copy of a map is not what the kernel says it holds").into())
        }
    });
    match found {
        Ok(found) => places_among(&found, &maps),
        Err(error) => {
            tracing::debug!("maps cannot be copied: {error}");
            Places::new()
        }
    }
}

/// The places of these maps among those that were found.
fn places_among(found: &HashMap<u32, Elements>, maps: &[&MapRef]) -> Places {
    let mut places = Places::new();
    for map in maps {
        let Some(id) = id(map.as_fd()) else { continue };
        let Some(elements) = found.get(&id).filter(|elements| elements.words <= STRETCH) else {
            continue;
        };
        let spare = if map.spec.kind == MapType::Hash { spare_elements() } else { 0 };
        let (count, index) = (elements.max_entries + spare, places.len() as u32);
        // A map that two metrics read stands here once.
        places.entry(id).or_insert(Place { elements: elements.clone(), count, index });
    }
    places
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
            copier.places.get(&id).cloned().ok_or(Why::Kernel)?;
        let words = elements.key + map.key_size.div_ceil(size_of::<u64>());
        if words >= elements.words {
            return Err(Why::Kernel);
        }
        let pinned = reading != Reading::Auto;
        let (copier, rows, places) = (Arc::clone(copier), Vec::new(), Vec::new());
        Ok(Self { copier, elements, count, index, pinned, rows, places })
    }

    /// Takes the entries out of a stretch that begins with the element `first`.
    fn sift(&mut self, stretch: &[u64], first: usize, count: usize, key_words: usize) {
        match key_words {
            1 => self.sift_by::<1>(stretch, first, count),
            2 => self.sift_by::<2>(stretch, first, count),
            3 => self.sift_by::<3>(stretch, first, count),
            4 => self.sift_by::<4>(stretch, first, count),
            _ => {
                let same = |one: &[u64], two: &[u64]| one[..key_words] == two[..key_words];
                let add = |rows: &mut Vec<u64>, row: &[u64]| {
                    rows.extend_from_slice(&row[..=key_words]);
                };
                self.sift_with(stretch, first, count, same, add);
            }
        }
    }

    /// Keys of a known size are compared and moved word by word, without a call.
    fn sift_by<const KEY: usize>(&mut self, stretch: &[u64], first: usize, count: usize) {
        let same = |one: &[u64], two: &[u64]| one.first_chunk::<KEY>() == two.first_chunk::<KEY>();
        let add = |rows: &mut Vec<u64>, row: &[u64]| {
            if let (Some(key), Some(value)) = (row.first_chunk::<KEY>(), row.get(KEY)) {
                rows.extend_from_slice(key);
                rows.push(*value);
            }
        };
        self.sift_with(stretch, first, count, same, add);
    }

    #[inline]
    fn sift_with(
        &mut self,
        stretch: &[u64],
        first: usize,
        count: usize,
        same: impl Fn(&[u64], &[u64]) -> bool,
        add: impl Fn(&mut Vec<u64>, &[u64]),
    ) {
        let Self { elements, rows, places, count: all, .. } = self;
        rows.clear();
        places.clear();
        let (one, two) = stretch.split_at(STRETCH);
        let copies = one.chunks_exact(elements.words).zip(two.chunks_exact(elements.words));
        for ((one, two), place) in copies.take(count).zip(first as u32..) {
            let stays = elements.is_entry(one[elements.link], *all)
                && elements.is_entry(two[elements.link], *all)
                && same(&one[elements.key..], &two[elements.key..]);
            if stays {
                add(rows, &one[elements.key..]);
                places.push(place);
            }
        }
    }
}

impl Walk for Copy {
    fn pays(&self, entries: usize) -> bool {
        self.pinned || entries * SPARSE >= self.count
    }

    fn walk(&mut self, map: &Target, visit: &mut dyn FnMut(Chunk<'_>)) -> io::Result<()> {
        let copier = Arc::clone(&self.copier);
        let mut memory = copier.window.lock();
        let key_words = map.key_size.div_ceil(size_of::<u64>());
        let stretch = STRETCH / self.elements.words;
        for first in (0..self.count).step_by(stretch) {
            let count = stretch.min(self.count - first);
            if copier.program.run(&mut [self.index.into(), first as u64, count as u64])? != 0 {
                return Err(io::Error::other("the kernel cannot read its own memory there"));
            }
            self.sift(&memory.words.still()[..ROOM], first, count, key_words);
            if !self.rows.is_empty() {
                visit(Chunk {
                    keys: sys::bytes(&self.rows),
                    key_stride: (key_words + 1) * size_of::<u64>(),
                    key_size: map.key_size,
                    values: &self.rows[key_words..],
                    value_stride: key_words + 1,
                    cpus: 1,
                    places: Some(&self.places),
                });
            }
        }
        Ok(())
    }
}

/// Elements of a hash map beyond its size: one for each CPU to update with. Recently used ones have
/// none.
fn spare_elements() -> usize {
    libbpf_rs::num_possible_cpus().unwrap_or(0)
}

fn load(window: &Window, places: &Places) -> libbpf_rs::Result<Program> {
    const PLACES: &str = "ewe_copy_places";
    let room = (STRETCH * size_of::<u64>()) as u64;
    let object = window.lock().load(("ewe_copy", OBJECT), &room.to_ne_bytes(), |name, map| {
        if name == PLACES { map.set_max_entries(places.len() as u32) } else { Ok(()) }
    })?;
    let map = object.maps().find(|map| map.name() == PLACES);
    let map = map.ok_or_else(|| io::Error::other("its object has no places"))?;
    let fd = map.as_fd().as_raw_fd();
    for Place { elements, count, index } in places.values() {
        let size = elements.words * size_of::<u64>();
        sys::set_entry(fd, *index, &[elements.first, size as u64, *count as u64])?;
    }
    // Before it ever runs: what it reads is settled then, also for who takes this process over.
    sys::freeze(fd)?;
    Ok(Program::of(&object)?)
}

/// A map whose elements have been everything that an element can be: entries, free again, and moved
/// by updates.
struct Trial(MapHandle);

impl Trial {
    const ENTRIES: u32 = 64;

    fn new() -> libbpf_rs::Result<Self> {
        let options = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as u64,
            ..Default::default()
        };
        let map =
            MapHandle::create(MapType::Hash, Some("ewe_trial"), 8, 8, Self::ENTRIES, &options)?;
        let key = |n: u32| u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_ne_bytes();
        let write = |n, value: u64| map.update(&key(n), &value.to_ne_bytes(), MapFlags::ANY);
        for n in 0..Self::ENTRIES {
            write(n, 1)?;
        }
        for n in (0..Self::ENTRIES).step_by(3) {
            map.delete(&key(n))?;
        }
        for n in 0..Self::ENTRIES / 2 {
            write(n, u64::from(n) + 2)?;
        }
        Ok(Self(map))
    }

    /// Whether its entries are those that the kernel gives one by one.
    fn passes(&self, elements: &HashMap<u32, Elements>) -> libbpf_rs::Result<bool> {
        let mut expected = BTreeMap::new();
        for key in self.0.keys() {
            let value = self.0.lookup(&key, MapFlags::ANY)?;
            expected.insert(key, value);
        }
        let spec = MapSpec {
            name: "ewe_trial".to_owned(),
            kind: MapType::Hash,
            key_size: 8,
            value_size: 8,
            max_entries: Self::ENTRIES,
            flags: 0,
        };
        let map = MapRef::new(spec, self.0.as_fd())?;
        let refused = || io::Error::other("the kernel refuses the program");
        let copier = Copier::load(&Window::new(ROOM)?, places_among(elements, &[&map]));
        let copier = Arc::new(copier.ok_or_else(refused)?);
        let target = Target { map, key_size: 8, cpus: 1, max_entries: Self::ENTRIES as usize };
        let copy = Copy::new(Reading::Auto, &target, Some(&copier));
        let mut copy = copy.map_err(|_| refused())?;
        let (mut copied, mut twice) = (BTreeMap::new(), false);
        copy.walk(&target, &mut |chunk| {
            for entry in chunk.entries() {
                let value = entry.values[0].to_ne_bytes().to_vec();
                let before = copied.insert(entry.key.to_vec(), Some(value));
                twice |= before.is_some();
            }
        })?;
        Ok(!twice && copied == expected)
    }
}
