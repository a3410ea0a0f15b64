//! A recording of the kernel's maps, replayed without the kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ebpf_wasm_exporter::config::ConfigFile;
use ebpf_wasm_exporter::scrape::{Scraper, Unit};
use ebpf_wasm_exporter::source::recording::{Recorder, Tape};
use ebpf_wasm_exporter::source::{MapReader, Source};
use ebpf_wasm_exporter::source::{Reading, Way};
use ebpf_wasm_exporter::startup;
use ebpf_wasm_exporter::system::System;
use ebpf_wasm_exporter::tools::record;

use crate::configs::{Configs, WORKLOAD};
use crate::exact;
use crate::exporter::BINARY;
use crate::plugins::places;
use crate::workload::{Session, flow, last_cpu, latency, on_cpu};

/// Another reader of each map of these units.
fn readers(units: &[Unit]) -> Vec<MapReader> {
    let metrics = units.iter().flat_map(|unit| unit.metrics.iter().map(move |fed| (unit, fed)));
    let reader = |(unit, fed): (&Unit, &ebpf_wasm_exporter::scrape::Fed)| {
        let attached = unit.attached.as_ref().expect("it is in the kernel");
        let map = attached.map(&fed.layout.map).expect("the object has it");
        MapReader::new(map, Reading::Pinned(Way::Batch), None).expect("it can be read")
    };
    metrics.map(reader).collect()
}

/// Counts that come, grow and go, on two CPUs.
fn count(work: &Session, round: u64) {
    for cpu in [0, last_cpu()] {
        on_cpu(cpu, || {
            for n in round..round + 4 {
                work.add("work_hash_total", &flow(n, format!("t{}", n % 3).as_bytes()), n * 100);
                for map in ["work_lru_hash_total", "work_percpu_hash_total", "work_cpu_hash_total"]
                {
                    work.add(map, &n.to_ne_bytes(), n + 7);
                }
                work.add("work_percpu_array_total", &((n % 4) as u32).to_ne_bytes(), n);
                work.add("work_exp2_seconds", &latency(b"read", n % 8), n + 1);
            }
        });
    }
}

fn replayed(file: &Path, rounds: usize) -> Vec<Vec<u8>> {
    let tape = Tape::open(file).unwrap();
    let files = startup::replay::recorded(tape.head(), file);
    let tape = Arc::new(Mutex::new(tape));
    let (units, faults) = startup::replay::units(&tape, files, places(), &System::default());
    assert_eq!(faults, []);
    let mut scraper = Scraper::new(units);
    let mut round = || {
        scraper.read_maps();
        scraper.maps_text()
    };
    (0..rounds).map(|_| round()).collect()
}

pub fn a_replay_gives_the_bytes_that_were_served() {
    const ROUNDS: usize = 5;
    let mut configs = Configs::new();
    let work = configs.add_workload("work", WORKLOAD);
    let (running, maps) = exact::running(&configs);
    let units = startup::units(running, Reading::Pinned(Way::Batch)).unwrap();
    let mut readers = readers(&units);
    let config = ConfigFile { path: "work.yaml".into(), text: WORKLOAD.into() };
    let mut recorder = Recorder::begin(Vec::new(), &record::head(&[config], &units)).unwrap();
    let mut scraper = Scraper::new(units);
    let mut served = Vec::new();
    for round in 0..ROUNDS {
        count(&work, round as u64);
        if round == 3 {
            exact::delete(&maps, "work_hash_total", &flow(1, b"t1"));
        }
        let sources = readers.iter_mut().map(|reader| reader as &mut dyn Source);
        recorder.round(Duration::from_secs(round as u64), sources).unwrap();
        scraper.read_maps();
        served.push(scraper.maps_text());
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("work.rec");
    fs::write(&file, recorder.end().unwrap()).unwrap();
    assert!(served.windows(2).all(|two| two[0] != two[1]), "each reading is another");
    assert_eq!(replayed(&file, ROUNDS), served);
    // So that `tests/replay.rs` has one to replay: its maps are of this machine's number of CPUs.
    if std::env::var_os("RENEW_RECORDINGS").is_some() {
        let kept = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/workload.rec");
        fs::copy(file, kept).unwrap();
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
    let (code, text) = said(&["record", "--config.dir", dir, "--config.names=switches", "-o", dir]);
    assert_eq!(code, Some(1));
    let text = text.lines().last().unwrap().replace(dir, "DIR");
    insta::assert_snapshot!(text, @"error: DIR: is a directory; give --output a file that can be written");
    let (code, text) =
        said(&["record", "--config.dir", dir, "--config.names=switches", "-o", "x", "--for=1"]);
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(text, @"error: --for=1 is no time; write one such as 30s or 1m30s
");
}
