//! Maps of a config: those that are pinned become the object's, and all of the object's become pinned.
//!
//! A pin of another shape stays until the new programs run: those before them may have to go on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::DirBuilderExt as _;

use libbpf_rs::{Map, MapCore as _, Object, OpenMapMut};
use tracing::{info, warn};

use super::super::{KINDS, Kind};
use super::ConfigPins;
use super::marks::{self, Mark, parts, pin_of};
use crate::advice::Advice;
use crate::bpf::handover::{self, MapShape};
use crate::bpf::pin_file::PinFile;
use crate::bpf::{LoadError, Opened, sys, text};

const PIN: &str = "pin a map at";

/// What an object's maps hold, and which of them were taken over.
#[derive(Debug)]
pub(in crate::bpf) struct Taken {
    pins: ConfigPins,
    /// Of those that are pinned, by name.
    marks: BTreeMap<String, Mark>,
    /// Pins that were there before, and the maps that they are of.
    found: Vec<(String, PinFile)>,
    /// Names of those that were taken over.
    maps: BTreeSet<String>,
    /// Pins of maps that had none, as long as it is not settled.
    made: Vec<PinFile>,
    /// Whether it is begun and not settled.
    pending: bool,
}

/// Where the object's programs have not come to run, those before them go on, and its maps are not wanted.
impl Drop for Taken {
    fn drop(&mut self) {
        self.made.iter().for_each(PinFile::remove);
        if self.pending && self.found.is_empty() {
            self.pins.remove_if_empty();
        }
    }
}

impl Taken {
    /// Has maps of the object be those that are pinned, where they have the same shape.
    ///
    /// # Errors
    ///
    /// When one has another, if that is a fault; or when one cannot be had.
    pub(in crate::bpf) fn of(pins: ConfigPins, opened: &mut Opened) -> Result<Self, LoadError> {
        let marks = marks::of(opened);
        let names = pins.found(Kind::Maps);
        let marked: BTreeMap<_, _> = names.iter().filter_map(|name| parts(name)).collect();
        let found = names.iter().filter_map(|name| {
            let (map, _) = parts(name)?;
            Some((map, pins.file(Kind::Maps, name)))
        });
        let found = found.collect();
        let (maps, made) = (BTreeSet::new(), Vec::new());
        let mut taken = Self { pins, marks, found, maps, made, pending: false };
        for mut map in opened.object.maps_mut() {
            let name = text(map.name());
            let Some(pinned) = marked.get(&name) else { continue };
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

    /// Pins those maps of the object that have no pin.
    ///
    /// # Errors
    ///
    /// When one cannot be pinned.
    pub(in crate::bpf) fn begin(&mut self, object: &Object) -> Result<(), LoadError> {
        let pins = &self.pins;
        let went_on =
            self.marks.iter().filter(|(name, mark)| !mark.is_silent() && self.maps.contains(*name));
        match went_on.count() {
            0 => {}
            1 => info!(config = pins.config, "1 map goes on with what it holds"),
            n => info!(config = pins.config, "{n} maps go on with what they hold"),
        }
        self.pending = true;
        for kind in KINDS {
            let dir = pins.file(kind, "");
            let made = DirBuilder::new().recursive(true).mode(0o700).create(dir.path());
            made.map_err(|error| pins.refuse(pins.failed("make", &dir, &error)))?;
        }
        for (file, map) in self.unpinned(object) {
            if !self.has_pin(&text(map.name())) {
                let pinned = file.pin(map.as_fd());
                pinned.map_err(|error| self.pins.refuse(self.pins.failed(PIN, &file, &error)))?;
                self.made.push(file);
            }
        }
        Ok(())
    }

    /// Gives the object's maps the pins of those that had another shape, and takes away those of maps that it does not
    /// have: its programs run.
    pub(in crate::bpf) fn settle(&mut self, object: &Object) {
        self.made.clear();
        self.pending = false;
        let gone = self.found.iter().filter(|(map, _)| !self.maps.contains(map));
        gone.for_each(|(_, file)| file.remove());
        for (file, map) in self.unpinned(object) {
            if self.has_pin(&text(map.name()))
                && let Err(error) = file.pin(map.as_fd())
            {
                warn!(config = self.pins.config, "{}", self.pins.failed(PIN, &file, &error));
            }
        }
    }

    pub(in crate::bpf) fn pins(&self) -> &ConfigPins {
        &self.pins
    }

    /// The maps of the object that are to be pinned and were not taken over, each with its pin.
    fn unpinned<'o>(&self, object: &'o Object) -> Vec<(PinFile, Map<'o>)> {
        let file = |map: Map<'o>| {
            let name = text(map.name());
            let mark = self.marks.get(&name).filter(|_| !self.maps.contains(&name))?;
            Some((self.pins.file(Kind::Maps, &pin_of(&name, mark.as_str())), map))
        };
        object.maps().filter_map(file).collect()
    }

    /// Whether a map of this name was pinned before.
    fn has_pin(&self, map: &str) -> bool {
        self.found.iter().any(|(found, _)| found == map)
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
        let advice = pins.failed(PIN, &file, &error);
        insta::assert_snapshot!(pins.refuse(advice).advice(), @"failed to load config `tcp`: failed to pin a map at /sys/fs/bpf/x/tcp/maps/tcp_total-untyped: permission denied");
        let (marks, maps, found, made, pending) = Default::default();
        let taken = Taken { pins, marks, found, maps, made, pending };
        insta::assert_snapshot!(taken.other_shape("tcp_total", "max_entries 1024, was 512"), @"the map that is pinned of `tcp_total` has another shape: max_entries 1024, was 512; have it begin anew with `ebpf_wasm_exporter unpin --bpf.pin-dir=/sys/fs/bpf/x tcp`, or leave out --config.strict");
    }
}
