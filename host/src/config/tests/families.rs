//! The same name in two configs.

use insta::assert_snapshot;

use super::{faults_of, with_buckets, with_labels};

#[test]
fn equal_metrics_are_one_family() {
    let text = with_buckets("bucket_type: exp2\n      bucket_max: 3");
    assert_snapshot!(faults_of(&[("a.yaml", &text), ("b.yaml", &text)]), @"");
    let (a, b) = (with_labels("{name: x, size: 1}"), with_labels("{name: x, size: 8, padding: 1}"));
    assert_snapshot!(faults_of(&[("a.yaml", &a), ("b.yaml", &b)]), @"");
}

#[test]
fn what_differs_is_told_of_the_later_config() {
    let a = with_labels("{name: x, size: 1},\n{name: y, size: 1}");
    for (b, expected) in [
        (with_labels("{name: x, size: 1}"), "labels"),
        (with_labels("{name: y, size: 1}, {name: x, size: 1}"), "labels"),
        (a.replace("help: A", "help: B"), "help"),
        (
            with_buckets("bucket_type: exp2\n      bucket_max: 3").replace("name: h", "name: a"),
            "histogram",
        ),
    ] {
        let told = faults_of(&[("b.yaml", &a), ("a.yaml", &b)]);
        assert!(told.starts_with("a.yaml:") && told.contains(expected), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    assert_snapshot!(faults_of(&[("a.yaml", &a), ("b.yaml", &with_labels(""))]), @"b.yaml:1: metrics.counters[0].labels: the labels of `a` are `x, y` in a.yaml:1 (metrics.counters[0]); make them equal, or rename one and its map");
    assert_snapshot!(faults_of(&[("a.yaml", &with_labels("")), ("b.yaml", &a)]), @"b.yaml:1: metrics.counters[0].labels: the labels of `a` are none in a.yaml:1 (metrics.counters[0]); make them equal, or rename one and its map");
    assert_snapshot!(faults_of(&[("a.yaml", &a), ("b.yaml", &a.replace("help: A", "help: B"))]), @"b.yaml:1: metrics.counters[0].help: the help of `a` is `A` in a.yaml:1 (metrics.counters[0]); make them equal, or rename one and its map");
    let many: Vec<_> = (0..100).map(|n| format!("{{name: l{n}, size: 1}}")).collect();
    assert_snapshot!(faults_of(&[("a.yaml", &with_labels(&many.join(",\n"))), ("b.yaml", &a)]), @"b.yaml:1: metrics.counters[0].labels: the labels of `a` are `l0, l1, l2, l3, l4, l5, l6, l7, l8, l9, l10, l11, l12, l13, l14, l15, l16, l17, l18, l19, l20, l21, l22, l23, … (100 in all)` in a.yaml:1 (metrics.counters[0]); make them equal, or rename one and its map");
    let h = with_buckets("bucket_type: exp2\n      bucket_max: 3");
    let c = with_labels("").replace("name: a", "name: h").replace("help: A", "help: H");
    assert_snapshot!(faults_of(&[("a.yaml", &h), ("b.yaml", &h.replace('3', "4"))]), @"b.yaml:5: metrics.histograms[0].bucket_type: `h` has other buckets in a.yaml:3 (metrics.histograms[0]); make them equal, or rename one and its map");
    let native = |more: &str| {
        with_buckets(&format!("bucket_type: exp2\n      bucket_max: 3\n      native: true{more}"))
    };
    let (both, alone) = (native(""), native("\n      classic: false"));
    assert_snapshot!(faults_of(&[("a.yaml", &h), ("b.yaml", &both)]), @"b.yaml:7: metrics.histograms[0].native: `h` is not native in a.yaml:3 (metrics.histograms[0]); make them equal, or rename one and its map");
    assert_snapshot!(faults_of(&[("a.yaml", &both), ("b.yaml", &alone)]), @"b.yaml:7: metrics.histograms[0].native: `h` is native and classic in a.yaml:3 (metrics.histograms[0]); make them equal, or rename one and its map");
    assert_snapshot!(faults_of(&[("a.yaml", &alone), ("b.yaml", &h)]), @"b.yaml:3: metrics.histograms[0].native: `h` is native alone in a.yaml:3 (metrics.histograms[0]); make them equal, or rename one and its map");
    assert_snapshot!(faults_of(&[("a.yaml", &h), ("b.yaml", &c)]), @"b.yaml:1: metrics.counters[0]: `h` is a counter here and a histogram in a.yaml:3 (metrics.histograms[0]); make them equal, or rename one and its map");
    assert_snapshot!(faults_of(&[("a.yaml", &c), ("b.yaml", &h)]), @"b.yaml:3: metrics.histograms[0]: `h` is a histogram here and a counter in a.yaml:1 (metrics.counters[0]); make them equal, or rename one and its map");
}

#[test]
fn a_counter_must_not_be_called_as_a_histograms_series() {
    let h = with_buckets("bucket_type: exp2\n      bucket_max: 3");
    let c = with_labels("").replace("name: a", "name: h_count");
    assert_snapshot!(faults_of(&[("a.yaml", &h), ("b.yaml", &c)]), @"b.yaml:1: metrics.counters[0].name: `h_count` is what the histogram in a.yaml:3 (metrics.histograms[0]) calls its series; rename one of them and its map");
}

#[test]
fn two_metrics_must_not_be_one_once_they_are_escaped() {
    let named = |name: &str| with_labels("").replace("name: a", &format!("name: {name}"));
    let two =
        |one: &str, other: &str| faults_of(&[("a.yaml", &named(one)), ("b.yaml", &named(other))]);
    assert_snapshot!(two("a_b", "a.b"), @"b.yaml:1: metrics.counters[0].name: `a.b` has series `ebpf_exporter_a_b` with escaping=underscores, and so has `a_b` in a.yaml:1 (metrics.counters[0]); rename one, so that they differ in more than what is escaped");
    assert_snapshot!(two("a.b", "a-b"), @"b.yaml:1: metrics.counters[0].name: `a-b` has series `ebpf_exporter_a_b` with escaping=underscores, and so has `a.b` in a.yaml:1 (metrics.counters[0]); rename one, so that they differ in more than what is escaped");
    // The prefix is escaped with the name.
    assert_snapshot!(two("a:-", "a:__"), @"");
    assert_eq!(two("5xx", "_xx"), "");
    assert_eq!(two("a.b", "a.b"), "");
    assert_snapshot!(faults_of(&[("a.yaml", &named("build.info"))]), @"a.yaml:1: metrics.counters[0].name: `build.info` has series `ebpf_exporter_build_info` with escaping=underscores, which the exporter tells of itself; rename it and its map");
    assert_snapshot!(faults_of(&[("a.yaml", &named("plugin_call.seconds.sum"))]), @"a.yaml:1: metrics.counters[0].name: `plugin_call.seconds.sum` has series `ebpf_exporter_plugin_call_seconds_sum` with escaping=underscores, which the exporter tells of itself; rename it and its map");

    let h = with_buckets("bucket_type: exp2\n      bucket_max: 3").replace("name: h", "name: h.x");
    assert_snapshot!(faults_of(&[("a.yaml", &h), ("b.yaml", &named("h_x_sum"))]), @"b.yaml:1: metrics.counters[0].name: `h_x_sum` has series `ebpf_exporter_h_x_sum` with escaping=underscores, and so has `h.x` in a.yaml:3 (metrics.histograms[0]); rename one, so that they differ in more than what is escaped");
    assert_snapshot!(faults_of(&[("a.yaml", &h), ("b.yaml", &named("h.x_sum"))]), @"b.yaml:1: metrics.counters[0].name: `h.x_sum` is what the histogram in a.yaml:3 (metrics.histograms[0]) calls its series; rename one of them and its map");
}

#[test]
fn the_exporters_own_names_are_taken() {
    let c = with_labels("").replace("name: a", "name: build_info");
    assert_snapshot!(faults_of(&[("a.yaml", &c)]), @"a.yaml:1: metrics.counters[0].name: `build_info` is what the exporter tells of itself; rename it and its map");
    for series in
        ["plugin_call_seconds_bucket", "plugin_call_seconds_count", "plugin_call_seconds_sum"]
    {
        let c = with_labels("").replace("name: a", &format!("name: {series}"));
        let faults = faults_of(&[("a.yaml", &c)]);
        assert!(
            faults.contains(&format!("`{series}` is what the exporter tells of itself")),
            "{faults}"
        );
    }
}

#[test]
fn faults_are_sorted_by_file_and_line() {
    let text = "metrics:\n  counters:\n    - name: a\n      help: A\n      labels: [{name: x, size: 0}]\n    - name: b\n";
    assert_snapshot!(faults_of(&[("b.yaml", "["), ("c.yaml", "[]"), ("a.yaml", text)]), @"
    a.yaml:5: metrics.counters[0].labels[0].size: no label has 0 bytes; write how many bytes this label takes
    a.yaml:6: metrics.counters[1]: the metric has no help; add `help:` with a line on what it counts
    b.yaml:1: failed to read the YAML: unclosed bracket '[' at line 1 column 1; correct the YAML there
    c.yaml: expected a mapping, found a list; write lines of `KEY: VALUE`, or `{KEY: VALUE}`
    ");
}

#[test]
fn a_name_is_one_config() {
    let text = with_labels("");
    assert_snapshot!(faults_of(&[("a/x.yaml", &text), ("b/x.yaml", &text)]), @"b/x.yaml: `x` is the name of two configs, a/x.yaml too; name each config once in --config.names, and give each file its own name");
}
