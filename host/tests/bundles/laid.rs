//! A directory of a config, and all that a bundle of it is made of: the recorded workload, with a label that a
//! plugin makes.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The config. `zone` is what the plugin is said to be.
pub fn yaml(zone: &str) -> String {
    format!(
        "plugins: {{zone: {{{zone}}}}}
metrics: {{counters: [{{name: work_hash_total, help: h, labels: [
  {{name: id, size: 8, decoders: [{{name: uint}}]}},
  {{name: text, size: 24, decoders: [{{name: string}}, {{name: wasm, plugin: zone}}]}}]}}]}}\n"
    )
}

/// Writes `work.yaml`, `work.bpf.o` and `work.rec` into this directory.
pub fn lay_out(dir: &Path, zone: &str) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("work.yaml"), yaml(zone)).unwrap();
    fs::write(dir.join("work.bpf.o"), object()).unwrap();
    let recording = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/workload.rec");
    fs::copy(recording, dir.join("work.rec")).unwrap();
}

/// The object of the workload, compiled.
fn object() -> Vec<u8> {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bundles");
    let status = Command::new("make")
        .args(["--silent", "-C", concat!(env!("CARGO_MANIFEST_DIR"), "/../examples")])
        .arg(concat!("SRC=", env!("CARGO_MANIFEST_DIR"), "/tests/bpf"))
        .arg(format!("OUT={}", out.display()))
        .arg(concat!("LIBBPF_HEADERS=", env!("LIBBPF_HEADERS")))
        .arg("workload")
        .env_remove("MAKEFLAGS")
        .env_remove("MFLAGS")
        .status()
        .expect("failed to start make");
    assert!(status.success(), "failed to compile the workload");
    fs::read(out.join("workload.bpf.o")).unwrap()
}
