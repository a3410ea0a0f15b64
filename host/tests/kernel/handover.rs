//! Maps that go from one object to the next, and programs that take the place of others.

use std::sync::PoisonError;

use ebpf_wasm_exporter::advice::Advise as _;
use ebpf_wasm_exporter::bpf::{Attached, Loaded, Passage, Stream};
use insta::assert_snapshot;

use crate::attach::LOOPBACK;

use crate::object;
use crate::workload::{Rows, Session, rows};

/// What a map holds, CPUs summed.
fn sums(attached: &Attached, map: &str) -> Vec<(u64, u64)> {
    let first = |key: &[u8]| u64::from_ne_bytes(key[..8].try_into().unwrap());
    let all: Rows = rows(attached, map);
    all.into_iter().map(|(key, values)| (first(&key), values.iter().sum())).collect()
}

/// The object `name` that hears this session, with maps of `old`; and what was said of them.
fn after(old: &Attached, name: &str, session: Session) -> (Loaded, String) {
    let mut opened = object::open(name);
    opened.set_constant("session", session.number()).unwrap();
    let handover = opened.take_over(old.maps()).unwrap();
    let anew: String = handover.anew.iter().map(|anew| format!("{anew}\n")).collect();
    (opened.load().unwrap(), format!("taken over: {}\n{anew}", handover.taken.join(", ")))
}

fn start(name: &str, session: Session) -> Attached {
    let mut opened = object::open(name);
    opened.set_constant("session", session.number()).unwrap();
    opened.load().unwrap().attach()
}

/// Both count into the same maps, and what the first has counted stays when it goes.
pub fn counts_go_on_in_maps_that_are_handed_over() {
    let (one, other) = (Session::new(), Session::new());
    let old = start("kept", one);
    one.keep(7, 3);
    let (new, said) = after(&old, "kept", other);
    assert_snapshot!(said, @"taken over: kept_total, kept_cpu_total, kept_sized_total, kept_struct_total, kept_events");
    let new = new.attach();
    one.keep(7, 10);
    other.keep(7, 100);
    other.keep(8, 1);
    drop(old);
    other.keep(7, 1000);
    one.keep(7, 10_000);
    for map in ["kept_total", "kept_cpu_total", "kept_sized_total", "kept_struct_total"] {
        assert_eq!(sums(&new, map), [(7, 1113), (8, 1)], "{map}");
    }
    let mut records = Vec::new();
    let mut ring = Stream::new(new.map("kept_events").unwrap()).unwrap();
    ring.drain(&mut |record| records.push(record[0]));
    assert_eq!(records, [7, 7, 7, 8, 7]);
    // What stands in variables does not go on.
    assert_eq!(new.admitted().insert_failures(), Some(3));
}

pub fn maps_of_another_shape_begin_anew() {
    let (one, other) = (Session::new(), Session::new());
    let old = start("kept", one);
    one.keep(7, 3);
    let (new, said) = after(&old, "kept_grown", other);
    assert_snapshot!(said, @"
    taken over: kept_total, kept_cpu_total, kept_events
    map `kept_sized_total` begins anew: max_entries 1024, was 512
    map `kept_struct_total` begins anew: the fields of its keys or values are others
    ");
    let new = new.attach();
    other.keep(7, 10);
    assert_eq!(sums(&new, "kept_total"), [(7, 13)]);
    for map in ["kept_sized_total", "kept_struct_total", "kept_more_total"] {
        assert_eq!(sums(&new, map), [(7, 10)], "{map}");
    }
}

/// One program at a time counts, and what the first has counted stays.
pub fn programs_take_the_place_of_others() {
    let (one, other) = (Session::new(), Session::new());
    let old = start("kept", one);
    one.keep(7, 3);
    let (new, _) = after(&old, "kept", other);
    let swapped = new.attach_in_place_of(old).unwrap();
    let [(name, Passage::After(gap))] = &swapped.passages[..] else {
        panic!("{:?}", swapped.passages);
    };
    assert_eq!((&**name, gap.is_zero()), ("kept", false));
    one.keep(7, 10);
    other.keep(7, 100);
    assert_eq!(sums(&swapped.attached, "kept_total"), [(7, 103)]);
    // One call each: variables begin anew, and what they tell goes on.
    assert_eq!(swapped.attached.admitted().insert_failures(), Some(2));
}

/// As it does for packets, and for all whose new program is the one that runs.
pub fn the_kernel_puts_one_in_the_place_of_another_where_it_can() {
    let _lone = LOOPBACK.lock().unwrap_or_else(PoisonError::into_inner);
    for (object, expected) in [("packets", Passage::InPlace), ("bare", Passage::Kept)] {
        let old = object::attach(object);
        let attached = |all: &Attached| {
            let attached = all.programs().iter().filter(|program| program.attached);
            attached.map(|program| program.id).collect::<Vec<_>>()
        };
        let before = attached(&old);
        let failed = old.failures().to_vec();
        let mut new = object::open(object);
        new.take_over(old.maps()).unwrap();
        let swapped = new.load().unwrap().attach_in_place_of(old).unwrap();
        let all: Vec<_> = swapped.passages.iter().map(|(_, how)| *how).collect();
        assert!(!all.is_empty() && all.iter().all(|how| *how == expected), "{object}: {all:?}");
        assert_eq!(swapped.attached.failures(), failed);
        let after = attached(&swapped.attached);
        assert_eq!(before == after, expected == Passage::Kept, "{object}: {before:?} {after:?}");
    }
}

/// Of a new program that does not attach nothing is left, and the old one counts.
pub fn what_does_not_attach_leaves_all_as_it_was() {
    for (object, expected) in [
        ("kept_beyond", "failed to attach program `kept` (tracepoint/syscalls/sys_enter_prctl): "),
        ("kept_elsewhere", "failed to attach program `elsewhere` (uprobe//no/such/file:nothing): "),
    ] {
        let (one, other) = (Session::new(), Session::new());
        let old = start("kept", one);
        one.keep(7, 3);
        let (new, _) = after(&old, object, other);
        let refused = *new.attach_in_place_of(old).unwrap_err();
        let said: Vec<_> =
            refused.failures.iter().map(|error| error.advice().to_string()).collect();
        assert!(said.len() == 1 && said[0].starts_with(expected), "{said:?}");
        other.keep(7, 10);
        one.keep(7, 100);
        assert_eq!(sums(&refused.attached, "kept_total"), [(7, 103)], "{object}");
        assert!(refused.attached.programs().iter().all(|program| program.attached));
        drop(refused);
        one.keep(7, 1000);
    }
}
