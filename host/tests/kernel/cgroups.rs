//! Cgroups of this host, which come and go: what they are called, and which maps they are in.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use libbpf_rs::query::MapInfoIter;
use libbpf_rs::{MapCore as _, MapHandle};

use crate::configs::Configs;
use crate::exporter::{BINARY, Exporter, run, until};
use crate::object;
use crate::reload::{LIFECYCLE, another, reload, replace};
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
    let line = format!(
        "ebpf_exporter_work_lru_hash_total{{cgroup=\"{}\"}}",
        top.at("late.slice").display()
    );
    until("it is found", || {
        session.add("work_lru_hash_total", &late.to_ne_bytes(), 1);
        value(&exporter.metrics(), &line).is_some()
    });
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
    // Each is two events, and some are taken before the exporter stands still.
    for n in 0..queue / 2 + 1000 {
        let short = top.at(&format!("short-{n}.scope"));
        fs::create_dir(&short).unwrap();
        fs::remove_dir(&short).unwrap();
    }
    let stays = top.make("stays.slice");
    signal(libc::SIGCONT);
    let overflows = || value(&exporter.metrics(), "ebpf_exporter_cgroup_watch_overflows_total");
    until("it is told", || overflows() >= Some(1.0));
    session.add("work_lru_hash_total", &stays.to_ne_bytes(), 1);
    let line = format!(
        "ebpf_exporter_work_lru_hash_total{{cgroup=\"{}\"}}",
        top.at("stays.slice").display()
    );
    until("it is found", || value(&exporter.metrics(), &line) == Some(1.0));
    let dead = value(&exporter.metrics(), "ebpf_exporter_cgroups{state=\"dead\"}").unwrap();
    assert!((1000.0..=16384.0).contains(&dead), "{dead}");
}

/// What `cgroup_ids.bpf.c` counts, by cgroup; `{map}` is the map that the exporter keeps.
const KEPT: &str = "\
metrics:
  counters:
    - name: calls_in_ids_total
      help: Calls of cgroups in the hash
      labels: &labels [{name: cgroup, size: 8, decoders: [{name: uint}, {name: cgroup}]}]
    - {name: calls_in_storage_total, help: Calls of cgroups in storage, labels: *labels}
    - {name: calls_of_others_total, help: Calls of all others, labels: *labels}
cgroup_id_map: {map}
";

/// The prctl that `cgroup_ids.bpf.c` waits for, and no kernel knows.
const CALL: &str = "import ctypes, os, sys
open(sys.argv[1] + '/cgroup.procs', 'w').write('0')
ctypes.CDLL(None).prctl(0x63677270, ctypes.c_ulong(int(sys.argv[2])))";

/// Has a process of this cgroup call once.
fn call(cgroup: &Path, session: Session) {
    let mut process = Command::new("python3");
    process.args(["-c", CALL]).arg(cgroup).arg(session.number().to_string());
    assert!(process.status().unwrap().success());
}

/// An exporter that keeps a map of cgroups.
struct Keeper {
    exporter: Exporter,
    session: Session,
    configs: Configs,
}

impl Keeper {
    fn start(map: &str, flags: &[&str]) -> Self {
        let mut configs = Configs::new();
        let session = Session::new();
        configs.add("kept", &KEPT.replace("{map}", map), &session.object_of("cgroup_ids"));
        let flags = configs.flags().into_iter().chain(flags.iter().map(|&flag| flag.to_owned()));
        Self { exporter: Exporter::start(flags), session, configs }
    }

    /// Has a process of this cgroup call once; where it was counted: `ids`, `storage`, `others`.
    fn call(&self, cgroup: &Path) -> Vec<&'static str> {
        let of = |kind: &str| {
            let path = cgroup.display();
            format!("ebpf_exporter_calls_{kind}_total{{cgroup=\"{path}\"}}")
        };
        let counts = || {
            let metrics = self.exporter.metrics();
            ["in_ids", "in_storage", "of_others"]
                .map(|kind| value(&metrics, &of(kind)).unwrap_or_default())
        };
        let before = counts();
        call(cgroup, self.session);
        let after = counts();
        let moved = ["ids", "storage", "others"].into_iter().zip(before).zip(after);
        moved.filter(|((_, before), after)| before != after).map(|((kind, _), _)| kind).collect()
    }

    fn entries(&self) -> Option<f64> {
        let name = "ebpf_exporter_cgroup_id_map_entries{config=\"kept\"}";
        value(&self.exporter.metrics(), name)
    }
}

/// Those that live at the start are in the map from the first event on, those that come a moment after, and
/// those that go leave it.
fn is_kept_in_step(kind: &str, counted: &'static str, flags: &[&str]) {
    let top = Top::try_new().unwrap();
    for name in ["a.slice", "b.slice"] {
        top.make(name);
    }
    let name = top.path.file_name().unwrap().to_str().unwrap();
    let map = format!("{{{kind}, regexps: ['/({name})/(a|c)[.]slice$']}}");
    let keeper = Keeper::start(&map, &[&HELD_IN, flags].concat());
    assert_eq!(keeper.entries(), Some(1.0));
    assert_eq!(keeper.call(&top.at("a.slice")), [counted]);
    assert_eq!(keeper.call(&top.at("b.slice")), ["others"]);
    top.make("c.slice");
    until("c.slice is in the map", || keeper.entries() == Some(2.0));
    assert_eq!(keeper.call(&top.at("c.slice")), [counted]);
    top.remove("a.slice");
    until("a.slice is out of the map", || keeper.entries() == Some(1.0));
    // A new one of the same name is another one, and wanted too.
    top.make("a.slice");
    until("it is in the map", || keeper.entries() == Some(2.0));
    assert_eq!(keeper.call(&top.at("a.slice")), [counted]);
    keeper.exporter.terminate();
    let (status, log) = keeper.exporter.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    let told = log.lines().any(|line| line.contains("cgroups are not watched"));
    assert_eq!(told, !flags.is_empty(), "{log}");
    assert!(!log.contains("failed to") && !log.contains("the worker"), "{log}");
}

pub fn a_hash_of_ids_is_kept_in_step() {
    is_kept_in_step("name: ids", "ids", &[]);
}

pub fn storage_of_cgroups_is_kept_in_step() {
    is_kept_in_step("name: stored, type: cgrp_storage", "storage", &[]);
}

pub fn a_hash_of_ids_is_kept_in_step_by_walks() {
    is_kept_in_step("name: ids, type: hash", "ids", &["--no-cgroup.fanotify"]);
}

pub fn storage_of_cgroups_is_kept_in_step_by_walks() {
    is_kept_in_step("name: stored, type: cgrp_storage", "storage", &["--no-cgroup.fanotify"]);
}

/// The map is the same one for all objects. What is missing in it comes back with the next that runs, and not with one
/// that does not attach.
pub fn a_reload_that_is_refused_fills_no_map() {
    let top = Top::try_new().unwrap();
    let id = top.make("a.slice");
    let name = top.path.file_name().unwrap().to_str().unwrap();
    let map = format!("{{name: ids, regexps: ['/({name})/a[.]slice$']}}");
    let keeper = Keeper::start(&map, &[LIFECYCLE]);
    let slice = top.at("a.slice");
    assert_eq!(keeper.call(&slice), ["ids"]);
    let ids = MapInfoIter::default().filter(|map| map.name == "ids");
    let maps = ids.filter_map(|map| MapHandle::from_map_id(map.id).ok());
    let all: Vec<_> = maps.filter(|map| map.delete(&id.to_ne_bytes()).is_ok()).collect();
    assert_eq!(all.len(), 1, "it is in one map");
    assert_eq!(keeper.call(&slice), ["others"]);
    let object = keeper.configs.path().join("kept.bpf.o");
    replace(&object, keeper.session.object_of("cgroup_ids_beyond"));
    assert_eq!(reload(&keeper.exporter).0, 500);
    assert_eq!(keeper.call(&slice), ["others"]);
    replace(&object, another(&keeper.session.object_of("cgroup_ids"), 0));
    assert_eq!(reload(&keeper.exporter).0, 200);
    assert_eq!(keeper.call(&slice), ["ids"]);
    assert_eq!(keeper.entries(), Some(1.0));
}

/// One that comes while it is recorded is in the map too.
pub fn a_map_is_kept_while_it_is_recorded() {
    let top = Top::try_new().unwrap();
    let name = top.path.file_name().unwrap().to_str().unwrap();
    let map = format!("{{name: ids, regexps: ['/({name})/a[.]slice$']}}");
    let mut configs = Configs::new();
    let session = Session::new();
    configs.add("kept", &KEPT.replace("{map}", &map), &session.object_of("cgroup_ids"));
    let file = configs.path().join("x.rec");
    let mut record = Command::new(BINARY);
    record.arg("record").args(configs.flags()).args(["--for=3s", "-o"]).arg(&file);
    record.stdout(Stdio::null());
    let mut record = record.spawn().unwrap();
    until("it records", || file.exists());
    top.make("a.slice");
    let slice = top.at("a.slice");
    while record.try_wait().unwrap().is_none() {
        call(&slice, session);
    }
    assert!(record.wait().unwrap().success());
    let replay = Command::new(BINARY).arg("replay").arg(&file).arg("--once").output().unwrap();
    let replayed = String::from_utf8(replay.stdout).unwrap();
    let counted = format!("ebpf_exporter_calls_in_ids_total{{cgroup=\"{}\"}}", slice.display());
    assert!(value(&replayed, &counted) > Some(0.0), "{replayed}");
}

pub fn a_full_map_is_said_once() {
    let top = Top::try_new().unwrap();
    for n in 0..6 {
        top.make(&format!("{n}.scope"));
    }
    let name = top.path.file_name().unwrap().to_str().unwrap();
    let keeper = Keeper::start(&format!("{{name: ids, regexps: ['{name}/.*scope']}}"), &[]);
    let refused = "ebpf_exporter_cgroup_id_map_refused_total{config=\"kept\"}";
    assert_eq!(
        (keeper.entries(), value(&keeper.exporter.metrics(), refused)),
        (Some(4.0), Some(2.0))
    );
    // Those that are missing come in when others go.
    (0..6).filter(|n| n % 2 == 0).for_each(|n| top.remove(&format!("{n}.scope")));
    until("all are in", || keeper.entries() == Some(3.0));
    for n in [1, 3, 5] {
        assert_eq!(keeper.call(&top.at(&format!("{n}.scope"))), ["ids"]);
    }
    keeper.exporter.terminate();
    let (_, log) = keeper.exporter.wait();
    assert_eq!(log.matches("map `ids` is full").count(), 1, "{log}");
}

pub fn a_map_that_cannot_hold_cgroups_is_a_fault() {
    let fault = |map: &str| {
        let mut configs = Configs::new();
        let object = fs::read(object::file("cgroup_ids")).unwrap();
        configs.add("kept", &KEPT.replace("{map}", map), &object);
        let [dir, names] = configs.flags();
        let said = run(Command::new(BINARY).args([&*dir, &*names, "--config.check"]));
        assert_eq!(said.code, Some(3), "{said:?}");
        let line = said.stderr.lines().find(|line| line.contains("cgroup_id_map")).unwrap();
        line.rsplit("kept.yaml:").next().unwrap().to_owned()
    };
    let all = [
        "{name: idz, regexps: [a]}",
        "{name: stored, regexps: [a]}",
        "{name: ids, type: cgrp_storage, regexps: [a]}",
    ];
    insta::assert_snapshot!(all.map(fault).join("\n"), @"
    8: cgroup_id_map.name: the object has no map `idz`; did you mean `ids`?
    8: cgroup_id_map.type: map `stored` is of type cgrp_storage, not hash; write `type: cgrp_storage`
    8: cgroup_id_map.type: map `ids` is of type hash, not cgrp_storage; write `type: hash`
    ");
}
