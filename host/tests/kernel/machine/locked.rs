//! A kernel that is locked down until nobody may read its memory. No other trial can come after these: a kernel is
//! never unlocked.

use std::fs;
use std::process::Command;

use ebpf_wasm_exporter::bpf::inventory::Walker;
use insta::assert_snapshot;

use super::{hooks, is_at_least};
use crate::configs::Configs;
use crate::exporter::{BINARY, Exporter, run};
use crate::{object, plain, read};

/// Says how far the kernel is locked down, and takes how far it is to be.
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";

/// Locks it as far as that, if it is not.
fn lock(mode: &str) {
    let is_on = || fs::read_to_string(LOCKDOWN).unwrap().contains(&format!("[{mode}]"));
    if !is_on() {
        fs::write(LOCKDOWN, mode).unwrap();
        assert!(is_on(), "{mode}");
    }
}

/// As Secure Boot has it.
pub fn integrity_leaves_copies() {
    let before = read::copied();
    // Hashes are, as the book says too.
    assert!(!before.is_empty() || !is_at_least((5, 14)), "nothing is copied here");
    lock("integrity");
    assert_eq!(read::copied(), before);
}

/// Each kind of map that a copy would do for; and of an exporter's that is told.
pub fn maps_are_read_in_other_ways() {
    lock("confidentiality");
    read::what_may_not_be_copied_is_read_right();
    let configs = plain::configs();
    let Some(told) = plain::counts_and_is_not_copied(Exporter::start(configs.flags())) else {
        return;
    };
    assert_snapshot!(told, @" INFO maps are not copied but read in other ways, which take longer: kernel lockdown (confidentiality) keeps the kernel's memory from all programs; start the kernel with lockdown=integrity or none");
}

/// Which do the book says.
pub fn some_kinds_of_hooks_count() {
    lock("confidentiality");
    hooks::those_count_that_may();
}

/// An object is refused whole, whatever else is in it.
pub fn who_reads_the_kernels_memory_is_told_so() {
    lock("confidentiality");
    let mut configs = Configs::new();
    configs.add_example("exec", |yaml| yaml);
    let said = run(Command::new(BINARY).args(configs.flags()).arg("--config.check"));
    assert_eq!(said.code, Some(4), "{said:?}");
    assert_snapshot!(said.stderr, @"error: failed to load config `exec`: program `sched_process_exec` (tp_btf/sched_process_exec): it reads the kernel's memory, as BPF_CORE_READ() and bpf_probe_read_kernel() do, which kernel lockdown (confidentiality) keeps from all programs; take what the hook itself gives (tp_btf, fentry), or start the kernel with lockdown=integrity or none");
}

/// Programs and maps of the host are, and not whose they are.
pub fn owners_are_not_told() {
    lock("confidentiality");
    let attached = object::attach("plain");
    let id = attached.programs()[0].id;
    let inventory = Walker::new().walk().unwrap();
    assert!(inventory.programs.iter().any(|program| Some(program.id) == id));
    assert_snapshot!(inventory.ownerless.unwrap(), @"kernel lockdown (confidentiality) keeps the kernel's memory from all programs; start the kernel with lockdown=integrity or none");
}
