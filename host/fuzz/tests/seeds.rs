//! Each target takes in all that is kept for it below `seeds/`, and breaks no rule. What was found by fuzzing is kept
//! there too. Nothing is made up here: `make fuzz` does that.

#![allow(clippy::print_stderr, reason = "a test talks to who runs it")]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use ebpf_wasm_exporter_fuzz::{ALL, Target, exporter};

/// Bytes of one file: what is larger is no seed that a mutation could make much of.
const LARGEST: u64 = 64 << 10;
/// Bytes of all of them.
const ALL_TOGETHER: u64 = 1 << 20;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds")
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn try_all(name: &str) {
    let target = ALL.iter().find(|target| target.name == name).expect("a target");
    if target.compiles && exporter().is_none() {
        let ci = std::env::var("CI").as_deref() == Ok("true");
        assert!(!ci, "{name}: there is no exporter to compile guests");
        return eprintln!(
            "{name}: SKIPPED, there is no exporter to compile guests; run all tests, or set EXPORTER"
        );
    }
    for file in files(&folder().join(name)) {
        let bytes = fs::read(&file).expect("a file");
        let run = catch_unwind(|| (target.run)(&bytes));
        assert!(run.is_ok(), "{} breaks a rule, see above", file.display());
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            try_all(stringify!($name));
        })*

        const TRIED: &[&str] = &[$(stringify!($name)),*];
    };
}

targets! { bundle component encoder guest_answer http key object recording yaml }

#[test]
fn each_target_is_tried_has_seeds_and_is_in_the_manifest() {
    let names = ALL.map(|Target { name, .. }| name);
    assert_eq!(names, TRIED);
    let manifest =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    for name in names {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
        assert!(files(&folder().join(name)).len() > 1, "{name} has no seeds");
    }
    let stems = |folder: &Path| -> Vec<_> {
        let stem = |file: PathBuf| file.file_stem().unwrap().to_string_lossy().into_owned();
        files(folder).into_iter().map(stem).filter(|stem| stem != "README").collect()
    };
    assert_eq!(stems(&folder()), names);
    assert_eq!(stems(&folder().with_file_name("fuzz_targets")), names);
}

#[test]
fn seeds_are_small() {
    let sizes = ALL.iter().flat_map(|target| files(&folder().join(target.name))).map(|file| {
        let size = file.metadata().unwrap().len();
        assert!(size <= LARGEST, "{} has {size} bytes", file.display());
        size
    });
    let all: u64 = sizes.sum();
    assert!(all <= ALL_TOGETHER, "all seeds have {all} bytes");
}
