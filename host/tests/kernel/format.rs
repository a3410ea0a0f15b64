//! The exposition of every example and of the default set, before its judges.

use std::fs;
use std::process::Command;

use crate::configs::Configs;
use crate::exporter::{BINARY, Exporter, run};
use crate::hooks;
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

/// Each program of an example is attached where the kernel has its hook, and nowhere else.
pub fn example(name: &str) {
    let mut configs = Configs::new();
    let mut missing = Vec::new();
    configs.add_example(name, |yaml| {
        missing = hooks::missing_kaddrs(&yaml).into_iter().map(str::to_owned).collect();
        yaml
    });
    if !missing.is_empty() {
        return refused(&configs, &missing);
    }
    let exporter = Exporter::start(configs.flags());
    let samples = judge(&exporter.metrics());
    let enabled = named(&samples, "ebpf_exporter_enabled_configs");
    assert_eq!(enabled.len(), 1);
    assert_eq!(enabled[0].1["name"], name);
    all_are_one(&samples, "ebpf_exporter_scrape_success");
    for (program, hooked) in hooks::of_example(name) {
        assert_eq!(is_attached(&samples, &program), hooked, "{program}");
    }
}

/// Of one that was not loaded there is no sample.
fn is_attached(samples: &[Sample], program: &str) -> bool {
    let infos = named(samples, "ebpf_exporter_ebpf_program_info");
    let info = infos.into_iter().find(|Sample(_, labels, _)| labels["program"] == program);
    info.is_some_and(|Sample(_, of_info, _)| {
        let attached = named(samples, "ebpf_exporter_ebpf_program_attached");
        attached
            .iter()
            .any(|Sample(_, labels, value)| labels["id"] == of_info["id"] && value == "1.0")
    })
}

/// A kernel that does not tell where its variables are is told of at the start.
fn refused(configs: &Configs, symbols: &[String]) {
    let said = run(Command::new(BINARY).arg("--config.check").args(configs.flags()));
    assert_eq!(said.code, Some(3), "{said:?}");
    for symbol in symbols {
        let problem = format!("the address of kernel symbol `{symbol}` is not known; ");
        assert!(said.stderr.contains(&problem), "{said:?}");
    }
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
