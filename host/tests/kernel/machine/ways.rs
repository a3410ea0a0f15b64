//! Every way of reading, once all rights are gone that it can do without.

use crate::configs::{Configs, WORKLOAD};
use crate::exporter::Exporter;
use crate::workload::{flow, latency};

/// What each way serves of the same counts; by its name, but for `auto`, which takes what pays.
pub fn all_serve_the_same_with_least_capabilities() {
    let auto = served("auto");
    assert!(auto.lines().count() > 600, "there are rows of an array and more:\n{auto}");
    for way in ["copy", "harvest", "batch", "keys"] {
        assert_eq!(served(way), auto, "{way}");
    }
}

/// The samples of the workload by one way, sorted: those of the second reading, for the first of a map may
/// be in another.
fn served(way: &str) -> String {
    let mut configs = Configs::new();
    let work = configs.add_workload("work", WORKLOAD);
    let mut flags = configs.flags().to_vec();
    flags.extend([format!("--maps.read={way}"), format!("--capabilities.keep={}", least())]);
    let exporter = Exporter::start(&flags);
    for n in 0..60u64 {
        work.add("work_hash_total", &flow(n, b"odd \xff\n"), n + 1);
        for map in ["work_lru_hash_total", "work_percpu_hash_total", "work_lru_percpu_hash_total"] {
            work.add(map, &n.to_ne_bytes(), n + 1);
        }
        work.add("work_mmap_array_total", &(n as u32).to_ne_bytes(), n);
    }
    for n in 0..8u32 {
        work.add("work_array_total", &n.to_ne_bytes(), 10);
        work.add("work_percpu_array_total", &n.to_ne_bytes(), 10);
    }
    for bucket in 0..4 {
        work.add("work_exp2_seconds", &latency(b"in", bucket), bucket + 1);
        work.add("work_exp2zero_bytes", &latency(b"out", bucket), bucket + 1);
    }
    exporter.metrics();
    let metrics = exporter.metrics();
    exporter.terminate();
    let (status, log) = exporter.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    let kept = log.lines().find(|line| line.starts_with(" INFO kept "));
    assert_ne!(kept, Some(" INFO kept all capabilities"), "{log}");
    let mut lines: Vec<_> =
        metrics.lines().filter(|line| line.starts_with("ebpf_exporter_work_")).collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// The capabilities that reading takes: before Linux 5.19 Debian's kernels ask for one at each call.
fn least() -> &'static str {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut parts = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (parts.next(), parts.next());
    if version < (Some(5), Some(19)) { "cap_bpf" } else { "none" }
}
