//! The trial of copying. Each start makes small maps of its own, copies them, and compares the copies with what the
//! kernel says that these maps hold.
//!
//! Only after that is any other map copied. If the trial of a kind of map fails, maps of that kind are read in other
//! ways. The debug log says why. If the host itself is the reason, the log says it at any level.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::Arc;

use libbpf_rs::{MapCore as _, MapFlags, MapHandle, MapType};

use super::Walk as _;
use super::copy::{Copier, Copy, Places, is_per_cpu_hash};
use super::elements::{self, Found};
use super::window::Window;
use crate::bpf::{self, MapRef, MapSpec, log, sys};
use crate::source::Reading;
use crate::source::map::target;

/// Where the elements of these maps lie. A map is left out if the trial of its kind fails on this kernel.
pub(super) fn places<'a>(maps: impl Iterator<Item = &'a MapRef>) -> Places {
    let (per_cpu, plain): (Vec<_>, Vec<_>) = maps.partition(|map| is_per_cpu_hash(&map.spec));
    if per_cpu.is_empty() && plain.is_empty() {
        return Places::default();
    }
    let with_offsets = !per_cpu.is_empty();
    // The maps of the trial are made first, so that their elements are found too.
    let tried = [Tried::new(MapType::Hash, plain), Tried::new(MapType::PercpuHash, per_cpu)];
    let found = match log::capture(|| elements::find(with_offsets)).0 {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!("maps cannot be copied: {error}");
            if let Some(why) = bpf::uncopied() {
                tracing::info!("{why}");
            }
            return Places::default();
        }
    };
    let good = tried.into_iter().flatten().filter(|tried| tried.passes(&found));
    Places::among(&found, good.flat_map(|tried| tried.maps))
}

/// Maps of one kind, and the map that stands for them in the trial.
struct Tried<'a> {
    maps: Vec<&'a MapRef>,
    trial: libbpf_rs::Result<Trial>,
}

impl<'a> Tried<'a> {
    /// Nothing if there are no such maps.
    fn new(kind: MapType, maps: Vec<&'a MapRef>) -> Option<Self> {
        if maps.is_empty() { None } else { Some(Self { maps, trial: Trial::new(kind) }) }
    }

    fn passes(&self, found: &Found) -> bool {
        let passed = self.trial.as_ref().map_err(ToString::to_string);
        let passed = passed.and_then(|trial| trial.run(found).map_err(|error| error.to_string()));
        if let Err(error) = &passed {
            tracing::debug!("maps such as {} cannot be copied: {error}", self.maps[0].spec.name);
        }
        passed.is_ok()
    }
}

/// A map to which everything has happened that happens to maps: some entries were deleted, and some were updated,
/// which moves their elements.
struct Trial {
    map: MapHandle,
    spec: MapSpec,
}

impl Trial {
    const ENTRIES: u32 = 64;
    /// Bytes of a key. They are no multiple of 8, so that elements have padding.
    const KEY: usize = 12;

    /// A map of this type.
    fn new(kind: MapType) -> libbpf_rs::Result<Self> {
        let options = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as u64,
            ..Default::default()
        };
        let spec = MapSpec {
            name: "ewe_trial".to_owned(),
            kind: kind.into(),
            key_size: Self::KEY as u32,
            value_size: size_of::<u64>() as u32,
            max_entries: Self::ENTRIES,
            flags: 0,
        };
        let MapSpec { name, key_size, value_size, max_entries, .. } = &spec;
        let map =
            MapHandle::create(kind, Some(name), *key_size, *value_size, *max_entries, &options)?;
        let trial = Self { map, spec };
        for n in 0..Self::ENTRIES {
            trial.write(n, 1)?;
        }
        for n in (0..Self::ENTRIES).step_by(3) {
            trial.map.delete(&Self::key(n))?;
        }
        for n in 0..Self::ENTRIES / 2 {
            trial.write(n, u64::from(n) + 2)?;
        }
        Ok(trial)
    }

    fn key(n: u32) -> [u8; Self::KEY] {
        let mut key = [n as u8; Self::KEY];
        let spread = u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_ne_bytes();
        key[..spread.len()].copy_from_slice(&spread);
        key
    }

    /// Writes an entry, whose value is another one for each CPU.
    fn write(&self, n: u32, value: u64) -> libbpf_rs::Result<()> {
        let (key, value_of) = (Self::key(n), |cpu: usize| (value << 32 | cpu as u64).to_ne_bytes());
        if is_per_cpu_hash(&self.spec) {
            let cpus = 0..libbpf_rs::num_possible_cpus()?;
            let values: Vec<_> = cpus.map(|cpu| value_of(cpu).to_vec()).collect();
            return self.map.update_percpu(&key, &values, MapFlags::ANY);
        }
        self.map.update(&key, &value_of(0), MapFlags::ANY)
    }

    /// Its entries, as the kernel gives them one by one.
    fn entries(&self, cpus: usize) -> libbpf_rs::Result<BTreeMap<Vec<u8>, Vec<u64>>> {
        let mut entries = BTreeMap::new();
        for key in self.map.keys() {
            let mut values = vec![0; cpus];
            sys::lookup(self.map.as_fd().as_raw_fd(), &key, &mut values)?;
            entries.insert(key, values);
        }
        Ok(entries)
    }

    /// Copies it.
    ///
    /// # Errors
    ///
    /// If that gives anything but its entries, or cannot be done.
    fn run(&self, found: &Found) -> libbpf_rs::Result<()> {
        let map = MapRef::new(self.spec.clone(), self.map.as_fd())?;
        let places = Places::among(found, [&map]);
        let refused = || io::Error::other("the kernel refuses the program");
        let copier = Copier::load(&Window::new(places.room())?, places);
        let copier = Arc::new(copier.ok_or_else(refused)?);
        let target = target(&map)?;
        let copy = Copy::new(Reading::Auto, &target, Some(&copier));
        let mut copy = copy.map_err(|_| refused())?;
        let (mut copied, mut twice) = (BTreeMap::new(), false);
        copy.walk(&target, &mut |chunk| {
            for entry in chunk.entries() {
                let before = copied.insert(entry.key.to_vec(), entry.values.to_vec());
                twice |= before.is_some();
            }
        })?;
        if twice || copied != self.entries(target.cpus)? {
            let error = "a copy of a map is not what the kernel says it holds";
            return Err(io::Error::other(error).into());
        }
        Ok(())
    }
}
