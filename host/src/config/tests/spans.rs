//! Spans: what a file can say of them, and what it cannot.

use insta::assert_snapshot;

use super::{faults, good};

/// A file with one span that has these labels.
fn with_labels(labels: &str) -> String {
    format!("tracing: {{spans: [{{ringbuf: r, labels: [\n{labels}\n]}}]}}")
}

#[test]
fn a_file_with_spans_alone_becomes_a_plan() {
    let config = good(
        "\
tracing:
  spans:
    - name: exec
      ringbuf: exec_spans
      service: exec-trace
      labels:
        - {name: trace_id, size: 16, decoders: [{name: hex}]}
        - {name: cpu.orig, size: 4, padding: 4, decoders: [{name: uint}]}
        - {name: cpu_orig, size: 8}
    - {ringbuf: others}
",
    );
    assert!(config.metrics.is_empty());
    let shown: Vec<_> = config
        .spans
        .iter()
        .map(|span| {
            let labels: Vec<_> = span
                .labels
                .iter()
                .map(|label| format!("{} {}+{}", label.name.as_str(), label.size, label.padding))
                .collect();
            format!("{} {} {} {:?} {labels:?}\n", span.path, span.name, span.ringbuf, span.service)
        })
        .collect();
    assert_snapshot!(shown.concat(), @r#"
    tracing.spans[0] exec exec_spans Some("exec-trace") ["trace_id 16+0", "cpu.orig 4+4", "cpu_orig 8+0"]
    tracing.spans[1] others others None []
    "#);
}

#[test]
fn a_ring_buffer_is_needed_and_is_read_once() {
    let text = "\
tracing:
  spans:
    - {name: s}
    - {name: s, ringbuf: r}
    - {name: t, ringbuf: r}
    - x
";
    assert_snapshot!(faults(text), @"
    x.yaml:3: tracing.spans[0]: the span has no ringbuf; add `ringbuf:` with the name of its ring buffer in the object
    x.yaml:5: tracing.spans[2].ringbuf: `r` is read by tracing.spans[1] too; give each its own ring buffer: a record is read once
    x.yaml:6: tracing.spans[3]: expected a mapping, found `x`; write lines of `KEY: VALUE`, or `{KEY: VALUE}`
    ");
    let counted = "metrics: {counters: [{name: r, help: R, ringbuf: true}]}\ntracing: {spans: [{ringbuf: r}]}";
    assert_snapshot!(faults(counted), @"x.yaml:2: tracing.spans[0].ringbuf: `r` is read by metrics.counters[0] too; give each its own ring buffer: a record is read once");
    assert_snapshot!(faults("tracing: [a]"), @"x.yaml:1: tracing: expected a mapping, found a list; write lines of `KEY: VALUE`, or `{KEY: VALUE}`");
    assert_snapshot!(faults("tracing: {span: []}"), @"
    x.yaml:1: warning: tracing.span: unknown key, which does nothing; did you mean `spans`?
    x.yaml:1: metrics: the file has no metrics and no spans; list some under `metrics.counters`, `metrics.histograms` or `tracing.spans`
    ");
}

#[test]
fn ids_are_hex_digits_of_their_sizes() {
    let good = "\
{name: trace_id, size: 16, decoders: [{name: hex}]},
{name: span_id, size: 8, decoders: [{name: hex}]},
{name: parent_span_id, size: 16},
{name: span_monotonic_timestamp_ns, size: 8, decoders: [{name: uint}]},
{name: span_duration_ns, size: 8, decoders: [{name: uint}, {name: static_map, static_map: {0: 1}, allow_unknown: true}]},
{name: span_name, size: 8, decoders: [{name: ksym}]}";
    assert_eq!(faults(&with_labels(good)), "");
    let faulty = "\
{name: trace_id, size: 8, decoders: [{name: hex}]},
{name: span_id, size: 8, decoders: [{name: uint}]},
{name: parent_span_id, size: 8},
{name: span_monotonic_timestamp_ns, size: 8, decoders: [{name: hex}]},
{name: span_duration_ns, size: 8}";
    assert_snapshot!(faults(&with_labels(faulty)), @"
    x.yaml:2: tracing.spans[0].labels[0].size: `trace_id` is 32 hex digits, which 8 bytes are not; give it 16 bytes
    x.yaml:3: tracing.spans[0].labels[1].decoders: `span_id` is 16 hex digits, which `uint` does not give; decode it by `hex`, from 8 bytes
    x.yaml:4: tracing.spans[0].labels[2].decoders: `parent_span_id` is 16 hex digits, and its bytes are not decoded; decode it by `hex`, from 8 bytes
    x.yaml:5: tracing.spans[0].labels[3].decoders: `span_monotonic_timestamp_ns` is a decimal number, which `hex` does not give; decode it by `uint`, from 8 bytes
    x.yaml:6: tracing.spans[0].labels[4].decoders: `span_duration_ns` is a decimal number, and its bytes are not decoded; decode it by `uint`, from 8 bytes
    ");
}

#[test]
fn their_labels_are_as_those_of_metrics() {
    let faulty = "\
{name: a, size: 0},
{name: a, size: 8, decoders: [{name: errno}]},
{size: 4}";
    assert_snapshot!(faults(&with_labels(faulty)), @"
    x.yaml:2: tracing.spans[0].labels[0].size: no label has 0 bytes; write how many bytes this label takes
    x.yaml:3: warning: tracing.spans[0].labels[1].decoders[0].name: `errno` takes decimal text, not bytes as they are; put `uint` before it
    x.yaml:4: tracing.spans[0].labels[2]: the label has no name; add `name:` with what to call it
    ");
}
