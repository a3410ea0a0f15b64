//! Configs that are read again while they are served: what has changed is another, all else goes on, and no count
//! is lost.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use insta::assert_snapshot;
use serde_json::Value;

use crate::configs::Configs;
use crate::exporter::{BINARY, Exporter, HANG, sample, until};
use crate::guests;
use crate::workload::{Session, flow};

/// Two counters of the workload.
const TWO: &str = "
metrics:
  counters:
    - name: work_hash_total
      help: h
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
        - {name: text, size: 24, decoders: [{name: string}]}
    - name: work_lru_hash_total
      help: An LRU hash
      labels: [{name: id, size: 8, decoders: [{name: uint}]}]
";

pub const LIFECYCLE: &str = "--web.enable-lifecycle";

/// One config of the workload, served.
fn served(yaml: &str) -> (Configs, Session, Exporter) {
    let mut configs = Configs::new();
    let work = configs.add_workload("work", yaml);
    let exporter = Exporter::start(configs.flags().into_iter().chain([LIFECYCLE.to_owned()]));
    (configs, work, exporter)
}

/// The status and the text of what a reload is answered with.
pub fn reload(exporter: &Exporter) -> (u16, String) {
    let url = exporter.url.replace("/metrics", "/-/reload");
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let mut response = agent.post(&url).send_empty().unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

/// As [`reload`], of one that has to work; without what it may have cost.
pub fn reloaded(exporter: &Exporter) -> String {
    let (status, text) = reload(exporter);
    assert_eq!(status, 200, "{text}");
    text.lines().next().map(|line| format!("{line}\n")).unwrap_or_default()
}

/// Puts other bytes in the place of a file, as those do who write configs.
pub fn replace(file: &Path, bytes: impl AsRef<[u8]>) {
    let new = file.with_extension("new");
    fs::write(&new, bytes).unwrap();
    fs::rename(new, file).unwrap();
}

/// An object that does the same and is another file, another one for each number.
pub fn another(object: &[u8], n: u8) -> Vec<u8> {
    [object, &[n]].concat()
}

pub fn what_is_the_same_goes_on() {
    let (configs, work, exporter) = served(TWO);
    work.add("work_hash_total", &flow(1, b"a"), 3);
    let programs = exporter.programs();
    assert_eq!(reloaded(&exporter), "reloaded: nothing has changed\n");
    // A label gets another name: its map is read on, and the other metric is not touched.
    work.add("work_lru_hash_total", &7u64.to_ne_bytes(), 5);
    let page = exporter.metrics();
    assert_eq!(sample(&page, "ebpf_exporter_work_lru_hash_total{id=\"7\"}"), Some(5));
    replace(&configs.path().join("work.yaml"), TWO.replace("name: text", "name: words"));
    assert_eq!(reloaded(&exporter), "reloaded: changed work\n");
    work.add("work_hash_total", &flow(1, b"a"), 4);
    work.add("work_lru_hash_total", &7u64.to_ne_bytes(), 6);
    let page = exporter.metrics();
    assert_eq!(sample(&page, "ebpf_exporter_work_hash_total{id=\"1\",words=\"a\"}"), Some(7));
    assert_eq!(sample(&page, "ebpf_exporter_work_lru_hash_total{id=\"7\"}"), Some(11));
    assert!(!page.contains("text=\"a\""), "{page}");
    assert_eq!(exporter.programs(), programs, "no program was touched");
}

/// What an LRU map has forgotten stays in its series, also when another metric of its config changes.
pub fn a_metric_that_has_not_changed_keeps_what_its_map_has_forgotten() {
    let merged = TWO.replace(
        "name: id, size: 8, decoders: [{name: uint}]}]",
        "name: id, size: 1, padding: 7, decoders: [{name: uint}]}]",
    );
    let (configs, work, exporter) = served(&merged);
    work.add("work_hash_total", &flow(1, b"a"), 1);
    for id in 0..5000u64 {
        work.add("work_lru_hash_total", &(id << 8).to_ne_bytes(), 1);
        if id % 100 == 0 {
            exporter.metrics();
        }
    }
    let total =
        || sample(&exporter.metrics(), "ebpf_exporter_work_lru_hash_total{id=\"0\"}").unwrap();
    let before = total();
    assert!(before > 2048, "{before}: more than the map holds");
    replace(&configs.path().join("work.yaml"), merged.replace("help: h", "help: another"));
    assert_eq!(reloaded(&exporter), "reloaded: changed work\n");
    assert_eq!(total(), before);
    let page = exporter.metrics();
    assert!(page.contains("# HELP ebpf_exporter_work_hash_total another\n"), "{page}");
}

/// So do those of its metrics that are taken out of a config and put back.
pub fn metrics_come_and_go() {
    let mut configs = Configs::new();
    let one = configs.add_workload("one", TWO);
    let second = TWO.replace("name: work_hash_total", "name: work_percpu_hash_total");
    let second =
        second.replace("        - {name: text, size: 24, decoders: [{name: string}]}\n", "");
    let second = second.replace("name: work_lru_hash_total", "name: work_lru_percpu_hash_total");
    let two = configs.add_workload("two", &second);
    let exporter = Exporter::start(configs.flags().into_iter().chain([LIFECYCLE.to_owned()]));
    one.add("work_hash_total", &flow(1, b"a"), 1);
    two.add("work_percpu_hash_total", &1u64.to_ne_bytes(), 2);
    let page = exporter.metrics();
    assert_eq!(sample(&page, "ebpf_exporter_work_percpu_hash_total{id=\"1\"}"), Some(2));
    let programs = exporter.programs();
    replace(
        &configs.path().join("two.yaml"),
        &second[..second.find("    - name: work_lru").unwrap()],
    );
    assert_eq!(reloaded(&exporter), "reloaded: changed two\n");
    let page = exporter.metrics();
    assert!(!page.contains("work_lru_percpu_hash_total"), "{page}");
    assert_eq!(sample(&page, "ebpf_exporter_work_percpu_hash_total{id=\"1\"}"), Some(2));
    replace(&configs.path().join("two.yaml"), &second);
    assert_eq!(reloaded(&exporter), "reloaded: changed two\n");
    two.add("work_lru_percpu_hash_total", &9u64.to_ne_bytes(), 8);
    let page = exporter.metrics();
    assert_eq!(sample(&page, "ebpf_exporter_work_lru_percpu_hash_total{id=\"9\"}"), Some(8));
    assert_eq!(sample(&page, "ebpf_exporter_work_hash_total{id=\"1\",text=\"a\"}"), Some(1));
    assert_eq!(exporter.programs(), programs);
}

pub fn after_a_fault_the_old_goes_on() {
    let (configs, work, exporter) = served(TWO);
    work.add("work_hash_total", &flow(1, b"a"), 3);
    let place = configs.path().display().to_string();
    let state = |exporter: &Exporter| {
        let page = exporter.metrics();
        let of = |name: &str| sample(&page, &format!("ebpf_exporter_config_{name}"));
        let counts =
            ["success", "failure"].map(|it| of(&format!("reloads_total{{outcome=\"{it}\"}}")));
        (of("last_reload_successful"), counts)
    };
    assert_eq!(state(&exporter), (Some(1), [Some(0), Some(0)]));
    let yaml = configs.path().join("work.yaml");
    replace(&yaml, TWO.replace("work_lru_hash_total", "nowhere_total"));
    let (status, text) = reload(&exporter);
    assert_eq!(status, 500);
    assert_snapshot!(text.replace(&place, "DIR"), @"failed to reload, the old configs go on: 1 fault in the configs; correct each as the log says, then reload again; DIR/work.yaml:9: metrics.counters[1].name: the object has no map `nowhere_total`; give the metric the name of one that it has: `work_hash_total`, `work_lru_hash_total`, `work_array_total`, `work_percpu_hash_total`, `work_percpu_array_total`, `work_lru_percpu_hash_total`, `work_mmap_array_total`, `work_cpu_hash_total`, `work_cpu_array_total`, `work_plain_total`, `work_exp2_seconds`, `work_exp2zero_bytes`, `work_linear_depth`, `work_fixed_size`, `work_cpu_exp2_seconds`, `work_padded_total`");
    replace(&configs.path().join("work.bpf.o"), "no object");
    replace(&yaml, TWO);
    let (status, text) = reload(&exporter);
    assert_eq!((status, text.contains("work.bpf.o")), (500, true), "{text}");
    work.add("work_hash_total", &flow(1, b"a"), 4);
    let page = exporter.metrics();
    assert_eq!(sample(&page, "ebpf_exporter_work_hash_total{id=\"1\",text=\"a\"}"), Some(7));
    assert_eq!(state(&exporter), (Some(0), [Some(0), Some(2)]));
    replace(&configs.path().join("work.bpf.o"), work.object());
    let status = || serde_json::from_str::<Value>(&exporter.page("/api/v1/status")).unwrap();
    let told = status()["reloads"].clone();
    assert_eq!((&told["failures"], &told["last"]["success"]), (&2.into(), &false.into()));
    assert!(told["last"]["text"].as_str().unwrap().starts_with("failed to reload, "), "{told}");
    assert_eq!(told["last"]["remedy"], "correct each as the log says, then reload again");
    let problems = status()["problems"].clone();
    assert!(problems.as_array().unwrap().iter().any(|it| it["subject"] == "reload"), "{problems}");
    assert_eq!(reloaded(&exporter), "reloaded: nothing has changed\n");
    assert_eq!(state(&exporter), (Some(1), [Some(1), Some(2)]));
    // It is made anew once a second.
    until("the page tells of it", || status()["reloads"]["last"]["text"] == "nothing has changed");
    assert!(exporter.page("/").contains("1 that worked, 2 that failed"));
}

/// What has been counted stays in the maps, which the new object takes over.
pub fn another_object_counts_on() {
    let (configs, work, exporter) = served(TWO);
    work.add("work_hash_total", &flow(1, b"a"), 3);
    work.add("work_lru_hash_total", &7u64.to_ne_bytes(), 5);
    let programs = exporter.programs();
    replace(&configs.path().join("work.bpf.o"), another(&work.object(), 0));
    assert_eq!(reloaded(&exporter), "reloaded: changed work\n");
    let now = exporter.programs();
    assert!(now.len() == programs.len() && now != programs, "{now:?}");
    work.add("work_hash_total", &flow(1, b"a"), 10);
    let page = exporter.metrics();
    assert_eq!(sample(&page, "ebpf_exporter_work_hash_total{id=\"1\",text=\"a\"}"), Some(13));
    assert_eq!(sample(&page, "ebpf_exporter_work_lru_hash_total{id=\"7\"}"), Some(5));
    crate::exporter::until_gone(&programs);
}

/// While others write into the maps, and somebody scrapes.
pub fn no_count_is_lost_in_two_hundred_reloads() {
    let (configs, work, exporter) = served(TWO);
    let (file, done, added) =
        (configs.path().join("work.yaml"), AtomicBool::new(false), AtomicU64::new(0));
    let taken = |exporter: &Exporter| {
        let process = format!("/proc/{}", exporter.process());
        let fds = fs::read_dir(format!("{process}/fd")).unwrap().count();
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        (fds, line.trim().trim_end_matches(" kB").parse::<u64>().unwrap())
    };
    let anew = |n: usize| {
        replace(
            &file,
            TWO.replace("help: h", &format!("help: {n}"))
                .replace("name: text", ["name: text", "name: words"][n % 2]),
        );
        assert_eq!(reloaded(&exporter), "reloaded: changed work\n");
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                work.add(
                    "work_hash_total",
                    &flow(added.fetch_add(1, Ordering::Relaxed) % 50, b"a"),
                    1,
                );
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                exporter.metrics();
            }
        });
        (0..20).for_each(anew);
        let before = taken(&exporter);
        (20..200).for_each(anew);
        let after = taken(&exporter);
        done.store(true, Ordering::Relaxed);
        assert!(after.0 <= before.0 + 2, "descriptors: {before:?}, then {after:?}");
        assert!(after.1 <= before.1 + 2048, "KiB: {before:?}, then {after:?}");
    });
    let page = exporter.metrics();
    let series = page.lines().filter(|line| line.starts_with("ebpf_exporter_work_hash_total{"));
    let total: u64 =
        series.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(total, added.load(Ordering::Relaxed));
}

/// A plugin is loaded anew when its file is another, and only metrics that ask it are made anew.
pub fn another_plugin_is_asked() {
    let yaml = "
metrics:
  counters:
    - name: work_lru_hash_total
      help: h
      labels: [{name: id, size: 8, decoders: [{name: wasm, plugin: guest}]}]
    - name: work_percpu_hash_total
      help: h
      labels: [{name: id, size: 8, decoders: [{name: uint}]}]
plugins:
  guest: {file: guest.wasm}
";
    let mut configs = Configs::new();
    let guest = configs.path().join("guest.wasm");
    fs::write(&guest, guests::component("echo")).unwrap();
    let work = configs.add_workload("work", yaml);
    let exporter = Exporter::start(configs.flags().into_iter().chain([LIFECYCLE.to_owned()]));
    work.add("work_lru_hash_total", b"abcdefgh", 5);
    let digest = |exporter: &Exporter| {
        let page = exporter.metrics();
        let info =
            page.lines().find(|line| line.starts_with("ebpf_exporter_plugin_info{")).unwrap();
        info.to_owned()
    };
    let before = digest(&exporter);
    replace(&guest, guests::component("pass"));
    assert_eq!(reload(&exporter).0, 500, "a transform is no decoder");
    assert_eq!(digest(&exporter), before);
    replace(&guest, guests::component("few"));
    assert_eq!(reloaded(&exporter), "reloaded: changed work\n");
    assert_ne!(digest(&exporter), before);
}

pub fn who_has_no_capabilities_reloads_what_takes_none() {
    let mut configs = Configs::new();
    let work = configs.add_workload("work", TWO);
    let more = [LIFECYCLE, "--capabilities.keep=none"].map(str::to_owned);
    let exporter = Exporter::start(configs.flags().into_iter().chain(more));
    work.add("work_hash_total", &flow(1, b"a"), 3);
    replace(&configs.path().join("work.yaml"), TWO.replace("name: text", "name: words"));
    assert_eq!(reloaded(&exporter), "reloaded: changed work\n");
    let page = exporter.metrics();
    assert_eq!(sample(&page, "ebpf_exporter_work_hash_total{id=\"1\",words=\"a\"}"), Some(3));
    replace(&configs.path().join("work.bpf.o"), another(&work.object(), 0));
    let (status, text) = reload(&exporter);
    assert_eq!(status, 500);
    assert_snapshot!(text, @"failed to reload, the old configs go on: loading the object of config `work` takes CAP_BPF, which was given up; restart the exporter, or have it keep what a start takes: --capabilities.keep");
}

pub fn by_a_signal_and_only_if_it_may() {
    let mut configs = Configs::new();
    let work = configs.add_workload("work", TWO);
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(HANG)).unwrap();
    let told = || {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let mut command = Command::new(BINARY);
    command.args(configs.flags()).args(["--web.listen-address=127.0.0.1:0", "--log.no-timestamps"]);
    let exporter = Exporter::serve(command.env("NOTIFY_SOCKET", &socket));
    assert!(told().starts_with("READY=1\n"));
    let (status, text) = reload(&exporter);
    assert_eq!(status, 403);
    assert_snapshot!(text, @"reloading by HTTP is off; start with --web.enable-lifecycle, or send SIGHUP");
    work.add("work_hash_total", &flow(1, b"a"), 3);
    replace(&configs.path().join("work.yaml"), TWO.replace("name: text", "name: words"));
    hang_up(&exporter);
    assert!(told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert!(told().starts_with("READY=1\n"));
    let page = exporter.metrics();
    assert_eq!(sample(&page, "ebpf_exporter_work_hash_total{id=\"1\",words=\"a\"}"), Some(3));
    drop(exporter);

    let flags =
        configs.flags().into_iter().chain(["--no-config.reload", LIFECYCLE].map(str::to_owned));
    let exporter = Exporter::start(flags);
    let (status, text) = reload(&exporter);
    assert_eq!(status, 403);
    assert_snapshot!(text, @"configs are not read again here; start without --no-config.reload; what is replayed never is");
    let workers = || exporter.metrics().lines().filter(|line| line.contains("worker_up{")).count();
    let before = workers();
    hang_up(&exporter);
    until("it has heard", || workers() == before);
    exporter.terminate();
    let (_, log) = exporter.wait();
    assert!(log.contains("received SIGHUP and went on: nothing is reloaded here"), "{log}");
}

fn hang_up(exporter: &Exporter) {
    let id = i32::try_from(exporter.process()).unwrap();
    // SAFETY: the child was not waited for, so the id is still its own.
    assert_eq!(unsafe { libc::kill(id, libc::SIGHUP) }, 0);
}

/// To open them would end the process there.
pub fn who_may_open_no_events_is_told_so() {
    let counter = |name: &str, how: &str| {
        format!(
            "  - {{name: {name}, help: h, {how}: true, labels: [{{name: key, size: 8, decoders: [{{name: uint}}]}}]}}\n"
        )
    };
    let ring = format!("metrics:\n  counters:\n  {}", counter("ring_events_total", "ringbuf"));
    let both = format!("{ring}  {}", counter("perf_events_total", "perf_event_array"));
    let mut configs = Configs::new();
    let session = Session::new();
    configs.add("events", &ring, &session.object_of("events"));
    let more = [LIFECYCLE, "--capabilities.keep=none"].map(str::to_owned);
    let exporter = Exporter::start(configs.flags().into_iter().chain(more));
    replace(&configs.path().join("events.yaml"), both);
    let (status, text) = reload(&exporter);
    assert_eq!(status, 500);
    assert_snapshot!(text, @"failed to reload, the old configs go on: a config opens perf events, which the sandbox of this exporter does not allow, since none did when it began; restart the exporter to have it");
    assert!(exporter.metrics().contains("ebpf_exporter_scrape_success{config=\"events\"} 1\n"));
}

/// The new one counts its calls, and the old one is told no more.
pub fn a_plugin_is_asked_anew_for_a_map_that_began_anew() {
    let yaml = "
metrics:
  counters:
    - name: kept_sized_total
      help: h
      labels: [{name: n, size: 8, decoders: [{name: wasm, plugin: guest}]}]
plugins:
  guest: {file: guest.wasm}
";
    let mut configs = Configs::new();
    fs::write(configs.path().join("guest.wasm"), guests::component("echo")).unwrap();
    let session = Session::new();
    configs.add("kept", yaml, &session.object_of("kept"));
    let exporter = Exporter::start(configs.flags().into_iter().chain([LIFECYCLE.to_owned()]));
    let calls = || {
        let page = exporter.metrics();
        let calls =
            page.lines().filter(|line| line.starts_with("ebpf_exporter_plugin_calls_total{"));
        calls.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    for key in 0..5 {
        session.keep(u64::from_ne_bytes([b'a' + key; 8]), 1);
        calls();
    }
    assert!(calls() >= 5);
    replace(&configs.path().join("kept.bpf.o"), session.object_of("kept_grown"));
    assert_eq!(reloaded(&exporter), "reloaded: changed kept\n");
    session.keep(u64::from_ne_bytes(*b"newnewne"), 1);
    assert!((1..5).contains(&calls()), "{}", calls());
}

/// Their family has what both say now: its labels and its help.
pub fn configs_of_one_family_change_together() {
    let mut configs = Configs::new();
    let one = configs.add_workload("one", TWO);
    let other = configs.add_workload("other", TWO);
    let exporter = Exporter::start(configs.flags().into_iter().chain([LIFECYCLE.to_owned()]));
    one.add("work_hash_total", &flow(1, b"a"), 3);
    other.add("work_hash_total", &flow(1, b"a"), 4);
    let sum = |page: &str, label: &str| {
        sample(page, &format!("ebpf_exporter_work_hash_total{{id=\"1\",{label}=\"a\"}}"))
    };
    assert_eq!(sum(&exporter.metrics(), "text"), Some(7));
    let renamed = TWO.replace("name: text", "name: words").replace("help: h", "help: another");
    for name in ["one.yaml", "other.yaml"] {
        replace(&configs.path().join(name), &renamed);
    }
    assert_eq!(reloaded(&exporter), "reloaded: changed one, other\n");
    let page = exporter.metrics();
    assert_eq!((sum(&page, "words"), sum(&page, "text")), (Some(7), None), "{page}");
    assert!(page.contains("# HELP ebpf_exporter_work_hash_total another\n"));
    // One alone: both are read anew, and nothing counts twice.
    replace(
        &configs.path().join("one.yaml"),
        renamed.replace(
            "decoders: [{name: string}]",
            "decoders: [{name: string}, {name: regexp, regexps: [a]}]",
        ),
    );
    assert_eq!(reloaded(&exporter), "reloaded: changed one\n");
    assert_eq!(sum(&exporter.metrics(), "words"), Some(7));
}
