//! What is said of objects that do not load, on hosts made of files.

use super::*;
use crate::bpf::host::fake::Fake;

const RELEASE: &str = "5.10.0-28-amd64";

/// A failure of an object with two programs and a ring buffer.
fn failure(errno: i32, log: &[&str]) -> Failure {
    let sections = [("on_switch", "tp_btf/sched_switch"), ("on_read", "fentry/vfs_read")];
    let map = MapSpec {
        name: "events".to_owned(),
        kind: MapKind::BLOOM_FILTER,
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
        pins: Vec::new(),
        btf_path: None,
    }
}

/// Explains on a host with these files.
fn on(files: &[(&str, &str)], capabilities: &[Capability], failure: &Failure) -> Advice {
    let fake = Fake::new(RELEASE);
    for (path, text) in files {
        fake.write(path, text);
    }
    explain(failure, &fake.host(capabilities))
}

fn explained(errno: i32, log: &[&str]) -> Advice {
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
    insta::assert_snapshot!(newer(&[]), @"program `on_read` (fentry/vfs_read): the kernel forbids it and does not say why; known is: no capability is missing; some kernels are built without this kind of hook: try another, as in tracepoint/GROUP/NAME");
    insta::assert_snapshot!(newer(&[("sys/kernel/security/lockdown", "none integrity [confidentiality]")]), @"program `on_read` (fentry/vfs_read): the kernel forbids it and does not say why; known is: no capability is missing, kernel lockdown is on (confidentiality); try it with lockdown off, without Secure Boot");
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
fn kinds_that_the_kernel_does_not_know() {
    let log = [
        "prog 'on_read': BPF program load failed: -EINVAL",
        "prog 'on_read': -- BEGIN PROG LOAD LOG --",
        "processed 0 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0",
        "-- END PROG LOAD LOG --",
        "prog 'on_read': failed to load: -EINVAL",
        "failed to load object 'x'",
    ];
    insta::assert_snapshot!(explained(libc::EINVAL, &log), @"program `on_read` (fentry/vfs_read): this kernel (5.10.0-28-amd64) refuses it before it looks at its code, as it does programs of kinds that it is too old or not built for; take it out of the object, or put `?` in front of its section");
    assert_eq!(explained(libc::EINVAL, &[log[0], log[4], log[5]]), explained(libc::EINVAL, &log));
}

#[test]
fn options_of_the_build() {
    insta::assert_snapshot!(
        explained(libc::ESRCH, &["extern 'CONFIG_NO_SUCH' (strong): not resolved", "failed to load object 'x'"]),
        @"this kernel (5.10.0-28-amd64) is built without the option `CONFIG_NO_SUCH`, which the object reads; declare it `__weak` and do without, or use a kernel with it"
    );
    insta::assert_snapshot!(
        explained(libc::EINVAL, &["failed to open system Kconfig", "failed to load object 'x'"]),
        @"the object reads options of the kernel's build, and this kernel (5.10.0-28-amd64) does not tell them: there is neither /boot/config-5.10.0-28-amd64 nor /proc/config.gz; put the first there, or use a kernel with CONFIG_IKCONFIG_PROC=y"
    );
}

#[test]
fn maps() {
    let of = |errno: i32| explained(errno, &["map 'events': failed to create: -E"]);
    insta::assert_snapshot!(of(libc::EINVAL), @"failed to create map `events`: bloom_filter needs Linux 5.16, this is 5.10.0-28-amd64");
    insta::assert_snapshot!(of(libc::E2BIG), @"failed to create map `events`: bloom_filter of 1073741824 entries of 0 and 8 bytes is too large; lower its max_entries");
    insta::assert_snapshot!(of(libc::EPERM), @"failed to create map `events`: the kernel forbids it and does not say why; known is: no capability is missing; some kernels are built without this kind of hook: try another, as in tracepoint/GROUP/NAME");
    insta::assert_snapshot!(of(libc::ENOSPC), @"failed to create map `events`: no space left on device");
    let mut failure = failure(libc::EINVAL, &["map 'events': failed to create: -EINVAL"]);
    failure.maps[0].kind = MapKind::CGRP_STORAGE;
    insta::assert_snapshot!(on(&[], &[Capability::CAP_SYS_ADMIN], &failure), @"failed to create map `events`: cgrp_storage needs Linux 6.2, this is 5.10.0-28-amd64");
    failure.maps[0].kind = MapKind::from(4000);
    insta::assert_snapshot!(on(&[], &[Capability::CAP_SYS_ADMIN], &failure), @"failed to create map `events`: the kernel does not take a map of type 4000 of 1073741824 entries of 0 and 8 bytes; check its definition");
    failure.maps[0].kind = MapKind::HASH;
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
    insta::assert_snapshot!(explained(libc::EINVAL, &log("invalid func unknown#173")), @"program `on_read` (fentry/vfs_read): it calls helper number 173, which this kernel (5.10.0-28-amd64) does not have: it is too old for it");
    insta::assert_snapshot!(explained(libc::EINVAL, &log("unknown func bpf_get_func_ip#173")), @"program `on_read` (fentry/vfs_read): it calls the helper `bpf_get_func_ip`, which this kernel (5.10.0-28-amd64) does not give to programs of this kind");
    insta::assert_snapshot!(explained(libc::EINVAL, &log("program of this type cannot use helper bpf_send_signal#109")), @"program `on_read` (fentry/vfs_read): it calls the helper `bpf_send_signal`, which this kernel (5.10.0-28-amd64) does not give to programs of this kind");
    insta::assert_snapshot!(explained(libc::EACCES, &log("calling kernel function bpf_task_release is not allowed")), @"program `on_read` (fentry/vfs_read): it calls the kernel's function `bpf_task_release`, which this kernel (5.10.0-28-amd64) does not give to programs of this kind");
    let failure = failure(libc::EINVAL, &log("unknown func bpf_probe_read_kernel#113"));
    let lockdown = ("sys/kernel/security/lockdown", "none integrity [confidentiality]");
    insta::assert_snapshot!(on(&[lockdown], &[Capability::CAP_SYS_ADMIN], &failure), @"program `on_read` (fentry/vfs_read): it reads the kernel's memory, as BPF_CORE_READ() and bpf_probe_read_kernel() do, which kernel lockdown (confidentiality) keeps from all programs; take what the hook itself gives (tp_btf, fentry), or start the kernel with lockdown=integrity or none");
}

#[test]
fn pins() {
    let there = MapSpec { max_entries: 1, ..failure(0, &[]).maps.remove(0) };
    let of = |errno, found: Option<&MapSpec>, log: &[&str]| {
        let path = "/sys/fs/bpf/events".to_owned();
        let pin = Pin { map: "events".to_owned(), path, found: found.cloned() };
        let failure = Failure { pins: vec![pin], ..failure(errno, log) };
        on(&[], &[Capability::CAP_SYS_ADMIN], &failure)
    };
    let failed = "map 'events': failed to create: -E";
    let unpinned = ["map 'events': failed to auto-pin at '/sys/fs/bpf/events': -E", failed];
    let elsewhere =
        [&["specified path /sys/fs/bpf/events is not on BPF FS"], &unpinned[..]].concat();
    insta::assert_snapshot!(of(libc::EINVAL, None, &elsewhere), @"map `events` cannot be pinned at /sys/fs/bpf/events: not a BPF file system; mount -t bpf bpf /sys/fs/bpf");
    insta::assert_snapshot!(of(libc::EPERM, None, &unpinned), @"map `events` cannot be pinned at /sys/fs/bpf/events: permission denied; run as a user who may write to /sys/fs/bpf, or mount a BPF file system for this one: mount -t bpf -o uid=USER bpf /sys/fs/bpf");
    insta::assert_snapshot!(of(libc::ENOENT, None, &unpinned), @"map `events` cannot be pinned at /sys/fs/bpf/events: its directory cannot be made; mount -t bpf bpf /sys/fs/bpf where there is one");
    insta::assert_snapshot!(of(libc::ENOSPC, None, &unpinned), @"map `events` cannot be pinned at /sys/fs/bpf/events: no space left on device");
    let old = "couldn't reuse pinned map at '/sys/fs/bpf/events': parameter mismatch";
    let old = [old, "map 'events': error reusing pinned map", failed];
    insta::assert_snapshot!(of(libc::EINVAL, Some(&there), &old), @"the map pinned at /sys/fs/bpf/events has another shape (its max_entries is 1 there, 1073741824 here); remove it: rm /sys/fs/bpf/events");
    let array = MapSpec { kind: MapKind::ARRAY, key_size: 4, value_size: 4, flags: 1, ..there };
    insta::assert_snapshot!(of(libc::EINVAL, Some(&array), &old), @"the map pinned at /sys/fs/bpf/events has another shape (it is an array there, a bloom_filter here; its keys have 4 bytes there, 0 here; its values have 4 bytes there, 8 here; its max_entries is 1 there, 1073741824 here; its map_flags is 1 there, 0 here); remove it: rm /sys/fs/bpf/events");
    insta::assert_snapshot!(of(libc::EINVAL, None, &old), @"what is pinned at /sys/fs/bpf/events is no map that this kernel (5.10.0-28-amd64) describes; remove it: rm /sys/fs/bpf/events");
    let closed = "couldn't retrieve pinned map '/sys/fs/bpf/events': -EACCES";
    let closed = [closed, "map 'events': error reusing pinned map", failed];
    insta::assert_snapshot!(of(libc::EACCES, None, &closed), @"map `events` cannot be had from what is pinned at /sys/fs/bpf/events: permission denied, or it is no map; run as who pinned it, or remove it: rm /sys/fs/bpf/events");
}

#[test]
fn without_descriptors() {
    let told = explained(libc::EMFILE, &["map 'events': failed to create: -EMFILE"]);
    assert!(told.problem.starts_with("out of file descriptors: all "), "{told}");
    // libbpf has another number for what it makes of it.
    let told = explained(libc::ESRCH, &["Error loading vmlinux BTF: -EMFILE"]);
    assert!(told.problem.starts_with("out of file descriptors: all "), "{told}");
}

#[test]
fn programs_of_the_network_take_a_capability_more() {
    let log = ["prog 'packets': BPF program load failed: -EPERM"];
    let sections = vec![("packets".to_owned(), "xdp".to_owned())];
    let failure = Failure { sections, ..failure(libc::EPERM, &log) };
    let held = [Capability::CAP_BPF, Capability::CAP_PERFMON];
    insta::assert_snapshot!(on(&[], &held, &failure), @"missing capability CAP_NET_ADMIN; run as root or grant what is missing (before Linux 5.8: CAP_SYS_ADMIN)");
}

#[test]
fn others() {
    insta::assert_snapshot!(explained(libc::ENOMEM, &[]), @"cannot allocate memory");
    insta::assert_snapshot!(
        explained(4005, &["prog 'on_read': bad map relo against 'x' in section 'y'", "failed to load object 'x'"]),
        @"relocation failed; libbpf says: bad map relo against 'x' in section 'y'"
    );
}
