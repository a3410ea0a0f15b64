//! What programs say themselves that they could not count: global variables that are found by name.
//!
//! | `__u64` in the object | counts |
//! |---|---|
//! | `ebpf_exporter_insert_failures` | new entries that a map had no room for |
//! | `ebpf_exporter_lost_events` | records that a ring buffer had no room for |
//!
//! They are read in the kernel's memory, which is mapped. An object that has none costs nothing.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use libbpf_rs::{MapCore as _, Object, OpenObject};

use super::sys::{self, Mapping};
use super::variables::{self, Place};

const INSERT_FAILURES: &str = "ebpf_exporter_insert_failures";
const LOST_EVENTS: &str = "ebpf_exporter_lost_events";
/// Where variables live that begin as 0.
const SECTION: &str = ".bss";
const WORD: usize = size_of::<u64>();

/// Where an object counts what it could not count.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    insert_failures: Option<Place>,
    lost_events: Option<Place>,
}

/// What an object counts so.
#[derive(Clone, Debug, Default)]
pub struct Admitted {
    insert_failures: Option<Word>,
    lost_events: Option<Word>,
}

/// A number in the kernel's memory.
#[derive(Clone, Debug)]
struct Word {
    mapping: Arc<Mapping>,
    /// The kernel's number of the map.
    map: u32,
    at: usize,
    /// What objects before had counted.
    before: u64,
}

impl Places {
    /// Those of an object.
    pub(super) fn of(object: &OpenObject) -> Self {
        let mut variables = variables::of(object, SECTION);
        let is_word = |place: &Place| place.size == WORD && place.offset.is_multiple_of(WORD);
        let mut find = |name| variables.remove(name).filter(is_word);
        Self { insert_failures: find(INSERT_FAILURES), lost_events: find(LOST_EVENTS) }
    }
}

impl Admitted {
    /// What an object counts at these places, now that it is loaded. None of it if the kernel does not let
    /// it be mapped (before Linux 5.5).
    pub(super) fn of(object: &Object, places: Places) -> Self {
        let Places { insert_failures, lost_events } = places;
        if insert_failures.is_none() && lost_events.is_none() {
            return Self::default();
        }
        let is_bss = |name: &std::ffi::OsStr| name.as_encoded_bytes().ends_with(SECTION.as_bytes());
        let Some(map) = object.maps().find(|map| is_bss(map.name())) else {
            return Self::default();
        };
        let words = map.value_size() as usize / WORD;
        let Ok(mapping) = Mapping::new(map.as_fd().as_raw_fd(), words) else {
            return Self::default();
        };
        let mapping = Arc::new(mapping);
        let map = sys::map_info(map.as_fd()).map_or(0, |info| info.id);
        let word = |place: Place| {
            let (mapping, at) = (Arc::clone(&mapping), place.offset / WORD);
            Word { mapping, map, at, before: 0 }
        };
        Self { insert_failures: insert_failures.map(word), lost_events: lost_events.map(word) }
    }

    /// Has it go on from what the object before has counted, whose programs count no more.
    pub(super) fn follow(&mut self, old: &Self) {
        let pairs = [
            (&mut self.insert_failures, &old.insert_failures),
            (&mut self.lost_events, &old.lost_events),
        ];
        for (word, old) in pairs {
            if let (Some(word), Some(old)) = (word, old) {
                // Of variables that went on all is there already.
                word.before = if word.map == old.map { old.before } else { old.read() };
            }
        }
    }

    /// New entries that a map had no room for, if the object counts them.
    pub fn insert_failures(&self) -> Option<u64> {
        self.insert_failures.as_ref().map(Word::read)
    }

    /// Records that a ring buffer had no room for, if the object counts them.
    pub fn lost_events(&self) -> Option<u64> {
        self.lost_events.as_ref().map(Word::read)
    }
}

impl Word {
    fn read(&self) -> u64 {
        let word = self.mapping.words().get(self.at);
        self.before.wrapping_add(word.map_or(0, |word| word.load(Ordering::Relaxed)))
    }
}
