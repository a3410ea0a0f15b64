//! Maps and programs that stay in the kernel while no exporter runs: what is counted meanwhile, and what the next one
//! makes of it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;

use insta::assert_snapshot;
use libbpf_rs::ProgramHandle;
use regex::Regex;

use crate::bpffs::{Bpffs, PINS};
use crate::configs::Configs;
use crate::exporter::{BINARY, Exporter, copy_program, sample, until_gone};
use crate::guests;
use crate::reload::{LIFECYCLE, reload, reloaded, replace};
use crate::workload::Session;

/// Each of the maps of `kept.bpf.c`, and of those that it may have.
const KEPT: &str = "metrics: {counters: [
    {name: kept_total, help: h, labels: [{name: n, size: 8, decoders: [{name: uint}]}]},
    {name: kept_cpu_total, help: h, labels: [{name: n, size: 8, decoders: [{name: uint}]}]},
    {name: kept_sized_total, help: h, labels: [{name: n, size: 8, decoders: [{name: uint}]}]},
    {name: kept_struct_total, help: h, labels: [{name: n, size: 8, decoders: [{name: uint}]}]}]}";

/// All of its metrics that go on.
const ALL: [&str; 4] = ["kept_total", "kept_cpu_total", "kept_sized_total", "kept_struct_total"];

fn configs(object: &str, session: Session) -> Configs {
    let mut configs = Configs::new();
    configs.add("kept", KEPT, &session.object_of(object));
    configs
}

/// What it serves of the key 7 in each of these metrics.
fn served(exporter: &Exporter, metrics: &[&str]) -> Vec<Option<u64>> {
    let page = exporter.metrics();
    let of = |metric: &&str| sample(&page, &format!("ebpf_exporter_{metric}{{n=\"7\"}}"));
    metrics.iter().map(of).collect()
}

/// What is said of pins, and of how programs came to run.
fn of_pins(log: &str) -> String {
    let about = ["on with", "run on", "anew", "program `", " pin"];
    let lines = log.lines().filter(|line| about.iter().any(|word| line.contains(word)));
    let lines: Vec<_> = lines.filter(|line| !line.contains("ebpf_wasm_exporter 0")).collect();
    Regex::new("within [^ ]+").unwrap().replace_all(&lines.join("\n"), "within TIME").into_owned()
}

/// However the exporter ends, and another binary goes on.
pub fn counts_go_on_while_no_exporter_runs() {
    let (bpffs, session) = (Bpffs::mount(), Session::new());
    let configs = configs("kept", session);
    let first = bpffs.start(BINARY, &configs);
    session.keep(7, 3);
    assert_eq!(served(&first, &ALL), [Some(3); 4]);
    let programs = first.programs();
    first.kill();
    drop(first);
    session.keep(7, 10);

    let elsewhere = tempfile::tempdir().unwrap();
    let binary = elsewhere.path().join("another");
    copy_program(BINARY, &binary);
    let next = bpffs.start(binary.to_str().unwrap(), &configs);
    assert_eq!(served(&next, &ALL), [Some(13); 4]);
    assert_eq!(next.programs(), programs);
    session.keep(7, 100);
    assert_eq!(served(&next, &ALL), [Some(113); 4]);
    // A variable of the object: how often it was told to.
    let variable = "ebpf_exporter_map_insert_failures_total{config=\"kept\"}";
    assert_eq!(sample(&next.metrics(), variable), Some(3));
    next.terminate();
    let (status, log) = next.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_snapshot!(of_pins(&log), @r#"
     INFO 5 maps go on with what they hold config="kept"
     INFO 1 program has run on config="kept"
    "#);
    session.keep(7, 1000);

    let last = bpffs.start(BINARY, &configs);
    assert_eq!(served(&last, &ALL), [Some(1113); 4]);
    assert_eq!(last.programs(), programs);
    let held = descriptors(&last);
    last.terminate();
    last.wait();
    let again = bpffs.start(BINARY, &configs);
    assert_eq!(served(&again, &ALL), [Some(1113); 4]);
    assert_eq!(descriptors(&again), held);
}

/// How many files it has open, without sockets, which come and go.
fn descriptors(exporter: &Exporter) -> usize {
    let dir = fs::read_dir(format!("/proc/{}/fd", exporter.process())).unwrap();
    let targets = dir.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    targets.filter(|target| !target.as_os_str().as_encoded_bytes().starts_with(b"socket:")).count()
}

/// Its maps of another shape begin anew, the others go on, and no call is counted by both programs.
pub fn a_changed_object_goes_on_with_what_it_can() {
    let (bpffs, session) = (Bpffs::mount(), Session::new());
    let first = bpffs.start(BINARY, &configs("kept", session));
    session.keep(7, 3);
    let programs = first.programs();
    first.kill();
    drop(first);
    let grown = configs("kept_grown", session);
    let strict: Vec<_> =
        grown.flags().into_iter().chain(["--config.strict".into(), PINS.into()]).collect();
    let strict: Vec<_> = strict.iter().map(String::as_str).collect();
    let said = bpffs.told(&strict);
    assert_eq!(said.code, Some(4), "{said:?}");
    let error = said.stderr.lines().last().unwrap();
    assert_snapshot!(error, @"error: failed to load config `kept`: the map that is pinned of `kept_sized_total` has another shape: max_entries 1024, was 512; have it begin anew with `ebpf_wasm_exporter unpin --bpf.pin-dir=/sys/fs/bpf/ebpf_exporter kept`, or leave out --config.strict");
    // Nothing has changed by that.
    session.keep(7, 10);

    let next = bpffs.start(BINARY, &grown);
    until_gone(&programs);
    session.keep(7, 100);
    assert_eq!(served(&next, &ALL), [Some(113), Some(113), Some(100), Some(100)]);
    next.terminate();
    let (_, log) = next.wait();
    assert_snapshot!(of_pins(&log), @r#"
     WARN map `kept_sized_total` begins anew: max_entries 1024, was 512; what is pinned of it is let go config="kept"
     WARN map `kept_struct_total` begins anew: the fields of its keys or values are others; what is pinned of it is let go config="kept"
     INFO 3 maps go on with what they hold config="kept"
     INFO program `kept` was replaced; it missed what came within TIME config="kept"
    "#);
    session.keep(7, 1000);
    let last = bpffs.start(BINARY, &grown);
    assert_eq!(served(&last, &ALL), [Some(1113), Some(1113), Some(1100), Some(1100)]);
}

/// Whether its program fails for certain, or only once the pinned one was detached for it, and if another config could
/// have changed.
pub fn a_strict_start_that_is_refused_changes_nothing() {
    for new in ["kept_mistyped", "kept_renamed", "kept_late", "kept_beyond", "kept_elsewhere"] {
        let (bpffs, session) = (Bpffs::mount(), Session::new());
        let mut configs = configs("kept", session);
        configs.add("other", KEPT, &session.object_of("kept"));
        let first = bpffs.start(BINARY, &configs);
        session.keep(7, 3);
        let (programs, pinned) = (first.programs(), bpffs.pinned());
        first.terminate();
        first.wait();
        let object = |name: &str| configs.path().join(format!("{name}.bpf.o"));
        replace(&object("kept"), session.object_of(new));
        replace(&object("other"), session.object_of("kept_pair"));
        let flags = configs.flags();
        let flags = flags.iter().map(String::as_str).chain(["--config.strict", PINS]);
        let said = bpffs.told(&flags.collect::<Vec<_>>());
        // Of `kept_beyond` a map has another shape.
        let expected = if new == "kept_beyond" { 4 } else { 5 };
        assert_eq!(said.code, Some(expected), "{new}: {said:?}");
        assert_eq!(bpffs.pinned(), pinned, "{new}");
        session.keep(7, 10);
        for name in ["kept", "other"] {
            replace(&object(name), session.object_of("kept"));
        }
        let last = bpffs.start(BINARY, &configs);
        assert_eq!(served(&last, &ALL), [Some(26); 4], "{new}");
        assert_eq!(last.programs(), programs, "{new}");
    }
}

/// Of those that have changed before another one is refused too, what is pinned is what was.
pub fn of_several_configs_all_change_or_none() {
    for beyond in ["aa", "bb"] {
        let (bpffs, session) = (Bpffs::mount(), Session::new());
        let mut configs = Configs::new();
        let names = ["aa", "bb"];
        names.iter().for_each(|name| configs.add(name, KEPT, &session.object_of("kept")));
        let first = bpffs.start(BINARY, &configs);
        session.keep(7, 3);
        let (programs, pinned) = (first.programs(), bpffs.pinned());
        for name in names {
            let new = if name == beyond { "kept_beyond" } else { "kept_pair" };
            let object = configs.path().join(format!("{name}.bpf.o"));
            replace(&object, session.object_of(new));
        }
        let (status, text) = reload(&first);
        assert_eq!(status, 500, "{text}");
        assert_eq!((first.programs(), bpffs.pinned()), (programs.clone(), pinned));
        first.kill();
        drop(first);
        session.keep(7, 10);
        for name in names {
            replace(&configs.path().join(format!("{name}.bpf.o")), session.object_of("kept"));
        }
        let next = bpffs.start(BINARY, &configs);
        assert_eq!(served(&next, &ALL), [Some(26); 4]);
        assert_eq!(next.programs(), programs);
    }
}

/// A reload that is refused leaves what is pinned as it was, and one that works leaves what is new.
pub fn what_a_reload_makes_is_what_goes_on() {
    let (bpffs, session) = (Bpffs::mount(), Session::new());
    let configs = configs("kept", session);
    let object = configs.path().join("kept.bpf.o");
    let first = bpffs.start(BINARY, &configs);
    session.keep(7, 3);
    let programs = first.programs();
    let pinned = bpffs.pinned();
    replace(&object, session.object_of("kept_beyond"));
    let (status, text) = reload(&first);
    assert_eq!(status, 500, "{text}");
    assert_eq!(bpffs.pinned(), pinned);
    session.keep(7, 10);
    assert_eq!(served(&first, &ALL), [Some(13); 4]);
    first.kill();
    drop(first);
    session.keep(7, 100);
    replace(&object, session.object_of("kept"));
    let next = bpffs.start(BINARY, &configs);
    assert_eq!(served(&next, &ALL), [Some(113); 4]);
    assert_eq!(next.programs(), programs);

    replace(&object, session.object_of("kept_grown"));
    let (status, text) = reload(&next);
    assert_eq!(status, 200, "{text}");
    session.keep(7, 1000);
    let programs = next.programs();
    next.kill();
    drop(next);
    session.keep(7, 10_000);
    let last = bpffs.start(BINARY, &configs);
    assert_eq!(served(&last, &ALL[..2]), [Some(11_113); 2]);
    assert_eq!(served(&last, &["kept_sized_total"]), [Some(11_000)]);
    assert_eq!(last.programs(), programs);
}

/// Not even of a config that was loaded before another one was refused.
pub fn a_reload_that_is_refused_leaves_nothing_pinned() {
    let (bpffs, session) = (Bpffs::mount(), Session::new());
    let mut configs = configs("kept", session);
    configs.add("other", KEPT, &session.object_of("kept"));
    let exporter = bpffs.start(BINARY, &configs);
    let (pinned, programs) = (bpffs.pinned(), exporter.programs());
    for refused in ["kept_refused", "kept_beyond"] {
        // Whichever comes first.
        for (one, two) in [("kept", "other"), ("other", "kept")] {
            let object = |name: &str| configs.path().join(format!("{name}.bpf.o"));
            let grown = if refused == "kept_refused" { "kept_grown" } else { "kept" };
            replace(&object(one), session.object_of(grown));
            replace(&object(two), session.object_of(refused));
            let (status, text) = reload(&exporter);
            assert_eq!(status, 500, "{text}");
            assert_eq!((bpffs.pinned(), exporter.programs()), (pinned.clone(), programs.clone()));
        }
    }
    session.keep(7, 3);
    assert_eq!(served(&exporter, &ALL), [Some(6); 4], "both count");
}

/// One of the default set goes with its plugin.
pub fn a_config_that_goes_in_a_reload_takes_its_pins_along() {
    let (bpffs, plugins) = (Bpffs::mount(), tempfile::tempdir().unwrap());
    let plugin = plugins.path().join("cidr.wasm");
    fs::write(&plugin, guests::component("echo")).unwrap();
    let mut command = bpffs.command(BINARY);
    command.args([PINS, LIFECYCLE, "--log.no-timestamps", "--web.listen-address=127.0.0.1:0"]);
    command.arg("--plugins.dir").arg(plugins.path());
    let exporter = Exporter::serve(&mut command);
    let pinned = || {
        let configs = fs::read_dir(bpffs.file("ebpf_exporter")).unwrap();
        configs
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect::<BTreeSet<_>>()
    };
    let all = pinned();
    assert!(all.len() > 1 && all.contains("tcp-connections"), "{all:?}");
    fs::remove_file(&plugin).unwrap();
    assert_eq!(reload(&exporter), (200, "reloaded: removed tcp-connections\n".to_owned()));
    let mut others = all.clone();
    others.remove("tcp-connections");
    assert_eq!(pinned(), others);
    fs::write(&plugin, guests::component("echo")).unwrap();
    assert_eq!(reloaded(&exporter), "reloaded: added tcp-connections\n");
    assert_eq!(pinned(), all);
}

/// libbpf would switch a uprobe off at an orderly end. Its file is another one after an upgrade.
pub fn a_program_at_a_file_stays_there_and_goes_with_it() {
    let bpffs = Bpffs::mount();
    let mut configs = Configs::new();
    let yaml = "metrics: {counters: [{name: marks_total, help: h, labels: [{name: n, size: 4, decoders: [{name: uint}]}]}]}";
    configs.add_object("marked", yaml);
    let marks = |exporter: &Exporter| {
        let page = exporter.metrics();
        page.lines().filter(|line| line.starts_with("ebpf_exporter_marks_total{")).count()
    };
    // Of their own: at the same file the exporters of other tests would be counted.
    let elsewhere = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| {
        let binary = elsewhere.path().join(name);
        copy_program(BINARY, &binary);
        binary.to_str().unwrap().to_owned()
    });
    let mut programs = Vec::new();
    for (started, binary) in [&one, &one, &other, &one].into_iter().enumerate() {
        let exporter = bpffs.start(binary, &configs);
        // One mark of each start until then.
        assert_eq!(marks(&exporter), started + 1);
        programs.push(exporter.programs());
        exporter.terminate();
        assert_eq!(exporter.wait().0.code(), Some(0));
    }
    assert_eq!(programs[0], programs[1]);
    assert_ne!(programs[1], programs[2]);
    assert_ne!(programs[2], programs[3]);
}

/// Links of samples, one for each CPU, have no name.
pub fn what_cannot_stay_is_said() {
    let bpffs = Bpffs::mount();
    let mut configs = Configs::new();
    let yaml = "metrics: {counters: [{name: clock_ticks_total, help: h, \
                labels: [{name: n, size: 4, decoders: [{name: uint}]}]}]}";
    configs.add_object("sampled", yaml);
    let exporter = bpffs.start(BINARY, &configs);
    exporter.terminate();
    let (_, log) = exporter.wait();
    let mut told: Vec<_> = log.lines().filter(|line| line.contains("stops counting")).collect();
    told.sort_unstable();
    assert_snapshot!(told.join("\n"), @r#"
     INFO program `switched` stops counting when the exporter ends: its link cannot be pinned config="sampled"
     INFO program `tick` stops counting when the exporter ends: its link cannot be pinned config="sampled"
    "#);
    let pinned = |kind: &str| fs::read_dir(bpffs.file(kind)).unwrap().count();
    assert_eq!(pinned("ebpf_exporter/sampled/links"), 0);
    assert_ne!(pinned("ebpf_exporter/sampled/maps"), 0);
}

pub fn what_is_unpinned_counts_no_more() {
    let (bpffs, session) = (Bpffs::mount(), Session::new());
    let exporter = bpffs.start(BINARY, &configs("kept", session));
    let programs = exporter.programs();
    exporter.kill();
    drop(exporter);
    assert!(ProgramHandle::from_prog_id(programs[0]).is_ok());
    let (code, said) = bpffs.unpin(&["kpet"]);
    assert_eq!(code, Some(2), "{said}");
    assert_snapshot!(said, @"error: nothing is pinned of config `kpet` in /sys/fs/bpf/ebpf_exporter; it has pins of kept");
    let (code, said) = bpffs.unpin(&["kept"]);
    assert_eq!(code, Some(0), "{said}");
    assert_snapshot!(said, @"kept: let go of program kept; maps kept.bss, kept.rodata, kept_cpu_total, kept_events, kept_sized_total, kept_struct_total, kept_total");
    until_gone(&programs);
    assert_eq!(fs::read_dir(bpffs.file("ebpf_exporter")).unwrap().count(), 0);

    // While one serves, nothing of it goes before it ends.
    let exporter = bpffs.start(BINARY, &configs("kept", session));
    let programs = exporter.programs();
    let (code, said) = bpffs.unpin(&["--all"]);
    assert_eq!(code, Some(0), "{said}");
    assert_snapshot!(said, @"
    kept: let go of program kept; maps kept.bss, kept.rodata, kept_cpu_total, kept_events, kept_sized_total, kept_struct_total, kept_total
    an exporter has this directory: what it serves goes when it ends
    ");
    session.keep(7, 3);
    assert_eq!(served(&exporter, &ALL[..1]), [Some(3)]);
    exporter.terminate();
    exporter.wait();
    until_gone(&programs);
}

/// Others may be pinned there, and what an exporter has not put there stays.
pub fn what_is_not_its_own_is_left_alone() {
    let (bpffs, session) = (Bpffs::mount(), Session::new());
    let first = bpffs.start(BINARY, &configs("kept", session));
    drop(first);
    let mut others = Configs::new();
    others.add("other", KEPT, &session.object_of("kept"));
    let second = bpffs.start(BINARY, &others);
    second.terminate();
    let (_, log) = second.wait();
    let told = log.lines().find(|line| line.contains("not served")).unwrap();
    assert_snapshot!(told, @" INFO 1 config that is not served goes on counting in /sys/fs/bpf/ebpf_exporter: kept; to let go of it: ebpf_wasm_exporter unpin --bpf.pin-dir=/sys/fs/bpf/ebpf_exporter CONFIG");
    fs::create_dir(bpffs.file("ebpf_exporter/kept/mine")).unwrap();
    let (code, said) = bpffs.unpin(&["--all"]);
    assert_eq!(code, Some(1), "{said}");
    assert_snapshot!(said, @"error: no exporter has put /sys/fs/bpf/ebpf_exporter/kept/mine there; see whose it is, and remove it by hand");
    assert!(bpffs.file("ebpf_exporter/kept/links").exists());
}

pub fn a_directory_that_cannot_be_had_is_said() {
    let (bpffs, session) = (Bpffs::mount(), Session::new());
    let configs = configs("kept", session);
    let (mut flags, mut all) = (configs.flags().to_vec(), String::new());
    flags.push("--web.listen-address=127.0.0.1:0".into());
    let mut tell = |dir: &str, code: i32| {
        let dir = format!("--bpf.pin-dir={dir}");
        let flags: Vec<_> = flags.iter().map(String::as_str).chain([&*dir]).collect();
        let said = bpffs.told(&flags);
        assert_eq!(said.code, Some(code), "{dir}: {said:?}");
        all.push_str(said.stderr.lines().last().unwrap());
        all.push('\n');
    };
    tell("/tmp/nobody-makes-this", 2);
    assert!(!PathBuf::from("/tmp/nobody-makes-this").exists());
    tell("/sys/fs/bpf/with.dot", 2);
    tell("/sys/fs/bpf/no/such", 2);
    let open = bpffs.file("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    tell("/sys/fs/bpf/open", 2);
    let theirs = bpffs.file("theirs");
    fs::create_dir(&theirs).unwrap();
    chown(&theirs, Some(65534), None).unwrap();
    tell("/sys/fs/bpf/theirs", 2);
    let _first = bpffs.start(BINARY, &configs);
    tell("/sys/fs/bpf/ebpf_exporter", 1);
    assert_snapshot!(all, @"
    error: the directory of pins /tmp/nobody-makes-this is not in a BPF file system; mount -t bpf bpf /sys/fs/bpf, and give a directory there: /sys/fs/bpf/ebpf_exporter
    error: failed to open the directory of pins /sys/fs/bpf/with.dot: operation not permitted; names in a BPF file system have no dots: give another
    error: failed to open the directory of pins /sys/fs/bpf/no/such: no such file or directory; make the directory above it
    error: others may write into the directory of pins /sys/fs/bpf/open: its mode is 777; if nobody else was there: chmod 700 /sys/fs/bpf/open; else remove it
    error: the directory of pins /sys/fs/bpf/theirs belongs to the user 65534, not to 0, who runs the exporter; give another, or remove it: rm -r /sys/fs/bpf/theirs
    error: another exporter has the directory of pins /sys/fs/bpf/ebpf_exporter; stop it, or give each a directory of its own
    ");
}

/// What is only tried leaves nothing behind, and takes nothing over.
pub fn a_check_pins_nothing() {
    let (bpffs, session) = (Bpffs::mount(), Session::new());
    let configs = configs("kept", session);
    let flags = configs.flags();
    let flags = flags.iter().map(String::as_str).chain([PINS, "--config.check"]);
    let said = bpffs.told(&flags.collect::<Vec<_>>());
    assert_eq!((said.code, &*said.stdout), (Some(0), "ok\n"), "{said:?}");
    assert!(!bpffs.file("ebpf_exporter").exists());
}
