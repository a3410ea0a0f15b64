//! Configs that cannot be read again: a reload that would cost a program that ran is refused, and all goes on as it was.
//! What is lost in one that works is told to who asked for it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use insta::assert_snapshot;
use regex::Regex;
use serde_json::Value;

use crate::configs::Configs;
use crate::exporter::{Exporter, sample, until};
use crate::reload::{LIFECYCLE, another, reload, replace};
use crate::workload::Session;

const KEPT: &str = "metrics: {counters: [
    {name: kept_total, help: h, labels: [{name: n, size: 8, decoders: [{name: uint}]}]},
    {name: kept_sized_total, help: h, labels: [{name: n, size: 8, decoders: [{name: uint}]}]}]}";

const STRICT: &str = "--config.strict";

/// An exporter of configs of these objects, one each, that all hear the same session.
fn served(objects: &[(&str, &str)], more: &[&str]) -> (Configs, Session, Exporter) {
    let (mut configs, session) = (Configs::new(), Session::new());
    for (name, object) in objects {
        configs.add(name, KEPT, &session.object_of(object));
    }
    let more = [LIFECYCLE].iter().chain(more).map(|flag| (*flag).to_owned());
    let exporter = Exporter::start(configs.flags().into_iter().chain(more));
    (configs, session, exporter)
}

fn object(configs: &Configs, name: &str) -> PathBuf {
    configs.path().join(format!("{name}.bpf.o"))
}

/// What is counted of the key 7, of all configs.
fn total(exporter: &Exporter) -> Option<u64> {
    sample(&exporter.metrics(), "ebpf_exporter_kept_total{n=\"7\"}")
}

/// What an answer says, without times.
fn timeless(text: &str) -> String {
    Regex::new(r"(within|for) [0-9.]+[µmn]?s").unwrap().replace_all(text, "$1 TIME").into_owned()
}

/// What the exporter says of the last reload: its metric, and the text of the status page once that tells of it.
fn last(exporter: &Exporter, worked: bool) -> String {
    let successful = sample(&exporter.metrics(), "ebpf_exporter_config_last_reload_successful");
    assert_eq!(successful, Some(worked.into()));
    let last = || {
        let status: Value = serde_json::from_str(&exporter.page("/api/v1/status")).unwrap();
        status["reloads"]["last"].clone()
    };
    // It is made anew once a second.
    until("the page tells of it", || last()["success"] == worked);
    last()["text"].as_str().unwrap().to_owned()
}

/// Whether what is not there is the hook of one program alone, or of one of two, and under whatever name.
pub fn a_hook_that_is_mistyped_changes_nothing() {
    let mut told = String::new();
    for (old, new) in
        [("kept", "kept_renamed"), ("kept_pair", "kept_pair_mistyped"), ("kept", "kept_mistyped")]
    {
        for more in [&[][..], &[STRICT]] {
            let (configs, session, exporter) = served(&[("work", old)], more);
            session.keep(7, 3);
            let programs = exporter.programs();
            replace(&object(&configs, "work"), session.object_of(new));
            let (status, text) = reload(&exporter);
            assert_eq!(status, 500, "{new}: {text}");
            session.keep(7, 10);
            assert_eq!(total(&exporter), Some(13), "{new}");
            assert_eq!(exporter.programs(), programs, "{new}");
            assert!(last(&exporter, false).starts_with(
                "failed to reload, the old configs go on: config `work`: failed to attach program `"
            ));
            told = text;
        }
    }
    let told = Regex::new(r"kernel \([^)]*\)").unwrap().replace(&told, "kernel (RELEASE)");
    assert_snapshot!(told, @"failed to reload, the old configs go on: config `work`: failed to attach program `kept` (tracepoint/syscalls/sys_enter_prctI): this kernel (RELEASE) has no tracepoint `syscalls/sys_enter_prctI`; did you mean `syscalls/sys_enter_prctl`?");
}

/// Of what is known before, no program is touched: each call is counted while reloads are refused.
pub fn what_is_certain_to_fail_misses_nothing() {
    let (configs, session, exporter) = served(&[("aa", "kept_pair")], &[]);
    let (done, added) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                session.keep(7, 1);
                added.fetch_add(1, Ordering::Relaxed);
            }
        });
        for new in ["kept_mistyped", "kept_renamed", "kept_pair_mistyped"].iter().cycle().take(12) {
            replace(&object(&configs, "aa"), session.object_of(new));
            let (status, text) = reload(&exporter);
            assert_eq!(status, 500, "{text}");
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(total(&exporter), Some(added.load(Ordering::Relaxed)));
}

/// As at a start: it is told, and a fault only to who wants all of them.
pub fn a_program_that_is_new_may_fail_and_is_named() {
    let (configs, session, exporter) = served(&[("work", "kept")], &[]);
    replace(&object(&configs, "work"), session.object_of("kept_elsewhere"));
    let (status, text) = reload(&exporter);
    assert_eq!(status, 200, "{text}");
    assert_snapshot!(timeless(&text), @"
    reloaded: changed work
    config `work`: failed to attach program `elsewhere` (uprobe//no/such/file:nothing): no file `/no/such/file` that could be opened
    config `work`: program `kept` was replaced; it missed what came within TIME
    ");
    let told = last(&exporter, true);
    assert_snapshot!(timeless(&told), @"changed work; config `work`: failed to attach program `elsewhere` (uprobe//no/such/file:nothing): no file `/no/such/file` that could be opened; config `work`: program `kept` was replaced; it missed what came within TIME");
    session.keep(7, 3);
    assert_eq!(total(&exporter), Some(3));
    let (configs, session, exporter) = served(&[("work", "kept")], &[STRICT]);
    let programs = exporter.programs();
    replace(&object(&configs, "work"), session.object_of("kept_elsewhere"));
    let (status, text) = reload(&exporter);
    assert_eq!(status, 500);
    assert_snapshot!(text, @"failed to reload, the old configs go on: config `work`: failed to attach program `elsewhere` (uprobe//no/such/file:nothing): no file `/no/such/file` that could be opened; see that it is there where the exporter runs: a container has files of its own");
    assert_eq!(exporter.programs(), programs);
}

pub fn totals_that_begin_anew_are_told_or_a_fault() {
    for (more, expected) in [(&[][..], 200), (&[STRICT], 500)] {
        let (configs, session, exporter) = served(&[("work", "kept")], more);
        session.keep(7, 3);
        let programs = exporter.programs();
        replace(&object(&configs, "work"), session.object_of("kept_grown"));
        let (status, text) = reload(&exporter);
        assert_eq!(status, expected, "{text}");
        let told = timeless(&last(&exporter, status == 200));
        assert!(told.contains("`kept_sized_total`"), "{told}");
        let sized = "ebpf_exporter_kept_sized_total{n=\"7\"}";
        session.keep(7, 10);
        let page = exporter.metrics();
        if status == 200 {
            assert_snapshot!(timeless(&text), @"
            reloaded: changed work
            config `work`: map `kept_sized_total` begins anew: max_entries 1024, was 512
            config `work`: map `kept_struct_total` begins anew: the fields of its keys or values are others
            config `work`: program `kept` was replaced; it missed what came within TIME
            ");
            assert_eq!(sample(&page, sized), Some(10));
        } else {
            assert_snapshot!(text, @"failed to reload, the old configs go on: config `work`: maps begin anew, and their totals with them: `kept_sized_total` (max_entries 1024, was 512), `kept_struct_total` (the fields of its keys or values are others); restart the exporter to have it so, or leave out --config.strict");
            assert_eq!(sample(&page, sized), Some(13));
            assert_eq!(exporter.programs(), programs);
        }
    }
}

/// What its labels do not know of records that were counted nobody knows.
pub fn records_that_are_counted_anew_are_told_or_a_fault() {
    let counted = |labels: &str| {
        format!(
            "metrics: {{counters: [{{name: ring_events_total, help: h, ringbuf: true, labels: [{labels}]}}]}}"
        )
    };
    let key = "{name: key, size: 8, decoders: [{name: uint}]}";
    for (more, expected) in [(&[][..], 200), (&[STRICT], 500)] {
        let (mut configs, session) = (Configs::new(), Session::new());
        configs.add("events", &counted(key), &session.object_of("events"));
        let more = [LIFECYCLE].iter().chain(more).map(|flag| (*flag).to_owned());
        let exporter = Exporter::start(configs.flags().into_iter().chain(more));
        let both = format!("{key}, {{name: text, size: 8, decoders: [{{name: string}}]}}");
        replace(&configs.path().join("events.yaml"), counted(&both));
        let (status, text) = reload(&exporter);
        assert_eq!(status, expected, "{text}");
        let why = ["`ring_events_total`", "labels take 16 bytes of a record, was 8"];
        assert!(why.iter().all(|part| text.contains(part)), "{text}");
    }
}

/// One of them does not attach, which nobody knows before others have changed places.
pub fn of_several_configs_all_change_or_none() {
    for beyond in ["aa", "bb", "cc"] {
        let names = ["aa", "bb", "cc"];
        let (configs, session, exporter) = served(&names.map(|name| (name, "kept")), &[]);
        session.keep(7, 3);
        let programs = exporter.programs();
        for name in names {
            let new = if name == beyond {
                session.object_of("kept_beyond")
            } else {
                another(&session.object_of("kept"), 0)
            };
            replace(&object(&configs, name), new);
        }
        let (status, text) = reload(&exporter);
        assert_eq!(status, 500, "{text}");
        let expected = format!(
            "failed to reload, the old configs go on: config `{beyond}`: failed to attach program `kept` ("
        );
        assert!(text.starts_with(&expected), "{text}");
        // All that was detached for it.
        let missed = names.iter().position(|name| *name == beyond).unwrap() + 1;
        assert_eq!(
            text.matches("program `kept` runs again; it missed what came within").count(),
            missed,
            "{text}"
        );
        session.keep(7, 10);
        assert_eq!(total(&exporter), Some(39));
        assert_eq!(exporter.programs(), programs);
        // What is right by now is read.
        replace(&object(&configs, beyond), another(&session.object_of("kept"), 0));
        let (status, text) = reload(&exporter);
        assert_eq!((status, text.lines().next()), (200, Some("reloaded: changed aa, bb, cc")));
        session.keep(7, 100);
        assert_eq!(total(&exporter), Some(339));
    }
}

/// The sandbox holds to what the link meant at the start.
pub fn a_directory_that_is_a_link_to_another_one_is_said() {
    let mut configs = Configs::new();
    let session = configs.add_workload("work", "metrics: {counters: [{name: work_plain_total, help: h, labels: [{name: n, size: 4, decoders: [{name: uint}]}]}]}");
    let (elsewhere, links) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let link = links.path().join("cur");
    let point = |to: &Path| {
        let _ = fs::remove_file(&link);
        symlink(to, &link).unwrap();
    };
    point(configs.path());
    for file in ["work.yaml", "work.bpf.o"] {
        fs::copy(configs.path().join(file), elsewhere.path().join(file)).unwrap();
    }
    let dir = format!("--config.dir={}", link.display());
    let flags = [&*dir, "--config.names=work", "--capabilities.keep=none", LIFECYCLE];
    let exporter = Exporter::start(flags);
    session.add("work_plain_total", &7u32.to_ne_bytes(), 1);
    assert_eq!(reload(&exporter), (200, "reloaded: nothing has changed\n".to_owned()));
    point(elsewhere.path());
    let (status, text) = reload(&exporter);
    assert_eq!(status, 500);
    assert_snapshot!(text.replace(link.to_str().unwrap(), "CUR"), @"failed to reload, the old configs go on: CUR is another directory than at the start, and the sandbox (Landlock) of this exporter lets only that one be read; restart the exporter to have the other, or give --config.dir a directory whose files are replaced");
    point(configs.path());
    assert_eq!(reload(&exporter).0, 200);
}
