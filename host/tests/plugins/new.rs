//! Plugins as `plugin new` begins them, built and tested by their own Makefiles in directories of their own. A decoder in each
//! language goes the whole way to another host.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use tempfile::TempDir;

use crate::way;

pub const EXPORTER: &str = env!("CARGO_BIN_EXE_ebpf_wasm_exporter");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Wherever it is built, the bytes are the same.
pub fn c() {
    build_both("c");
    let built = ["here", "in-a-directory-of-a-longer-name"].map(|prefix| {
        let above = tempfile::Builder::new().prefix(prefix).tempdir().unwrap();
        let dir = begin(&above, "c", "decoder");
        make(&dir, &[]);
        fs::read(dir.join(WASM)).unwrap()
    });
    assert!(built[0] == built[1], "a plugin in C differs with where it is built");
}

pub fn js() {
    build_both("js");
}

pub fn python() {
    build_both("python");
}

/// Wherever the guest crate comes from, and wherever it is built, the bytes are the same.
pub fn rust() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let decoder = begin(&here, "rust", "decoder");
    // Rustup gets the toolchain that is pinned there, before two ask for it at once.
    run(Command::new("rustc").arg("--version").current_dir(&decoder));
    let elsewhere = thread::scope(|scope| {
        let elsewhere = scope.spawn(|| build_elsewhere(&there));
        make(&decoder, &["test"]);
        elsewhere.join().unwrap()
    });
    let same = fs::read(decoder.join(WASM)).unwrap() == fs::read(elsewhere).unwrap();
    assert!(same, "a plugin differs with where it is built and where its guest crate comes from");
    way::of(&decoder.join(WASM));
    // What both need is built already.
    let transform = begin(&here, "rust", "transform");
    symlink(decoder.join("target"), transform.join("target")).unwrap();
    make(&transform, &["test"]);
}

/// What the plugins here are called, and what is built of them.
const NAME: &str = "made-here";
const WASM: &str = "made-here.wasm";

/// A new plugin, in a directory of its own below this one.
fn begin(above: &TempDir, language: &str, world: &str) -> PathBuf {
    let above = above.path().join(world);
    fs::create_dir(&above).unwrap();
    let mut order = Command::new(EXPORTER);
    order.args(["plugin", "new", NAME, "--lang", language, "--world", world]);
    run(order.current_dir(&above));
    let dir = above.join(NAME);
    if language == "rust" {
        // The versions that are at hand, and the same for all who are compared.
        fs::copy(Path::new(ROOT).join("Cargo.lock"), dir.join("Cargo.lock")).unwrap();
    }
    dir
}

fn build_both(language: &str) {
    for world in ["decoder", "transform"] {
        let above = tempfile::tempdir().unwrap();
        let dir = begin(&above, language, world);
        make(&dir, &["test"]);
        if world == "decoder" {
            way::of(&dir.join(WASM));
        }
    }
}

fn make(dir: &Path, arguments: &[&str]) {
    run(command_of(dir).args(arguments));
}

/// `make` of a new plugin, by the exporter under test, as a user would start it.
fn command_of(dir: &Path) -> Command {
    let mut make = Command::new("make");
    make.arg("-C").arg(dir).arg(format!("EXPORTER={EXPORTER}"));
    make.env_remove("MAKEFLAGS").env_remove("CARGO_TARGET_DIR");
    make
}

/// Has a new plugin take the guest crate from there, in the place of its copy.
fn take_guest_crate(from: &str, plugin: &Path) {
    let manifest = plugin.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let taken = text.replace("path = \"sdk\"", from);
    assert!(text != taken, "{text}");
    fs::write(manifest, taken).unwrap();
    fs::remove_dir_all(plugin.join("sdk")).unwrap();
}

/// The same decoder with the guest crate from a repository, and with cargo's own files elsewhere. Gives the component.
fn build_elsewhere(above: &TempDir) -> PathBuf {
    let (repository, home) = (above.path().join("repository"), above.path().join("cargo"));
    fs::create_dir(&repository).unwrap();
    let parts = ["Cargo.toml", "Cargo.lock", "LICENSE", "decoders-wasm", "host", "wit"];
    let parts = parts.map(|part| Path::new(ROOT).join(part));
    run(Command::new("cp").arg("-r").args(parts).arg(&repository));
    let git = |arguments: &[&str]| {
        let who = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
        run(Command::new("git").args(who).args(arguments).current_dir(&repository));
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message=all"]);
    share_registry(&home);
    let decoder = begin(above, "rust", "decoder");
    let from = match has_ready_std(&decoder) {
        true => format!("git = 'file://{}'", repository.display()),
        // Debian's cargo and Debian's library of git do not agree: a directory elsewhere, then.
        false => format!("path = '{}/decoders-wasm/sdk'", repository.display()),
    };
    take_guest_crate(&from, &decoder);
    // What somebody may have set for all that cargo does.
    let mut make = command_of(&decoder);
    run(make.env("CARGO_HOME", home).env("CARGO_INCREMENTAL", "1"));
    decoder.join(WASM)
}

/// Whether the compiler that builds this plugin is rustup's, as its Makefile tells.
fn has_ready_std(dir: &Path) -> bool {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", "wasm32-unknown-unknown"]);
    let printed = rustc.current_dir(dir).output().unwrap().stdout;
    let libraries = fs::read_dir(String::from_utf8_lossy(&printed).trim());
    let mut names = libraries.into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.any(|name| name.to_string_lossy().starts_with("libstd-"))
}

/// A home of cargo that has what the user's has downloaded, and its settings.
fn share_registry(home: &Path) {
    fs::create_dir(home).unwrap();
    let users = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let users = users.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).unwrap();
    for shared in ["registry", "config.toml"] {
        if users.join(shared).exists() {
            symlink(users.join(shared), home.join(shared)).unwrap();
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
}
