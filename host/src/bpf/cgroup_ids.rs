//! A map that holds cgroups: whether a map of an object can be one, and its entries.
//!
//! Which cgroups are in it is for others to say. An entry takes a descriptor of the map alone, no capability
//! (Linux 5.19).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;

use super::{MapKind, MapRef, MapSpec, sys};
use crate::advice::Advice;
use crate::advice::near::{listed, nearest};
use crate::config::{CgroupIdMap, CgroupMapKind};

/// What the entry of each cgroup is.
const VALUE: u64 = 1;
/// Bytes that a value may have.
const VALUE_SIZES: [u32; 4] = [1, 2, 4, 8];

/// A map of cgroups in the kernel.
#[derive(Debug)]
pub struct CgroupIds {
    map: MapRef,
    kind: CgroupMapKind,
}

/// A cgroup that is, or was, in such a map.
#[derive(Clone, Copy, Debug)]
pub struct CgroupEntry<'a> {
    /// Its id.
    pub id: u64,
    /// Where it is.
    pub path: &'a Path,
}

impl CgroupIds {
    /// This map as one of cgroups; none if its keys and values are not those of one.
    pub fn of(map: &MapRef, kind: CgroupMapKind) -> Option<Self> {
        let fits =
            map.spec.key_size == key_size(kind) && VALUE_SIZES.contains(&map.spec.value_size);
        fits.then(|| Self { map: map.clone(), kind })
    }

    /// How many it can hold.
    pub fn room(&self) -> usize {
        match self.kind {
            CgroupMapKind::Hash => self.map.spec.max_entries as usize,
            CgroupMapKind::CgrpStorage => usize::MAX,
        }
    }

    /// The cgroups that are in it; none of a storage, whose entries go with their cgroups.
    pub fn found(&self) -> Vec<u64> {
        let (fd, mut ids) = (self.map.as_fd().as_raw_fd(), Vec::new());
        if self.kind == CgroupMapKind::CgrpStorage {
            return ids;
        }
        let (mut key, mut next) = (None, [0; size_of::<u64>()]);
        // While entries go, the kernel may begin again with the first.
        while ids.len() < self.room()
            && matches!(
                sys::next_key(fd, key.as_ref().map(|key: &[u8; 8]| &key[..]), &mut next),
                Ok(true)
            )
        {
            ids.push(u64::from_ne_bytes(next));
            key = Some(next);
        }
        ids
    }

    /// Takes in a cgroup.
    ///
    /// # Errors
    ///
    /// The system's reason: `ENOENT` if it is gone, `E2BIG` if the map is full.
    pub fn add(&self, entry: CgroupEntry<'_>) -> io::Result<()> {
        let value = &VALUE.to_le_bytes()[..self.map.spec.value_size as usize];
        let add = |key: &[u8]| sys::update(self.map.as_fd().as_raw_fd(), key, value);
        self.with_key(entry, add)
    }

    /// Takes out a cgroup, which need not be in it. What is kept with a cgroup that is gone went with it.
    ///
    /// # Errors
    ///
    /// The system's reason.
    pub fn remove(&self, entry: CgroupEntry<'_>) -> io::Result<()> {
        let remove = |key: &[u8]| sys::delete(self.map.as_fd().as_raw_fd(), key).map(drop);
        match self.with_key(entry, remove) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn with_key(
        &self,
        entry: CgroupEntry<'_>,
        act: impl FnOnce(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.kind {
            CgroupMapKind::Hash => act(&entry.id.to_ne_bytes()),
            CgroupMapKind::CgrpStorage => {
                let folder = File::open(entry.path)?;
                act(&folder.as_raw_fd().to_ne_bytes())
            }
        }
    }
}

/// What is wrong with a map of cgroups: the key of `cgroup_id_map` that it is about, and what to do.
pub(super) fn misfit(
    wanted: &CgroupIdMap,
    found: Option<&MapSpec>,
    maps: &[&str],
) -> Option<(&'static str, Advice)> {
    let (name, kind) = (&*wanted.name, wanted.kind);
    let Some(map) = found else { return Some((".name", missing(name, maps))) };
    if !types(kind).contains(&map.kind) {
        let problem = format!("map `{name}` is of type {}, not {}", map.kind, kind.word());
        let other = CgroupMapKind::ALL.into_iter().find(|kind| types(*kind).contains(&map.kind));
        let remedy = match other {
            Some(other) => format!("write `type: {}`", other.word()),
            None => format!("make it a {}", kind.word()),
        };
        return Some((".type", Advice::new(problem, remedy)));
    }
    let size = key_size(kind);
    if map.key_size != size {
        let problem = format!("keys of map `{name}` have {} bytes, not {size}", map.key_size);
        let remedy = match kind {
            CgroupMapKind::Hash => "make the key a `u64`, the id of a cgroup",
            CgroupMapKind::CgrpStorage => "make the key an `int`",
        };
        return Some((".name", Advice::new(problem, remedy)));
    }
    (!VALUE_SIZES.contains(&map.value_size)).then(|| {
        let size = map.value_size;
        let problem = format!("values of map `{name}` have {size} bytes, not 1, 2, 4 or 8");
        (".name", Advice::new(problem, "make the value a `u64`, which is 1 for each cgroup"))
    })
}

fn missing(name: &str, maps: &[&str]) -> Advice {
    let remedy = match nearest(name, maps.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if maps.is_empty() => "define one in `SEC(\".maps\")`".to_owned(),
        None => {
            let names: Vec<_> = maps.iter().map(|map| format!("`{map}`")).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            format!("name one that it has: {}", listed(&names))
        }
    };
    Advice::new(format!("the object has no map `{name}`"), remedy)
}

fn types(kind: CgroupMapKind) -> &'static [MapKind] {
    match kind {
        CgroupMapKind::Hash => &[MapKind::HASH, MapKind::LRU_HASH],
        CgroupMapKind::CgrpStorage => &[MapKind::CGRP_STORAGE],
    }
}

fn key_size(kind: CgroupMapKind) -> u32 {
    match kind {
        CgroupMapKind::Hash => 8,
        CgroupMapKind::CgrpStorage => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::builtin::{Patterns, Room};
    use CgroupMapKind::{CgrpStorage, Hash};

    fn told(kind: CgroupMapKind, found: Option<(MapKind, u32, u32)>, maps: &[&str]) -> String {
        let found = found.map(|(kind, key_size, value_size)| {
            let (name, max_entries, flags) = ("ids".to_owned(), 64, 0);
            MapSpec { name, kind, key_size, value_size, max_entries, flags }
        });
        let patterns = Patterns::new(&[], &Room::default()).unwrap();
        let wanted = CgroupIdMap { name: "ids".to_owned(), kind, patterns };
        match misfit(&wanted, found.as_ref(), maps) {
            Some((below, advice)) => format!("{below}: {advice}"),
            None => "fits".to_owned(),
        }
    }

    #[test]
    fn maps_that_fit() {
        for value in VALUE_SIZES {
            assert_eq!(told(Hash, Some((MapKind::HASH, 8, value)), &[]), "fits");
        }
        assert_eq!(told(Hash, Some((MapKind::LRU_HASH, 8, 8)), &[]), "fits");
        assert_eq!(told(CgrpStorage, Some((MapKind::CGRP_STORAGE, 4, 8)), &[]), "fits");
    }

    #[test]
    fn maps_that_do_not() {
        let all = [
            told(Hash, None, &[]),
            told(Hash, None, &["idz"]),
            told(Hash, None, &["flows", "starts"]),
            told(Hash, Some((MapKind::CGRP_STORAGE, 4, 8)), &[]),
            told(CgrpStorage, Some((MapKind::LRU_HASH, 8, 8)), &[]),
            told(CgrpStorage, Some((MapKind::ARRAY, 4, 8)), &[]),
            told(Hash, Some((MapKind::ARRAY, 4, 8)), &[]),
            told(Hash, Some((MapKind::HASH, 4, 8)), &[]),
            told(CgrpStorage, Some((MapKind::CGRP_STORAGE, 8, 8)), &[]),
            told(Hash, Some((MapKind::HASH, 8, 16)), &[]),
        ];
        insta::assert_snapshot!(all.join("\n"), @r#"
        .name: the object has no map `ids`; define one in `SEC(".maps")`
        .name: the object has no map `ids`; did you mean `idz`?
        .name: the object has no map `ids`; name one that it has: `flows`, `starts`
        .type: map `ids` is of type cgrp_storage, not hash; write `type: cgrp_storage`
        .type: map `ids` is of type lru_hash, not cgrp_storage; write `type: hash`
        .type: map `ids` is of type array, not cgrp_storage; make it a cgrp_storage
        .type: map `ids` is of type array, not hash; make it a hash
        .name: keys of map `ids` have 4 bytes, not 8; make the key a `u64`, the id of a cgroup
        .name: keys of map `ids` have 8 bytes, not 4; make the key an `int`
        .name: values of map `ids` have 16 bytes, not 1, 2, 4 or 8; make the value a `u64`, which is 1 for each cgroup
        "#);
    }
}
