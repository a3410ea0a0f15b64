//! Memory that programs in the kernel leave rows in, and this process has mapped; one serves all maps
//! in turn.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libbpf_rs::{MapInfo, Object, ObjectBuilder};

use super::elements::Elements;
use super::{MapSpec, Reading, copy, harvest};
use crate::bpf::{log, sys};

/// The memory, and where the maps have their elements. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sink(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    memory: Mutex<Memory>,
    /// By the maps' ids; empty if none can be copied.
    elements: HashMap<u32, Elements>,
}

/// The memory, for one read.
#[derive(Debug)]
pub(super) struct Memory {
    fd: OwnedFd,
    pub(super) words: sys::Mapping,
}

/// A program in the kernel whose sink the memory is.
#[derive(Debug)]
pub(super) struct Program {
    /// Held for the program, which `fd` is the descriptor of.
    _object: Object,
    fd: RawFd,
}

impl Sink {
    /// Memory for those of the `maps` that are not read by system calls alone; `None` if there is
    /// none. To be made when the maps are.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the memory.
    pub fn for_maps<'a>(
        maps: impl IntoIterator<Item = &'a MapSpec>,
        reading: Reading,
    ) -> io::Result<Option<Self>> {
        let maps: Vec<_> = maps.into_iter().collect();
        let elements = if maps.iter().any(|map| copy::fits(map, reading)) {
            copy::elements()
        } else {
            HashMap::new()
        };
        let rooms = maps.iter().filter_map(|map| {
            if !elements.is_empty() && copy::fits(map, reading) {
                return Some(copy::ROOM);
            }
            harvest::room(map, reading).ok()
        });
        let Some(words) = rooms.max() else { return Ok(None) };
        Ok(Some(Self::new(words, elements)?))
    }

    pub(super) fn new(words: usize, elements: HashMap<u32, Elements>) -> io::Result<Self> {
        let fd = sys::create_mappable(words)?;
        let words = sys::Mapping::new(fd.as_raw_fd(), words)?;
        let memory = Mutex::new(Memory { fd, words });
        Ok(Self(Arc::new(Shared { memory, elements })))
    }

    /// The elements of this map.
    pub(super) fn elements(&self, map: BorrowedFd<'_>) -> Option<Elements> {
        if self.0.elements.is_empty() {
            return None;
        }
        let id = MapInfo::new(map).ok()?.info.id;
        self.0.elements.get(&id).cloned()
    }

    /// The memory, which nobody else reads into meanwhile.
    pub(super) fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Loads the program of an object: with these bytes as its constants, and with `target` as the map
    /// of this name, if it has one.
    pub(super) fn load(
        &self,
        object: &[u8],
        constants: &[u8],
        target: BorrowedFd<'_>,
    ) -> libbpf_rs::Result<Program> {
        let load = || {
            let mut object = ObjectBuilder::default().open_memory(object)?;
            for mut map in object.maps_mut() {
                let name = map.name().to_string_lossy().into_owned();
                if name == "target" {
                    map.reuse_fd(target)?;
                } else if name.ends_with(".data.sink") {
                    map.set_value_size((self.words.len() * size_of::<u64>()) as u32)?;
                    map.reuse_fd(self.fd.as_fd())?;
                } else if name.ends_with(".rodata")
                    && let Some(place) = map.initial_value_mut()
                {
                    place[..constants.len()].copy_from_slice(constants);
                }
            }
            object.load()
        };
        let object = log::capture(load).0?;
        let fd = object.progs().next().map(|program| program.as_fd().as_raw_fd());
        let fd = fd.ok_or_else(|| io::Error::other("its object has no program"))?;
        Ok(Program { _object: object, fd })
    }
}

impl Program {
    /// Runs it once, with these numbers as its context; what it returned.
    pub(super) fn run(&self, context: &mut [u64]) -> io::Result<u32> {
        sys::run(self.fd, context)
    }
}
