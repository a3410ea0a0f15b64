//! Plugins at the start of the exporter, and beside a kernel's programs. What becomes of their answers is
//! replayed: `tests/replay/plugins.rs`.

use std::fs;
use std::path::Path;
use std::process::Command;

use ebpf_wasm_exporter::cli::Selection;
use ebpf_wasm_exporter::plugin::Compiler;
use ebpf_wasm_exporter::source::Reading;
use ebpf_wasm_exporter::startup::{self, Places};
use ebpf_wasm_exporter::system::System;
use tempfile::TempDir;

use crate::configs::Configs;
use crate::exact::Pipeline;
use crate::exporter::{BINARY, run};
use crate::guests;
use crate::workload::{Session, flow};

/// A config of the workload, whose first metric has a label that a plugin makes.
const CONFIG: &str = "plugins: {guest: {file: guest.wasm}}
metrics:
  counters:
    - name: work_hash_total
      help: A label by a plugin
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
        - {name: text, size: 24, decoders: [{name: string}, {name: wasm, plugin: guest}]}
    - name: work_lru_hash_total
      help: No plugin
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
";

/// Nowhere else, with the exporter itself as the compiler.
pub fn places() -> Places<'static> {
    Places { compiler: Compiler::program(BINARY), ..Places::default() }
}

/// A directory with that config, and the guest beside it.
fn beside(guest: &str) -> (Configs, Session) {
    let mut configs = Configs::new();
    let work = configs.add_workload("workload", CONFIG);
    fs::write(configs.path().join("guest.wasm"), guests::component(guest)).expect("a file");
    (configs, work)
}

pub fn a_guest_that_cannot_start_is_told_before_anything_is_loaded() {
    for (guest, place) in [
        ("start", "plugins.guest: "),
        ("refuse", "plugins.guest.settings: "),
        ("core", "plugins.guest.file: found a core module"),
        ("foreign", "plugins.guest.file: found a component that exports `wasi:cli/run@0.2.0`"),
        ("newer", "plugins.guest.file: found a decoder for version 0.2.0"),
    ] {
        let (configs, _) = beside(guest);
        let (dir, names) = (configs.path().to_owned(), configs.names().to_vec());
        let selection = Selection::Directory { dir, names };
        let (checked, faults) = startup::check(&selection, places(), &System::default(), None);
        assert_eq!((checked.len(), faults.len()), (0, 1), "{guest}: {faults:?}");
        assert!(faults[0].to_string().contains(place), "{}", faults[0]);
    }
}

pub fn their_threads_have_no_capabilities() {
    let (configs, work) = beside("echo");
    let mut pipeline = Pipeline::of(&configs, Reading::Auto);
    work.add("work_hash_total", &flow(1, b"text"), 1);
    // The clock begins with the first call.
    let calls = pipeline.lines("plugin_calls_total");
    assert!(calls.ends_with(" 1\n"), "{calls}");
    let mut threads = 0;
    for task in Path::new("/proc/self/task").read_dir().expect("the threads") {
        let read = |file| fs::read_to_string(task.as_ref().expect("a thread").path().join(file));
        let (Ok(name), Ok(status)) = (read("comm"), read("status")) else { continue };
        if name.starts_with("plugin-") {
            threads += 1;
            assert!(status.contains("CapEff:\t0000000000000000"), "{name}: {status}");
        }
    }
    assert!(threads >= 1, "the clock");
}

/// A directory with a config of the workload, and another one with a guest.
pub fn apart(guest: &str) -> (Configs, TempDir) {
    let (mut configs, plugins) = (Configs::new(), tempfile::tempdir().expect("a directory"));
    configs.add_workload("workload", CONFIG);
    fs::write(plugins.path().join("guest.wasm"), guests::component(guest)).expect("a file");
    (configs, plugins)
}

pub fn plugins_may_have_a_directory_of_their_own() {
    let (configs, plugins) = apart("echo");
    let check = |more: &[String]| {
        run(Command::new(BINARY).args(configs.flags()).arg("--config.check").args(more))
    };
    let said = check(&[]);
    assert_eq!(said.code, Some(3), "{said:?}");
    let place = configs.path().display().to_string();
    insta::assert_snapshot!(said.stderr.replace(&place, "DIR"), @"
    DIR/workload.yaml:1: plugins.guest.file: there is no DIR/guest.wasm; put the file there, or into the directory of --plugins.dir
    error: 1 fault in the configs; nothing was loaded
    ");
    let said = check(&[format!("--plugins.dir={}", plugins.path().display())]);
    assert_eq!(said.code, Some(0), "{said:?}");
}
