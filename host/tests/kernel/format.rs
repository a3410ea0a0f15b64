//! The exposition of every example and of the default set, before its judges.

use std::fs;

use crate::configs::Configs;
use crate::exporter::Exporter;
use crate::judges::{Sample, judge, judge_openmetrics, named};
use crate::object;

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
