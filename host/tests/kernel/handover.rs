//! Maps that go from one object to the next, and programs that take the place of others.

use std::fs;
use std::path::Path;
use std::sync::PoisonError;

use bytes::Bytes;
use ebpf_wasm_exporter::advice::Advise as _;
use ebpf_wasm_exporter::bpf::{Attached, Loaded, ObjectSource, Opened, Passage, Stream, TakenBack};
use insta::assert_snapshot;

use crate::attach::LOOPBACK;
use crate::exporter::{BINARY, copy_program};
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
    let swapped = new.attach_in_place_of(Some(old), false).unwrap().settle();
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
        let swap = new.load().unwrap().attach_in_place_of(Some(old), false).unwrap();
        let swapped = swap.settle();
        let all: Vec<_> = swapped.passages.iter().map(|(_, how)| *how).collect();
        assert!(!all.is_empty() && all.iter().all(|how| *how == expected), "{object}: {all:?}");
        assert_eq!(swapped.attached.failures(), failed);
        let after = attached(&swapped.attached);
        assert_eq!(before == after, expected == Passage::Kept, "{object}: {before:?} {after:?}");
    }
}

/// Of a new program that does not attach nothing is left, and the old one counts.
pub fn what_does_not_attach_leaves_all_as_it_was() {
    let prctl = "failed to attach program `kept` (tracepoint/syscalls/sys_enter_prct";
    for (old, new, strict, expected) in [
        ("kept", "kept_beyond", false, prctl),
        ("kept_pair", "kept_late", false, prctl),
        ("kept", "kept_mistyped", false, prctl),
        ("kept", "kept_renamed", false, "failed to attach program `kept_anew` (tracepoint/"),
        (
            "kept_pair",
            "kept_pair_mistyped",
            false,
            "failed to attach program `paired` (tracepoint/",
        ),
        ("kept", "kept_elsewhere", true, "failed to attach program `elsewhere` (uprobe//no/such/"),
        ("kept_elsewhere", "kept_mistyped", false, prctl),
    ] {
        let (one, other) = (Session::new(), Session::new());
        let old = start(old, one);
        one.keep(7, 3);
        let before = attached(&old);
        let (loaded, _) = after(&old, new, other);
        let refused = *loaded.attach_in_place_of(Some(old), strict).unwrap_err();
        let said: Vec<_> = refused.faults.iter().map(|error| error.advice().to_string()).collect();
        assert!(said.len() == 1 && said[0].starts_with(expected), "{new}: {said:?}");
        other.keep(7, 10);
        one.keep(7, 100);
        let old = runs_again(refused.back);
        assert_eq!(sums(&old, "kept_total"), [(7, 103)], "{new}");
        assert_eq!(attached(&old), before, "{new}");
        drop(old);
        one.keep(7, 1000);
    }
}

/// Names and numbers of the programs that run.
fn attached(all: &Attached) -> Vec<(String, Option<u32>)> {
    let attached = all.programs().iter().filter(|program| program.attached);
    attached.map(|program| (program.name.clone(), program.id)).collect()
}

/// What runs again, all of it.
fn runs_again(back: TakenBack) -> Attached {
    assert_eq!(back.lost, []);
    back.attached.unwrap()
}

/// A program that ran nowhere may fail, as it may at a start.
pub fn what_is_new_may_fail() {
    let (one, other) = (Session::new(), Session::new());
    let old = start("kept", one);
    let (new, _) = after(&old, "kept_elsewhere", other);
    let new = new.attach_in_place_of(Some(old), false).unwrap().settle().attached;
    let failed: Vec<_> = new.failures().iter().map(|error| &*error.program).collect();
    assert_eq!(failed, ["elsewhere"]);
    other.keep(7, 3);
    assert_eq!(sums(&new, "kept_total"), [(7, 3)]);
    // So it may the next time, though all that can run ran.
    let (next, _) = after(&new, "kept_elsewhere", one);
    let next = next.attach_in_place_of(Some(new), false).unwrap().settle().attached;
    one.keep(7, 10);
    assert_eq!(sums(&next, "kept_total"), [(7, 13)]);
}

/// However it came to run, as long as it is not settled.
pub fn what_has_come_can_be_taken_back() {
    for (old, new) in [
        ("kept", "kept"),
        ("kept", "kept_aliased"),
        ("kept", "kept_moved"),
        ("kept_pair", "kept"),
        ("kept", "kept_pair"),
    ] {
        let (one, other) = (Session::new(), Session::new());
        let old = start(old, one);
        let before = attached(&old);
        let (loaded, _) = after(&old, new, other);
        let swap = loaded.attach_in_place_of(Some(old), false).unwrap();
        other.keep(7, 1);
        let old = runs_again(swap.undo());
        other.keep(7, 10);
        one.keep(7, 100);
        assert_eq!(sums(&old, "kept_total"), [(7, 101)], "{new}");
        assert_eq!(attached(&old), before, "{new}");
    }
    let _lone = LOOPBACK.lock().unwrap_or_else(PoisonError::into_inner);
    let old = object::attach("packets");
    let before = attached(&old);
    let mut new = object::open("packets");
    new.take_over(old.maps()).unwrap();
    let swap = new.load().unwrap().attach_in_place_of(Some(old), false).unwrap();
    assert_eq!(attached(&runs_again(swap.undo())), before);
}

/// What passes both of its hooks meanwhile may be counted at both, and for how long is told.
pub fn a_program_may_go_to_another_hook() {
    for (object, expected) in
        [("kept_aliased", "kept After"), ("kept_moved", "kept New, kept Left")]
    {
        let (one, other) = (Session::new(), Session::new());
        let old = start("kept", one);
        one.keep(7, 3);
        let (new, _) = after(&old, object, other);
        let swapped = new.attach_in_place_of(Some(old), false).unwrap().settle();
        let told = swapped.passages.iter().map(|(name, how)| {
            let how = format!("{how:?}");
            format!("{name} {}", how.split('(').next().unwrap())
        });
        assert_eq!(told.collect::<Vec<_>>().join(", "), expected);
        one.keep(7, 10);
        other.keep(7, 100);
        assert_eq!(sums(&swapped.attached, "kept_total"), [(7, 103)], "{object}");
    }
}

/// While its file is away nothing could attach it again, so it is left where it is. Another file is another place.
pub fn a_program_stays_at_a_file_that_has_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (file, away) = (dir.path().join("program"), dir.path().join("away"));
    copy_program(BINARY, &file);
    let object = at_file(&file);
    let open = || Opened::open("filed", &ObjectSource::Held("filed".into(), object.clone()), None);
    let old = open().unwrap().load().unwrap().attach();
    let before = attached(&old);
    assert_eq!(before.len(), 1, "{:?}", old.failures());
    fs::rename(&file, &away).unwrap();
    let again = |old: &Attached| {
        let mut new = open().unwrap();
        new.take_over(old.maps()).unwrap();
        new.load().unwrap()
    };
    let refused = *again(&old).attach_in_place_of(Some(old), false).unwrap_err();
    let old = runs_again(refused.back);
    assert_eq!(attached(&old), before);
    copy_program(BINARY, &file);
    let swap = again(&old).attach_in_place_of(Some(old), false).unwrap();
    let old = runs_again(swap.undo());
    assert_eq!(attached(&old), before);
    let swapped = again(&old).attach_in_place_of(Some(old), false).unwrap().settle();
    assert_eq!(swapped.passages, [("filed".to_owned(), Passage::InPlace)]);
}

/// The object whose program is at this file.
fn at_file(file: &Path) -> Bytes {
    /// As long as a path that is in its place may be.
    const PLACE: &[u8] = b"/the/place/of/a/path/that/is/as/long/as/this/one";
    let mut object = fs::read(object::file("filed")).unwrap();
    let path = file.to_str().unwrap();
    let (above, name) = path.rsplit_once('/').unwrap();
    // Slashes more do not change what it names.
    let filled = format!("{above}{}{name}", "/".repeat(PLACE.len() + 1 - path.len()));
    let places: Vec<_> =
        (0..object.len() - PLACE.len()).filter(|&at| object[at..].starts_with(PLACE)).collect();
    assert!(!places.is_empty());
    for at in places {
        object[at..at + PLACE.len()].copy_from_slice(filled.as_bytes());
    }
    object.into()
}
