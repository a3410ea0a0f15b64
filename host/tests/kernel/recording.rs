//! A recording of the kernel's maps, replayed without the kernel; and those that `tests/replay` replays, held
//! against this kernel.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ebpf_wasm_exporter::config::ConfigFile;
use ebpf_wasm_exporter::plugin::Loader;
use ebpf_wasm_exporter::scrape::{Fed, Scraper, Unit};
use ebpf_wasm_exporter::source::recording::{Head, Player, Recorder, Tape};
use ebpf_wasm_exporter::source::{MapReader, Source};
use ebpf_wasm_exporter::source::{Reading, Way};
use ebpf_wasm_exporter::startup;
use ebpf_wasm_exporter::system::System;
use ebpf_wasm_exporter::tools::record;
use rustix::process::{Pid, Signal, kill_process};

use crate::cases::{Case, FILES, WHOLE, Work};
use crate::configs::Configs;
use crate::exact::{Maps, running};
use crate::exporter::BINARY;
use crate::plugins::places;

/// After this, what should have come will not.
const HANG: Duration = Duration::from_secs(60);

/// Another reader of each map of these units.
fn readers(units: &[Unit]) -> Vec<MapReader> {
    let metrics = units.iter().flat_map(|unit| unit.metrics.iter().map(move |fed| (unit, fed)));
    let reader = |(unit, fed): (&Unit, &Fed)| {
        let attached = unit.attached.as_ref().expect("it is in the kernel");
        let map = attached.map(&fed.layout.map).expect("the object has it");
        MapReader::new(map, Reading::Pinned(Way::Batch), None).expect("it can be read")
    };
    metrics.map(reader).collect()
}

fn replayed(file: &Path, readings: usize) -> Vec<Vec<u8>> {
    let tape = Tape::open(file).unwrap();
    let files = startup::replay::recorded(tape.head(), file);
    let tape = Arc::new(Mutex::new(tape));
    let (places, system) = (places(), System::default());
    let loader = &mut Loader::new(places.compiler.clone(), None);
    let (units, faults) = startup::replay::units(&tape, files, &places, &system, loader);
    assert_eq!(faults, []);
    let mut scraper = Scraper::new(units);
    let mut reading = || {
        scraper.read_maps();
        scraper.maps_text()
    };
    (0..readings).map(|_| reading()).collect()
}

pub fn a_replay_gives_the_bytes_that_were_served() {
    let mut served = Vec::new();
    let recording = recorded(WHOLE, |scraper| {
        scraper.read_maps();
        served.push(scraper.maps_text());
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("work.rec");
    fs::write(&file, recording).unwrap();
    assert!(served.windows(2).all(|two| two[0] != two[1]), "each reading is another");
    assert_eq!(replayed(&file, served.len()), served);
}

/// A recording of these cases, counted anew. `then` is given the scraper of the same maps after each reading.
fn recorded(cases: &[Case], mut then: impl FnMut(&mut Scraper)) -> Vec<u8> {
    let mut configs = Configs::new();
    let sessions: Vec<_> =
        cases.iter().map(|case| configs.add_workload(case.name, &case.yaml())).collect();
    let running = running(&configs);
    let of = |case: &Case| running.iter().find(|config| config.name == case.name).unwrap();
    let all = cases.iter().zip(sessions);
    let works: Vec<_> =
        all.map(|(case, session)| (case, Work { session, maps: Maps::of(of(case)) })).collect();
    let file =
        |case: &Case| ConfigFile::new(Path::new(case.name).with_extension("yaml"), case.yaml());
    let files: Vec<_> = cases.iter().map(file).collect();
    let units = startup::units(running, Reading::Pinned(Way::Batch)).unwrap();
    // It is replayed elsewhere too, and is to become the same there.
    let head = Head { boot: String::new(), ..record::head(&files, &units) };
    let mut recorder = Recorder::begin(Vec::new(), &head).unwrap();
    let mut readers = readers(&units);
    let mut scraper = Scraper::new(units);
    let readings = cases.iter().map(|case| case.readings.len()).max().unwrap();
    for reading in 0..readings {
        for (case, work) in &works {
            if let Some(count) = case.readings.get(reading) {
                count(work);
            }
        }
        let sources = readers.iter_mut().map(|reader| reader as &mut dyn Source);
        recorder.reading(Duration::from_secs(reading as u64), sources).unwrap();
        then(&mut scraper);
    }
    recorder.end().unwrap()
}

/// All that a recording says, but for the order of keys, which is another in every map.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    head: Head,
    /// Of each reading, each map: its keys, with their values.
    readings: Vec<Vec<BTreeMap<Vec<u8>, Vec<u64>>>>,
}

impl Told {
    fn by(file: &Path) -> Self {
        let tape = Tape::open(file).unwrap();
        let head = tape.head().clone();
        let tape = Arc::new(Mutex::new(tape));
        let player = |(n, map)| Player::new(&tape, n, map, String::new(), 1);
        let mut players: Vec<_> = head.maps().enumerate().map(player).collect();
        let mut readings = Vec::new();
        while tape.lock().unwrap().advance().unwrap() {
            let rows = |player: &mut Player| {
                let mut rows = BTreeMap::new();
                player
                    .read(&mut |chunk| {
                        let row =
                            chunk.entries().map(|row| (row.key.to_vec(), row.values.to_vec()));
                        rows.extend(row);
                    })
                    .unwrap();
                rows
            };
            readings.push(players.iter_mut().map(rows).collect());
        }
        Self { head, readings }
    }

    /// Whether a recording says the same, as far as it can: it may be of a machine with more or fewer CPUs.
    fn is_told_by(&self, file: &Path) -> bool {
        if !file.exists() {
            return false;
        }
        let other = Self::by(file);
        let cpus = |told: &Self| told.head.maps().map(|map| map.cpus).collect::<Vec<_>>();
        let alike = cpus(self) != cpus(&other) || self.readings == other.readings;
        alike && self.anywhere() == other.anywhere()
    }

    /// Without what is another on each machine: of values, one a CPU, their sum.
    fn anywhere(&self) -> Self {
        let mut told = self.clone();
        (told.head.exporter, told.head.kernel) = (String::new(), String::new());
        let maps = told.head.configs.iter_mut().flat_map(|config| &mut config.maps);
        maps.for_each(|map| map.cpus = 0);
        let rows = told.readings.iter_mut().flatten().flat_map(BTreeMap::values_mut);
        rows.for_each(|values| *values = vec![values.iter().sum()]);
        told
    }
}

/// What is replayed without a kernel is what this one holds when the same is counted. With
/// `RENEW_RECORDINGS` in the environment, a recording that says anything else is written anew.
pub fn those_of_the_repository_are_what_this_kernel_counts() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let made = tempfile::NamedTempFile::new().unwrap();
    for (name, cases) in FILES {
        let (bytes, kept) = (recorded(cases, |_| ()), dir.join(name));
        fs::write(&made, &bytes).unwrap();
        let told = Told::by(made.path());
        if std::env::var_os("RENEW_RECORDINGS").is_some() && !told.is_told_by(&kept) {
            fs::write(&kept, &bytes).unwrap();
        }
        assert!(
            told.is_told_by(&kept),
            "{name} says something else; with RENEW_RECORDINGS=1 this writes it anew: {told:#?}"
        );
    }
}

/// What was typed of one verb, in this directory of configs.
fn said(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(BINARY).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// A thread of ours is on the CPU all the time, so its name is among those of the tasks that are switched
/// to; with `--redact` it is not.
pub fn a_recording_shows_texts_unless_told_not_to() {
    const NAME: &str = "mallory";
    const YAML: &str = "metrics: {counters: [{name: switches_total, help: h, labels: [
        {name: comm, size: 16, decoders: [{name: string}]}]}]}";
    let mut configs = Configs::new();
    configs.add_object("switches", YAML);
    let dir = configs.path().to_str().unwrap();
    for (more, shown) in [(&[][..], true), (&["--redact"], false)] {
        let file = format!("{dir}/x.rec");
        let record =
            ["record", "--config.dir", dir, "--config.names=switches", "--for=1s", "-o", &file];
        let stop = AtomicBool::new(false);
        let (code, text) = thread::scope(|scope| {
            let busy = || {
                while !stop.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(1));
                }
            };
            thread::Builder::new().name(NAME.to_owned()).spawn_scoped(scope, busy).unwrap();
            let said = said(&[&record, more].concat());
            stop.store(true, Ordering::Relaxed);
            said
        });
        assert!(code == Some(0) && text.starts_with("recorded 2 readings, "), "{text}");
        let (code, text) = said(&["replay", &file, "--once"]);
        assert_eq!((code, text.contains(NAME)), (Some(0), shown), "{text}");
        assert!(text.lines().count() > 3, "{text}");
    }
    let wrong = |arguments: &[&str], exit: i32| {
        let record = ["record", "--config.dir", dir, "--config.names=switches"];
        let (code, text) = said(&[&record, arguments].concat());
        assert_eq!(code, Some(exit), "{text}");
        text.lines().last().unwrap().replace(dir, "DIR")
    };
    insta::assert_snapshot!(wrong(&["-o", dir], 1), @"error: DIR: it is there, and no regular file; give --output a file that can be written, on a disk with room");
    insta::assert_snapshot!(wrong(&["-o", "/dev/stdout"], 1), @"error: /dev/stdout: it is a link, which is not replaced; give --output a file that can be written, on a disk with room");
    insta::assert_snapshot!(wrong(&["-o", "x", "--for=1"], 2), @"error: --for=1 is no time up to a year; write one such as 30s or 1m30s");
    insta::assert_snapshot!(wrong(&["-o", "x", "--for=10000h"], 2), @"error: --for=10000h is no time up to a year; write one such as 30s or 1m30s");
    insta::assert_snapshot!(wrong(&["-o", "x", "--interval=1ns"], 2), @"error: --interval=1ns is less than 1ms; write a longer --interval, or a shorter --for");
    insta::assert_snapshot!(wrong(&["-o", "x", "--for=1001s", "--interval=1ms"], 2), @"error: --for=1001s and --interval=1ms are more than 1000000 readings; write a longer --interval, or a shorter --for");
}

/// A signal ends a recording in order. What kills the process leaves all readings that were whole. Nobody else may read
/// either.
pub fn a_recording_may_be_interrupted() {
    const YAML: &str = "metrics: {counters: [{name: switches_total, help: h, labels: [
        {name: comm, size: 16, decoders: [{name: string}]}]}]}";
    let mut configs = Configs::new();
    configs.add_object("switches", YAML);
    let file = configs.path().join("x.rec");
    let path = file.to_str().unwrap();
    let interrupted = |signal| {
        // What an earlier one has written would be taken for this one's.
        let _ = fs::remove_file(&file);
        let mut record = Command::new(BINARY);
        record.arg("record").args(configs.flags()).args([
            "--for=10m",
            "--interval=1ms",
            "-o",
            path,
        ]);
        let mut record = record.stdout(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while readings(&file) < 3 {
            assert!(begun.elapsed() < HANG, "nothing is recorded");
            thread::sleep(Duration::from_millis(10));
        }
        let pid = Pid::from_child(&record);
        kill_process(pid, signal).unwrap();
        let mut text = String::new();
        record.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        (record.wait().unwrap().code(), text)
    };
    let (code, text) = interrupted(Signal::INT);
    assert_eq!(code, Some(0));
    assert!(text.ends_with(" bytes; a signal ended it before its time\n"), "{text}");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let (code, text) = said(&["replay", path, "--once"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, _) = interrupted(Signal::KILL);
    assert_eq!(code, None);
    let whole = readings(&file);
    let (code, text) = said(&["replay", path, "--once"]);
    assert!(code == Some(3) && text.contains(&format!("with --at {whole}\n")), "{text}");
    let (code, text) = said(&["replay", path, &format!("--at={whole}")]);
    assert_eq!(code, Some(0), "{text}");
}

/// How many readings of a file are whole; none if it is not there yet.
fn readings(file: &Path) -> u64 {
    let Ok(mut tape) = Tape::open(file) else { return 0 };
    while let Ok(true) = tape.advance() {}
    tape.readings()
}
