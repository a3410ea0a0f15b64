//! What `replay` prints of a recording, and what it refuses.

use std::process::{Command, Output};

use crate::tape::BINARY;

const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/workload.rec");

fn replay(arguments: &[&str]) -> Output {
    Command::new(BINARY).arg("replay").args(arguments).output().expect("the exporter starts")
}

/// What is printed, without the lines of help and type.
fn series(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = replay(&[&[RECORDING], arguments].concat());
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let text = String::from_utf8(stdout).expect("an exposition");
    text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
}

pub fn the_first_reading_and_the_last() {
    insta::assert_snapshot!("first", series(&["--at=1"]));
    insta::assert_snapshot!("last", series(&["--once"]));
    assert_eq!(series(&["--at=5"]), series(&["--once"]), "there are no more");
}

pub fn no_series_falls_from_one_reading_to_the_next() {
    let number =
        |line: &str| line.rsplit_once(' ').map(|(name, n)| (name.to_owned(), n.to_owned()));
    let at = |n: u32| -> std::collections::BTreeMap<String, f64> {
        let text = series(&[&format!("--at={n}")]);
        let pairs = text.lines().filter_map(number);
        pairs.map(|(name, value)| (name, value.parse().expect("a number"))).collect()
    };
    let readings: Vec<_> = (1..=5).map(at).collect();
    assert!(readings.iter().all(|series| series.len() > 20));
    for two in readings.windows(2) {
        for (name, before) in &two[0] {
            assert!(two[1].get(name).is_none_or(|now| now >= before), "{name}");
        }
    }
}

/// Another config makes other series of the same keys.
pub fn another_config_takes_the_place_of_the_recorded_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let yaml = "metrics: {counters: [{name: work_hash_total, help: h, labels: [
        {name: id, size: 8, decoders: [{name: uint}, {name: static_map, static_map: {1: one}}]},
        {name: text, size: 24, decoders: [{name: string}, {name: regexp, regexps: ['^t']}]}]}]}";
    std::fs::write(dir.path().join("work.yaml"), yaml).expect("it is written");
    let dir = dir.path().to_str().expect("a path");
    insta::assert_snapshot!("other_config", series(&["--once", "--config.dir", dir]));
}

pub fn what_cannot_be_replayed_is_said() {
    let said = |arguments: &[&str]| {
        let Output { status, stdout, stderr } = replay(arguments);
        assert_eq!((status.code(), &*stdout), (Some(3), &b""[..]));
        let text = String::from_utf8(stderr).expect("a text");
        text.replace(env!("CARGO_MANIFEST_DIR"), "HOST")
    };
    insta::assert_snapshot!(said(&["/dev/null", "--once"]), @"error: /dev/null: it is no regular file; give a file that `record` has written");
    let dir = tempfile::tempdir().expect("a directory");
    let cut = dir.path().join("cut.rec");
    let whole = std::fs::read(RECORDING).expect("a recording");
    std::fs::write(&cut, &whole[..whole.len() / 2]).expect("it is written");
    let text = said(&[cut.to_str().expect("a path"), "--once"]);
    assert!(text.contains("ends in the middle of its head") && text.lines().count() == 1, "{text}");
    insta::assert_snapshot!(said(&[RECORDING, "--config.names=other"]), @"error: HOST/tests/recordings/workload.rec: the recording has no config `other`; it has work");
}
