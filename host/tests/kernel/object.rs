//! The test objects, compiled once for each run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use ebpf_wasm_exporter::bpf::{Attached, ObjectSource, Opened};

/// Where the sources are.
pub const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bpf");

/// Where the examples are.
pub const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

/// Where `make plugins` puts the plugins we ship.
pub const PLUGINS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../plugins");

static COMPILED: LazyLock<PathBuf> = LazyLock::new(|| compile(SOURCES, "bpf"));
static COMPILED_EXAMPLES: LazyLock<PathBuf> = LazyLock::new(|| compile(EXAMPLES, "examples"));

/// Compiles all of `sources` and gives the directory of the objects.
fn compile(sources: &str, out: &str) -> PathBuf {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(out);
    let status = Command::new("make")
        .args(["--silent", "--jobs=2", "-C", EXAMPLES])
        .arg(format!("SRC={sources}"))
        .arg(format!("OUT={}", out.display()))
        .arg(concat!("LIBBPF_HEADERS=", env!("LIBBPF_HEADERS")))
        .env_remove("MAKEFLAGS")
        .env_remove("MFLAGS")
        .status()
        .expect("failed to start make");
    assert!(status.success(), "failed to compile {sources}");
    out
}

/// The file of the object `name`.
pub fn file(name: &str) -> PathBuf {
    COMPILED.join(format!("{name}.bpf.o"))
}

/// The file of the object of the example `name`.
pub fn example(name: &str) -> PathBuf {
    COMPILED_EXAMPLES.join(format!("{name}.bpf.o"))
}

/// The file of a plugin we ship, which need not be built.
pub fn plugin(file: &str) -> PathBuf {
    Path::new(PLUGINS).join(file)
}

/// The object `name`, opened.
pub fn open(name: &str) -> Opened {
    Opened::open(name, &ObjectSource::File(file(name)), None).expect("the test object opens")
}

/// The object of the example `name`, opened.
pub fn open_example(name: &str) -> Opened {
    Opened::open(name, &ObjectSource::File(example(name)), None).expect("the example opens")
}

/// The object `name`, attached as far as it goes.
pub fn attach(name: &str) -> Attached {
    open(name).load().expect("the test object loads").attach()
}
