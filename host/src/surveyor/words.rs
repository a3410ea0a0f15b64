//! Places and owners as people call them, in texts of bounded length.

use std::collections::BTreeSet;

use crate::advice;
use crate::bpf::inventory::{Owner, Place};
use crate::system::System;

/// How many places or owners are named; that there are more is said.
const MOST: usize = 3;

/// Where a program is attached: `kprobe/do_unlinkat, xdp/eth0`; empty if no link attaches it.
pub fn attached_to(places: &[Place], system: &System) -> String {
    few(places.iter().map(|place| of_place(place, system)))
}

/// Who holds it: the names of processes; empty if that is not known, or what holds it is no process.
pub fn owned_by(owners: &[Owner]) -> String {
    few(owners.iter().map(|owner| owner.name.clone()))
}

/// As [`owned_by`], with the numbers of the processes: `systemd (1)`.
pub fn processes(owners: &[Owner]) -> String {
    few(owners.iter().map(|owner| format!("{} ({})", owner.name, owner.process)))
}

fn of_place(place: &Place, system: &System) -> String {
    let text = |name: Vec<u8>| String::from_utf8_lossy(&name).into_owned();
    let mut name = Vec::new();
    match place {
        Place::Section(section) => section.clone(),
        Place::Interface { hook, index } => match system.interfaces().name(*index, &mut name) {
            true => format!("{hook}/{}", text(name)),
            false => format!("{hook}/interface {index}"),
        },
        Place::Cgroup { hook, id } => match system.cgroups().path(*id, &mut name) {
            true => format!("{hook} {}", text(name)),
            false => format!("{hook} cgroup {id}"),
        },
    }
}

/// The first of these, each once, sorted.
fn few(all: impl Iterator<Item = String>) -> String {
    advice::few(all.collect::<BTreeSet<_>>(), MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_the_hosts_names() {
        let root = tempfile::tempdir().unwrap();
        let system = System::at(root.path());
        let section = Place::Section("kprobe/do_unlinkat".to_owned());
        let interface = |index| Place::Interface { hook: "xdp".to_owned(), index };
        let cgroup = Place::Cgroup { hook: "cgroup_device".to_owned(), id: 7 };
        let places = [section, interface(1), interface(u32::MAX)];
        insta::assert_snapshot!(attached_to(&places, &system), @"kprobe/do_unlinkat, xdp/interface 4294967295, xdp/lo");
        insta::assert_snapshot!(attached_to(&[cgroup], &system), @"cgroup_device cgroup 7");
        assert_eq!(attached_to(&[], &system), "");
    }

    #[test]
    fn many_are_counted_and_each_is_named_once() {
        let owner = |(process, name): (u32, &str)| Owner { name: name.to_owned(), process };
        let owners = [(1, "b"), (2, "a"), (3, "b"), (4, "c"), (5, "d"), (6, "e")].map(owner);
        assert_eq!(owned_by(&owners[..4]), "a, b, c");
        assert_eq!(owned_by(&owners), "a, b, c, and 2 more");
        assert_eq!(processes(&owners), "a (2), b (1), b (3), and 3 more");
    }
}
