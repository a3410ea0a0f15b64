//! Exact values of every kind of counter and histogram: what was counted is in `counted.rec`.

use crate::tape::Replay;

pub fn no_labels_and_padding() {
    let mut replay = Replay::of("plain");
    insta::assert_snapshot!(replay.lines("work_plain_total"), @"ebpf_exporter_work_plain_total 0");
    insta::assert_snapshot!(replay.lines("work_plain_total"), @"ebpf_exporter_work_plain_total 18446744073709551614");

    // Whatever is in the hole is no part of a label, so the two are summed.
    insta::assert_snapshot!(replay.lines("work_padded_total"), @r#"ebpf_exporter_work_padded_total{number="7",id="9"} 17"#);
}

pub fn cpus_as_a_label() {
    let mut replay = Replay::of("cpus");
    insta::assert_snapshot!(replay.lines("work_cpu_hash_total"), @r#"
    ebpf_exporter_work_cpu_hash_total{id="7",cpu="0"} 70
    ebpf_exporter_work_cpu_hash_total{id="7",cpu="1"} 21
    ebpf_exporter_work_cpu_hash_total{id="8",cpu="0"} 80
    ebpf_exporter_work_cpu_hash_total{id="8",cpu="1"} 24
    "#);
    // Its index tells nothing, so all entries of a CPU are one series.
    insta::assert_snapshot!(replay.lines("work_cpu_array_total"), @r#"
    ebpf_exporter_work_cpu_array_total{cpu="0"} 1010
    ebpf_exporter_work_cpu_array_total{cpu="1"} 303
    "#);
}

pub fn bytes_decoded_more_than_once() {
    const YAML: &str = "\
metrics:
  counters:
    - name: work_cpu_hash_total
      help: Keys and CPUs, each in several forms
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
        - {name: bytes, reuse: true, decoders: [{name: hex}]}
        - {name: kept, reuse: true, decoders: [{name: uint}, {name: regexp, regexps: ['^[78]$']}]}
        - {name: cpu, size: 2, decoders: [{name: uint}]}
        - {name: place, reuse: true, decoders: [{name: uint}, {name: static_map, static_map: {0: first}}]}
";
    let mut replay = Replay::with(&[("reused", YAML)]);
    insta::assert_snapshot!(replay.lines("work_cpu_hash_total"), @r#"
    ebpf_exporter_work_cpu_hash_total{id="7",bytes="0700000000000000",kept="7",cpu="0",place="first"} 7
    ebpf_exporter_work_cpu_hash_total{id="7",bytes="0700000000000000",kept="7",cpu="1",place="unknown:1"} 0
    ebpf_exporter_work_cpu_hash_total{id="8",bytes="0800000000000000",kept="8",cpu="0",place="first"} 8
    ebpf_exporter_work_cpu_hash_total{id="8",bytes="0800000000000000",kept="8",cpu="1",place="unknown:1"} 0
    "#);
}

pub fn a_bucket_that_reuses_bytes() {
    let yaml = histogram(
        "work_linear_depth",
        "bucket_type: linear, bucket_min: 0, bucket_max: 1",
        "[{name: key, size: 4, decoders: [{name: hex}]},
         {name: bucket, reuse: true, decoders: [{name: uint}]}]",
    );
    let mut replay = Replay::with(&[("reused_bucket", &yaml)]);
    insta::assert_snapshot!(replay.lines("work_linear_depth"), @r#"
    ebpf_exporter_work_linear_depth_bucket{key="00000000",le="+Inf"} 1
    ebpf_exporter_work_linear_depth_bucket{key="00000000",le="0"} 1
    ebpf_exporter_work_linear_depth_bucket{key="00000000",le="1"} 1
    ebpf_exporter_work_linear_depth_bucket{key="01000000",le="+Inf"} 2
    ebpf_exporter_work_linear_depth_bucket{key="01000000",le="0"} 0
    ebpf_exporter_work_linear_depth_bucket{key="01000000",le="1"} 2
    ebpf_exporter_work_linear_depth_bucket{key="02000000",le="+Inf"} 0
    ebpf_exporter_work_linear_depth_bucket{key="02000000",le="0"} 0
    ebpf_exporter_work_linear_depth_bucket{key="02000000",le="1"} 0
    ebpf_exporter_work_linear_depth_count{key="00000000"} 1
    ebpf_exporter_work_linear_depth_count{key="01000000"} 2
    ebpf_exporter_work_linear_depth_count{key="02000000"} 0
    ebpf_exporter_work_linear_depth_sum{key="00000000"} 0
    ebpf_exporter_work_linear_depth_sum{key="01000000"} 0
    ebpf_exporter_work_linear_depth_sum{key="02000000"} 0
    "#);
}

pub fn exp2() {
    let mut replay = Replay::of("exp2");
    assert_eq!(replay.lines("work_exp2_seconds"), "", "no histogram before there is a label set");
    // Bucket 5 is the sum, 9 is beyond it and nobody's.
    insta::assert_snapshot!(replay.lines("work_exp2_seconds"), @r#"
    ebpf_exporter_work_exp2_seconds_bucket{kind="read",le="+Inf"} 9
    ebpf_exporter_work_exp2_seconds_bucket{kind="read",le="1.6e-05"} 9
    ebpf_exporter_work_exp2_seconds_bucket{kind="read",le="1e-06"} 1
    ebpf_exporter_work_exp2_seconds_bucket{kind="read",le="2e-06"} 1
    ebpf_exporter_work_exp2_seconds_bucket{kind="read",le="4e-06"} 4
    ebpf_exporter_work_exp2_seconds_bucket{kind="read",le="8e-06"} 4
    ebpf_exporter_work_exp2_seconds_bucket{kind="write",le="+Inf"} 1
    ebpf_exporter_work_exp2_seconds_bucket{kind="write",le="1.6e-05"} 1
    ebpf_exporter_work_exp2_seconds_bucket{kind="write",le="1e-06"} 0
    ebpf_exporter_work_exp2_seconds_bucket{kind="write",le="2e-06"} 1
    ebpf_exporter_work_exp2_seconds_bucket{kind="write",le="4e-06"} 1
    ebpf_exporter_work_exp2_seconds_bucket{kind="write",le="8e-06"} 1
    ebpf_exporter_work_exp2_seconds_count{kind="read"} 9
    ebpf_exporter_work_exp2_seconds_count{kind="write"} 1
    ebpf_exporter_work_exp2_seconds_sum{kind="read"} 7.7e-05
    ebpf_exporter_work_exp2_seconds_sum{kind="write"} 0
    "#);
}

pub fn exp2zero() {
    let mut replay = Replay::of("exp2zero");
    insta::assert_snapshot!(replay.lines("work_exp2zero_bytes"), @r#"
    ebpf_exporter_work_exp2zero_bytes_bucket{kind="in",le="+Inf"} 222
    ebpf_exporter_work_exp2zero_bytes_bucket{kind="in",le="0"} 2
    ebpf_exporter_work_exp2zero_bytes_bucket{kind="in",le="1"} 22
    ebpf_exporter_work_exp2zero_bytes_bucket{kind="in",le="2"} 22
    ebpf_exporter_work_exp2zero_bytes_bucket{kind="in",le="4"} 22
    ebpf_exporter_work_exp2zero_bytes_bucket{kind="in",le="8"} 222
    ebpf_exporter_work_exp2zero_bytes_count{kind="in"} 222
    ebpf_exporter_work_exp2zero_bytes_sum{kind="in"} 2000
    "#);
}

pub fn linear() {
    let yaml = histogram(
        "work_linear_depth",
        "bucket_type: linear, bucket_min: 1, bucket_max: 3, bucket_multiplier: 0.5",
        "[{name: bucket, size: 4, decoders: [{name: uint}]}]",
    );
    let mut replay = Replay::with(&[("linear", &yaml)]);
    insta::assert_snapshot!(replay.lines("work_linear_depth"), @r#"
    ebpf_exporter_work_linear_depth_bucket{le="+Inf"} 6
    ebpf_exporter_work_linear_depth_bucket{le="0.5"} 4
    ebpf_exporter_work_linear_depth_bucket{le="1"} 4
    ebpf_exporter_work_linear_depth_bucket{le="1.5"} 6
    ebpf_exporter_work_linear_depth_count 6
    ebpf_exporter_work_linear_depth_sum 4.5
    "#);
}

pub fn fixed() {
    let mut replay = Replay::of("fixed");
    insta::assert_snapshot!(replay.lines("work_fixed_size"), @r#"
    ebpf_exporter_work_fixed_size_bucket{le="+Inf"} 7
    ebpf_exporter_work_fixed_size_bucket{le="10"} 1
    ebpf_exporter_work_fixed_size_bucket{le="100"} 3
    ebpf_exporter_work_fixed_size_bucket{le="1000"} 7
    ebpf_exporter_work_fixed_size_count 7
    ebpf_exporter_work_fixed_size_sum 4321
    "#);
}

pub fn a_histogram_a_cpu() {
    let yaml = histogram(
        "work_cpu_exp2_seconds",
        "bucket_type: exp2, bucket_min: 0, bucket_max: 1",
        "[{name: bucket, size: 8, decoders: [{name: uint}]},
         {name: cpu, size: 2, decoders: [{name: uint}]}]",
    );
    let mut replay = Replay::with(&[("cpu_exp2", &yaml)]);
    insta::assert_snapshot!(replay.lines("work_cpu_exp2_seconds"), @r#"
    ebpf_exporter_work_cpu_exp2_seconds_bucket{cpu="0",le="+Inf"} 30
    ebpf_exporter_work_cpu_exp2_seconds_bucket{cpu="0",le="1"} 10
    ebpf_exporter_work_cpu_exp2_seconds_bucket{cpu="0",le="2"} 30
    ebpf_exporter_work_cpu_exp2_seconds_bucket{cpu="1",le="+Inf"} 9
    ebpf_exporter_work_cpu_exp2_seconds_bucket{cpu="1",le="1"} 3
    ebpf_exporter_work_cpu_exp2_seconds_bucket{cpu="1",le="2"} 9
    ebpf_exporter_work_cpu_exp2_seconds_count{cpu="0"} 30
    ebpf_exporter_work_cpu_exp2_seconds_count{cpu="1"} 9
    ebpf_exporter_work_cpu_exp2_seconds_sum{cpu="0"} 400
    ebpf_exporter_work_cpu_exp2_seconds_sum{cpu="1"} 120
    "#);
}

/// A config of one histogram: `buckets` are entries, `labels` is a list, both in one line.
fn histogram(name: &str, buckets: &str, labels: &str) -> String {
    format!("metrics: {{histograms: [{{name: {name}, help: h, {buckets}, labels: {labels}}}]}}")
}
