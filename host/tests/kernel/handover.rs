//! Maps that go from one object to the next, and programs that take the place of others.

use ebpf_wasm_exporter::bpf::{Attached, Loaded, Stream};
use insta::assert_snapshot;

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
