//! Every BPF program and map that the kernel has, ours or not: what each is, what it takes, where it is
//! attached, and which processes hold it.
//!
//! Takes CAP_SYS_ADMIN. Never holds one longer than it looks at it, for what is held lives on.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use libbpf_rs::libbpf_sys;
use libbpf_rs::query::LinkInfo;
use serde::{Deserialize, Serialize};

use super::host::Host;
use super::reason::unreadable_memory;
use super::stats::{self, ProgramCost};
use super::{MapKind, sys};
use crate::advice;
use sys::Numbered;

mod owners;
mod place;
mod targets;

use owners::Owners;
pub use place::Place;
pub use targets::TYPES;
use targets::Targets;

/// What the kernel has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Its programs, by number.
    pub programs: Vec<Program>,
    /// Its maps, by number.
    pub maps: Vec<Map>,
    /// Why it is not known who holds them, if it is not.
    pub ownerless: Option<String>,
}

/// A program that the kernel has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The kernel's number of it, unique until the host boots.
    pub id: u32,
    /// Its name, of which the kernel keeps 15 bytes; empty if it has none.
    pub name: String,
    /// The kernel's name of its type: `kprobe`.
    pub kind: String,
    /// The hash of its instructions: 16 hex digits.
    pub tag: String,
    /// Bytes that its instructions take, as they were loaded and as they run; none if the kernel does not say.
    pub memory: Option<u64>,
    /// What it has cost, while the kernel measured.
    pub cost: ProgramCost,
    /// The maps that it uses.
    pub maps: Vec<u32>,
    /// Bytes of all these maps. A map that several programs use counts for each of them.
    pub map_memory: u64,
    /// Where it is attached.
    pub places: Vec<Place>,
    /// Who holds it, or what attaches it.
    pub owners: Vec<Owner>,
}

/// A map that the kernel has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// The kernel's number of it, unique until the host boots.
    pub id: u32,
    /// Its name, of which the kernel keeps 15 bytes; empty if it has none.
    pub name: String,
    /// The kernel's name of its type: `hash`.
    pub kind: String,
    /// Bytes that it takes, as the kernel tells it in `fdinfo`: what it takes now from Linux 6.4 on, what it
    /// could take before.
    pub memory: Option<u64>,
    /// How many entries it can hold.
    pub max_entries: u32,
    /// Who holds it, or a program that uses it.
    pub owners: Vec<Owner>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// What it calls itself: 15 bytes, which may be anything.
    pub name: String,
    /// Its number.
    pub process: u32,
}

/// Goes through all that the kernel has, again and again.
#[derive(Debug, Default)]
pub struct Walker {
    /// What never changes of programs that were seen.
    known: HashMap<u32, Program>,
    /// Links that were seen, of those that never change.
    fixed: HashMap<u32, KnownLink>,
    targets: Targets,
    owners: Option<Owners>,
    /// Why there is nothing that tells them.
    ownerless: Option<String>,
}

/// What links tell of the programs that they attach.
#[derive(Debug, Default)]
struct Links {
    places: HashMap<u32, BTreeSet<Place>>,
    /// The program of each.
    programs: HashMap<u32, u32>,
}

/// What a link tells.
#[derive(Debug)]
struct KnownLink {
    program: u32,
    place: Place,
    /// Whether it is always the same program, in the same place.
    is_fixed: bool,
}

/// Who holds what, by its number.
#[derive(Debug, Default)]
struct Held {
    programs: HashMap<u32, BTreeSet<Owner>>,
    maps: HashMap<u32, BTreeSet<Owner>>,
}

impl Walker {
    /// One that also tells who holds what, if the kernel can be asked. To be made while the process may load
    /// programs.
    pub fn new() -> Self {
        match Owners::load() {
            Ok(owners) => Self { owners: Some(owners), ..Self::default() },
            Err(error) => {
                let why = unreadable_memory(&Host::current()).map(|why| why.to_string());
                let why = why.unwrap_or_else(|| advice::words(&error));
                Self { ownerless: Some(why), ..Self::default() }
            }
        }
    }

    /// What the kernel has now.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell: it takes CAP_SYS_ADMIN.
    pub fn walk(&mut self) -> io::Result<Inventory> {
        let links = self.links()?;
        let mut programs = Vec::new();
        each(Numbered::Program, |id, fd| {
            programs.push(self.program(id, fd)?);
            Ok(())
        })?;
        let mut maps = Vec::new();
        each(Numbered::Map, |id, fd| {
            maps.push(Map::of(id, fd)?);
            Ok(())
        })?;
        let here: HashSet<u32> = programs.iter().map(|program| program.id).collect();
        self.known.retain(|id, _| here.contains(id));
        self.targets.rest();
        let (held, ownerless) = match self.held(&links) {
            Ok(held) => (held, self.ownerless.clone()),
            Err(error) => (Held::default(), Some(advice::words(&error))),
        };
        let mut inventory = Inventory { programs, maps, ownerless };
        inventory.attach(links);
        inventory.own(held);
        inventory.weigh();
        Ok(inventory)
    }

    fn links(&mut self) -> io::Result<Links> {
        let mut links = Links::default();
        let ids = match ids(Numbered::Link) {
            // Before Linux 5.8 links have no numbers.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Vec::new(),
            ids => ids?,
        };
        let mut fixed = std::mem::take(&mut self.fixed);
        for id in ids {
            let link = match fixed.remove(&id) {
                Some(link) => Some(link),
                None => self.link(id)?,
            };
            if let Some(link) = link {
                links.add(id, &link);
                if link.is_fixed {
                    self.fixed.insert(id, link);
                }
            }
        }
        Ok(links)
    }

    /// The link of this number; none if it is gone.
    fn link(&mut self, id: u32) -> io::Result<Option<KnownLink>> {
        let Some(fd) = sys::by_id(Numbered::Link, id)? else { return Ok(None) };
        let link = LinkInfo::from_fd(fd.as_fd()).map_err(io::Error::other)?;
        let (program, is_fixed) = (link.prog_id, place::is_fixed(&link));
        let place = Place::of(link, &mut self.targets);
        Ok(Some(KnownLink { program, place, is_fixed }))
    }

    /// The program behind `fd`, of which only what changes is asked for if it is known.
    fn program(&mut self, id: u32, fd: BorrowedFd<'_>) -> io::Result<Program> {
        let info = stats::info(fd)?.info;
        let known = match self.known.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Program::of(&info, fd)?),
        };
        Ok(Program { cost: ProgramCost::of(&info), ..known.clone() })
    }

    fn held(&self, links: &Links) -> io::Result<Held> {
        let listed = self.owners.as_ref().map(Owners::list).transpose()?;
        let mut held = Held::default();
        for holder in listed.unwrap_or_default() {
            let (of, id) = match holder.kind {
                Numbered::Program => (&mut held.programs, Some(holder.id)),
                Numbered::Link => (&mut held.programs, links.programs.get(&holder.id).copied()),
                _ => (&mut held.maps, Some(holder.id)),
            };
            if let Some(id) = id {
                of.entry(id).or_default().insert(holder.owner);
            }
        }
        Ok(held)
    }
}

impl Links {
    fn add(&mut self, id: u32, link: &KnownLink) {
        self.programs.insert(id, link.program);
        self.places.entry(link.program).or_default().insert(link.place.clone());
    }
}

impl Inventory {
    /// Adds up what the maps of each program take.
    fn weigh(&mut self) {
        let maps = self.maps.iter().filter_map(|map| Some((map.id, map.memory?)));
        let maps: HashMap<u32, u64> = maps.collect();
        for program in &mut self.programs {
            program.map_memory = program.maps.iter().filter_map(|map| maps.get(map)).sum();
        }
    }

    fn attach(&mut self, mut links: Links) {
        for program in &mut self.programs {
            let places = links.places.remove(&program.id).unwrap_or_default();
            program.places.extend(places.into_iter().map(|place| place.of_kind(&program.kind)));
        }
    }

    fn own(&mut self, mut held: Held) {
        for program in &mut self.programs {
            let owners = held.programs.remove(&program.id).unwrap_or_default();
            for map in &program.maps {
                held.maps.entry(*map).or_default().extend(owners.iter().cloned());
            }
            program.owners.extend(owners);
        }
        for map in &mut self.maps {
            map.owners.extend(held.maps.remove(&map.id).unwrap_or_default());
        }
    }
}

impl Program {
    /// What never changes of the program behind `fd`.
    fn of(info: &libbpf_sys::bpf_prog_info, fd: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self {
            id: info.id,
            name: sys::text(&info.name),
            kind: program_kind(info.type_),
            tag: stats::tag(info),
            memory: locked(fd).map(|locked| locked + u64::from(info.jited_prog_len)),
            maps: sys::maps_of(fd, info.nr_map_ids)?,
            ..Self::default()
        })
    }
}

impl Map {
    fn of(id: u32, fd: BorrowedFd<'_>) -> io::Result<Self> {
        let info = sys::map_info(fd)?;
        Ok(Self {
            id,
            name: sys::text(&info.name),
            kind: MapKind::from(info.type_).to_string(),
            memory: locked(fd),
            max_entries: info.max_entries,
            owners: Vec::new(),
        })
    }
}

/// Looks at all of a kind, in the order of their numbers. What goes meanwhile is passed over.
fn each(
    kind: Numbered,
    mut look: impl FnMut(u32, BorrowedFd<'_>) -> io::Result<()>,
) -> io::Result<()> {
    for id in ids(kind)? {
        if let Some(fd) = sys::by_id(kind, id)? {
            look(id, fd.as_fd())?;
        }
    }
    Ok(())
}

/// The numbers of all of a kind, the least first.
fn ids(kind: Numbered) -> io::Result<Vec<u32>> {
    let mut all = Vec::new();
    while let Some(id) = sys::next_id(kind, all.last().copied().unwrap_or(0))? {
        all.push(id);
    }
    Ok(all)
}

/// What libbpf calls a type of program, or its number.
fn program_kind(kind: libbpf_sys::bpf_prog_type) -> String {
    sys::program_type_name(kind).map_or_else(|| format!("type {kind}"), str::to_owned)
}

/// Bytes that the kernel says something takes.
fn locked(fd: BorrowedFd<'_>) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?;
    text.lines().find_map(|line| line.strip_prefix("memlock:"))?.trim().parse().ok()
}
