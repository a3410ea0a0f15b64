//! The exposition of every example, of the default set and of hostile bytes, before its judges.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use ebpf_wasm_exporter::escaping::Escaping;
use ebpf_wasm_exporter::exposition::openmetrics;
use ebpf_wasm_exporter::exposition::text::encode;
use ebpf_wasm_exporter::series::{Bounds, Family, Kind, LabelSet};
use proptest::prelude::*;

use crate::configs::Configs;
use crate::exporter::Exporter;
use crate::judges::{self, Sample, promtool, python};
use crate::object;
use crate::workload::Session;

/// What promtool may say: dashboards of the peer rely on this name. It is there while the kernel measures
/// programs.
const TOLERATED: [&str; 1] =
    ["ebpf_exporter_ebpf_program_run_time_seconds counter metrics should have \"_total\" suffix"];

fn judge(text: &str) -> Vec<Sample> {
    for complaint in promtool(text) {
        assert!(TOLERATED.contains(&&*complaint), "{complaint}");
    }
    let samples = python(text);
    let lines = text.split_terminator('\n').filter(|line| !line.starts_with('#')).count();
    assert_eq!(samples.len(), lines, "every line is a sample");
    samples
}

fn judge_openmetrics(text: &str) -> Vec<Sample> {
    let samples = judges::openmetrics(text);
    let lines = text.split_terminator('\n').filter(|line| !line.starts_with('#')).count();
    assert_eq!(samples.len(), lines, "every line is a sample");
    samples
}

/// The samples of this name.
fn named<'a>(samples: &'a [Sample], name: &str) -> Vec<&'a Sample> {
    samples.iter().filter(|Sample(other, ..)| other == name).collect()
}

/// There are samples of this name, and all are 1.
fn all_are_one(samples: &[Sample], name: &str) {
    let values: Vec<_> = named(samples, name).into_iter().map(|Sample(.., value)| value).collect();
    assert!(!values.is_empty() && values.iter().all(|value| *value == "1.0"), "{name}: {values:?}");
}

/// The names of all examples, sorted.
pub fn examples() -> Vec<String> {
    let files = fs::read_dir(object::EXAMPLES).unwrap().map(|file| file.unwrap().path());
    let yaml = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let mut names: Vec<_> =
        yaml.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

pub fn example(name: &str) {
    let mut configs = Configs::new();
    configs.add_example(name, |yaml| yaml);
    let exporter = Exporter::start(configs.flags());
    let samples = judge(&exporter.metrics());
    let enabled = named(&samples, "ebpf_exporter_enabled_configs");
    assert_eq!(enabled.len(), 1);
    assert_eq!(enabled[0].1["name"], name);
    all_are_one(&samples, "ebpf_exporter_ebpf_program_attached");
    all_are_one(&samples, "ebpf_exporter_scrape_success");
}

pub fn the_default_set() {
    let exporter = Exporter::start([""; 0]);
    let samples = judge(&exporter.metrics());
    assert_eq!(named(&samples, "ebpf_exporter_enabled_configs").len(), 6);
    all_are_one(&samples, "ebpf_exporter_ebpf_program_attached");
    // This very test calls the kernel.
    assert!(!named(&samples, "ebpf_exporter_syscalls_total").is_empty());
}

pub fn the_default_set_in_openmetrics() {
    let exporter = Exporter::start(["--web.enable-openmetrics"]);
    let samples = judge_openmetrics(&exporter.openmetrics());
    assert_eq!(named(&samples, "ebpf_exporter_enabled_configs").len(), 6);
    all_are_one(&samples, "ebpf_exporter_ebpf_program_attached");
    assert!(!named(&samples, "ebpf_exporter_syscalls_total").is_empty());
    let buckets = named(&samples, "ebpf_exporter_run_queue_latency_seconds_bucket");
    assert!(buckets.iter().any(|Sample(_, labels, _)| labels["le"] == "0.000004"), "{buckets:?}");
    assert!(exporter.metrics().starts_with("# HELP"), "text is there for those who do not ask");
}

/// Families that OpenMetrics would take for the same, or for parts of each other.
pub fn names_that_meet_in_openmetrics() {
    let bounds = Bounds { upper: vec![-1.0, 1.0], multiplier: 1.0 };
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

/// A config that takes the bytes of texts as they are, NULs included.
pub const HOSTILE: &str = "metrics:
  counters:
    - name: work_hash_total
      help: \"A \\\\ and a \\n newline\"
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
        - {name: text, size: 24}
";

/// Texts that want to break out of their label, each filled up with NULs.
pub fn hostile() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 20] = [
        b"",
        b"a\0b\nc\0",
        b"\"quoted\"",
        b"\\",
        b"ends in \\ and \\\"",
        b"\\n is no newline",
        b"\xff\xfe\x80\xc0\xaf",
        b"\xf0\x9f\xa6",
        b"a\xf0\x9f\xa6b",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        "🦀é\u{10ffff}".as_bytes(),
        b"\r\n\t\x1b[31m\x7f",
        b"\"} 1\nfake_total 1\n#",
        b"a{b=\"c\",d=\"e\"} 7 8",
        b"# HELP x y",
        "\u{2028}\u{85}\u{feff}\u{a0}".as_bytes(),
        b" a, b ",
        b"x=\"y\",",
        &[0xff; 24],
    ];
    let fill = |text: &&[u8]| {
        let mut text = text.to_vec();
        text.resize(24, 0);
        text
    };
    texts.iter().map(fill).collect()
}

/// Counts the n-th hostile text n + 1 times, as id n; what the exposition has to say then.
pub fn count_hostile(work: Session) -> Vec<(String, String, u64)> {
    let count = |(id, text): (u64, Vec<u8>)| {
        let mut key = id.to_ne_bytes().to_vec();
        key.extend(&text);
        work.add("work_hash_total", &key, id + 1);
        (id.to_string(), String::from_utf8_lossy(&text).into_owned(), id + 1)
    };
    (0..).zip(hostile()).map(count).collect()
}

pub fn hostile_bytes() {
    let mut configs = Configs::new();
    let work = configs.add_workload("work", HOSTILE);
    let [dir, names] = configs.flags();
    let exporter = Exporter::start([dir, names, "--web.enable-openmetrics".to_owned()]);
    let expected = count_hostile(work);
    let text = judge(&exporter.metrics());
    let openmetrics = judge_openmetrics(&exporter.openmetrics());
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
