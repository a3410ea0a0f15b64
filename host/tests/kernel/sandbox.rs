//! From inside: what who has broken into the exporter may still do, though it be root with all
//! capabilities. Each attempt is a process that raises the exporter's own walls and then tries.

#![allow(unsafe_code, reason = "who has broken in asks the kernel directly")]

use std::env;
use std::fs::{self, File, Permissions};
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt, parent_id};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;

use ebpf_wasm_exporter::bpf::stats;
use ebpf_wasm_exporter::privileges::{Keep, Needs, Privileges, Readable, Sandbox};
use ebpf_wasm_exporter::process;
use ebpf_wasm_exporter::system::System;
use ebpf_wasm_exporter::workers::{Hired, LARGE_STACK, Post};

use crate::exporter::{Exporter, HANG, get};
use crate::plugins::apart;

/// Says which attempt a child is to make.
const ATTEMPT: &str = "SANDBOX_ATTEMPT";

type Attempt = fn() -> io::Result<()>;

/// What is tried.
const ATTEMPTS: &[(&str, Attempt)] = &[
    ("write a file", || File::create("/etc/cron.d/ebpf-exporter-test").map(drop)),
    ("write to /proc/self/mem", || File::options().write(true).open("/proc/self/mem").map(drop)),
    ("remove a file", || fs::remove_file("/nowhere")),
    ("rename a file", || fs::rename("/nowhere", "/nowhere-else")),
    ("make a directory", || fs::create_dir("/etc/cron.d/ebpf-exporter-test")),
    ("change a mode", || fs::set_permissions("/nowhere", Permissions::from_mode(0o4755))),
    ("read /etc/shadow", || fs::read("/etc/shadow").map(drop)),
    ("read through /proc/self/root", || fs::read("/proc/self/root/etc/shadow").map(drop)),
    ("read another's environment", || fs::read("/proc/1/environ").map(drop)),
    ("list a directory", || fs::read_dir("/root").map(drop)),
    ("list processes", || fs::read_dir("/proc").map(drop)),
    ("start a program", || Command::new("/bin/true").status().map(drop)),
    ("become a program", || Err(Command::new("/bin/true").exec())),
    ("fork", || call(libc::SYS_clone, [libc::SIGCHLD as i64, 0, 0, 0])),
    ("clone3", || call(libc::SYS_clone3, [0, 0, 0, 0])),
    ("connect out", || TcpStream::connect("127.0.0.1:1").map(drop)),
    ("connect to a daemon", || UnixStream::connect("/run/systemd/private").map(drop)),
    ("write to a daemon", || {
        let (pair, _other) = UnixDatagram::pair()?;
        pair.send_to(b"x", "/dev/log").map(drop)
    }),
    ("listen", || TcpListener::bind("127.0.0.1:0").map(drop)),
    ("open a UDP socket", || UdpSocket::bind("127.0.0.1:0").map(drop)),
    ("ptrace", || call(libc::SYS_ptrace, [libc::PTRACE_ATTACH.into(), parent(), 0, 0])),
    ("read another's memory", || call(libc::SYS_process_vm_readv, [parent(), 0, 0, 0])),
    ("signal another", || call(libc::SYS_kill, [parent(), 0, 0, 0])),
    ("signal another's thread", || call(libc::SYS_tgkill, [parent(), parent(), 0, 0])),
    ("have another signalled", || call(libc::SYS_fcntl, [0, libc::F_SETOWN.into(), parent(), 0])),
    ("mount", || call(libc::SYS_mount, [0, 0, 0, 0])),
    ("unshare", || call(libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0])),
    ("join a namespace", || call(libc::SYS_setns, [-1, 0, 0, 0])),
    ("load a module", || call(libc::SYS_finit_module, [-1, 0, 0, 0])),
    ("load a BPF program", || bpf(libbpf_sys::BPF_PROG_LOAD)),
    ("make a BPF map", || bpf(libbpf_sys::BPF_MAP_CREATE)),
    ("change a BPF map", || bpf(libbpf_sys::BPF_MAP_UPDATE_ELEM)),
    ("open another's BPF map", || bpf(libbpf_sys::BPF_MAP_GET_FD_BY_ID)),
    ("open a perf event", || call(libc::SYS_perf_event_open, [0, 0, -1, -1])),
    ("map executable memory", || map(libc::PROT_READ | libc::PROT_EXEC).map(drop)),
    ("make memory executable", || {
        let at = map(libc::PROT_READ | libc::PROT_WRITE)?;
        call(libc::SYS_mprotect, [at, 4096, (libc::PROT_READ | libc::PROT_EXEC).into(), 0])
    }),
    ("io_uring", || call(libc::SYS_io_uring_setup, [1, 0, 0, 0])),
    ("openat2", || call(libc::SYS_openat2, [-1, 0, 0, 0])),
    ("raise a limit", || {
        let limit = libc::rlimit { rlim_cur: 9, rlim_max: 9 };
        call(libc::SYS_prlimit64, [0, libc::RLIMIT_NOFILE as i64, (&raw const limit) as i64, 0])
    }),
    ("be dumpable", || call(libc::SYS_prctl, [libc::PR_SET_DUMPABLE.into(), 1, 0, 0])),
    ("become root", || call(libc::SYS_setresuid, [0, 0, 0, 0])),
];

fn call(number: i64, [a, b, c, d]: [i64; 4]) -> io::Result<()> {
    // SAFETY: pointers are null or to what lives through the call.
    match unsafe { libc::syscall(number, a, b, c, d, 0i64, 0i64) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn parent() -> i64 {
    parent_id().into()
}

fn bpf(command: u32) -> io::Result<()> {
    call(libc::SYS_bpf, [command.into(), 0, 0, 0])
}

fn map(protection: i32) -> io::Result<i64> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: new memory that nobody has.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
    if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(at as i64) }
}

/// The part of a child, before anything else of this program runs.
pub fn child() -> Option<ExitCode> {
    let name = env::var(ATTEMPT).ok()?;
    let (_, attempt) = ATTEMPTS.iter().find(|(known, _)| *known == name)?;
    // A thread from before, a worker, and one from after: of these all can do the same but the first.
    let (go, wait) = mpsc::channel::<()>();
    let from = |when: &str| env::args().any(|argument| argument == when);
    let (attempt, mut hired) = (*attempt, Hired::default());
    let before = thread::spawn(move || wait.recv().is_ok().then(attempt));
    let (tried, worker) = mpsc::channel();
    let post = Post { name: "attempt", stack: LARGE_STACK, patience: HANG };
    if from("worker") {
        hired.hire(post, move || tried.send(attempt()).unwrap(), || ()).unwrap();
    }
    let all = Sandbox { no_new_privs: true, seccomp: true, landlock: true };
    let privileges = Privileges { keep: Keep::All, user: None, sandbox: all };
    let readable = [
        System::default().readable(),
        process::prepare(),
        vec![Readable::Content(stats::SWITCH.into())],
    ]
    .concat();
    let needs = Needs { readable, ..Needs::default() };
    privileges.give_up(&needs, &hired).unwrap();
    let _worker = hired.begin();
    let tried = if from("early") {
        go.send(()).unwrap();
        before.join().unwrap()
    } else if from("worker") {
        worker.recv().ok()
    } else {
        drop(go);
        thread::spawn(attempt).join().ok()
    };
    match tried {
        Some(Err(error)) => println!("{}", errno(&error)),
        tried => println!("{tried:?}"),
    }
    Some(ExitCode::SUCCESS)
}

fn errno(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM) => "EPERM".to_owned(),
        Some(libc::EACCES) => "EACCES".to_owned(),
        Some(libc::ENOSYS) => "ENOSYS".to_owned(),
        _ => error.to_string(),
    }
}

/// What comes of an attempt.
fn outcome(name: &str, from: &str) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg(from).env(ATTEMPT, name).stderr(Stdio::null());
    let output = command.output().unwrap();
    match output.status.signal() {
        Some(libc::SIGSYS) => "killed".to_owned(),
        Some(signal) => format!("signal {signal}"),
        None => String::from_utf8(output.stdout).unwrap().trim().to_owned(),
    }
}

pub fn refuses_what_serving_does_not_need() {
    let all = |from| {
        let each = ATTEMPTS.iter().map(|(name, _)| format!("{name}: {}", outcome(name, from)));
        each.collect::<Vec<_>>().join("\n")
    };
    let late = all("late");
    assert_eq!(all("worker"), late, "from a thread that waited meanwhile");
    insta::assert_snapshot!(late, @"
    write a file: EPERM
    write to /proc/self/mem: EPERM
    remove a file: ENOSYS
    rename a file: ENOSYS
    make a directory: ENOSYS
    change a mode: ENOSYS
    read /etc/shadow: EACCES
    read through /proc/self/root: EACCES
    read another's environment: EACCES
    list a directory: EACCES
    list processes: EACCES
    start a program: EPERM
    become a program: killed
    fork: EPERM
    clone3: ENOSYS
    connect out: EPERM
    connect to a daemon: EPERM
    write to a daemon: EPERM
    listen: EPERM
    open a UDP socket: EPERM
    ptrace: killed
    read another's memory: killed
    signal another: EPERM
    signal another's thread: EPERM
    have another signalled: EPERM
    mount: killed
    unshare: killed
    join a namespace: killed
    load a module: killed
    load a BPF program: EPERM
    make a BPF map: EPERM
    change a BPF map: EPERM
    open another's BPF map: EPERM
    open a perf event: killed
    map executable memory: EPERM
    make memory executable: EPERM
    io_uring: ENOSYS
    openat2: ENOSYS
    raise a limit: EPERM
    be dumpable: EPERM
    become root: ENOSYS
    ");
}

/// Landlock is of the thread that asks for it, the filter of calls of all.
pub fn a_thread_from_before_is_filtered_too() {
    for (name, expected) in [("connect out", "EPERM"), ("become a program", "killed")] {
        assert_eq!(outcome(name, "early"), expected, "{name}");
    }
}

/// Why it cannot be tried here.
pub fn lacks() -> Option<String> {
    // SAFETY: it only asks for a version.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0usize, 0usize, 1u32) };
    (version < 6).then(|| "this kernel has no Landlock, or an older one".to_owned())
}

/// The exporter itself, with all that it does while it is held in.
pub fn the_exporter_serves_in_it() {
    let (configs, plugins) = apart("panic");
    let mut flags = configs.flags().to_vec();
    flags.push(format!("--plugins.dir={}", plugins.path().display()));
    flags.extend(
        ["--user=65534:65533", "--capabilities.keep=none", "--debug", "--web.enable-openmetrics"]
            .map(str::to_owned),
    );
    let exporter = Exporter::start(&flags);
    for _ in 0..3 {
        assert!(
            exporter.metrics().contains("\nebpf_exporter_scrape_success{config=\"workload\"} 1\n")
        );
    }
    assert!(exporter.openmetrics().ends_with("# EOF\n"));
    assert!(exporter.page("/maps").contains("<td>workload<td>"));
    let mut threads = 0;
    for task in fs::read_dir(format!("/proc/{}/task", exporter.id())).unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        threads += 1;
        for line in [
            "NoNewPrivs:\t1",
            "Seccomp:\t2",
            "Seccomp_filters:\t3",
            "CapPrm:\t0000000000000000",
            "CapEff:\t0000000000000000",
            "CapBnd:\t0000000000000000",
            "Uid:\t65534\t65534\t65534\t65534",
            "Gid:\t65533\t65533\t65533\t65533",
            "Groups:\t ",
        ] {
            assert!(status.lines().any(|found| found == line), "{line:?} is not in {status}");
        }
    }
    assert!(threads >= 2, "main, scrapes");
    assert!(get(&exporter.url).contains("process_open_fds "));
    exporter.terminate();
    let (status, log) = exporter.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains(" INFO became the user 65534:65533\n"), "{log}");
    assert!(log.contains(" INFO sandbox: no-new-privs, seccomp, landlock"), "{log}");
    assert!(!log.contains("before privileges were given up"), "{log}");
}

/// Of root's capabilities a user has those that are named, and no others.
pub fn a_user_has_the_capabilities_that_are_named() {
    for (keep, effective) in [("cap_bpf", "0000008000000000"), ("all", "0000000000000000")] {
        let keep = format!("--capabilities.keep={keep}");
        let exporter = Exporter::start(["--config.names=timers", "--user=65534", &keep]);
        let status = fs::read_to_string(format!("/proc/{}/status", exporter.id())).unwrap();
        for line in [
            format!("CapEff:\t{effective}"),
            format!("CapPrm:\t{effective}"),
            format!("CapBnd:\t{effective}"),
            "CapInh:\t0000000000000000".to_owned(),
        ] {
            assert!(status.lines().any(|found| found == line), "{keep}: {line:?}: {status}");
        }
        assert!(
            exporter.metrics().contains("\nebpf_exporter_scrape_success{config=\"timers\"} 1\n")
        );
    }
}

/// What is left of it with switches.
pub fn each_wall_can_be_left_out() {
    let line = |flags: &[&str]| {
        let exporter = Exporter::start([&["--config.names=timers"], flags].concat());
        let status = fs::read_to_string(format!("/proc/{}/status", exporter.id())).unwrap();
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            format!("{name} {}", line.trim())
        };
        let seen = [of("NoNewPrivs:"), of("Seccomp:")].join(", ");
        exporter.terminate();
        let (_, log) = exporter.wait();
        let told = log.lines().find(|line| line.contains("sandbox:")).unwrap().to_owned();
        format!("{told}\n{seen}")
    };
    insta::assert_snapshot!(line(&["--no-sandbox.seccomp"]), @"
     INFO sandbox: no-new-privs, landlock (files, TCP, signals); without seccomp: --no-sandbox.seccomp
    NoNewPrivs: 1, Seccomp: 0
    ");
    insta::assert_snapshot!(line(&["--no-sandbox.landlock", "--sandbox.landlock", "--no-sandbox.no-new-privs"]), @"
     INFO sandbox: none; without no-new-privs: --no-sandbox.no-new-privs; without seccomp: it needs no-new-privs; without landlock: it needs no-new-privs
    NoNewPrivs: 0, Seccomp: 0
    ");
}
