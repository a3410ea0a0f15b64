//! Maps that go from one object to the next: what was counted stays, and the new programs count on.
//!
//! A map is handed over if name, type, sizes, flags and the fields of its keys and values are equal. It is made new
//! otherwise, and what differs is told. Never touches an entry, and never a map that libbpf makes for variables.

use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use libbpf_rs::{AsRawLibbpf, OpenMap, libbpf_sys};

use super::form::EntryForm;
use super::{MapKind, MapRef, MapSpec, Opened, is_users, sys, text};

/// What libbpf writes for its own use into maps that look like the author's: who has attached a USDT last knows
/// what stands there.
const USDT: &str = "__bpf_usdt_";
/// What is told of maps that have the same sizes.
pub(super) const OTHER_FIELDS: &str = "the fields of its keys or values are others";

/// What came of maps that were to be handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handover {
    /// Names of those that were, in the object's order.
    pub taken: Vec<String>,
    /// Those that are made new although there was one of their name.
    pub anew: Vec<Anew>,
}

/// A map that does not go on with what was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anew {
    /// Its name.
    pub map: String,
    /// Why, in words: `max_entries 1024, was 512`.
    pub why: String,
}

impl fmt::Display for Anew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "map `{}` begins anew: {}", self.map, self.why)
    }
}

/// All that has to be equal, but for the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MapShape {
    kind: MapKind,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    /// What else maps of this type are made with: a bloom filter's number of hashes.
    extra: u64,
    /// None if nothing is known of its types.
    form: Option<EntryForm>,
}

impl Opened {
    /// Has the object's maps be these, those of them that have the same name and shape. The others of the object
    /// are made when it is loaded. Programs that have these maps already, and readers, go on with them.
    ///
    /// Variables of the object are not handed over.
    ///
    /// # Errors
    ///
    /// When no descriptor is left, or the kernel does not tell of a map.
    pub fn take_over(&mut self, maps: &[MapRef]) -> io::Result<Handover> {
        let mut handover = Handover::default();
        let forms = &self.forms;
        for mut map in self.object.maps_mut() {
            let name = text(map.name());
            let Some(old) = maps.iter().find(|old| old.spec.name == name) else { continue };
            if !is_users(&map) || is_of_libbpf(&name) {
                continue;
            }
            let kind = MapSpec::of_open(&map).kind;
            let why = match kind.holds_data() {
                false => Some(format!("a {kind} is not handed over")),
                true => MapShape::of_open(&map, forms.get(&name).copied())
                    .difference(&MapShape::of_fd(old.as_fd(), old.form)?),
            };
            match why {
                None => {
                    map.reuse_fd(old.as_fd()).map_err(io::Error::other)?;
                    handover.taken.push(name);
                }
                Some(why) => handover.anew.push(Anew { map: name, why }),
            }
        }
        Ok(handover)
    }
}

/// How a map of an object differs from one of this shape, but for the fields of its entries.
pub(super) fn difference(map: &OpenMap<'_>, was: &MapShape) -> Option<String> {
    MapShape::of_open(map, None).difference(was)
}

/// The map that this map of an object was made to be, if it was.
pub(super) fn descriptor<'a>(map: &'a OpenMap<'_>) -> Option<BorrowedFd<'a>> {
    // SAFETY: the map belongs to an object that is alive.
    let fd = unsafe { libbpf_sys::bpf_map__fd(map.as_libbpf_object().as_ptr()) };
    // SAFETY: libbpf keeps it open as long as the map's object lives.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Whether only libbpf knows what a map holds.
pub(super) fn is_of_libbpf(name: &str) -> bool {
    name.starts_with(USDT)
}

impl MapShape {
    /// What a map of an object will be.
    fn of_open(map: &OpenMap<'_>, form: Option<EntryForm>) -> Self {
        let MapSpec { kind, key_size, value_size, max_entries, flags, .. } = MapSpec::of_open(map);
        // SAFETY: the map belongs to an object that is alive.
        let extra = unsafe { libbpf_sys::bpf_map__map_extra(map.as_libbpf_object().as_ptr()) };
        let cpus = || u32::try_from(libbpf_rs::num_possible_cpus().unwrap_or(1)).unwrap_or(1);
        let max_entries = match max_entries {
            // libbpf gives it an entry for each CPU.
            0 if kind == MapKind::PERF_EVENT_ARRAY => cpus(),
            // The kernel gives each CPU as many.
            some if flags & libbpf_sys::BPF_F_NO_COMMON_LRU != 0 => some.next_multiple_of(cpus()),
            some => some,
        };
        Self { kind, key_size, value_size, max_entries, flags, extra, form }
    }

    /// What the map behind a descriptor is, as the kernel tells.
    pub(super) fn of_fd(fd: BorrowedFd<'_>, form: Option<EntryForm>) -> io::Result<Self> {
        let info = sys::map_info(fd)?;
        Ok(Self {
            kind: info.type_.into(),
            key_size: info.key_size,
            value_size: info.value_size,
            max_entries: info.max_entries,
            flags: info.map_flags,
            extra: info.map_extra,
            form,
        })
    }

    /// How it differs from what was there, in words, if it does.
    fn difference(&self, was: &Self) -> Option<String> {
        let told = self.told_from(was);
        (!told.is_empty()).then(|| told.join(", "))
    }

    fn told_from(&self, was: &Self) -> Vec<String> {
        let mut told = Vec::new();
        if self.kind != was.kind {
            told.push(format!("type {}, was {}", self.kind, was.kind));
        }
        let numbers = [
            ("key_size", self.key_size, was.key_size),
            ("value_size", self.value_size, was.value_size),
            ("max_entries", self.max_entries, was.max_entries),
        ];
        let numbers = numbers.into_iter().filter(|(_, is, was)| is != was);
        told.extend(numbers.map(|(what, is, was)| format!("{what} {is}, was {was}")));
        if self.flags != was.flags {
            told.push(format!("map_flags {:#x}, was {:#x}", self.flags, was.flags));
        }
        if self.extra != was.extra {
            told.push(format!("map_extra {}, was {}", self.extra, was.extra));
        }
        // Only where both are known: an object that was stripped of its types tells nothing.
        if told.is_empty()
            && let (Some(is), Some(was)) = (self.form, was.form)
            && is != was
        {
            told.push(OTHER_FIELDS.to_owned());
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_in_words() {
        let shape = |kind, sizes: [u32; 4], extra| {
            let [key_size, value_size, max_entries, flags] = sizes;
            MapShape { kind, key_size, value_size, max_entries, flags, extra, form: None }
        };
        let was = shape(MapKind::HASH, [8, 8, 512, 0], 0);
        let told = [
            shape(MapKind::HASH, [8, 8, 512, 0], 0),
            shape(MapKind::HASH, [8, 8, 1024, 0], 0),
            shape(MapKind::LRU_HASH, [8, 16, 512, 2], 0),
            shape(MapKind::HASH, [12, 8, 512, 0], 5),
        ]
        .map(|is| is.told_from(&was).join(", "));
        insta::assert_snapshot!(told.join("\n"), @r"

        max_entries 1024, was 512
        type lru_hash, was hash, value_size 16, was 8, map_flags 0x2, was 0x0
        key_size 12, was 8, map_extra 5, was 0
        ");
    }

    #[test]
    fn fields_are_compared_where_they_are_known() {
        let shape = |form: Option<&str>| MapShape {
            kind: MapKind::HASH,
            key_size: 8,
            value_size: 8,
            max_entries: 1,
            flags: 0,
            extra: 0,
            form: form.map(EntryForm::of),
        };
        let told = |is, was| shape(is).told_from(&shape(was)).join(", ");
        assert_eq!(told(Some("{a@0:u64;}"), Some("{a@0:u64;}")), "");
        assert_eq!(told(Some("{a@0:u64;}"), None), "");
        insta::assert_snapshot!(told(Some("{a@0:u64;}"), Some("{b@0:u64;}")), @"the fields of its keys or values are others");
    }
}
