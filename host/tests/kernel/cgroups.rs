//! Cgroups of this host, which come and go: what they are called, and which maps they are in.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::configs::Configs;
use crate::exporter::{Exporter, until};
use crate::workload::Session;

/// A counter whose keys are ids of cgroups, which the test makes up.
const NAMED: &str = "\
metrics:
  counters:
    - name: work_lru_hash_total
      help: Calls by cgroup
      labels: [{name: cgroup, size: 8, decoders: [{name: uint}, {name: cgroup}]}]
";

/// A cgroup with others below it, which goes with all of them.
struct Top {
    path: PathBuf,
}

impl Top {
    fn try_new() -> std::io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mounts = fs::read_to_string("/proc/mounts")?;
        let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"));
        let mount = mount.and_then(|line| line.split(' ').nth(1)).ok_or(ErrorKind::NotFound)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(mount).join(format!("cg-{}-{number}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self { path })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a cgroup; its id.
    fn make(&self, name: &str) -> u64 {
        fs::create_dir_all(self.at(name)).unwrap();
        fs::metadata(self.at(name)).unwrap().ino()
    }

    fn remove(&self, name: &str) {
        fs::remove_dir(self.at(name)).unwrap();
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        let mut all = vec![self.path.clone()];
        let mut next = 0;
        while let Some(folder) = all.get(next) {
            let below = fs::read_dir(folder).into_iter().flatten().flatten();
            let below = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            all.extend(below.map(|entry| entry.path()).collect::<Vec<_>>());
            next += 1;
        }
        for folder in all.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Why cgroups cannot be watched here.
pub fn unwatched() -> Option<String> {
    if let Err(error) = Top::try_new() {
        return Some(format!("no cgroup v2 can be made here: {error}"));
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (version < (6, 6)).then(|| "Linux before 6.6 has no fanotify for cgroups".to_owned())
}

/// An exporter that counts calls by cgroup, with these flags, and what makes it count.
fn serve(flags: &[&str]) -> (Exporter, Session) {
    let mut configs = Configs::new();
    let session = configs.add_workload("workload", NAMED);
    let flags = configs.flags().into_iter().chain(flags.iter().map(|&flag| flag.to_owned()));
    (Exporter::start(flags), session)
}

/// What the cgroups with these ids are called that had no series before, sorted, each after one call.
fn called(exporter: &Exporter, session: Session, ids: &[u64]) -> Vec<String> {
    let series = |metrics: &str| -> Vec<String> {
        let lines = metrics.lines().filter_map(|line| {
            line.strip_prefix("ebpf_exporter_work_lru_hash_total{cgroup=\"")?.split('"').next()
        });
        lines.map(str::to_owned).collect()
    };
    let before = series(&exporter.metrics());
    ids.iter().for_each(|id| session.add("work_lru_hash_total", &id.to_ne_bytes(), 1));
    let mut after = series(&exporter.metrics());
    after.retain(|name| !before.contains(name));
    after.sort();
    after
}

fn value(metrics: &str, name: &str) -> Option<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

fn names(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.to_str().unwrap().to_owned()).collect()
}

/// With nothing left of what it was started with.
const HELD_IN: [&str; 2] = ["--user=65534:65533", "--capabilities.keep=none"];

pub fn one_that_lived_for_a_moment_has_its_name() {
    let top = Top::try_new().unwrap();
    let early = top.make("early.slice");
    let (exporter, session) = serve(&HELD_IN);
    let metrics = exporter.metrics();
    assert_eq!(value(&metrics, "ebpf_exporter_cgroup_watch_up"), Some(1.0));
    assert_eq!(value(&metrics, "ebpf_exporter_worker_up{worker=\"cgroups\"}"), Some(1.0));
    let ids = [early, top.make("late.slice"), top.make("late.slice/short.scope")];
    top.remove("late.slice/short.scope");
    top.remove("late.slice");
    let again = top.make("late.slice");
    let paths = ["early.slice", "late.slice", "late.slice/short.scope"].map(|name| top.at(name));
    assert_eq!(called(&exporter, session, &ids), names(&paths));
    // Another one of the same name is another one with the same name.
    assert_eq!(called(&exporter, session, &[again]), Vec::<String>::new());
    let line = format!("ebpf_exporter_work_lru_hash_total{{cgroup=\"{}\"}}", names(&paths)[1]);
    assert_eq!(value(&exporter.metrics(), &line), Some(2.0));
    let dead = value(&exporter.metrics(), "ebpf_exporter_cgroups{state=\"dead\"}");
    assert!(dead >= Some(2.0), "{dead:?}");
    exporter.terminate();
    let (status, log) = exporter.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("cgroups are not watched") && !log.contains("the worker"), "{log}");
}

pub fn without_fanotify_those_that_live_have_names() {
    let top = Top::try_new().unwrap();
    let early = top.make("early.slice");
    let (exporter, session) = serve(&[HELD_IN[0], HELD_IN[1], "--no-cgroup.fanotify"]);
    let metrics = exporter.metrics();
    assert_eq!(value(&metrics, "ebpf_exporter_cgroup_watch_up"), Some(0.0));
    assert_eq!(value(&metrics, "ebpf_exporter_worker_up{worker=\"cgroups\"}"), None);
    let gone = top.make("gone.scope");
    top.remove("gone.scope");
    top.remove("early.slice");
    let unknown = format!("unknown_cgroup_id:{gone}");
    let expected = [names(&[top.at("early.slice")]), vec![unknown]].concat();
    assert_eq!(called(&exporter, session, &[early, gone]), expected);
    // One that lives is found by a walk, which comes once a second.
    let late = top.make("late.slice");
    session.add("work_lru_hash_total", &late.to_ne_bytes(), 1);
    let line = format!(
        "ebpf_exporter_work_lru_hash_total{{cgroup=\"{}\"}}",
        top.at("late.slice").display()
    );
    until("it is found", || value(&exporter.metrics(), &line) == Some(1.0));
    exporter.terminate();
    let (_, log) = exporter.wait();
    let told = log.lines().find(|line| line.contains("cgroups are not watched")).unwrap();
    insta::assert_snapshot!(told.trim(), @"INFO cgroups are not watched (--no-cgroup.fanotify): they are looked for when an id is not known, and one that is gone by then has no name");
}

/// More than the kernel's queue holds, while nobody reads it.
pub fn a_burst_leads_to_a_walk() {
    let queue = fs::read_to_string("/proc/sys/fs/fanotify/max_queued_events").unwrap();
    let queue: usize = queue.trim().parse().unwrap();
    let top = Top::try_new().unwrap();
    let (exporter, session) = serve(&[]);
    let signal = |signal| {
        let id = i32::try_from(exporter.id()).unwrap();
        // SAFETY: the child was not waited for, so the id is still its own.
        assert_eq!(unsafe { libc::kill(id, signal) }, 0);
    };
    signal(libc::SIGSTOP);
    for n in 0..=queue / 2 {
        let short = top.at(&format!("short-{n}.scope"));
        fs::create_dir(&short).unwrap();
        fs::remove_dir(&short).unwrap();
    }
    let stays = top.make("stays.slice");
    signal(libc::SIGCONT);
    let overflows = || value(&exporter.metrics(), "ebpf_exporter_cgroup_watch_overflows_total");
    until("it is told", || overflows() == Some(1.0));
    session.add("work_lru_hash_total", &stays.to_ne_bytes(), 1);
    let line = format!(
        "ebpf_exporter_work_lru_hash_total{{cgroup=\"{}\"}}",
        top.at("stays.slice").display()
    );
    until("it is found", || value(&exporter.metrics(), &line) == Some(1.0));
    let dead = value(&exporter.metrics(), "ebpf_exporter_cgroups{state=\"dead\"}").unwrap();
    assert!((1000.0..=16384.0).contains(&dead), "{dead}");
}
