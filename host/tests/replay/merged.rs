//! Exact values where rows meet, or are left out: equal label sets are summed, `regexp` drops, errors are
//! counted and become what `on_error` says. What was counted is in `counted.rec`.

use crate::tape::Replay;

pub fn keys_that_become_equal_are_summed() {
    const YAML: &str = "metrics:
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
";
    let mut replay = Replay::with(&[("equal", YAML)]);
    insta::assert_snapshot!(replay.lines("work_lru_hash_total"), @r#"
    ebpf_exporter_work_lru_hash_total{parity="even"} 300
    ebpf_exporter_work_lru_hash_total{parity="odd"} 21
    ebpf_exporter_work_lru_hash_total{parity="unknown:4"} 4000
    ebpf_exporter_work_lru_hash_total{parity="unknown:5"} 50000
    "#);
    insta::assert_snapshot!(replay.lines("work_exp2_seconds"), @r#"
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
    let mut replay = Replay::with(&[("one", yaml), ("two", yaml)]);
    insta::assert_snapshot!(replay.lines("work_"), @r#"
    ebpf_exporter_work_fixed_size_bucket{le="+Inf"} 6
    ebpf_exporter_work_fixed_size_bucket{le="10"} 3
    ebpf_exporter_work_fixed_size_bucket{le="20"} 6
    ebpf_exporter_work_fixed_size_count 6
    ebpf_exporter_work_fixed_size_sum 1000
    ebpf_exporter_work_lru_hash_total{id="1"} 1
    ebpf_exporter_work_lru_hash_total{id="2"} 320
    ebpf_exporter_work_lru_hash_total{id="3"} 4000
    "#);
    insta::assert_snapshot!(replay.lines("scrape_entries"), @r#"
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
    let yaml = texts("[{name: string}, {name: regexp, regexps: ['^nginx$', '^php-(.+)$']}]");
    let mut replay = Replay::with(&[("commands", &yaml)]);
    insta::assert_snapshot!(replay.lines("work_hash_total"), @r#"
    ebpf_exporter_work_hash_total{id="1",text="fpm"} 300
    ebpf_exporter_work_hash_total{id="1",text="nginx"} 1
    "#);
    insta::assert_snapshot!(replay.lines("decoder_errors_total"), @r#"ebpf_exporter_decoder_errors_total{config="commands"} 0"#);
}

/// What `errno` cannot read is counted in every scrape, and the rest of the metric is there.
pub fn errors_are_counted_and_become_what_on_error_says() {
    let lines = |on_error: &str| {
        let yaml = texts(&format!("[{{name: string}}, {{name: errno{on_error}}}]"));
        let mut replay = Replay::with(&[("errors", &yaml)]);
        let lines = replay.lines("work_hash_total");
        lines + &replay.lines("decoder_errors_total")
    };
    insta::assert_snapshot!(lines(""), @r#"
    ebpf_exporter_work_hash_total{id="1",text="ENOENT"} 1
    ebpf_exporter_work_hash_total{id="1",text="error"} 320
    ebpf_exporter_work_hash_total{id="2",text="error"} 4000
    ebpf_exporter_decoder_errors_total{config="errors"} 6
    "#);
    insta::assert_snapshot!(lines(", on_error: {label: odd}"), @r#"
    ebpf_exporter_work_hash_total{id="1",text="ENOENT"} 1
    ebpf_exporter_work_hash_total{id="1",text="odd"} 320
    ebpf_exporter_work_hash_total{id="2",text="odd"} 4000
    ebpf_exporter_decoder_errors_total{config="errors"} 6
    "#);
    insta::assert_snapshot!(lines(", on_error: drop"), @r#"
    ebpf_exporter_work_hash_total{id="1",text="ENOENT"} 1
    ebpf_exporter_decoder_errors_total{config="errors"} 6
    "#);
    insta::assert_snapshot!(lines(", on_error: raw"), @r#"
    ebpf_exporter_work_hash_total{id="1",text="6e6f"} 20
    ebpf_exporter_work_hash_total{id="1",text="6e6f7065"} 300
    ebpf_exporter_work_hash_total{id="1",text="ENOENT"} 1
    ebpf_exporter_work_hash_total{id="2",text="6e6f"} 4000
    ebpf_exporter_decoder_errors_total{config="errors"} 6
    "#);
}

/// Labels are text, so bytes that are not become U+FFFD; what is equal then is one series.
pub fn keys_that_differ_only_in_what_is_no_text_are_summed() {
    let mut replay = Replay::with(&[("no_text", &texts("[{name: string}]"))]);
    insta::assert_snapshot!(replay.lines("work_hash_total"), @"
    ebpf_exporter_work_hash_total{id=\"1\",text=\"a\"} 4000
    ebpf_exporter_work_hash_total{id=\"1\",text=\"a\u{fffd}\"} 21
    ebpf_exporter_work_hash_total{id=\"1\",text=\"a\u{fffd}\u{fffd}\"} 300
    ");
}

/// Entries come, grow, go and come back from scrape to scrape, and series with them. What one that has
/// gone has counted stays in a series that has others.
pub fn every_scrape_says_what_is_there_then() {
    let yaml = texts("[{name: string}, {name: regexp, regexps: ['^[a-z]+']}]");
    let mut replay = Replay::with(&[("changes", &yaml)]);
    let hash = "work_hash_total";
    assert_eq!(replay.lines(hash), "");
    insta::assert_snapshot!(replay.lines(hash), @r#"
    ebpf_exporter_work_hash_total{id="1",text="db"} 300
    ebpf_exporter_work_hash_total{id="1",text="web"} 21
    "#);
    // `web1` has grown by 4, `db1` has gone.
    insta::assert_snapshot!(replay.lines(hash), @r#"ebpf_exporter_work_hash_total{id="1",text="web"} 25"#);
    // `web2` has gone, `web3` has come with 70, and what `regexp` drops.
    insta::assert_snapshot!(replay.lines(hash), @r#"ebpf_exporter_work_hash_total{id="1",text="web"} 95"#);
    // `web3` was forgotten and has come again with 3.
    insta::assert_snapshot!(replay.lines(hash), @r#"
    ebpf_exporter_work_hash_total{id="1",text="db"} 9
    ebpf_exporter_work_hash_total{id="1",text="web"} 98
    "#);
    // All have gone.
    assert_eq!(replay.lines(hash), "");
}
