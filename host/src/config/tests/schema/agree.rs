//! That the schema and the reader agree: on values of every sort behind every key, and on whole files.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Place, WHOLE, as_json, places, refusals, refuses, takes};
use crate::config::load;
use crate::config::raw::keys::{self, ValueKind};
use crate::config::tests::{faults, file, with_buckets, with_labels};

/// Values of every sort, as people and generators write them.
fn values() -> Vec<Value> {
    let texts = [
        "",
        "x",
        "a b",
        "__a",
        "_",
        "_a",
        "a\nb",
        "0",
        "1",
        "-1",
        "+1",
        "65",
        "4e0",
        "4.0",
        "4.5",
        "1_000",
        "0x10",
        "010",
        ".5",
        "5.",
        ".inf",
        "99999999999999999999",
        "yes",
        "No",
        "y",
        "0s",
        "1s",
        "+3s",
        "1h30m",
        "2h 3m",
        "1MiB",
        "+2 MiB",
        "1024",
        "3MB",
        "drop",
        "raw",
        "exp2",
        "linear",
        "native",
        "uint",
        "..",
        "/",
        "a.b/c",
        "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        "oci:ghcr.io/a/b@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "ghcr.io/A/b:1@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ];
    let numbers =
        ["0", "1", "3", "4", "-1", "4.0", "4.5", "65", "513", "10000", "1e20", "1e-300", "1e300"];
    let others = [
        "null",
        "true",
        "false",
        "[]",
        "{}",
        "[1]",
        "[1, 1]",
        "[2, 1]",
        "[null]",
        "[\"a\"]",
        "[{}]",
        "{\"a\": 1}",
        "{\"a\": null}",
        "{\"label\": \"\"}",
        "{\"label\": null}",
        "{\"file\": \"f\"}",
        "[9007199254740992]",
    ];
    let read = |text: &str| serde_json::from_str(text).expect("JSON");
    let texts = texts.into_iter().map(Value::from);
    texts.chain(numbers.into_iter().chain(others).map(read)).collect()
}

/// Whatever stands behind a key, both take it or neither does.
#[test]
fn the_schema_and_the_reader_agree_on_every_value() {
    let (whole, mut tried) = (as_json(WHOLE), BTreeSet::new());
    let own = crate::scrape::own_series();
    for Place { pointer, section, key, .. } in places(&whole, "", "", &keys::FILE) {
        if !tried.insert((section.name, key.name)) {
            continue;
        }
        for value in values() {
            // How large the number in a text is no pattern says.
            let is_text =
                value.is_string() && matches!(key.kind, ValueKind::Whole(_) | ValueKind::Number);
            let mut changed = whole.clone();
            *changed.pointer_mut(&pointer).expect("it is there") = value;
            let text = changed.to_string();
            let faults = load(vec![file("x.yaml", &text)], &own).1;
            match faults.is_empty() {
                true => takes(&text),
                false if is_text => {}
                false => refuses(&text, &faults),
            }
        }
    }
}

#[test]
fn ranges_end_where_the_reader_says() {
    let memory = |text: &str| {
        format!(
            "plugins: {{p: {{file: f, limits: {{memory: {text}}}}}}}\n{}",
            with_labels("{name: l, size: 4, decoders: [{name: wasm, plugin: p}]}")
        )
    };
    for (text, good) in [
        ("65536", true),
        ("65535", false),
        ("1073741824", true),
        ("1073741825", false),
        ("1.5MiB", false),
    ] {
        let text = memory(text);
        assert_eq!(faults(&text).is_empty(), good, "{text}");
        assert_eq!(refusals(&as_json(&text)).is_empty(), good, "{text}");
    }
}

/// The reader has a fault or a warning for each of these, and the schema sees it too.
#[test]
fn faulty_files_are_refused() {
    let labels = [
        "{name: a}",
        "{size: 4}",
        "{name: a, size: 0}",
        "{name: a, size: 4.5}",
        "{name: '', size: 4}",
        "{name: a, size: 4, decoders: uint}",
        "{name: a, size: 4, decoders: [uint]}",
        "{name: a, size: 4, decoders: [{name: uintt}]}",
        "{name: a, size: 4, decoders: [{}]}",
        "{name: a, size: 4, decoders: [{name: regexp}]}",
        "{name: a, size: 4, decoders: [{name: regexp, regexps: []}]}",
        "{name: a, size: 4, decoders: [{name: static_map}]}",
        "{name: a, size: 4, decoders: [{name: uint, static_map: {1: a}}]}",
        "{name: a, size: 4, decoders: [{name: uint, plugin: p}]}",
        "{name: a, size: 4, decoders: [{name: wasm}]}",
        "{name: a, size: 4, decoders: [{name: uint, on_error: keep}]}",
        "{name: a, size: 4, decoders: [{name: uint, on_error: {lable: x}}]}",
        "{name: a, size: 4, reuse: perhaps}",
        "{name: a, reuse: false}",
        "{name: a, reuse: 'No'}",
        "{name: __a, size: 4}",
        "{name: \"a\\u0007\", size: 4}",
        "{name: a, size: 99999999999999999999}",
        "{name: a, size: 4, padding: 4194305}",
        "{name: a, size: 3, decoders: [{name: uint}]}",
        "{name: a, size: 2, decoders: [{name: majorminor}]}",
        "{name: a, size: 9, decoders: [{name: kstack}]}",
    ];
    let buckets = [
        "bucket_max: 3",
        "bucket_type: exp3\n      bucket_max: 3",
        "bucket_type: linear",
        "bucket_type: linear\n      bucket_max: -1",
        "bucket_type: fixed",
        "bucket_type: fixed\n      bucket_keys: []",
        "bucket_type: fixed\n      bucket_keys: [1]\n      bucket_max: 3",
        "bucket_type: linear\n      bucket_max: 3\n      bucket_keys: [1]",
        "bucket_type: linear\n      bucket_max: 3\n      bucket_multiplier: -1",
        "bucket_type: native\n      bucket_max: 3",
        "bucket_type: native\n      bucket_max: 3\n      bucket_schema: 4",
        "bucket_type: native\n      bucket_max: 3\n      bucket_schema: 1\n      bucket_multiplier: 2",
        "bucket_type: exp2\n      bucket_max: 3\n      bucket_schema: 1",
        "bucket_type: exp2\n      bucket_max: 3\n      native: maybe",
        "bucket_type: exp2\n      bucket_max: 65",
        "bucket_type: exp2zero\n      bucket_max: 66",
        "bucket_type: exp2\n      bucket_min: 65\n      bucket_max: 3",
        "bucket_type: linear\n      bucket_max: 10000",
        "bucket_type: native\n      bucket_schema: 3\n      bucket_max: 513",
        "bucket_type: native\n      bucket_schema: 0\n      bucket_max: 65",
        "bucket_type: linear\n      bucket_max: 3\n      native: true",
        "bucket_type: fixed\n      bucket_keys: [1]\n      native: yes",
        "bucket_type: exp2\n      bucket_max: 3\n      classic: false",
        "bucket_type: native\n      bucket_schema: 0\n      bucket_max: 3\n      native: no\n      classic: no",
        "bucket_type: fixed\n      bucket_keys: [1, 1.0]",
        "bucket_type: fixed\n      bucket_keys: [9007199254740992]",
        "bucket_type: linear\n      bucket_max: 3\n      bucket_multiplier: .inf",
        "bucket_type: linear\n      bucket_max: 3\n      bucket_multiplier: .nan",
    ];
    let files = [
        "{}",
        "metrics:",
        "metrics: {}",
        "metrics: {counters: []}",
        "metrics: {counters: [], histograms: ~}",
        "metrics: {counters: [{name: a}]}",
        "metrics: {counters: [{help: A}]}",
        "metrics: {counters: [{name: a, help: A}]}\nkaddrs: [a.b]",
        "metrics: {counters: [{name: a, help: A}]}\nplugins: {'a b': {file: x}}",
        "metrics: {counters: [{name: a, help: A}]}\nplugins: {a: ~}",
        "metrics: {counters: [{name: a, help: A}]}\nplugins: {a: {}}",
        "metrics: {counters: [{name: a, help: A}]}\nplugins: {a: {oci: 'ghcr.io/a/b:1'}}",
        "metrics: {counters: [{name: a, help: A}]}\nplugins: {a: {file: f, oci: 'ghcr.io/a/b@sha256:\
         e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'}}",
        "metrics: {counters: [{name: a, help: A}]}\ntracing: {spans: [{name: s}]}",
        "metrics: {counters: [{name: a, help: A, ringbuf: perhaps}]}",
        "metrics: {counters: [{name: a, help: A}]}\ntracing: []",
        "tracing: {spans: []}",
        "tracing: {spans: [{ringbuf: r, labels: [{name: a}]}]}",
        "metrics: {counters: [{name: a, help: A, flush_interval: 60}]}",
        "metrics: {counters: [{name: a, help: A, ringbuf: true, perf_event_array: yes}]}",
        "metrics: {histograms: [{name: a, help: A, bucket_type: linear, bucket_max: 1}]}",
        "metrics: {counters: [{name: a, help: A, transforms: [{}]}]}",
        "metrics: {counters: [{name: a, help: A, transforms: [{plugin: p, on_error: raw}]}]}",
        "programs: [{name: a, metrics: {}}]",
    ];
    let labels = labels.into_iter().map(with_labels);
    let long =
        [format!("{{name: {}, size: 4}}", "x".repeat(1025))].map(|label| with_labels(&label));
    let labels = labels.chain(long);
    let buckets = buckets.into_iter().map(with_buckets);
    let keys: Vec<_> = (0..=10_000).map(|key: u32| key.to_string()).collect();
    let keys = format!("bucket_type: fixed\n      bucket_keys: [{}]", keys.join(","));
    let buckets = buckets.chain([with_buckets(&keys)]);
    for text in labels.chain(buckets).chain(files.map(str::to_owned)) {
        assert!(!faults(&text).is_empty(), "{text}");
        assert!(!refusals(&as_json(&text)).is_empty(), "{text}");
    }
}

/// The reader has no fault for any of these, and neither has the schema.
#[test]
fn unusual_files_are_taken() {
    let labels = [
        "{name: a, size: 4e0}",
        "{name: a, size: 40e-1}",
        "{name: a, size: '4e0', decoders: [{name: uint}]}",
        "{name: a, size: '0x4', decoders: [{name: uint}]}",
        "{name: a, size: 4.0, decoders: [{name: uint}]}",
        "{name: _, size: 4}",
        "{name: _a, size: 4}",
        "{name: 4, size: 4}",
        "{name: a, size: 4}, {name: b, reuse: yes, decoders: [{name: uint}]}",
        "{name: a, size: 4, decoders: [{name: hex, on_error: {label: ''}}]}",
        "{name: a, size: 4, decoders: [{name: hex}, {name: regexp, regexps: [~]}]}",
    ];
    let buckets = [
        "bucket_type: exp2\n      bucket_max: 64",
        "bucket_type: exp2zero\n      bucket_max: 65",
        "bucket_type: linear\n      bucket_max: 9999",
        "bucket_type: linear\n      bucket_min: 4294957296\n      bucket_max: 4294967295",
        "bucket_type: native\n      bucket_schema: 3\n      bucket_max: 512",
        "bucket_type: native\n      bucket_schema: '0'\n      bucket_max: 64",
        "bucket_type: native\n      bucket_schema: 0\n      bucket_max: 3\n      classic: no",
        "bucket_type: native\n      bucket_schema: 0\n      bucket_max: 3\n      native: no",
        "bucket_type: exp2\n      bucket_max: 3\n      native: yes\n      classic: no",
        "bucket_type: fixed\n      bucket_keys: [-9007199254740991, .5, 1e3]",
        "bucket_type: linear\n      bucket_max: 3\n      bucket_multiplier: 5.",
    ];
    for text in labels.into_iter().map(with_labels).chain(buckets.into_iter().map(with_buckets)) {
        assert_eq!(faults(&text), "", "{text}");
    }
}
