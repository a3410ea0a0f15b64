//! What is said of objects that do not load, on hosts made of files.

use super::*;
use crate::bpf::host::fake::Fake;

const RELEASE: &str = "5.10.0-28-amd64";

/// A failure of an object with two programs and a ring buffer.
fn failure(errno: i32, log: &[&str]) -> Failure {
    let sections = [("on_switch", "tp_btf/sched_switch"), ("on_read", "fentry/vfs_read")];
    let map = MapSpec {
        name: "events".to_owned(),
        kind: MapType::BloomFilter,
        key_size: 0,
        value_size: 8,
        max_entries: 1 << 30,
        flags: 0,
    };
    Failure {
        errno,
        log: log.iter().map(|line| (*line).to_owned()).collect(),
        sections: sections.map(|(name, section)| (name.to_owned(), section.to_owned())).into(),
        maps: vec![map],
        btf_path: None,
    }
}

/// Explains on a host with these files.
fn on(files: &[(&str, &str)], capabilities: &[Capability], failure: &Failure) -> String {
    let fake = Fake::new(RELEASE);
    for (path, text) in files {
        fake.write(path, text);
    }
    explain(failure, &fake.host(capabilities))
}

fn explained(errno: i32, log: &[&str]) -> String {
    let btf = ("sys/kernel/btf/vmlinux", "");
    let tracepoint = ("sys/kernel/tracing/events/sched/sched_switch/id", "1");
    on(&[btf, tracepoint], &[Capability::CAP_SYS_ADMIN], &failure(errno, log))
}

#[test]
fn missing_privileges() {
    let failure = failure(libc::EPERM, &["Error in bpf_object__probe_loading(): -EPERM."]);
    insta::assert_snapshot!(on(&[], &[], &failure), @"missing capabilities CAP_BPF and CAP_PERFMON; run as root or grant what is missing (before Linux 5.8: CAP_SYS_ADMIN)");
    insta::assert_snapshot!(on(&[], &[Capability::CAP_BPF], &failure), @"missing capability CAP_PERFMON; run as root or grant what is missing (before Linux 5.8: CAP_SYS_ADMIN)");
}

#[test]
fn refusals() {
    let log = [
        "prog 'on_read': BPF program load failed: -EPERM",
        "permission error while running as root; try raising 'ulimit -l'? current value: 8.0 MiB",
        "prog 'on_read': failed to load: -EPERM",
        "failed to load object 'x'",
    ];
    insta::assert_snapshot!(explained(libc::EPERM, &log), @"the limit on locked memory is too low; raise it (LimitMEMLOCK=infinity in a systemd unit, ulimit -l unlimited in a shell)");
    let newer = |files: &[(&str, &str)]| {
        let newer = ("proc/sys/kernel/osrelease", "6.1.0");
        let files: Vec<_> = files.iter().copied().chain([newer]).collect();
        on(&files, &[Capability::CAP_SYS_ADMIN], &failure(libc::EPERM, &log))
    };
    insta::assert_snapshot!(newer(&[]), @"program `on_read` (fentry/vfs_read): the kernel forbids it although no capability is missing; look for a security module, a seccomp filter or a container runtime that does");
    insta::assert_snapshot!(newer(&[("sys/kernel/security/lockdown", "none integrity [confidentiality]")]), @"program `on_read` (fentry/vfs_read): kernel lockdown (confidentiality) forbids it; boot with lockdown off or without Secure Boot");
}

#[test]
fn kernel_types() {
    let log = [
        "kernel BTF is missing at '/sys/kernel/btf/vmlinux', was CONFIG_DEBUG_INFO_BTF enabled?",
        "failed to find valid kernel BTF",
        "Error loading vmlinux BTF: -ESRCH",
    ];
    let mut failure = failure(libc::ESRCH, &log);
    insta::assert_snapshot!(on(&[], &[Capability::CAP_SYS_ADMIN], &failure), @"this kernel (5.10.0-28-amd64) does not tell its types: no BTF at /sys/kernel/btf/vmlinux; give it with --btf.path, or use a kernel with CONFIG_DEBUG_INFO_BTF=y");
    failure.btf_path = Some("/tmp/5.10.btf".into());
    insta::assert_snapshot!(on(&[], &[Capability::CAP_SYS_ADMIN], &failure), @"this kernel (5.10.0-28-amd64) does not tell its types: no BTF at /sys/kernel/btf/vmlinux; --btf.path does not do for this config: use a kernel with CONFIG_DEBUG_INFO_BTF=y");
    insta::assert_snapshot!(explained(libc::EINVAL, &log), @"failed to read the kernel's types from /sys/kernel/btf/vmlinux");
    failure.log = vec!["failed to parse target BTF: -ENOENT".to_owned()];
    failure.errno = libc::ENOENT;
    insta::assert_snapshot!(on(&[], &[Capability::CAP_SYS_ADMIN], &failure), @"failed to read the kernel's types from /tmp/5.10.btf (--btf.path): no such file or directory; give the BTF of this kernel, 5.10.0-28-amd64");
}

#[test]
fn hooks_by_type() {
    let of = |program: &str, target: &str| {
        let found =
            format!("prog '{program}': failed to find kernel BTF type ID of '{target}': -ESRCH");
        let prepared = format!("prog '{program}': failed to prepare load attributes: -ESRCH");
        explained(libc::ESRCH, &[&found, &prepared])
    };
    insta::assert_snapshot!(of("on_read", "vfs_raed"), @"program `on_read` (fentry/vfs_read): this kernel (5.10.0-28-amd64) has no function `vfs_raed` to hook: renamed, inlined, or in a module that is not loaded; look for it in /proc/kallsyms");
    insta::assert_snapshot!(of("on_switch", "sched_swich"), @"program `on_switch` (tp_btf/sched_switch): this kernel (5.10.0-28-amd64) has no tracepoint `sched_swich`; did you mean `sched_switch`?");
    insta::assert_snapshot!(of("on_switch", "xyz"), @"program `on_switch` (tp_btf/sched_switch): this kernel (5.10.0-28-amd64) has no tracepoint `xyz`");
}

#[test]
fn relocations_and_symbols() {
    insta::assert_snapshot!(
        explained(libc::EINVAL, &[
            "prog 'on_read': BPF program load failed: -EINVAL",
            "prog 'on_read': -- BEGIN PROG LOAD LOG --",
            "4: <invalid CO-RE relocation>",
            "failed to resolve CO-RE relocation <byte_off> [24] struct task_struct.nope (0:1 @ offset 8)",
            "processed 5 insns (limit 1000000) max_states_per_insn 0 total_states 0",
            "-- END PROG LOAD LOG --",
        ]),
        @"program `on_read` (fentry/vfs_read): it uses `struct task_struct.nope`, which this kernel (5.10.0-28-amd64) does not have; guard it with bpf_core_field_exists() and the like, or use a config made for this kernel"
    );
    insta::assert_snapshot!(
        explained(libc::ESRCH, &["extern (func ksym) 'bpf_cgroup_from_id': not found in kernel or module BTFs"]),
        @"this kernel (5.10.0-28-amd64) has no symbol `bpf_cgroup_from_id`, which the object needs; declare it `__weak` and do without, or use a config made for this kernel"
    );
}

#[test]
fn maps() {
    let of = |errno: i32| explained(errno, &["map 'events': failed to create: -E"]);
    insta::assert_snapshot!(of(libc::EINVAL), @"failed to create map `events`: bloom_filter needs Linux 5.16, this is 5.10.0-28-amd64");
    insta::assert_snapshot!(of(libc::E2BIG), @"failed to create map `events`: bloom_filter of 1073741824 entries of 0 and 8 bytes is too large; lower its max_entries");
    insta::assert_snapshot!(of(libc::EPERM), @"failed to create map `events`: the kernel forbids it although no capability is missing; look for a security module, a seccomp filter or a container runtime that does");
    insta::assert_snapshot!(of(libc::ENOSPC), @"failed to create map `events`: no space left on device");
    let mut failure = failure(libc::EINVAL, &["map 'events': failed to create: -EINVAL"]);
    failure.maps[0].kind = MapType::Hash;
    insta::assert_snapshot!(on(&[], &[Capability::CAP_SYS_ADMIN], &failure), @"failed to create map `events`: the kernel does not take a hash of 1073741824 entries of 0 and 8 bytes; check its definition");
}

#[test]
fn helpers() {
    let log = |line| {
        [
            "prog 'on_read': -- BEGIN PROG LOAD LOG --",
            line,
            "processed 0 insns (limit 1000000)",
            "-- END PROG LOAD LOG --",
        ]
    };
    insta::assert_snapshot!(explained(libc::EINVAL, &log("invalid func bpf_get_func_ip#173")), @"program `on_read` (fentry/vfs_read): it calls the helper `bpf_get_func_ip`, which this kernel (5.10.0-28-amd64) does not offer here; the kernel is too old for it");
    let failure = failure(libc::EINVAL, &log("unknown func bpf_probe_read_kernel#113"));
    let lockdown = ("sys/kernel/security/lockdown", "none integrity [confidentiality]");
    insta::assert_snapshot!(on(&[lockdown], &[Capability::CAP_SYS_ADMIN], &failure), @"program `on_read` (fentry/vfs_read): it calls the helper `bpf_probe_read_kernel`, which this kernel (5.10.0-28-amd64) does not offer here; kernel lockdown (confidentiality) keeps it back, or the kernel is too old");
}

#[test]
fn the_verifier() {
    let log = [
        "prog 'on_read': BPF program load failed: -EACCES",
        "prog 'on_read': -- BEGIN PROG LOAD LOG --",
        "0: R1=ctx() R10=fp0",
        "; return *(int *)x; @ x.bpf.c:7",
        "0: (79) r1 = *(u64 *)(r1 +32)         ; R1_w=scalar()",
        "1: (61) r0 = *(u32 *)(r1 +0)",
        "R1 invalid mem access 'scalar'",
        "verification time 60 usec",
        "stack depth 0",
        "processed 2 insns (limit 1000000) max_states_per_insn 0",
        "-- END PROG LOAD LOG --",
        "prog 'on_read': failed to load: -EACCES",
        "failed to load object 'x'",
    ];
    insta::assert_snapshot!(explained(libc::EACCES, &log), @r"
    program `on_read` (fentry/vfs_read): the kernel's verifier refuses it; its last lines (all: RUST_LOG=libbpf=debug):
      ; return *(int *)x; @ x.bpf.c:7
      0: (79) r1 = *(u64 *)(r1 +32)         ; R1_w=scalar()
      1: (61) r0 = *(u32 *)(r1 +0)
      R1 invalid mem access 'scalar'
    ");
    // Of a long log the beginning is lost.
    insta::assert_snapshot!(explained(libc::EACCES, &log[6..]), @r"
    program `on_read` (fentry/vfs_read): the kernel's verifier refuses it; its last lines (all: RUST_LOG=libbpf=debug):
      R1 invalid mem access 'scalar'
    ");
}

#[test]
fn others() {
    insta::assert_snapshot!(explained(libc::ENOMEM, &[]), @"the limit on locked memory is too low; raise it (LimitMEMLOCK=infinity in a systemd unit, ulimit -l unlimited in a shell)");
    insta::assert_snapshot!(
        explained(4005, &["prog 'on_read': bad map relo against 'x' in section 'y'", "failed to load object 'x'"]),
        @"relocation failed; libbpf says: prog 'on_read': bad map relo against 'x' in section 'y'"
    );
}
