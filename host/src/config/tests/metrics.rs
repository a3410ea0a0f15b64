//! Metrics, symbols, and what later versions bring.

use std::time::Duration;

use insta::assert_snapshot;

use super::{faults, file, good, lines};
use crate::advice::Advice;
use crate::config::{EventStream, MetricKind, StreamKind, load};

#[test]
fn a_whole_file_becomes_a_plan() {
    let config = good(
        "\
kaddrs: [jiffies, jiffies, bpf_jit_current]
metrics:
  histograms:
    - name: latency_seconds
      help: Latency
      bucket_type: exp2
      bucket_min: 0
      bucket_max: 26
      bucket_multiplier: 0.000001 # microseconds
      labels:
        - {name: device, size: 4, decoders: [{name: hex}]}
        - {name: operation, size: 1, padding: 3}
        - {name: bucket, size: 8, decoders: [{name: uint}]}
  counters:
    - name: things_total
      help: Things
      perf_event_array: no
      flush_interval: 1h30m
    - {name: others_total, help: Others, labels: []}
",
    );
    assert_eq!(config.name, "x");
    let symbols: Vec<_> = config.kaddrs.iter().map(|kaddr| &*kaddr.symbol).collect();
    assert_eq!(symbols, ["jiffies", "jiffies", "bpf_jit_current"]);
    let shown: Vec<_> = config
        .metrics
        .iter()
        .map(|metric| {
            let names: Vec<_> = metric.label_names().map(|name| name.as_str()).collect();
            format!("{} {} {:?} {:?}\n", metric.path, metric.name.as_str(), names, metric.kind)
        })
        .collect();
    assert_snapshot!(shown.concat(), @r#"
    metrics.counters[0] things_total [] Counter
    metrics.counters[1] others_total [] Counter
    metrics.histograms[0] latency_seconds ["device", "operation"] Histogram(Buckets { scale: Exp2 { min: 0, max: 26 }, multiplier: 1e-6, native: None })
    "#);
    let labels = &config.metrics[2].labels;
    let sizes: Vec<_> = labels.iter().map(|label| (label.size, label.padding)).collect();
    assert_eq!(sizes, [(4, 0), (1, 3), (8, 0)]);
    assert_eq!(config.metrics[2].bucket(), Some(2));
}

#[test]
fn name_and_help_are_needed() {
    assert_snapshot!(faults("metrics:\n  counters:\n    - {}\n    - {name: ~, help: ''}\n"), @"
    x.yaml:3: metrics.counters[0]: the metric has no name; add `name:` with the name of its map
    x.yaml:3: metrics.counters[0]: the metric has no help; add `help:` with a line on what it counts
    x.yaml:4: metrics.counters[1]: the metric has no name; add `name:` with the name of its map
    x.yaml:4: metrics.counters[1]: the metric has no help; add `help:` with a line on what it counts
    ");
    assert_snapshot!(faults("metrics: {counters: [{name: k8s.pod-1, help: A}, {name: 5xx, help: A}]}"), @"");
    assert_snapshot!(faults("metrics: {counters: [{name: \"a\\tb\", help: A}, {name: '', help: A}]}"), @r"
    x.yaml:1: metrics.counters[0].name: `a\tb` cannot be a metric's name: it has the control character U+0009; take that character out
    x.yaml:1: metrics.counters[1]: the metric has no name; add `name:` with the name of its map
    ");
    let long = format!("metrics: {{counters: [{{name: {}, help: A}}]}}", "x".repeat(1025));
    assert!(faults(&long).contains("it has 1025 bytes, more than 1024; shorten it"));
}

#[test]
fn a_name_is_one_metric_of_a_file() {
    let text = "\
metrics:
  counters:
    - {name: a, help: A}
    - {name: a, help: B}
  histograms:
    - name: a
      help: A
";
    assert_snapshot!(faults(text), @"
    x.yaml:4: metrics.counters[1].name: `a` is the name of metrics.counters[0] on line 3 too; give each its own name and map
    x.yaml:6: metrics.histograms[0].name: `a` is the name of metrics.counters[0] on line 3 too; give each its own name and map
    x.yaml:6: metrics.histograms[0]: the histogram has no bucket_type; add `bucket_type:`, one of exp2, exp2zero, linear, fixed, native
    x.yaml:6: metrics.histograms[0]: the histogram has no labels; add a last label, before `cpu` if there is one, with the bucket's number, decoded by `uint`
    ");
}

#[test]
fn a_file_without_metrics_is_a_slip() {
    assert_snapshot!(faults("kaddrs: [a]"), @"x.yaml:1: metrics: the file has no metrics and no spans; list some under `metrics.counters`, `metrics.histograms` or `tracing.spans`");
    assert_snapshot!(faults("metrics:\n"), @"x.yaml:1: metrics: the file has no metrics and no spans; list some under `metrics.counters`, `metrics.histograms` or `tracing.spans`");
    assert_snapshot!(faults("metrics: {counters: [], histograms: ~}"), @"x.yaml:1: metrics: the file has no metrics and no spans; list some under `metrics.counters`, `metrics.histograms` or `tracing.spans`");
}

#[test]
fn symbols_are_identifiers() {
    let text =
        "metrics: {counters: [{name: a, help: A}]}\nkaddrs:\n- good\n- foo.cold\n- 0x12\n- ''\n";
    assert_snapshot!(faults(text), @"
    x.yaml:4: kaddrs[1]: `foo.cold` cannot be a symbol with a `kaddr_` variable; write a kernel symbol made of letters, digits and `_`
    x.yaml:5: kaddrs[2]: `0x12` cannot be a symbol with a `kaddr_` variable; write a kernel symbol made of letters, digits and `_`
    x.yaml:6: kaddrs[3]: `` cannot be a symbol with a `kaddr_` variable; write a kernel symbol made of letters, digits and `_`
    ");
}

#[test]
fn durations_are_those_of_go() {
    for (text, good) in [("1h30m", true), ("500ms", true), ("0", true), ("soon", false)] {
        let file = format!("metrics: {{counters: [{{name: a, help: A, flush_interval: {text}}}]}}");
        assert_eq!(faults(&file).is_empty(), good, "{text}");
    }
    assert_snapshot!(faults("metrics: {counters: [{name: a, help: A, flush_interval: 60}]}"), @"x.yaml:1: metrics.counters[0].flush_interval: `60` is no duration; write numbers with units, such as `1h30m` or `500ms`");
}

#[test]
fn sections_may_be_there_and_empty() {
    for empty in [
        "tracing: ~",
        "tracing: {}",
        "tracing: {spans: []}",
        "tracing: {spans: ~}",
        "cgroup_id_map: ~",
        "cgroup_id_map: {}",
        "cgroup_id_map: {name: '', type: ~, regexps: []}",
    ] {
        let text = format!("{empty}\nplugins: ~\nmetrics: {{counters: [{{name: a, help: A}}]}}");
        assert_eq!(faults(&text), "", "{empty}");
    }
    let slips =
        "tracing: {span: []}\ncgroup_id_map: {Name: ''}\nmetrics: {counters: [{name: a, help: A}]}";
    assert_snapshot!(faults(slips), @"
    x.yaml:1: warning: tracing.span: unknown key, which does nothing; did you mean `spans`?
    x.yaml:2: warning: cgroup_id_map.Name: unknown key, which does nothing; did you mean `name`?
    ");
}

#[test]
fn good_metrics_stay_when_others_are_faulty() {
    let text = "metrics: {counters: [{name: a}, {name: b, help: B}, {name: b, help: C}]}";
    let files = vec![file("dir/x.yaml", text), file("y.yaml", "["), file("z.yaml", "{}")];
    let (configs, faults) = load(files, &[]);
    let kept: Vec<_> = configs
        .iter()
        .map(|config| (config.name.as_str(), config.metrics.iter().map(|m| &*m.help).collect()))
        .collect::<Vec<(_, Vec<_>)>>();
    assert_eq!(kept, [("x", vec!["B"]), ("z", vec![])]);
    assert_snapshot!(lines(&faults), @"
    dir/x.yaml:1: metrics.counters[2].name: `b` is the name of metrics.counters[1] on line 1 too; give each its own name and map
    dir/x.yaml:1: metrics.counters[0]: the metric has no help; add `help:` with a line on what it counts
    y.yaml:1: failed to read the YAML: unclosed bracket '[' at line 1 column 1; correct the YAML there
    z.yaml:1: metrics: the file has no metrics and no spans; list some under `metrics.counters`, `metrics.histograms` or `tracing.spans`
    ");
    assert!(configs[0].metrics.iter().all(|metric| metric.kind == MetricKind::Counter));
}

#[test]
fn a_later_stage_can_add_its_own() {
    let config = good("metrics:\n  counters:\n    - name: a\n      help: A\n");
    let fault = config.fault("metrics.counters[0].name", "no map has this name", "add one");
    assert_snapshot!(fault, @"x.yaml:3: metrics.counters[0].name: no map has this name; add one");
    let warning = config.warn("", Advice::new("the object is old", "compile it again"));
    assert_snapshot!(warning, @"x.yaml: warning: the object is old; compile it again");
}

/// It would be held against the map without that label, which is another fault.
#[test]
fn a_metric_with_a_part_that_cannot_be_read_is_none() {
    let text = "metrics:
  counters:
    - {name: a, help: A, labels: [{name: l, size: eight}]}
    - {name: b, help: B}
";
    let (configs, found) = load(vec![file("x.yaml", text)], &[]);
    assert_snapshot!(lines(&found), @"x.yaml:3: metrics.counters[0].labels[0].size: expected a whole number, found `eight`; write digits alone, such as 8");
    let left: Vec<_> = configs[0].metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(left, ["b"]);
}

#[test]
fn records_come_by_one_kind_of_buffer_and_are_kept_for_a_while() {
    let counter = |keys: &str| format!("metrics: {{counters: [{{name: a, help: A, {keys}}}]}}");
    let events = |keys: &str| good(&counter(keys)).metrics[0].events;
    let stream =
        |kind, seconds| Some(EventStream { kind, flush_interval: Duration::from_secs(seconds) });
    assert_eq!(events("perf_event_array: yes"), stream(StreamKind::PerfEventArray, 3600));
    assert_eq!(events("ringbuf: true, flush_interval: 1m30s"), stream(StreamKind::RingBuffer, 90));
    for zero in ["0", "0s", "0h0m"] {
        let events = events(&format!("perf_event_array: true, flush_interval: {zero}"));
        assert_eq!(events, stream(StreamKind::PerfEventArray, 3600), "{zero}");
    }
    assert_eq!(events("ringbuf: false, flush_interval: 0"), None);
    assert_snapshot!(faults(&counter("ringbuf: true, perf_event_array: on")), @"x.yaml:1: metrics.counters[0].ringbuf: a map is a perf event array or a ring buffer, not both; take out the one that it is not");
}
