//! BPF (temporary: the bpf branch replaces this file)

pub mod read;
mod sys;

use libbpf_rs::MapType;
use std::os::fd::BorrowedFd;

/// A map as its object describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSpec {
    /// Its name in the object.
    pub name: String,
    /// Its type.
    pub kind: MapType,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value; in per-CPU maps, of one CPU's.
    pub value_size: u32,
    /// How many entries it can hold; of an array, how many it always holds.
    pub max_entries: u32,
    /// `BPF_F_…` flags.
    pub flags: u32,
}

/// A map in the kernel.
#[derive(Clone, Debug)]
pub struct MapRef<'object> {
    /// What it is.
    pub spec: MapSpec,
    /// Its file descriptor, which closes with the object.
    pub fd: BorrowedFd<'object>,
}
