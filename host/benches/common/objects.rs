//! BPF objects of the benchmarks, compiled as the examples are.

use std::path::Path;
use std::process::Command;

/// Compiles every `NAME.bpf.c` of a directory to `NAME.bpf.o` beside it.
pub(crate) fn compile(dir: &Path) {
    let status = Command::new("make")
        .args(["--silent", "--jobs=2"])
        .args(["-C", concat!(env!("CARGO_MANIFEST_DIR"), "/../examples")])
        .arg(format!("SRC={}", dir.display()))
        .arg(concat!("LIBBPF_HEADERS=", env!("LIBBPF_HEADERS")))
        .env_remove("MAKEFLAGS")
        .env_remove("MFLAGS")
        .status()
        .expect("make starts");
    assert!(status.success(), "failed to compile {}; see the lines above", dir.display());
}
