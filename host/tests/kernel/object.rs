//! The test objects, compiled once for each run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use ebpf_wasm_exporter::bpf::{Attached, ObjectSource, Opened};

/// Where the sources are.
pub const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bpf");

static COMPILED: LazyLock<PathBuf> = LazyLock::new(|| {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bpf");
    let status = Command::new("make")
        .args(["--silent", "-C", concat!(env!("CARGO_MANIFEST_DIR"), "/../examples")])
        .arg(format!("SRC={SOURCES}"))
        .arg(format!("OUT={}", out.display()))
        .arg(concat!("LIBBPF_HEADERS=", env!("LIBBPF_HEADERS")))
        .env_remove("MAKEFLAGS")
        .env_remove("MFLAGS")
        .status()
        .expect("failed to start make");
    assert!(status.success(), "failed to compile the test objects");
    out
});

/// The file of the object `name`.
pub fn file(name: &str) -> PathBuf {
    COMPILED.join(format!("{name}.bpf.o"))
}

/// The object `name`, opened.
pub fn open(name: &str) -> Opened {
    Opened::open(name, &ObjectSource::File(file(name)), None).expect("the test object opens")
}

/// The object `name`, attached as far as it goes.
pub fn attach(name: &str) -> Attached {
    open(name).load().expect("the test object loads").attach()
}
