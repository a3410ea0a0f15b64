//! What could not be counted is said: full maps, evicted rows, events and runs that were missed.

use ebpf_wasm_exporter::bpf::stats::Misses;

use crate::configs::Configs;
use crate::events::value;
use crate::exporter::Exporter;
use crate::object;
use crate::workload::on_cpu;

const CONFIG: &str = "\
metrics:
  counters:
    - name: work_padded_total
      help: A hash of 1,024 entries
      labels:
        - {name: number, size: 4, padding: 4, decoders: [{name: uint}]}
        - {name: id, size: 8, decoders: [{name: uint}]}
    - name: work_lru_hash_total
      help: An LRU hash of 1,024 entries
      labels: [{name: id, size: 8, decoders: [{name: uint}]}]
    - name: work_array_total
      help: An array, which is always full
      labels: [{name: id, size: 4, decoders: [{name: uint}]}]
";

fn of(family: &str, map: &str) -> String {
    format!("ebpf_exporter_{family}{{config=\"work\",map=\"{map}\"}}")
}

/// A hash takes 1,024 entries, and then none. The log warns before, once.
pub fn a_full_map_is_told_of() {
    let mut configs = Configs::new();
    let session = configs.add_workload("work", CONFIG);
    let exporter = Exporter::start(configs.flags());
    let add = |ids: std::ops::Range<u64>| {
        for id in ids {
            let mut key = 7u32.to_ne_bytes().to_vec();
            key.resize(8, 0);
            key.extend(id.to_ne_bytes());
            session.add("work_padded_total", &key, 1);
        }
    };
    let map = "work_padded_total";
    let failures = "ebpf_exporter_map_insert_failures_total{config=\"work\"}";
    add(0..900);
    let page = exporter.metrics();
    assert_eq!(value(&page, &of("map_entries", map)), 900);
    assert_eq!(value(&page, &of("map_max_entries", map)), 1024);
    assert_eq!(value(&page, failures), 0);
    assert!(!page.contains(&of("map_entries", "work_array_total")), "it is always full");
    add(900..1000);
    exporter.metrics();
    add(1000..1100);
    add(1050..1100);
    let page = exporter.metrics();
    assert_eq!(value(&page, &of("map_entries", map)), 1024);
    assert_eq!(value(&page, failures), 76 + 50);
    exporter.terminate();
    let (_, log) = exporter.wait();
    let told: Vec<_> = log.lines().filter(|line| line.contains("of 1024 entries")).collect();
    let [told] = told[..] else { panic!("once: {told:?}") };
    let told = told.split_once("map work").unwrap().1;
    insta::assert_snapshot!(told, @r#"_padded_total has 1000 of 1024 entries: once it is full nothing new is counted; raise its max_entries, or make it an LRU hash; this is said once, ebpf_exporter_map_entries goes on config="work""#);
}

/// What an LRU map evicts between two scrapes is missed by the second. A CPU has a list of its latest entries, which
/// another CPU's do not push out of the map.
pub fn evicted_rows_are_estimated() {
    let mut configs = Configs::new();
    let session = configs.add_workload("work", CONFIG);
    let exporter = Exporter::start(configs.flags());
    let map = "work_lru_hash_total";
    let evicted = of("map_evictions_estimated_total", map);
    let add = |ids: std::ops::Range<u64>| {
        on_cpu(0, || ids.for_each(|id| session.add(map, &id.to_ne_bytes(), 1)));
    };
    add(0..100);
    let before = exporter.metrics();
    assert_eq!(value(&before, &evicted), 0);
    assert!(!before.contains(&of("map_evictions_estimated_total", "work_padded_total")));
    add(1_000..10_000);
    let page = exporter.metrics();
    assert_eq!(value(&page, &evicted), 100);
    assert!(value(&page, &of("map_entries", map)) <= 1024);
}

/// A program that is interrupted by itself is not run: none is here, and the kernel says so.
pub fn misses_of_programs_are_told() {
    let attached = object::attach("workload");
    let stats: Vec<_> = attached.stats("work").collect();
    let [stats] = &stats[..] else { panic!("one program") };
    // A tracepoint has no probe of its own.
    assert_eq!(stats.misses, Some(Misses { recursion: Some(0), probe: None }));
}
