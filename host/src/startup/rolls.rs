//! Maps that are kept filled with cgroups: what a config wants, on a map of the kernel's.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::bpf::{CgroupEntry, CgroupIds, MapRef};
use crate::config::Config;
use crate::decode::builtin::Patterns;
use crate::system::System;
use crate::system::cgroups::{Enrolled, Roll, RollError};

/// Has the system keep the map of cgroups in step that this config wants, if it wants one. All that live are
/// in it then.
pub(super) fn enroll(config: &Config, maps: &[MapRef], system: &System) -> Option<Enrolled> {
    let wanted = config.cgroup_id_map.as_ref()?;
    // That it is there and fits was checked.
    let map = maps.iter().find(|map| map.spec.name == wanted.name)?;
    let ids = CgroupIds::of(map, wanted.kind)?;
    let patterns = wanted.patterns.clone();
    let map = IdMap { name: format!("map `{}`", wanted.name), patterns, ids };
    Some(system.cgroups().enroll(&config.name, Box::new(map)))
}

struct IdMap {
    name: String,
    patterns: Patterns,
    ids: CgroupIds,
}

impl Roll for IdMap {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants(&self, path: &[u8]) -> bool {
        self.patterns.match_any(path)
    }

    fn room(&self) -> usize {
        self.ids.room()
    }

    fn found(&self) -> Vec<u64> {
        self.ids.found()
    }

    fn add(&mut self, id: u64, path: &[u8]) -> Result<(), RollError> {
        self.ids.add(entry(id, path)).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENODEV) => RollError::Gone,
            Some(libc::E2BIG) => RollError::Full,
            _ => RollError::System(error),
        })
    }

    fn remove(&mut self, id: u64, path: &[u8]) -> io::Result<()> {
        self.ids.remove(entry(id, path))
    }
}

fn entry(id: u64, path: &[u8]) -> CgroupEntry<'_> {
    CgroupEntry { id, path: Path::new(OsStr::from_bytes(path)) }
}
