//! A bundle that is served: its object counts in the kernel.

use std::fs;
use std::process::Command;

use crate::configs::{Configs, WORKLOAD};
use crate::exporter::{BINARY, Exporter, run, sample};
use crate::workload::flow;

pub fn its_programs_count() {
    let mut configs = Configs::new();
    let work = configs.add_workload("work", WORKLOAD);
    let recording = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/workload.rec");
    fs::copy(recording, configs.path().join("work.rec")).unwrap();
    let held = tempfile::tempdir().unwrap();
    let bundle = held.path().join("work.tar");
    let mut pack = Command::new(BINARY);
    pack.args(["bundle", "pack", "--version=1.2.0", "-o"]).arg(&bundle).arg(configs.path());
    let packed = pack.output().unwrap();
    assert!(packed.status.success(), "{packed:?}");
    let digest = String::from_utf8(packed.stdout).unwrap();
    let digest = digest.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    let flag = format!("--config.bundle={}", bundle.display());
    let checked = run(Command::new(BINARY).args([&*flag, "--config.check"]));
    assert_eq!((checked.code, &*checked.stdout), (Some(0), "ok\n"), "{checked:?}");
    let exporter = Exporter::start([flag]);
    // What is served is in memory.
    fs::remove_file(&bundle).unwrap();
    work.add("work_hash_total", &flow(1, b"text"), 7);
    let page = exporter.metrics();
    assert_eq!(
        sample(&page, "ebpf_exporter_work_hash_total{id=\"1\",text=\"text\"}"),
        Some(7),
        "{page}"
    );
    let info = format!(
        "ebpf_exporter_bundle_info{{config=\"work\",digest=\"{digest}\",version=\"1.2.0\"}}"
    );
    assert_eq!(sample(&page, &info), Some(1), "{page}");
    exporter.terminate();
    let (_, log) = exporter.wait();
    assert!(log.contains(&format!(", of bundle {digest}; ")), "{log}");
}
