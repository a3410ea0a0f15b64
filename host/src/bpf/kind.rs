//! Types of maps, by the kernel's numbers: also those that came after this program, which keep theirs.
//!
//! Never says what can be done with one: see [`mod@super::check`].

use std::fmt;

use libbpf_rs::{MapType, libbpf_sys};

use super::sys;

/// A map's type. It displays as what libbpf calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapKind(u32);

macro_rules! kinds {
    ($($name:ident = $number:ident,)*) => {
        #[allow(missing_docs, reason = "the kernel's words")]
        impl MapKind {
            $(pub const $name: Self = Self(libbpf_sys::$number);)*
        }
    };
}

kinds! {
    HASH = BPF_MAP_TYPE_HASH,
    ARRAY = BPF_MAP_TYPE_ARRAY,
    PROG_ARRAY = BPF_MAP_TYPE_PROG_ARRAY,
    PERF_EVENT_ARRAY = BPF_MAP_TYPE_PERF_EVENT_ARRAY,
    PERCPU_HASH = BPF_MAP_TYPE_PERCPU_HASH,
    PERCPU_ARRAY = BPF_MAP_TYPE_PERCPU_ARRAY,
    LRU_HASH = BPF_MAP_TYPE_LRU_HASH,
    LRU_PERCPU_HASH = BPF_MAP_TYPE_LRU_PERCPU_HASH,
    ARRAY_OF_MAPS = BPF_MAP_TYPE_ARRAY_OF_MAPS,
    HASH_OF_MAPS = BPF_MAP_TYPE_HASH_OF_MAPS,
    DEVMAP = BPF_MAP_TYPE_DEVMAP,
    CPUMAP = BPF_MAP_TYPE_CPUMAP,
    DEVMAP_HASH = BPF_MAP_TYPE_DEVMAP_HASH,
    SK_STORAGE = BPF_MAP_TYPE_SK_STORAGE,
    STRUCT_OPS = BPF_MAP_TYPE_STRUCT_OPS,
    RINGBUF = BPF_MAP_TYPE_RINGBUF,
    INODE_STORAGE = BPF_MAP_TYPE_INODE_STORAGE,
    TASK_STORAGE = BPF_MAP_TYPE_TASK_STORAGE,
    BLOOM_FILTER = BPF_MAP_TYPE_BLOOM_FILTER,
    USER_RINGBUF = BPF_MAP_TYPE_USER_RINGBUF,
    CGRP_STORAGE = BPF_MAP_TYPE_CGRP_STORAGE,
    ARENA = BPF_MAP_TYPE_ARENA,
    INSN_ARRAY = BPF_MAP_TYPE_INSN_ARRAY,
}

impl MapKind {
    /// Whether libbpf knows it: of others only the kernel can say what they are good for.
    pub fn is_known(self) -> bool {
        sys::map_type_name(self.0).is_some()
    }

    /// Whether entries of it mean the same to another program: not those that are programs, maps or addresses.
    pub(super) fn holds_data(self) -> bool {
        !matches!(
            self,
            Self::PROG_ARRAY
                | Self::ARRAY_OF_MAPS
                | Self::HASH_OF_MAPS
                | Self::DEVMAP
                | Self::DEVMAP_HASH
                | Self::CPUMAP
                | Self::STRUCT_OPS
                | Self::ARENA
                | Self::INSN_ARRAY
        )
    }

    /// Whether maps of it hold a value for each CPU.
    pub fn is_per_cpu(self) -> bool {
        matches!(self, Self::PERCPU_HASH | Self::PERCPU_ARRAY | Self::LRU_PERCPU_HASH)
    }
}

impl fmt::Display for MapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match sys::map_type_name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "map of type {}", self.0),
        }
    }
}

impl From<u32> for MapKind {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl From<MapKind> for u32 {
    fn from(kind: MapKind) -> Self {
        kind.0
    }
}

impl From<MapType> for MapKind {
    fn from(kind: MapType) -> Self {
        Self(kind.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_libbpf_knows_has_its_name() {
        let names = (0..=MapKind::INSN_ARRAY.0).map(|number| MapKind(number).to_string());
        let unnamed: Vec<_> = names.filter(|name| name.contains(' ')).collect();
        assert_eq!(unnamed, [""; 0]);
        assert_eq!(MapKind::CGRP_STORAGE.to_string(), "cgrp_storage");
        assert!(MapKind::INSN_ARRAY.is_known());
    }

    #[test]
    fn one_that_it_does_not_know_has_its_number() {
        let newer = MapKind::from(4000);
        assert_eq!((newer.is_known(), &*newer.to_string()), (false, "map of type 4000"));
    }
}
