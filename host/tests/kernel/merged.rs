//! Exact values of a map whose entries are replaced by others all the time, in every way of reading.

use std::collections::BTreeMap;

use ebpf_wasm_exporter::source::{Reading, Way};

use crate::exact::Pipeline;
use crate::read::quick_ways;
use crate::workload::flow;

/// Nearly all entries are replaced by others between scrapes, again and again.
pub fn a_churning_map_is_exact_in_every_scrape() {
    for way in quick_ways() {
        churn("work_hash_total", "{name: text, size: 24, decoders: [{name: string}]}", 1_000, way);
        churn("work_percpu_hash_total", "", 100, way);
        churn("work_lru_percpu_hash_total", "", 30, way);
    }
}

/// Rounds of three times so many entries, in a map whose keys have this label behind their ids.
fn churn(map: &str, label: &str, size: u64, way: Way) {
    let yaml = format!(
        "metrics: {{counters: [{{name: {map}, help: h, labels: [{{name: id, size: 8, \
         decoders: [{{name: uint}}]}}, {label}]}}]}}"
    );
    let (mut pipeline, work) = Pipeline::reading(&yaml, Reading::Pinned(way));
    let text = if label.is_empty() { "" } else { ",text=\"x\"" };
    let key = |id: u64| if label.is_empty() { id.to_ne_bytes().to_vec() } else { flow(id, b"x") };
    let mut there = BTreeMap::new();
    for round in 0..6u64 {
        for id in round * 2 * size..(round * 2 + 3) * size {
            *there.entry(id).or_insert(0) += id + 1;
            work.add(map, &key(id), id + 1);
        }
        let gone: Vec<_> =
            there.keys().copied().filter(|id| id % (3 * size) >= 10 && id % 2 == 0).collect();
        for id in gone {
            there.remove(&id);
            pipeline.maps.delete(map, &key(id));
        }
        let line = |(id, value)| format!("ebpf_exporter_{map}{{id=\"{id}\"{text}}} {value}\n");
        let mut expected: Vec<_> = there.iter().map(line).collect();
        expected.sort_unstable();
        assert!(pipeline.lines(map) == expected.concat(), "{map}, {way}, round {round}");
    }
}
