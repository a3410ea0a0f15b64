//! Memory that programs in the kernel write into and this process has mapped, and such programs.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libbpf_rs::{Object, ObjectBuilder, OpenMapMut};

use crate::bpf::{log, sys};

/// The memory, which one reads into at a time. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Window(Arc<Mutex<Mapped>>);

/// The memory, for one read.
#[derive(Debug)]
pub(super) struct Mapped {
    fd: OwnedFd,
    pub(super) words: sys::Mapping,
}

/// A program in the kernel whose sink the memory is.
#[derive(Debug)]
pub(super) struct Program {
    fd: OwnedFd,
}

impl Window {
    /// So many u64s.
    pub(super) fn new(words: usize) -> io::Result<Self> {
        let fd = sys::create_mappable(words)?;
        let words = sys::Mapping::new(fd.as_raw_fd(), words)?;
        Ok(Self(Arc::new(Mutex::new(Mapped { fd, words }))))
    }

    /// The memory, which nobody else reads into meanwhile.
    pub(super) fn lock(&self) -> MutexGuard<'_, Mapped> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mapped {
    /// Loads an object of one program, under this name: with these bytes as its constants, and with what
    /// `prepare` does to each map by its name.
    pub(super) fn load(
        &self,
        (name, object): (&str, &[u8]),
        constants: &[u8],
        prepare: impl Fn(&str, &mut OpenMapMut<'_>) -> libbpf_rs::Result<()>,
    ) -> libbpf_rs::Result<Object> {
        let load = || {
            let mut object = ObjectBuilder::default().name(name)?.open_memory(object)?;
            for mut map in object.maps_mut() {
                let name = map.name().to_string_lossy().into_owned();
                prepare(&name, &mut map)?;
                if name.ends_with(".data.sink") {
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
        log::capture(load).0
    }
}

impl Program {
    /// The one program of an object, of which nothing else is kept: the kernel keeps its maps for it.
    pub(super) fn of(object: &Object) -> io::Result<Self> {
        Self::first(object.progs())
    }

    /// The program of this name among those of an object.
    pub(super) fn named(name: &str, object: &Object) -> io::Result<Self> {
        Self::first(object.progs().filter(|program| program.name() == name))
    }

    fn first<'a>(mut programs: impl Iterator<Item = libbpf_rs::Program<'a>>) -> io::Result<Self> {
        let program = programs.next();
        let program = program.ok_or_else(|| io::Error::other("its object has no program"))?;
        Ok(Self { fd: program.as_fd().try_clone_to_owned()? })
    }

    /// Runs it once, with these numbers as its context; what it returned.
    pub(super) fn run(&self, context: &mut [u64]) -> io::Result<u32> {
        sys::run(self.fd.as_raw_fd(), context)
    }
}
