//! What examples with spans write into their ring buffers, read as it lies there: who is in which trace, since when and
//! for how long. What the exporter makes of it is told elsewhere.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libbpf_rs::{MapCore, MapType, Object, ObjectBuilder, ProgramMut, RingBufferBuilder};
use tempfile::TempDir;

use crate::exporter::copy_program;
use crate::fired::Disk;
use crate::own_cgroup::Cgroup;
use crate::{hooks, object};

/// What each record begins with.
#[derive(Debug, Clone)]
struct Record {
    ring: String,
    trace_id: [u8; 16],
    parent: u64,
    tag: Option<u64>,
    id: u64,
    began_at: u64,
    duration: u64,
    rest: Vec<u8>,
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_ne_bytes(bytes[..8].try_into().unwrap())
}

impl Record {
    fn read(ring: &str, bytes: &[u8], tagged: bool) -> Self {
        let (context, span) = bytes.split_at(if tagged { 32 } else { 24 });
        Self {
            ring: ring.to_owned(),
            trace_id: context[..16].try_into().unwrap(),
            parent: number(&context[16..]),
            tag: tagged.then(|| number(&context[24..])),
            id: number(span),
            began_at: number(&span[8..]),
            duration: number(&span[16..]),
            rest: span[24..].to_vec(),
        }
    }

    /// The number at this place of what is the example's own.
    fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.rest[at..at + 4].try_into().unwrap())
    }

    fn text(&self) -> &str {
        let end = self.rest.iter().position(|byte| *byte == 0).unwrap();
        std::str::from_utf8(&self.rest[..end]).unwrap()
    }
}

/// Nanoseconds of the clock that programs read.
fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes the time there.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) }, 0);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap()
}

/// What the example writes while `work` is done, ring by ring. Programs of `demo`'s are asked for there.
fn records(name: &str, demo: Option<&Path>, work: impl FnOnce()) -> Vec<Record> {
    let mut opened = ObjectBuilder::default().open_file(object::example(name)).unwrap();
    for mut program in opened.progs_mut() {
        let section = program.section().to_str().unwrap();
        // The demo is somewhere else than the section says.
        let hooked = section.starts_with("usdt/") || hooks::is_there(section);
        program.set_autoload(hooked);
    }
    let object = opened.load().unwrap();
    let programs = object.progs_mut();
    let _links: Vec<_> = programs.filter_map(|program| attach(&program, demo)).collect();
    let tagged = name == "sock-trace";
    let (began, found) = (now(), Arc::new(Mutex::new(Vec::new())));
    let rings = rings(&object);
    let mut builder = RingBufferBuilder::new();
    for map in &rings {
        let (ring, found) = (map.name().to_str().unwrap().to_owned(), Arc::clone(&found));
        let keep = move |bytes: &[u8]| {
            found.lock().unwrap().push(Record::read(&ring, bytes, tagged));
            0
        };
        builder.add(map, keep).unwrap();
    }
    let reader = builder.build().unwrap();
    work();
    reader.poll(Duration::ZERO).unwrap();
    let ended = now();
    let found = found.lock().unwrap().clone();
    for record in &found {
        assert!((began..=ended).contains(&(record.began_at + record.duration)), "{record:?}");
    }
    found
}

fn rings(object: &Object) -> Vec<libbpf_rs::Map<'_>> {
    object.maps().filter(|map| map.map_type() == MapType::RingBuf).collect()
}

/// Programs whose hooks are not here do without.
fn attach(program: &ProgramMut<'_>, demo: Option<&Path>) -> Option<libbpf_rs::Link> {
    if !program.autoload() {
        return None;
    }
    let section = program.section().to_str().unwrap();
    let Some(probe) = section.strip_prefix("usdt/") else {
        return Some(program.attach().unwrap());
    };
    let (_, name) = probe.rsplit_once(':').unwrap();
    let path = demo.expect("the demo is there");
    Some(program.attach_usdt(-1, path, "ebpf_exporter", name).unwrap())
}

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The demo's trace and span.
fn announced(record: &Record) -> bool {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (trace, parent) = (hex(&record.trace_id), hex(&record.parent.to_ne_bytes()));
    TRACEPARENT == format!("00-{trace}-{parent}-01")
}

/// The program that announces its traces.
struct Demo(TempDir);

impl Demo {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = format!("{}/spans/demo.c", object::EXAMPLES);
        let made = Command::new("cc")
            .args(["-no-pie", &source])
            .arg("-o")
            .arg(dir.path().join("demo"))
            .status();
        assert!(made.unwrap().success());
        Self(dir)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("demo")
    }
}

fn of<'a>(records: &'a [Record], ring: &str) -> Vec<&'a Record> {
    records.iter().filter(|record| record.ring == ring).collect()
}

/// A disk of its own where there is none else.
fn disk() -> Option<Disk> {
    let partitions = std::fs::read_to_string("/proc/partitions").unwrap();
    let named = partitions
        .lines()
        .any(|line| line.split_whitespace().count() == 4 && !line.contains("name"));
    (!named).then(|| Disk::new("ext4"))
}

/// Writes that wait for the disk.
pub fn bio_trace() {
    const WRITES: usize = 20;
    let disk = disk();
    let here = disk.as_ref().map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), Disk::path);
    let dir = tempfile::tempdir_in(here).unwrap();
    let mut file = File::create(dir.path().join("written")).unwrap();
    let records = records("bio-trace", None, || {
        for _ in 0..WRITES {
            file.write_all(&[7; 4096]).unwrap();
            file.sync_all().unwrap();
        }
    });
    let service = of(&records, "block_rq_service_spans");
    let writes: Vec<_> = service.iter().filter(|record| record.u32(4) == 1).collect();
    assert!(writes.len() >= WRITES, "{records:?}");
    assert!(service.iter().all(|record| record.duration > 0 && record.parent == 0));
    let mut traces: Vec<_> = service.iter().map(|record| record.trace_id).collect();
    traces.sort_unstable();
    traces.dedup();
    assert_eq!(traces.len(), service.len(), "each request is a trace");
}

/// A shell that starts three programs.
pub fn exec_trace() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("started");
    copy_program("/bin/true", &program);
    let path = program.to_str().unwrap();
    let records = records("exec-trace", None, || {
        let script = format!("{path}; {path}; {path}; :");
        assert!(Command::new("/bin/bash").args(["-c", &script]).status().unwrap().success());
    });
    let started: Vec<_> = records.iter().filter(|record| record.text() == path).collect();
    assert_eq!(started.len(), 3, "{records:?}");
    let is_shell = |record: &&Record| record.id == started[0].parent;
    let shell = records.iter().find(is_shell).expect("the shell has ended too");
    assert_eq!((shell.text(), shell.parent), ("/bin/bash", 0));
    for record in started {
        assert_eq!((record.trace_id, record.parent), (shell.trace_id, shell.id), "{records:?}");
        assert!(record.began_at >= shell.began_at && record.duration <= shell.duration);
    }
}

/// A thread that sleeps ten times.
pub fn sched_trace() {
    let demo = Demo::new();
    let mut process = 0;
    let records = records("sched-trace", Some(&demo.path()), || {
        let mut command = Command::new(demo.path());
        let mut child = command.arg("sched").env("TRACEPARENT", TRACEPARENT).spawn().unwrap();
        process = child.id();
        assert!(child.wait().unwrap().success());
    });
    assert!(records.iter().all(announced), "{records:?}");
    assert!(records.iter().all(|record| (record.u32(0), record.u32(4)) == (process, process)));
    let sleeps = of(&records, "sched_switch_spans");
    let sleeps = sleeps.iter().filter(|record| record.u32(8) == 1).count();
    let wakeups = of(&records, "sched_wakeup_spans").len();
    // Nobody else wakes it.
    assert_eq!((sleeps, wakeups), (10, 10), "{records:?}");
}

/// A connection that its server ends with something unread.
pub fn sock_trace() {
    let demo = Demo::new();
    let records = records("sock-trace", Some(&demo.path()), || {
        let mut command = Command::new(demo.path());
        assert!(command.arg("sock").env("TRACEPARENT", TRACEPARENT).status().unwrap().success());
    });
    assert!(records.iter().all(announced), "{records:?}");
    assert!(records.iter().all(|record| record.tag == Some(42)), "{records:?}");
    let stitches = of(&records, "stitch_spans");
    assert_eq!(stitches.len(), 1, "{records:?}");
    assert_ne!(number(&stitches[0].rest), 0, "a cookie");
    if hooks::tracepoint("inet_sk_error_report") {
        let errors = of(&records, "sk_error_report_spans");
        assert_eq!(errors.len(), 1, "{records:?}");
        assert_eq!(errors[0].u32(64), u32::try_from(libc::ECONNRESET).unwrap());
        assert_ne!(number(&errors[0].rest), 0, "a stack");
    }
    if hooks::kprobes() {
        assert_eq!(of(&records, "sock_release_spans").len(), 1, "{records:?}");
        let functions = of(&records, "sk_spans");
        // Out and in, at least once each.
        assert!(functions.len() >= 4, "{records:?}");
        assert!(functions.iter().all(|record| number(&record.rest) != 0), "{records:?}");
    }
}

/// A second of CPU time at a tenth of a CPU.
pub fn cfs_throttling_trace() {
    let demo = Demo::new();
    let cgroup = Cgroup::limited("e2e-cfs", "cpu", ["cpu.max", "10000 100000"]).unwrap();
    let records = records("cfs-throttling-trace", Some(&demo.path()), || {
        let script = format!("{} cfs-throttling", demo.path().display());
        let mut command = cgroup.shell(&script);
        assert!(command.env("TRACEPARENT", TRACEPARENT).status().unwrap().success());
    });
    assert!(records.len() >= 10, "{}", records.len());
    for record in &records {
        assert!(announced(record) && number(&record.rest) != 0, "{record:?}");
        assert!(record.duration < 200_000_000, "{record:?}");
    }
}
