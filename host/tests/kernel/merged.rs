//! Exact values where rows meet, or are left out: equal label sets are summed, `regexp` drops, errors are
//! counted and become what `on_error` says.

use std::collections::BTreeMap;

use ebpf_wasm_exporter::source::{Reading, Way};

use crate::configs::Configs;
use crate::exact::Pipeline;
use crate::read::quick_ways;
use crate::workload::{Session, flow, latency};

pub fn keys_that_become_equal_are_summed() {
    let (mut pipeline, work) = Pipeline::start(
        "metrics:
  counters:
    - name: work_lru_hash_total
      help: Merged by static_map
      labels:
        - name: parity
          size: 8
          decoders: [{name: uint}, {name: static_map, static_map: {1: odd, 3: odd, 2: even}}]
  histograms:
    - name: work_exp2_seconds
      help: Merged bucket by bucket
      bucket_type: exp2
      bucket_min: 0
      bucket_max: 1
      labels:
        - name: kind
          size: 8
          decoders: [{name: string}, {name: regexp, regexps: ['^(.)']}]
        - {name: bucket, size: 8, decoders: [{name: uint}]}
",
    );
    for (id, add) in [(1u64, 1), (3, 20), (2, 300), (4, 4000), (5, 50000)] {
        work.add("work_lru_hash_total", &id.to_ne_bytes(), add);
    }
    insta::assert_snapshot!(pipeline.lines("work_lru_hash_total"), @r#"
    ebpf_exporter_work_lru_hash_total{parity="even"} 300
    ebpf_exporter_work_lru_hash_total{parity="odd"} 21
    ebpf_exporter_work_lru_hash_total{parity="unknown:4"} 4000
    ebpf_exporter_work_lru_hash_total{parity="unknown:5"} 50000
    "#);

    for (kind, bucket, add) in
        [("read", 0, 1), ("rename", 0, 10), ("rename", 1, 5), ("rm", 2, 70), ("write", 0, 2)]
    {
        work.add("work_exp2_seconds", &latency(kind.as_bytes(), bucket), add);
    }
    insta::assert_snapshot!(pipeline.lines("work_exp2_seconds"), @r#"
    ebpf_exporter_work_exp2_seconds_bucket{kind="r",le="+Inf"} 16
    ebpf_exporter_work_exp2_seconds_bucket{kind="r",le="1"} 11
    ebpf_exporter_work_exp2_seconds_bucket{kind="r",le="2"} 16
    ebpf_exporter_work_exp2_seconds_bucket{kind="w",le="+Inf"} 2
    ebpf_exporter_work_exp2_seconds_bucket{kind="w",le="1"} 2
    ebpf_exporter_work_exp2_seconds_bucket{kind="w",le="2"} 2
    ebpf_exporter_work_exp2_seconds_count{kind="r"} 16
    ebpf_exporter_work_exp2_seconds_count{kind="w"} 2
    ebpf_exporter_work_exp2_seconds_sum{kind="r"} 70
    ebpf_exporter_work_exp2_seconds_sum{kind="w"} 0
    "#);
}

pub fn two_configs_share_a_family() {
    let yaml = "metrics:
  counters:
    - name: work_lru_hash_total
      help: Shared
      labels: [{name: id, size: 8, decoders: [{name: uint}]}]
  histograms:
    - name: work_fixed_size
      help: Shared
      bucket_type: fixed
      bucket_keys: [10, 20]
      labels: [{name: bucket, size: 8, decoders: [{name: uint}]}]
";
    let mut configs = Configs::new();
    let one = configs.add_workload("one", yaml);
    let two = configs.add_workload("two", yaml);
    let mut pipeline = Pipeline::of(&configs, Reading::Auto);
    let count = |work: Session, map: &str, rows: &[(u64, u64)]| {
        for (key, add) in rows {
            work.add(map, &key.to_ne_bytes(), *add);
        }
    };
    count(one, "work_lru_hash_total", &[(1, 1), (2, 20)]);
    count(two, "work_lru_hash_total", &[(2, 300), (3, 4000)]);
    count(one, "work_fixed_size", &[(10, 1), (21, 100)]);
    count(two, "work_fixed_size", &[(10, 2), (20, 3), (21, 900)]);
    insta::assert_snapshot!(pipeline.lines("work_"), @r#"
    ebpf_exporter_work_fixed_size_bucket{le="+Inf"} 6
    ebpf_exporter_work_fixed_size_bucket{le="10"} 3
    ebpf_exporter_work_fixed_size_bucket{le="20"} 6
    ebpf_exporter_work_fixed_size_count 6
    ebpf_exporter_work_fixed_size_sum 1000
    ebpf_exporter_work_lru_hash_total{id="1"} 1
    ebpf_exporter_work_lru_hash_total{id="2"} 320
    ebpf_exporter_work_lru_hash_total{id="3"} 4000
    "#);
    insta::assert_snapshot!(pipeline.lines("scrape_entries"), @r#"
    ebpf_exporter_scrape_entries{config="one"} 4
    ebpf_exporter_scrape_entries{config="two"} 5
    "#);
}

/// A config of `work_hash_total` whose texts go through these decoders.
fn texts(decoders: &str) -> String {
    format!(
        "metrics: {{counters: [{{name: work_hash_total, help: h, labels: [{{name: id, size: 8, \
         decoders: [{{name: uint}}]}}, {{name: text, size: 24, decoders: {decoders}}}]}}]}}"
    )
}

pub fn regexp_leaves_rows_out() {
    let (mut pipeline, work) = Pipeline::start(&texts(
        "[{name: string}, {name: regexp, regexps: ['^nginx$', '^php-(.+)$']}]",
    ));
    for (text, add) in [("nginx", 1), ("nginx2", 20), ("php-fpm", 300), ("php-", 4000), ("", 5)] {
        work.add("work_hash_total", &flow(1, text.as_bytes()), add);
    }
    insta::assert_snapshot!(pipeline.lines("work_hash_total"), @r#"
    ebpf_exporter_work_hash_total{id="1",text="fpm"} 300
    ebpf_exporter_work_hash_total{id="1",text="nginx"} 1
    "#);
    insta::assert_snapshot!(pipeline.lines("decoder_errors_total"), @r#"ebpf_exporter_decoder_errors_total{config="work"} 0"#);
}

/// What `errno` cannot read is counted in every scrape, and the rest of the metric is there.
pub fn errors_are_counted_and_become_what_on_error_says() {
    let lines = |on_error: &str| {
        let (mut pipeline, work) =
            Pipeline::start(&texts(&format!("[{{name: string}}, {{name: errno{on_error}}}]")));
        for (id, text, add) in [(1, "2", 1), (1, "no", 20), (1, "nope", 300), (2, "no", 4000)] {
            work.add("work_hash_total", &flow(id, text.as_bytes()), add);
        }
        let lines = pipeline.lines("work_hash_total");
        lines + &pipeline.lines("decoder_errors_total")
    };
    insta::assert_snapshot!(lines(""), @r#"
    ebpf_exporter_work_hash_total{id="1",text="ENOENT"} 1
    ebpf_exporter_work_hash_total{id="1",text="error"} 320
    ebpf_exporter_work_hash_total{id="2",text="error"} 4000
    ebpf_exporter_decoder_errors_total{config="work"} 6
    "#);
    insta::assert_snapshot!(lines(", on_error: {label: odd}"), @r#"
    ebpf_exporter_work_hash_total{id="1",text="ENOENT"} 1
    ebpf_exporter_work_hash_total{id="1",text="odd"} 320
    ebpf_exporter_work_hash_total{id="2",text="odd"} 4000
    ebpf_exporter_decoder_errors_total{config="work"} 6
    "#);
    insta::assert_snapshot!(lines(", on_error: drop"), @r#"
    ebpf_exporter_work_hash_total{id="1",text="ENOENT"} 1
    ebpf_exporter_decoder_errors_total{config="work"} 6
    "#);
    insta::assert_snapshot!(lines(", on_error: raw"), @r#"
    ebpf_exporter_work_hash_total{id="1",text="6e6f"} 20
    ebpf_exporter_work_hash_total{id="1",text="6e6f7065"} 300
    ebpf_exporter_work_hash_total{id="1",text="ENOENT"} 1
    ebpf_exporter_work_hash_total{id="2",text="6e6f"} 4000
    ebpf_exporter_decoder_errors_total{config="work"} 6
    "#);
}

/// Labels are text, so bytes that are not become U+FFFD; what is equal then is one series.
pub fn keys_that_differ_only_in_what_is_no_text_are_summed() {
    let (mut pipeline, work) = Pipeline::start(&texts("[{name: string}]"));
    for (text, add) in [(&b"a\xff"[..], 1), (b"a\xfe", 20), (b"a\xff\xff", 300), (b"a", 4000)] {
        work.add("work_hash_total", &flow(1, text), add);
    }
    insta::assert_snapshot!(pipeline.lines("work_hash_total"), @"
    ebpf_exporter_work_hash_total{id=\"1\",text=\"a\"} 4000
    ebpf_exporter_work_hash_total{id=\"1\",text=\"a\u{fffd}\"} 21
    ebpf_exporter_work_hash_total{id=\"1\",text=\"a\u{fffd}\u{fffd}\"} 300
    ");
}

/// Entries come, grow, go and come back from scrape to scrape, and series with them. What one that has
/// gone has counted stays in a series that has others.
pub fn every_scrape_says_what_is_there_then() {
    let (mut pipeline, work) =
        Pipeline::start(&texts("[{name: string}, {name: regexp, regexps: ['^[a-z]+']}]"));
    let hash = "work_hash_total";
    assert_eq!(pipeline.lines(hash), "");
    work.add(hash, &flow(1, b"web1"), 1);
    work.add(hash, &flow(1, b"web2"), 20);
    work.add(hash, &flow(1, b"db1"), 300);
    insta::assert_snapshot!(pipeline.lines(hash), @r#"
    ebpf_exporter_work_hash_total{id="1",text="db"} 300
    ebpf_exporter_work_hash_total{id="1",text="web"} 21
    "#);
    work.add(hash, &flow(1, b"web1"), 4);
    pipeline.delete(hash, &flow(1, b"db1"));
    insta::assert_snapshot!(pipeline.lines(hash), @r#"ebpf_exporter_work_hash_total{id="1",text="web"} 25"#);
    pipeline.delete(hash, &flow(1, b"web2"));
    work.add(hash, &flow(1, b"web3"), 70);
    work.add(hash, &flow(1, b"0"), 1000);
    insta::assert_snapshot!(pipeline.lines(hash), @r#"ebpf_exporter_work_hash_total{id="1",text="web"} 95"#);
    work.add(hash, &flow(1, b"db1"), 9);
    // It is forgotten and comes again between two scrapes.
    pipeline.set(hash, &flow(1, b"web3"), 3);
    insta::assert_snapshot!(pipeline.lines(hash), @r#"
    ebpf_exporter_work_hash_total{id="1",text="db"} 9
    ebpf_exporter_work_hash_total{id="1",text="web"} 98
    "#);
    for text in [&b"web1"[..], b"web3", b"db1", b"0"] {
        pipeline.delete(hash, &flow(1, text));
    }
    assert_eq!(pipeline.lines(hash), "");
}

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
            pipeline.delete(map, &key(id));
        }
        let line = |(id, value)| format!("ebpf_exporter_{map}{{id=\"{id}\"{text}}} {value}\n");
        let mut expected: Vec<_> = there.iter().map(line).collect();
        expected.sort_unstable();
        assert!(pipeline.lines(map) == expected.concat(), "{map}, {way}, round {round}");
    }
}
