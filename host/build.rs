//! Compiles the BPF objects of the default set, which the binary carries.

use std::env;
use std::path::Path;
use std::process::Command;

/// The examples that are served when no `--config.dir` is given.
const DEFAULT_SET: [&str; 1] = ["timers"];

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let headers = env::var("DEP_BPF_INCLUDE").expect("libbpf-sys says where its headers are");
    let arch = match env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it").as_str() {
        "x86_64" => "x86",
        "aarch64" => "arm64",
        other => panic!("no vmlinux.h for {other}: see include/README.md for how to make one"),
    };
    let examples = Path::new("../examples").canonicalize().expect("examples/ stands beside host/");

    let status = Command::new("make")
        .arg("-C")
        .arg(&examples)
        .args([format!("OUT={out}"), format!("ARCH={arch}"), format!("LIBBPF_HEADERS={headers}")])
        .args(DEFAULT_SET)
        // The make that started cargo must not lend this one its flags or job slots.
        .env_remove("MAKEFLAGS")
        .env_remove("MFLAGS")
        .status()
        .expect("failed to start make; install it, and clang 19 or newer");
    assert!(status.success(), "failed to compile the default set; see the lines above");

    println!("cargo:rustc-env=LIBBPF_HEADERS={headers}");
    println!("cargo:rerun-if-changed={}", examples.display());
    println!("cargo:rerun-if-changed=../include");
}
