//! What is served of a recording, in every format, before its judges; and what families and bytes no recording
//! has.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use ebpf_wasm_exporter::escaping::Escaping;
use ebpf_wasm_exporter::exposition::openmetrics;
use ebpf_wasm_exporter::exposition::text::encode;
use ebpf_wasm_exporter::series::{Bounds, Family, Kind, LabelSet};
use flate2::read::GzDecoder;
use proptest::prelude::*;

use crate::hostile::{HOSTILE, hostile_series};
use crate::judges::{OPENMETRICS, Sample, TEXT, judge, judge_openmetrics, named, newest, promtool};
use crate::served::Served;
use crate::tape::Replay;

/// Families that OpenMetrics would take for the same, or for parts of each other.
pub fn names_that_meet_in_openmetrics() {
    let bounds = Bounds { upper: vec![-1.0, 1.0], multiplier: 1.0, native: None };
    let families = [
        ("a", Kind::Counter),
        ("a_total", Kind::Counter),
        ("b", Kind::Histogram(bounds)),
        ("b_bucket_total", Kind::Counter),
        ("b_total", Kind::Counter),
        ("c_created", Kind::Gauge),
        ("c_total", Kind::RealCounter),
        ("d", Kind::Counter),
    ];
    let families = families.map(|(name, kind)| {
        let mut family = Family::new(name.to_owned(), "Help".to_owned(), Vec::new(), kind);
        family.join(&LabelSet::default(), None);
        Arc::new(family)
    });
    let samples = judge_openmetrics(&openmetrics::encode(&families, Escaping::default()));
    let mut names: Vec<_> = samples.iter().map(|Sample(name, ..)| name.as_str()).collect();
    names.dedup();
    let b = ["b_bucket", "b_sum", "b_count", "b_bucket_total", "b_total"];
    assert_eq!(names, [&["a", "a_total"], &b[..], &["c_created", "c_total", "d_total"]].concat());
}

pub fn hostile_bytes() {
    let served = Served::start(Replay::with(&[("hostile", HOSTILE)]));
    let expected = hostile_series();
    let text = judge(&served.metrics());
    let openmetrics = judge_openmetrics(&served.openmetrics());
    for samples in [text, openmetrics] {
        let mut found: Vec<_> = named(&samples, "ebpf_exporter_work_hash_total")
            .into_iter()
            .map(|Sample(_, labels, value)| (&labels["id"], &labels["text"], value))
            .collect();
        found.sort_by_key(|(id, ..)| id.parse::<u64>().unwrap());
        for ((id, text, value), found) in expected.iter().zip(&found) {
            assert_eq!((id, text, &format!("{value}.0")), *found);
        }
        assert_eq!(found.len(), expected.len());
    }
}

/// Whatever bytes labels and help are made of, both judges can read the exposition, and Python's parser
/// finds the same labels and numbers in it.
pub fn any_bytes() {
    let row = (prop::collection::vec(any::<u8>(), 0..40), ".*", any::<u64>());
    // Each case starts two judges, so it is large and there are few.
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) };
    proptest!(config, |(help in ".*", rows in prop::collection::vec(row, 1..300))| {
        let labels = ["a", "b", "row"].map(str::to_owned).to_vec();
        let help = format!("x{help}x");
        let mut family = Family::new("x_total".to_owned(), help, labels, Kind::Counter);
        let mut expected = Vec::new();
        for (n, (bytes, text, value)) in rows.iter().enumerate() {
            let n = n.to_string();
            let mut set = LabelSet::default();
            for value in [bytes, text.as_bytes(), n.as_bytes()] {
                set.push(value);
            }
            let cell = family.join(&set, None);
            family.add(cell, *value);
            let bytes = String::from_utf8_lossy(bytes).into_owned();
            let labels = [("a", bytes), ("b", text.clone()), ("row", n)];
            expected.push((labels.map(|(name, value)| (name.to_owned(), value)), *value as f64));
        }
        let mut text = Vec::new();
        encode([&family], Escaping::default(), &mut text);
        let text = judge(&String::from_utf8(text).unwrap());
        let other = judge_openmetrics(&openmetrics::encode(&[family.into()], Escaping::default()));
        for samples in [text, other] {
            prop_assert_eq!(samples.len(), expected.len());
            for (Sample(_, labels, value), (expected_labels, expected)) in samples.into_iter().zip(&expected) {
                prop_assert_eq!(labels, BTreeMap::from(expected_labels.clone()));
                prop_assert_eq!(value.parse(), Ok(*expected));
            }
        }
    });
}

/// Names that only Prometheus 3 takes.
const CONFIG: &str = "metrics:
  counters:
    - name: work.hash_total
      help: A \"dotted\" counter
      labels:
        - {name: k8s.pod, size: 8, decoders: [{name: uint}]}
        - {name: plain, size: 24, decoders: [{name: string}]}
    - name: work_plain-total
      help: No label
  histograms:
    - name: work.exp2.seconds
      help: A dotted histogram
      bucket_type: linear
      bucket_max: 1
      labels:
        - {name: gr\u{f6}\u{df}e, size: 8, decoders: [{name: string}]}
        - {name: bucket, size: 8, decoders: [{name: uint}]}
";

/// What the labels and metrics of `CONFIG` are called.
struct Names {
    counter: &'static str,
    pod: &'static str,
    other: &'static str,
    histogram: &'static str,
    size: &'static str,
}

fn names(escaping: Escaping) -> Names {
    match escaping {
        Escaping::Underscores => Names {
            counter: "ebpf_exporter_work_hash_total",
            pod: "k8s_pod",
            other: "ebpf_exporter_work_plain_total",
            histogram: "ebpf_exporter_work_exp2_seconds",
            size: "gr__e",
        },
        Escaping::AllowUtf8 => Names {
            counter: "ebpf_exporter_work.hash_total",
            pod: "k8s.pod",
            other: "ebpf_exporter_work_plain-total",
            histogram: "ebpf_exporter_work.exp2.seconds",
            size: "gr\u{f6}\u{df}e",
        },
        Escaping::Dots => Names {
            counter: "ebpf__exporter__work_dot_hash__total",
            pod: "k8s_dot_pod",
            other: "ebpf__exporter__work__plain__total",
            histogram: "ebpf__exporter__work_dot_exp2_dot_seconds",
            size: "gr____e",
        },
        Escaping::Values => Names {
            counter: "U__ebpf__exporter__work_2e_hash__total",
            pod: "U__k8s_2e_pod",
            other: "U__ebpf__exporter__work__plain_2d_total",
            histogram: "U__ebpf__exporter__work_2e_exp2_2e_seconds",
            size: "U__gr_f6__df_e",
        },
    }
}

fn is_there(samples: &[Sample], name: &str, labels: &[(&str, &str)], value: &str) {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let wanted = Sample(name.to_owned(), labels.collect(), value.to_owned());
    assert!(samples.contains(&wanted), "{wanted:?} in {samples:#?}");
}

/// What was counted is what an independent parser reads, under the names of this escaping.
fn judge_named(text: &str, escaping: Escaping, openmetrics: bool) {
    let module = if openmetrics { OPENMETRICS } else { TEXT };
    let samples = newest(module, text);
    let Names { counter, pod, other, histogram, size } = names(escaping);
    is_there(&samples, counter, &[(pod, "7"), ("plain", "a")], "5.0");
    is_there(&samples, histogram_part(histogram, "count").as_str(), &[(size, "x")], "3.0");
    let (one, all) = if openmetrics { ("1.0", "+Inf") } else { ("1", "+Inf") };
    let buckets = histogram_part(histogram, "bucket");
    is_there(&samples, &buckets, &[(size, "x"), ("le", one)], "3.0");
    is_there(&samples, &buckets, &[(size, "x"), ("le", all)], "3.0");
    // Both formats end the name of a counter as OpenMetrics has it, or Python's parser does.
    let ended = if other.ends_with("_total") { other.to_owned() } else { format!("{other}_total") };
    is_there(&samples, &ended, &[], "2.0");
}

fn histogram_part(name: &str, part: &str) -> String {
    format!("{name}_{part}")
}

pub fn dotted_names_in_every_format_and_escaping() {
    let served = Served::start(Replay::with(&[("dotted", CONFIG)]));
    for escaping in Escaping::ALL {
        let scheme = escaping.as_str();
        for (range, content_type) in [
            ("text/plain;version=0.0.4", "text/plain; version=0.0.4; charset=utf-8"),
            ("text/plain;version=1.0.0", "text/plain; version=1.0.0; charset=utf-8"),
            (
                "application/openmetrics-text;version=1.0.0",
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            ),
        ] {
            let accept = format!("{range};escaping={scheme},*/*;q=0.1");
            let (found, plain) = served.ask(&accept, "identity");
            assert_eq!(found, format!("{content_type}; escaping={scheme}"));
            judge_named(
                std::str::from_utf8(&plain).unwrap(),
                escaping,
                range.contains("openmetrics"),
            );
            let (found, zipped) = served.ask(&accept, "gzip");
            assert_eq!(found, format!("{content_type}; escaping={scheme}"));
            let mut text = String::new();
            GzDecoder::new(&*zipped).read_to_string(&mut text).unwrap();
            judge_named(&text, escaping, range.contains("openmetrics"));
        }
    }
    // For everybody who says nothing.
    let text = served.metrics();
    judge_named(&text, Escaping::Underscores, false);
    promtool(&text);
}
