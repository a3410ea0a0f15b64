//! Each kind of hook, pulled a known number of times.

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::process::Command;
use std::thread;

use ebpf_wasm_exporter::bpf::inventory::Walker;
use ebpf_wasm_exporter::surveyor::attached_to;
use ebpf_wasm_exporter::system::System;
use regex::Regex;

use super::{Fate, is_at_least};
use crate::configs::Configs;
use crate::examples::value;
use crate::exporter::Exporter;
use crate::object;

/// How often each thing is done.
const TIMES: u64 = 7;

/// As in `fired.bpf.c`: the port of its packets, and the upper half of the addresses of its memory.
const PORT: u16 = 26217;
const MEMORY: usize = 0x1337;

/// The kinds in the order of `fired.bpf.c`, with the hits that one pull is.
const KINDS: [(&str, u64); 23] = [
    ("kprobe", 1),
    ("kretprobe", 1),
    ("kprobe_multi", 1),
    ("kretprobe_multi", 1),
    ("kprobe_session", 2),
    ("ksyscall", 1),
    ("kretsyscall", 1),
    ("fentry", 1),
    ("fexit", 1),
    ("lsm", 1),
    ("tp_btf", 1),
    ("raw_tp", 1),
    ("tracepoint", 1),
    ("uprobe", 1),
    ("uretprobe", 1),
    ("uprobe_multi", 1),
    ("uretprobe_multi", 1),
    ("uprobe_session", 2),
    ("usdt", 1),
    ("perf_event", 1),
    ("xdp", 1),
    ("tc_ingress", 1),
    ("tc_egress", 1),
];

/// What is told of those that are younger than the snapshots, with the versions that have them.
const YOUNGER: [((u32, u32), &str); 2] = [
    ((6, 10), "kprobe_session: kprobe.multi (1 function)\n"),
    ((6, 13), "uprobe_session: uprobe.multi//usr/lib/x86_64-linux-gnu/libc.so.6 (1 place)\n"),
];

/// What is told from Linux 5.18 until 6.6 of those that take CONFIG_FPROBE, which some kernels have, and some have not.
const SOME_HAVE: [&str; 2] = ["kprobe_multi: kprobe.multi\n", "kretprobe_multi: kprobe.multi\n"];

/// A metric of all kinds.
fn yaml() -> String {
    let mut yaml = "metrics:
  counters:
    - name: hook_hits_total
      help: Hits of each kind of hook
      labels:
        - name: hook
          size: 4
          decoders:
            - name: uint
            - name: static_map
              static_map:
"
    .to_owned();
    for (number, (kind, _)) in KINDS.iter().enumerate() {
        writeln!(yaml, "                {number}: {kind}").unwrap();
    }
    yaml
}

pub fn each_kind_counts() {
    tell("hook", "fired", &KINDS);
}

/// Those whose programs read none of the kernel's memory, where that is kept back.
pub fn those_count_that_may() {
    // Where an argument of a probe is, the kernel's memory says.
    let kinds: Vec<_> = KINDS.into_iter().filter(|(name, _)| *name != "usdt").collect();
    tell("locked", "fired_locked", &kinds);
}

/// Pulls each of these kinds, which an object has programs of, and leaves as fates of this kind which count.
fn tell(kind: &str, object: &str, kinds: &[(&str, u64)]) {
    let mut configs = Configs::new();
    configs.add_object(object, &yaml());
    let exporter = Exporter::start(configs.flags());
    fire();
    let metrics = exporter.metrics();
    exporter.terminate();
    let (status, log) = exporter.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    for &(name, hits) in kinds {
        let counted = value(&metrics, &format!("ebpf_exporter_hook_hits_total{{hook=\"{name}\"}}"));
        let why = match (why_not(name, &log), counted, hits * TIMES) {
            (Some(why), counted, _) => {
                assert_eq!(counted, 0, "{name} {why}");
                Some(why)
            }
            (None, counted, expected) if counted == expected => None,
            // Whether that is right the book says.
            (None, counted, expected) => Some(format!("it counts {counted} of {expected}")),
        };
        Fate { kind, name, program: name, why }.leave();
    }
}

/// Of each program that runs the kernel says where, from Linux 6.6 on of those at probes and tracepoints too.
pub fn the_place_of_each_is_told() {
    let attached = object::attach("fired");
    let inventory = Walker::new().walk().unwrap();
    assert_eq!(inventory.ownerless, None);
    let mut told = String::new();
    for program in attached.programs().iter().filter(|program| program.attached) {
        let found = inventory.programs.iter().find(|found| Some(found.id) == program.id).unwrap();
        assert!(found.owners.iter().any(|owner| owner.process == std::process::id()), "{found:?}");
        writeln!(told, "{}: {}", program.name, attached_to(&found.places, &System::default()))
            .unwrap();
    }
    // Addresses within a file are those of the build.
    let told = Regex::new(r"\+0x[0-9a-f]+").unwrap().replace_all(&told, "+AT");
    let mut told = told.into_owned();
    for (version, line) in YOUNGER {
        assert_eq!(told.contains(line), is_at_least(version), "{line}{told}");
        told = told.replace(line, "");
    }
    if is_at_least((5, 18)) && !is_at_least((6, 6)) {
        told = SOME_HAVE.iter().fold(told, |told, line| told.replace(line, ""));
    }
    if is_at_least((6, 6)) {
        insta::assert_snapshot!(told, @r"
        kprobe: kprobe/hrtimer_nanosleep
        kretprobe: kretprobe/hrtimer_nanosleep
        kprobe_multi: kprobe.multi (1 function)
        kretprobe_multi: kretprobe.multi (1 function)
        ksyscall: kprobe/__x64_sys_getpgid
        kretsyscall: kretprobe/__x64_sys_getpgid
        fentry: fentry/hrtimer_nanosleep
        fexit: fexit/hrtimer_nanosleep
        lsm: lsm/task_getpgid
        tp_btf: tp_btf/task_rename
        raw_tp: raw_tp/task_rename
        tracepoint: tracepoint/sys_enter_getpgid
        uprobe: uprobe//lib/x86_64-linux-gnu/libc.so.6+AT
        uretprobe: uretprobe//lib/x86_64-linux-gnu/libc.so.6+AT
        uprobe_multi: uprobe.multi//usr/lib/x86_64-linux-gnu/libc.so.6 (1 place)
        uretprobe_multi: uretprobe.multi//usr/lib/x86_64-linux-gnu/libc.so.6 (1 place)
        usdt: uprobe.multi//usr/bin/python3.11 (1 place)
        perf_event: perf_event/type=1,config=2
        xdp: xdp/lo
        tc_ingress: tcx_ingress/lo
        tc_egress: tcx_egress/lo
        ");
    } else if is_at_least((5, 15)) {
        insta::assert_snapshot!(told, @r"
        kprobe: perf_event
        kretprobe: perf_event
        ksyscall: perf_event
        kretsyscall: perf_event
        fentry: fentry/hrtimer_nanosleep
        fexit: fexit/hrtimer_nanosleep
        lsm: lsm/task_getpgid
        tp_btf: tp_btf/task_rename
        raw_tp: raw_tp/task_rename
        tracepoint: perf_event
        uprobe: perf_event
        uretprobe: perf_event
        usdt: perf_event
        perf_event: perf_event
        xdp: xdp/lo
        ");
    } else {
        // No links hold these yet, and none tells what function it is at.
        let told = told.replace(": \n", "\n");
        insta::assert_snapshot!(told, @r"
        kprobe
        kretprobe
        ksyscall
        kretsyscall
        fentry: fentry
        fexit: fexit
        lsm: lsm
        tp_btf: tp_btf/task_rename
        raw_tp: raw_tp/task_rename
        tracepoint
        uprobe
        uretprobe
        usdt
        perf_event
        xdp: xdp/lo
        ");
    }
}

/// Why the program of a kind was not attached, by the log.
fn why_not(kind: &str, log: &str) -> Option<String> {
    let line = Regex::new(&format!("failed to attach program `{kind}` .*? config=")).unwrap();
    line.find(log).map(|found| found.as_str().trim_end_matches(" config=").to_owned())
}

/// Does all that is counted, what counts by thread in a thread of the name that is counted.
fn fire() {
    let pull = || {
        // Not counted yet: the thread has its name only after it.
        rename();
        for _ in 0..TIMES {
            rename();
            nap();
            // Of 0 no LSM is asked. SAFETY: it asks for a number.
            assert!(unsafe { libc::getpgid(libc::getpid()) } >= 0);
        }
    };
    thread::spawn(pull).join().unwrap();
    let script = format!("import sys\nfor _ in range({TIMES}): sys.audit('firing')");
    let status = Command::new("/usr/bin/python3").args(["-I", "-S", "-c", &script]).status();
    assert!(status.unwrap().success());
    touch();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let receiver = UdpSocket::bind(("127.0.0.1", PORT)).unwrap();
    for _ in 0..TIMES {
        socket.send_to(b"x", ("127.0.0.1", PORT)).unwrap();
        assert_eq!(receiver.recv(&mut [0]).unwrap(), 1);
    }
}

/// Writes to pages that nobody has written to, each of which is a fault.
fn touch() {
    let size = 4096 * TIMES as usize;
    let (prot, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let wanted = (MEMORY << 32) as *mut libc::c_void;
    // SAFETY: nothing is there, else the call fails.
    let pages = unsafe { libc::mmap(wanted, size, prot, flags | libc::MAP_FIXED_NOREPLACE, -1, 0) };
    assert_eq!(pages, wanted, "that memory is free");
    for page in 0..TIMES as usize {
        // SAFETY: it is within the pages, which are this function's alone.
        unsafe { pages.cast::<u8>().add(page * 4096).write_volatile(1) };
    }
    // SAFETY: nobody has them any more.
    assert_eq!(unsafe { libc::munmap(pages, size) }, 0);
}

fn rename() {
    // SAFETY: the name ends in NUL and is shorter than 16 bytes.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NAME, c"firing".as_ptr()) }, 0);
}

/// Sleeps by one system call for a moment.
fn nap() {
    let moment = libc::timespec { tv_sec: 0, tv_nsec: 1 };
    // SAFETY: it reads the time and writes nothing.
    assert_eq!(unsafe { libc::nanosleep(&raw const moment, std::ptr::null_mut()) }, 0);
}
