//! The examples: which of their programs this kernel takes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use ebpf_wasm_exporter::advice::Advise as _;
use ebpf_wasm_exporter::bpf::{Attached, KernelTypes};
use ebpf_wasm_exporter::config::{self, ConfigFile};
use ebpf_wasm_exporter::system::System;

use super::Fate;
use crate::object;

/// Parts of the kernel whose functions examples probe, and which are there when somebody uses them.
const MODULES: [&str; 3] = ["ceph", "ext4", "xfs"];

/// Loads and attaches each of them. Whether the outcome is right the book says.
pub fn each_example() {
    let loaded = Command::new("modprobe").arg("--all").args(MODULES).status();
    assert!(loaded.is_ok_and(|status| status.success()), "modprobe {MODULES:?}");
    let (system, _types) = (System::default(), KernelTypes::share());
    let mut names: Vec<String> = fs::read_dir(object::EXAMPLES)
        .unwrap()
        .filter_map(|file| {
            file.unwrap().file_name().to_str()?.strip_suffix(".yaml").map(str::to_owned)
        })
        .collect();
    names.sort_unstable();
    for name in &names {
        match start(name, &system) {
            Err(why) => Fate { kind: "example", name, program: "*", why: Some(why) }.leave(),
            Ok(attached) => tell(name, &attached),
        }
    }
    assert!(!names.is_empty(), "there are examples");
}

/// An example's object with the addresses that its config asks for, or why the kernel takes none of it.
fn start(name: &str, system: &System) -> Result<Attached, String> {
    let path = PathBuf::from(object::EXAMPLES).join(format!("{name}.yaml"));
    let text = fs::read_to_string(&path).unwrap();
    // A plugin that is not built is no matter of the kernel's.
    let (configs, _) = config::load(vec![ConfigFile::new(path, text)], &[]);
    let mut opened = object::open_example(name);
    let addresses = |symbols: &[&str]| system.kallsyms().addresses_of(symbols);
    for config in &configs {
        if let Some(fault) = opened.set_kaddrs(config, Some(&addresses)).first() {
            return Err(fault.advice.to_string());
        }
    }
    let loaded = opened.load().map_err(|error| error.advice().to_string())?;
    Ok(loaded.attach())
}

fn tell(name: &str, attached: &Attached) {
    for program in attached.programs() {
        let failure = attached.failures().iter().find(|error| error.program == program.name);
        let why = failure.map(|error| error.advice().to_string());
        assert_eq!(why.is_none(), program.attached, "{name}: {}", program.name);
        Fate { kind: "example", name, program: &program.name, why }.leave();
    }
}
