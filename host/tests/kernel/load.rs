//! Loading: what the kernel refuses is told so that a person can act on it.

use ebpf_wasm_exporter::advice::{Advice, Advise as _};
use ebpf_wasm_exporter::bpf::{KernelTypes, ObjectSource, Opened};
use libbpf_rs::AsRawLibbpf as _;
use libbpf_rs::btf::Btf;

use crate::workload::rows;
use crate::{object, open, plan};

fn refused(name: &str) -> Advice {
    object::open(name).load().expect_err("no kernel takes this object").advice()
}

/// `text` without the kernel's release, which is another on every machine.
pub fn anywhere(text: &str) -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    text.replace(release.trim(), "RELEASE")
}

/// All that libbpf reads while they are shared are the same ones, and each owner may go first.
pub fn the_kernels_types_once() {
    let read = || Btf::from_vmlinux().expect("this kernel has them");
    let same = |one: &Btf<'_>, other: &Btf<'_>| one.as_libbpf_object() == other.as_libbpf_object();
    let (one, other) = (read(), read());
    assert!(!same(&one, &other));
    let types = KernelTypes::share();
    let (third, fourth) = (read(), read());
    assert!(same(&third, &fourth) && !same(&third, &one));
    drop((types, third));
    let fifth = read();
    assert!(same(&fifth, &fourth));
    drop(fourth);
    assert_eq!(fifth.len(), one.len());
}

pub fn without_capabilities() {
    let opened = object::open("workload");
    open::without_capabilities(|| {
        let error = opened.load().expect_err("loading takes capabilities");
        insta::assert_snapshot!(error.advice(), @"failed to load config `workload`: missing capabilities CAP_BPF and CAP_PERFMON; run as root or grant what is missing (before Linux 5.8: CAP_SYS_ADMIN)");
    });
}

pub fn a_field_that_no_kernel_has() {
    insta::assert_snapshot!(anywhere(&refused("relocation").to_string()), @"failed to load config `relocation`: program `unrelocated` (raw_tp/task_rename): it uses `struct task_struct___other.no_such_field`, which this kernel (RELEASE) does not have; guard it with bpf_core_field_exists() and the like, or use a config made for this kernel");
}

pub fn a_program_that_the_verifier_refuses() {
    let error = refused("refused").to_string();
    let (first, quoted) = error.split_once('\n').expect("the verifier is quoted");
    // Before Linux 6.10 it does not say where in the source, and it has had other words for a number.
    let first = first.replace(" at refused.bpf.c:8", "").replace("'inv'", "'scalar'");
    insta::assert_snapshot!(first, @"failed to load config `refused`: program `wild_read` (tracepoint/syscalls/sys_enter_prctl): the kernel's verifier refuses it: R1 invalid mem access 'scalar'; it follows a plain number: read the kernel's memory with BPF_CORE_READ() or bpf_probe_read_kernel(), a process's with bpf_probe_read_user(); its last lines (all: RUST_LOG=libbpf=debug):");
    // What the verifier says differs between kernels, but not in this.
    assert!(quoted.contains("invalid mem access"), "{quoted}");
    assert!(!quoted.contains("processed "), "{quoted}");
}

pub fn a_helper_that_takes_the_gpl() {
    insta::assert_snapshot!(refused("license"), @r#"failed to load config `license`: program `unlicensed` (tracepoint/syscalls/sys_enter_prctl): it calls the helper `bpf_probe_read_kernel`, which the kernel keeps for programs under the GPL; if this one is, say so in its source: `char LICENSE[] SEC("license") = "GPL";`"#);
}

pub fn a_file_of_types_that_is_none() {
    let source = ObjectSource::File(object::file("relocation"));
    let path = std::path::Path::new("/no/such/vmlinux");
    let opened = Opened::open("relocation", &source, Some(path)).unwrap();
    let error = opened.load().unwrap_err();
    insta::assert_snapshot!(anywhere(&error.advice().to_string()), @"failed to load config `relocation`: failed to read the kernel's types from /no/such/vmlinux (--btf.path): no such file or directory; give the BTF of this kernel, RELEASE");
}

/// The source line may stand far above the last ones of what the verifier says.
pub fn the_line_of_the_source_that_the_verifier_refuses() {
    let error = refused("unchecked").to_string();
    let (first, quoted) = error.split_once('\n').expect("the verifier is quoted");
    // Before Linux 6.10 it does not say where in the source.
    let first = first.replace(" at unchecked.bpf.c:19", "");
    insta::assert_snapshot!(first, @"failed to load config `unchecked`: program `on_rename` (raw_tp/task_rename): the kernel's verifier refuses it: R0 invalid mem access 'map_value_or_null'; a lookup may find nothing: compare its result with NULL before it is used; its last lines (all: RUST_LOG=libbpf=debug):");
    assert!(quoted.lines().any(|line| line.trim_start().starts_with(';')), "{quoted}");
}

pub fn fentry_works_or_says_why_not() {
    match object::open("fentry").load() {
        Ok(loaded) => assert_eq!(loaded.attach().failures(), []),
        Err(error) => {
            let text = error.to_string();
            println!("{text}");
            assert!(text.contains("program `on_nanosleep` (fentry/do_nanosleep): "), "{text}");
            assert!(!text.contains("capabilit") || text.contains("no capability"), "{text}");
        }
    }
}

pub fn constants_reach_the_program() {
    let mut opened = object::open("kaddrs");
    let config = plan::config(vec![], &["second_symbol", "first_symbol"]);
    let address = |symbol: &&str| match *symbol {
        "first_symbol" => 0xffff_ffff_8123_4567,
        "second_symbol" => u64::MAX,
        _ => 0,
    };
    let addresses = |symbols: &[&str]| symbols.iter().map(address).collect();
    assert_eq!(opened.set_kaddrs(&config, Some(&addresses)), []);
    let attached = opened.load().unwrap().attach();
    assert_eq!(attached.failures(), []);
    // SAFETY: the kernel knows no such option and reads no argument.
    unsafe { libc::prctl(0x6562_7066, 0, 0, 0, 0) };
    let rows = rows(&attached, "constants");
    let values: Vec<u64> = rows.into_values().map(|values| values[0]).collect();
    // The constants between them stay as they were: 7 + 'a'.
    assert_eq!(values, [0xffff_ffff_8123_4567, u64::MAX, 104]);
}
