//! What is said of programs that do not attach, on hosts made of files.

use super::*;
use crate::bpf::host::fake::Fake;

/// A host with kprobes and tracefs.
fn kernel() -> Fake {
    let fake = Fake::new("6.1.0-9-amd64\n");
    fake.write("sys/bus/event_source/devices/kprobe/type", "6\n");
    for tracepoint in ["syscalls/sys_enter_openat", "sched/sched_switch", "task/task_rename"] {
        fake.write(&format!("sys/kernel/tracing/events/{tracepoint}/id"), "1\n");
    }
    fake.write(
        "proc/kallsyms",
        "ffffffff81000000 T vfs_read\nffffffff81000010 t do_accept.isra.0\n\
         ffffffffc0000000 t late\t[module]\n",
    );
    fake
}

impl Fake {
    fn explain(&self, section: &str, errno: i32, log: &[&str]) -> Advice {
        self.explain_with(&[Capability::CAP_SYS_ADMIN], section, errno, log)
    }

    fn explain_with(
        &self,
        capabilities: &[Capability],
        section: &str,
        errno: i32,
        log: &[&str],
    ) -> Advice {
        let log: Vec<String> = log.iter().map(|line| (*line).to_owned()).collect();
        explain(&Attempt { section, errno, log: &log }, &self.host(capabilities))
    }
}

#[test]
fn tracepoints() {
    let fake = kernel();
    let log = ["failed to determine tracepoint 'syscalls/sys_enter_opneat' perf event ID: -ENOENT"];
    let explain = |section| fake.explain(section, libc::ENOENT, &log);
    insta::assert_snapshot!(explain("tracepoint/syscalls/sys_enter_opneat"), @"this kernel (6.1.0-9-amd64) has no tracepoint `syscalls/sys_enter_opneat`; did you mean `syscalls/sys_enter_openat`?");
    insta::assert_snapshot!(explain("tp/shed/sched_switch"), @"this kernel (6.1.0-9-amd64) has no tracepoint group `shed`; did you mean `sched`?");
    insta::assert_snapshot!(explain("tp/irq/task_rename"), @"this kernel (6.1.0-9-amd64) has no tracepoint group `irq`; did you mean `task/task_rename`?");
    insta::assert_snapshot!(explain("tp/xfs/xfs_read"), @"this kernel (6.1.0-9-amd64) has no tracepoint group `xfs`; look for it under /sys/kernel/tracing/events, its module may not be loaded");
    let groupless = |section| fake.explain(section, libc::EINVAL, &[]);
    insta::assert_snapshot!(groupless("tracepoint/sched_switch"), @"the section lacks the tracepoint's group, tracepoint/GROUP/NAME; did you mean `tracepoint/sched/sched_switch`?");
    insta::assert_snapshot!(groupless("tp/xyz"), @"the section lacks the tracepoint's group, tracepoint/GROUP/NAME; groups are the directories of /sys/kernel/tracing/events");
    insta::assert_snapshot!(fake.explain("tp/sched/sched_switch", libc::E2BIG, &[]), @"`sched/sched_switch` has 64 programs already, as many as the kernel runs there for all processes together; use raw_tp/NAME, which has no such bound, or see with `bpftool link` whose they are");
    fake.remove("sys/kernel/tracing");
    insta::assert_snapshot!(fake.explain("tp/sched/sched_switch", libc::ENOENT, &log), @"tracefs is not mounted; mount it: mount -t tracefs tracefs /sys/kernel/tracing");
    insta::assert_snapshot!(fake.explain("tp/sched/sched_switch", libc::EACCES, &log), @"tracefs cannot be read; run as root or grant CAP_DAC_READ_SEARCH");
}

#[test]
fn raw_tracepoints() {
    let fake = kernel();
    let explain = |section| fake.explain(section, libc::ENOENT, &[]);
    insta::assert_snapshot!(explain("raw_tp/task_renamed"), @"this kernel (6.1.0-9-amd64) has no raw tracepoint `task_renamed`; did you mean `task_rename`?");
    insta::assert_snapshot!(explain("raw_tracepoint/xyz"), @"this kernel (6.1.0-9-amd64) has no raw tracepoint `xyz`; names are those under /sys/kernel/tracing/events without their group");
}

#[test]
fn kernel_functions() {
    let fake = kernel();
    let explain = |section| fake.explain(section, libc::ENOENT, &["prog 'x': failed to create"]);
    insta::assert_snapshot!(explain("kprobe/nope"), @"this kernel (6.1.0-9-amd64) has no function `nope`: renamed, inlined, or in a module that is not loaded; look for it in /proc/kallsyms");
    insta::assert_snapshot!(explain("kretprobe/do_accept"), @"this kernel (6.1.0-9-amd64) has no function `do_accept`, but what the compiler made of it; did you mean `do_accept.isra.0`?");
    insta::assert_snapshot!(explain("kprobe/vfs_read+0x10"), @"this kernel (6.1.0-9-amd64) does not let `vfs_read` be probed (it is marked notrace or blacklisted); probe a function that calls it");
    insta::assert_snapshot!(explain("ksyscall/opne"), @"this kernel (6.1.0-9-amd64) has no syscall `opne`");
    insta::assert_snapshot!(explain("kprobe.multi/foo_*"), @"this kernel (6.1.0-9-amd64) has no function that matches `foo_*`");
    insta::assert_snapshot!(fake.explain("kprobe.multi/vfs_*", libc::EINVAL, &[]), @"this kernel (6.1.0-9-amd64) cannot probe many functions at once (needs Linux 5.18 and CONFIG_FPROBE); use kprobe for each");
    fake.remove("sys/bus");
    insta::assert_snapshot!(fake.explain("kprobe/vfs_read", libc::ENOENT, &[]), @"this kernel (6.1.0-9-amd64) has no kprobes (CONFIG_KPROBES is off); use a tracepoint, or fentry where the kernel offers it");
}

#[test]
fn user_functions() {
    let fake = kernel();
    let explain = |section, log: &[&str]| fake.explain(section, libc::ENOENT, log);
    insta::assert_snapshot!(explain("uretprobe.s//opt/app:main", &["elf: failed to open /opt/app: -ENOENT"]), @"no file `/opt/app` that could be opened; see that it is there where the exporter runs: a container has files of its own");
    insta::assert_snapshot!(explain("uretprobe.multi//opt/app:ma*n", &[]), @"`/opt/app` has no function that matches `ma*n`: stripped, inlined, or in another file; look for them with `nm -D` or `readelf -s`");
    insta::assert_snapshot!(explain("usdt//opt/app:provider:name", &[]), @"`/opt/app` has no probe `provider:name`: built without USDT probes, or named otherwise; look for it with `readelf -n`");
    let closed = ["elf: failed to open /opt/app: -EACCES"];
    insta::assert_snapshot!(fake.explain_with(&[], "uprobe//opt/app:main", libc::EACCES, &closed), @"`/opt/app` may not be read by the exporter; let its user read it; under systemd, ProtectHome= keeps homes from everyone");
    let forbidden = ["prog 'x': failed to create uprobe '/opt/app:0x10' perf event: -EACCES"];
    insta::assert_snapshot!(fake.explain_with(&[], "uprobe//opt/app:main", libc::EACCES, &forbidden), @"missing capability CAP_PERFMON; run as root or grant what is missing (before Linux 5.8: CAP_SYS_ADMIN)");
    let explain = |section| fake.explain(section, libc::EINVAL, &["invalid section"]);
    insta::assert_snapshot!(explain("uprobe//opt/app"), @"the section names no hook; write one, as in uprobe/PATH:FUNCTION");
    insta::assert_snapshot!(explain("uprobe.multi//opt/app:"), @"this kernel (6.1.0-9-amd64) has no uprobe.multi (needs Linux 6.6); use uprobe for each function");
    insta::assert_snapshot!(explain("usdt//opt/app:name"), @"the section names no hook; write one, as in usdt/PATH:PROVIDER:NAME");
}

#[test]
fn kinds_that_are_newer() {
    let fake = kernel();
    let explain = |section| fake.explain(section, libc::EINVAL, &["failed to attach: -EINVAL"]);
    insta::assert_snapshot!(explain("uprobe.multi/libc.so.6:malloc"), @"this kernel (6.1.0-9-amd64) has no uprobe.multi (needs Linux 6.6); use uprobe for each function");
    insta::assert_snapshot!(explain("uretprobe.multi.s/libc.so.6:malloc"), @"this kernel (6.1.0-9-amd64) has no uretprobe.multi.s (needs Linux 6.6); use uretprobe for each function");
    insta::assert_snapshot!(explain("kprobe.session/vfs_*"), @"this kernel (6.1.0-9-amd64) has no kprobe.session (needs Linux 6.10); use kprobe.multi and kretprobe.multi");
    insta::assert_snapshot!(explain("uprobe.session/libc.so.6:malloc"), @"this kernel (6.1.0-9-amd64) has no uprobe.session (needs Linux 6.13); use uprobe.multi and uretprobe.multi");
}

#[test]
fn refusals() {
    let fake = kernel();
    let log = ["prog 'x': failed to create tracepoint perf event: -EACCES"];
    let section = "tracepoint/sched/sched_switch";
    insta::assert_snapshot!(fake.explain_with(&[Capability::CAP_BPF], section, libc::EACCES, &log), @"missing capability CAP_PERFMON; run as root or grant what is missing (before Linux 5.8: CAP_SYS_ADMIN)");
    insta::assert_snapshot!(fake.explain(section, libc::EPERM, &log), @"the kernel forbids it and does not say why; known is: no capability is missing; some kernels are built without this kind of hook: try another, as in tracepoint/GROUP/NAME");
    fake.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    insta::assert_snapshot!(fake.explain("kprobe/vfs_read", libc::EPERM, &log), @"the kernel forbids it and does not say why; known is: no capability is missing, kernel lockdown is on (integrity); try it with lockdown off, without Secure Boot");
    fake.write("sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
    insta::assert_snapshot!(fake.explain("kprobe/vfs_read", libc::EPERM, &log), @"kernel lockdown (confidentiality) closes kprobes; use fentry/FUNCTION, fexit/FUNCTION or kprobe.multi/FUNCTION, or start the kernel with lockdown=integrity or none");
    insta::assert_snapshot!(fake.explain("ksyscall/getpgid", libc::ENOENT, &log), @"kernel lockdown (confidentiality) closes kprobes; use fentry/FUNCTION, fexit/FUNCTION or kprobe.multi/FUNCTION, or start the kernel with lockdown=integrity or none");
    insta::assert_snapshot!(fake.explain(section, libc::EPERM, &log), @"the kernel forbids it and does not say why; known is: no capability is missing, kernel lockdown is on (confidentiality); try it with lockdown off, without Secure Boot");
}

#[test]
fn others() {
    let fake = kernel();
    insta::assert_snapshot!(fake.explain("sk_skb", libc::EOPNOTSUPP, &[]), @"libbpf attaches no program by a section of this kind; name a hook, as in tracepoint/GROUP/NAME");
    insta::assert_snapshot!(fake.explain("tc", libc::EOPNOTSUPP, &[]), @"the section names no hook; write one, as in tc/ingress/IFACE");
    insta::assert_snapshot!(fake.explain("kprobe", libc::EOPNOTSUPP, &[]), @"the section names no hook; write one, as in kprobe/FUNCTION");
    insta::assert_snapshot!(fake.explain("raw_tp.w", libc::EOPNOTSUPP, &[]), @"the section names no hook; write one, as in raw_tp.w/NAME");
    insta::assert_snapshot!(fake.explain("uprobe/", libc::EOPNOTSUPP, &[]), @"the section names no hook; write one, as in uprobe/PATH:FUNCTION");
    insta::assert_snapshot!(fake.explain("tp/", libc::EINVAL, &["invalid section name"]), @"the section names no hook; write one, as in tp/GROUP/NAME");
    let told = fake.explain("tp/sched/sched_switch", libc::EMFILE, &[]);
    assert!(told.problem.starts_with("out of file descriptors"), "{told}");
    insta::assert_snapshot!(fake.explain("fentry/vfs_read", 524, &["prog 'x': failed to attach: -524"]), @"not supported by this kernel");
    insta::assert_snapshot!(fake.explain("fexit/vfs_read", libc::EBUSY, &[]), @"device or resource busy");
}

#[test]
fn sections() {
    let in_file = |sought| Hook::InFile { path: "/a", sought };
    assert_eq!(Hook::of("uprobe//a:f+8"), in_file(Sought::Function("f+8")));
    assert_eq!(Hook::of("uprobe.multi.s//a:f*"), in_file(Sought::Functions("f*")));
    assert_eq!(Hook::of("uprobe.session//a:x::f"), in_file(Sought::Functions("x::f")));
    let probe = Sought::Probe { provider: "p", name: "n" };
    assert_eq!(Hook::of("usdt.s//a:p:n"), in_file(probe));
    assert_eq!(Hook::of("usdt//a:p"), Hook::Incomplete { kind: "usdt" });
    assert_eq!(Hook::of("kretprobe/f+8"), Hook::Function { name: "f" });
    assert_eq!(Hook::of("tp/lonely"), Hook::Groupless { name: "lonely" });
    assert_eq!(Hook::of("socket"), Hook::Other);
}

#[test]
fn perf_events() {
    let fake = kernel();
    let explain = |errno| fake.explain("perf_event/type=0,config=0,frequency=99", errno, &[]);
    insta::assert_snapshot!(explain(libc::ENOENT), @"this machine has no such perf event; a virtual machine often has none of its hardware's; see `perf list` for those that it has");
    insta::assert_snapshot!(explain(libc::EINVAL), @"the kernel takes no such perf event, or not so often; see `perf list`, and keep the frequency below kernel.perf_event_max_sample_rate");
    let refused =
        fake.explain_with(&[], "perf_event/type=0,config=0,frequency=99", libc::EACCES, &[]);
    insta::assert_snapshot!(refused, @"missing capability CAP_PERFMON; run as root or grant what is missing (before Linux 5.8: CAP_SYS_ADMIN)");
    insta::assert_snapshot!(fake.explain("perf_event", libc::EOPNOTSUPP, &[]), @"the section names no hook; write one, as in perf_event/type=T,config=C,frequency=F");
}

#[test]
fn interfaces() {
    let fake = kernel();
    let explain = |section, errno| fake.explain(section, errno, &[]);
    insta::assert_snapshot!(explain("xdp/eht0", libc::ENODEV), @"this network namespace has no interface `eht0`");
    fake.write("sys/class/net/eth0/ifindex", "2\n");
    fake.write("sys/class/net/lo/ifindex", "1\n");
    insta::assert_snapshot!(explain("xdp/eht0", libc::ENODEV), @"this network namespace has no interface `eht0`; did you mean `eth0`?");
    insta::assert_snapshot!(explain("tc/ingress/wlan0", libc::ENODEV), @"this network namespace has no interface `wlan0`; name one of eth0, lo");
    insta::assert_snapshot!(explain("xdp/eth0", libc::EBUSY), @"`eth0` has an XDP program already, and can have no other; see with `ip link show dev eth0` whose it is");
    insta::assert_snapshot!(explain("tc/ingress/eth0", libc::EINVAL), @"this kernel (6.1.0-9-amd64) has no links to traffic control (needs Linux 6.6); use xdp/IFACE for packets that come in, or a tracepoint of group `net`");
    insta::assert_snapshot!(fake.explain_with(&[], "xdp/eth0", libc::EPERM, &[]), @"missing capability CAP_NET_ADMIN; run as root or grant what is missing (before Linux 5.8: CAP_SYS_ADMIN)");
    insta::assert_snapshot!(explain("xdp", libc::EOPNOTSUPP), @"the section names no hook; write one, as in xdp/IFACE");
    insta::assert_snapshot!(explain("tc/ingress", libc::EOPNOTSUPP), @"the section names no hook; write one, as in tc/ingress/IFACE");
    let old = Fake::new("5.4.0-1-amd64\n");
    insta::assert_snapshot!(old.explain("xdp/eth0", libc::EINVAL, &[]), @"this kernel (5.4.0-1-amd64) has no links to interfaces (needs Linux 5.9)");
}
