//! Maps of a config: those that are pinned become the object's, and all of the object's become pinned.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::DirBuilderExt as _;

use libbpf_rs::{MapCore as _, Object, OpenMapMut};
use tracing::{info, warn};

use super::super::{KINDS, Kind};
use super::ConfigPins;
use super::marks::{self, Mark, parts, pin_of};
use crate::advice::Advice;
use crate::bpf::handover::{self, MapShape};
use crate::bpf::{LoadError, Opened, sys, text};

/// What an object's maps hold, and which of them were taken over.
#[derive(Debug)]
pub(in crate::bpf) struct Taken {
    pins: ConfigPins,
    /// Of those that are pinned, by name.
    marks: BTreeMap<String, Mark>,
    /// Names of those that are pinned already.
    maps: BTreeSet<String>,
}

impl Taken {
    /// Has maps of the object be those that are pinned, where they have the same shape.
    ///
    /// # Errors
    ///
    /// When one has another, if that is a fault; or when one cannot be had.
    pub(in crate::bpf) fn of(pins: ConfigPins, opened: &mut Opened) -> Result<Self, LoadError> {
        let marks = marks::of(opened);
        let found = pins.found(Kind::Maps);
        let found: BTreeMap<_, _> = found.iter().filter_map(|name| parts(name)).collect();
        let mut taken = Self { pins, marks, maps: BTreeSet::new() };
        for mut map in opened.object.maps_mut() {
            let name = text(map.name());
            let Some(pinned) = found.get(&name) else { continue };
            let own = taken.take(&mut map, &name, pinned);
            if own.map_err(|advice| taken.pins.refuse(advice))? {
                taken.maps.insert(name);
            }
        }
        Ok(taken)
    }

    /// Has a map be the one that is pinned with this mark; whether it is.
    fn take(&self, map: &mut OpenMapMut<'_>, name: &str, pinned: &str) -> Result<bool, Advice> {
        let Some(mark) = self.marks.get(name) else { return Ok(false) };
        let file = self.pins.file(Kind::Maps, &pin_of(name, pinned));
        let failed = |error: io::Error| {
            self.pins.failed("take over the map that is pinned at", &file, &error)
        };
        let fd = file.open().map_err(failed)?;
        if let Some(own) = handover::descriptor(map) {
            // It was handed over already.
            return is_one(own, fd.as_fd()).map_err(failed);
        }
        let shape = MapShape::of_fd(fd.as_fd(), None).map_err(failed)?;
        match handover::difference(map, &shape).or_else(|| mark.difference(pinned)) {
            None => {
                let reused = map.reuse_fd(fd.as_fd());
                reused.map(|()| true).map_err(|error| failed(io::Error::other(error)))
            }
            Some(_) if mark.is_silent() => Ok(false),
            Some(why) if self.pins.dir.strict => Err(self.other_shape(name, &why)),
            Some(why) => {
                warn!(
                    config = self.pins.config,
                    "map `{name}` begins anew: {why}; what is pinned of it is let go"
                );
                Ok(false)
            }
        }
    }

    /// Pins the maps of the object, but for those that are, and takes away pins of maps that it does not have.
    ///
    /// # Errors
    ///
    /// When one cannot be pinned.
    pub(in crate::bpf) fn keep(self, object: &Object) -> Result<ConfigPins, LoadError> {
        let Self { pins, marks, maps } = self;
        let went_on = marks.iter().filter(|(name, mark)| !mark.is_silent() && maps.contains(*name));
        match went_on.count() {
            0 => {}
            1 => info!(config = pins.config, "1 map goes on with what it holds"),
            n => info!(config = pins.config, "{n} maps go on with what they hold"),
        }
        match pins.replace(object, &marks, &maps) {
            Ok(()) => Ok(pins),
            Err(advice) => Err(pins.refuse(advice)),
        }
    }

    fn other_shape(&self, map: &str, why: &str) -> Advice {
        let (dir, config) = (self.pins.dir.path.display(), &self.pins.config);
        Advice::new(
            format!("the map that is pinned of `{map}` has another shape: {why}"),
            format!(
                "have it begin anew with `ebpf_wasm_exporter unpin --bpf.pin-dir={dir} {config}`, or leave out \
                 --config.strict"
            ),
        )
    }
}

impl ConfigPins {
    /// Takes away the pins of all maps but `maps`, and pins those of the object that have none then.
    fn replace(
        &self,
        object: &Object,
        marks: &BTreeMap<String, Mark>,
        maps: &BTreeSet<String>,
    ) -> Result<(), Advice> {
        for kind in KINDS {
            let dir = self.file(kind, "");
            let made = DirBuilder::new().recursive(true).mode(0o700).create(dir.path());
            made.map_err(|error| self.failed("make", &dir, &error))?;
        }
        let stays = |name: &&String| parts(name).is_some_and(|(map, _)| maps.contains(&map));
        let found = self.found(Kind::Maps);
        let gone = found.iter().filter(|name| !stays(name));
        gone.for_each(|name| self.file(Kind::Maps, name).remove());
        for map in object.maps() {
            let name = text(map.name());
            let Some(mark) = marks.get(&name).filter(|_| !maps.contains(&name)) else { continue };
            let file = self.file(Kind::Maps, &pin_of(&name, mark.as_str()));
            let pinned = file.pin(map.as_fd());
            pinned.map_err(|error| self.failed("pin a map at", &file, &error))?;
        }
        Ok(())
    }

    fn refuse(&self, advice: Advice) -> LoadError {
        LoadError { name: self.config.clone(), advice }
    }
}

/// Whether both are descriptors of the same map.
fn is_one(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(sys::map_info(one)?.id == sys::map_info(other)?.id)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::super::super::PinDir;
    use super::*;
    use crate::advice::Advise as _;

    #[test]
    fn what_cannot_be_kept_says_where_it_is() {
        let (path, dir) = (PathBuf::from("/sys/fs/bpf/x"), File::open("/").unwrap().into());
        let pins = PinDir { path, dir: Arc::new(dir), strict: true }.of("tcp");
        let file = pins.file(Kind::Maps, &pin_of("tcp_total", "untyped"));
        let error = io::Error::from_raw_os_error(libc::EACCES);
        let advice = pins.failed("pin a map at", &file, &error);
        insta::assert_snapshot!(pins.refuse(advice).advice(), @"failed to load config `tcp`: failed to pin a map at /sys/fs/bpf/x/tcp/maps/tcp_total-untyped: permission denied");
        let taken = Taken { pins, marks: BTreeMap::new(), maps: BTreeSet::new() };
        insta::assert_snapshot!(taken.other_shape("tcp_total", "max_entries 1024, was 512"), @"the map that is pinned of `tcp_total` has another shape: max_entries 1024, was 512; have it begin anew with `ebpf_wasm_exporter unpin --bpf.pin-dir=/sys/fs/bpf/x tcp`, or leave out --config.strict");
    }
}
