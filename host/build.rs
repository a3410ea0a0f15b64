//! Compiles the BPF objects that the binary carries, those of the default set and its own, and notes
//! which revision of the source this is.

#[path = "build/version.rs"]
mod version;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The examples that are served when no `--config.dir` is given.
const DEFAULT_SET: [&str; 7] =
    ["timers", "syscalls", "softirq-latency", "biolatency", "runqlat", "exec", "tcp-connections"];

/// What the exporter asks the kernel with, beside the module that does: directory and names.
const OWN: [(&str, &[&str]); 3] = [
    ("src/source/map/quick", &["copy", "elements", "harvest"]),
    ("src/bpf", &["symbols"]),
    ("src/bpf/inventory", &["owners"]),
];

fn main() {
    version::emit();
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let headers = env::var("DEP_BPF_INCLUDE").expect("libbpf-sys says where its headers are");
    let arch = match env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it").as_str() {
        "x86_64" => "x86",
        "aarch64" => "arm64",
        other => panic!("no vmlinux.h for {other}: see include/README.md for how to make one"),
    };
    let examples = Path::new("../examples").canonicalize().expect("examples/ stands beside host/");

    let compile = |sources: &Path, names: &[&str]| {
        let variables = [
            format!("SRC={}", sources.display()),
            format!("OUT={out}"),
            format!("ARCH={arch}"),
            format!("LIBBPF_HEADERS={headers}"),
        ];
        // The make that started cargo must not lend this one its flags or job slots.
        let status = Command::new("make")
            .arg("-C")
            .arg(&examples)
            .args(variables)
            .args(names)
            .env_remove("MAKEFLAGS")
            .env_remove("MFLAGS")
            .status()
            .expect("failed to start make; install it, and clang 19 or newer");
        assert!(status.success(), "failed to compile {names:?}; see the lines above");
    };
    compile(&examples, &DEFAULT_SET);
    for (dir, names) in OWN {
        compile(&Path::new(dir).canonicalize().expect("it is ours"), names);
        for name in names {
            println!("cargo:rerun-if-changed={dir}/{name}.bpf.c");
        }
    }
    fs::write(Path::new(&out).join("default_set.rs"), table(&examples, &out))
        .expect("OUT_DIR can be written");

    // For `src/bpf/types.rs`.
    for call in ["btf__load_vmlinux_btf", "btf__free"] {
        println!("cargo:rustc-link-arg=-Wl,--wrap={call}");
    }
    // A stripped binary still has it: uprobes are put there by its name.
    println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol=post_attach_mark");
    println!("cargo:rustc-env=LIBBPF_HEADERS={headers}");
    println!("cargo:rerun-if-changed={}", examples.join("Makefile").display());
    println!("cargo:rerun-if-changed=../include/{arch}/vmlinux.h");
    for source in sources(&examples) {
        println!("cargo:rerun-if-changed={}", source.display());
    }
}

/// The default set as an expression: `&[BuiltIn { … }, …]`.
fn table(examples: &Path, out: &str) -> String {
    let rows = DEFAULT_SET.map(|name| {
        let yaml = examples.join(format!("{name}.yaml"));
        format!(
            "BuiltIn {{ name: {name:?}, yaml: include_str!({yaml:?}), \
             object: include_bytes!(\"{out}/{name}.bpf.o\") }},\n"
        )
    });
    format!("&[{}]", rows.concat())
}

/// What the default set is made of: its C and YAML, and the headers. Not the whole directory, for
/// `make examples` puts its objects there, which must not make cargo build again.
fn sources(examples: &Path) -> Vec<PathBuf> {
    let headers = examples
        .read_dir()
        .expect("examples/ can be listed")
        .map(|entry| entry.expect("and read").path());
    let headers = headers.filter(|path| path.to_string_lossy().ends_with(".bpf.h"));
    let named = |suffix| DEFAULT_SET.map(|name| examples.join(format!("{name}.{suffix}")));
    headers.chain(named("bpf.c")).chain(named("yaml")).collect()
}
