//! What is written is what is played, and what is damaged is said.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::advice::Advise as _;
use crate::source::Source;
use crate::source::testing::Held;

fn map(max_entries: u32) -> RecordedMap {
    RecordedMap { name: "m".into(), kind: 5, key_size: 2, max_entries, flags: 0, cpus: 2 }
}

fn head(maps: Vec<RecordedMap>) -> Head {
    let config = RecordedConfig { name: "c".into(), yaml: "metrics: {}".into(), maps };
    Head { exporter: "0".into(), kernel: "6".into(), configs: vec![config] }
}

/// What a reading of the map gave; none if it failed.
type Reading = Option<Vec<(u16, [u64; 2])>>;

/// A recording of these readings of one map.
fn recording(readings: &[Reading]) -> Vec<u8> {
    let mut recorder = Recorder::begin(Vec::new(), &head(vec![map(64)])).unwrap();
    let mut held = Held::<2, 2>::default();
    for (n, reading) in readings.iter().enumerate() {
        let entry = |(key, values): &(u16, _)| (key.to_le_bytes(), *values);
        held.hold(reading.as_ref().map(|entries| entries.iter().map(entry).collect()));
        let sources = [&mut held as &mut dyn Source];
        recorder.round(Duration::from_secs(n as u64), sources).unwrap();
    }
    recorder.end().unwrap()
}

fn open(bytes: &[u8]) -> Result<Tape, PlayError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.rec");
    fs::write(&file, bytes).unwrap();
    let tape = Tape::open(&file);
    tape.map_err(|error| PlayError { file: "x.rec".into(), ..error })
}

/// What a player hands out, or that it cannot.
fn read(player: &mut Player) -> Reading {
    let mut entries = Vec::new();
    let read = player.read(&mut |chunk| {
        for entry in chunk.entries() {
            let key = u16::from_le_bytes(entry.key.try_into().unwrap());
            entries.push((key, entry.values.try_into().unwrap()));
        }
    });
    read.is_ok().then_some(entries)
}

fn readings() -> impl Strategy<Value = Vec<Reading>> {
    let content = prop::collection::btree_map(0..30u16, any::<[u64; 2]>(), 0..20);
    let content = content.prop_map(|map| map.into_iter().collect::<Vec<_>>()).prop_shuffle();
    prop::collection::vec(prop::option::weighted(0.9, content), 1..8)
}

proptest! {
    /// Each reading comes back, and those behind one that failed too.
    #[test]
    fn what_was_read_is_played(readings in readings()) {
        let tape = Arc::new(Mutex::new(open(&recording(&readings)).unwrap()));
        let mut player = Player::new(&tape, 0, &map(64), "percpu_hash".into());
        for reading in &readings {
            let sorted = |entries: &Vec<_>| entries.iter().copied().collect::<BTreeMap<_, _>>();
            prop_assert_eq!(read(&mut player).as_ref().map(sorted), reading.as_ref().map(sorted));
        }
        let last = read(&mut player);
        prop_assert_eq!(tape.lock().unwrap().rounds(), readings.len() as u64);
        prop_assert_eq!(last.is_some(), readings.last().unwrap().is_some(), "the end stays");
    }

    /// Bytes that nobody has written are refused, or play to something, and nothing panics.
    #[test]
    fn damaged_bytes_are_taken_by_nobody(readings in readings(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = recording(&readings);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(mut tape) = open(&bytes) {
            while let Ok(true) = tape.advance() {}
        }
    }
}

#[test]
fn new_keys_keep_the_order_of_the_map() {
    let reading = vec![(7, [1, 2]), (3, [3, 4]), (5, [5, 6])];
    let tape = Arc::new(Mutex::new(open(&recording(&[Some(reading.clone())])).unwrap()));
    let mut player = Player::new(&tape, 0, &map(64), "percpu_hash".into());
    assert_eq!(read(&mut player), Some(reading));
    let mut values = [0; 2];
    assert!(player.lookup(&3u16.to_le_bytes(), &mut values).unwrap());
    assert_eq!(values, [3, 4]);
    assert!(!player.lookup(&9u16.to_le_bytes(), &mut values).unwrap());
}

/// A recording whose packed part is this.
fn packed(head: &Head, rounds: &[u8]) -> Vec<u8> {
    let json = serde_json::to_vec(head).unwrap();
    let plain = [&(json.len() as u32).to_le_bytes()[..], &json, rounds].concat();
    [&MAGIC[..], &zstd::encode_all(&*plain, 1).unwrap()].concat()
}

/// What is said of these bytes, as they are opened or played.
fn said(bytes: &[u8]) -> String {
    let mut tape = match open(bytes) {
        Ok(tape) => tape,
        Err(error) => return error.advice().to_string(),
    };
    loop {
        match tape.advance() {
            Ok(true) => {}
            Ok(false) => return "nothing".to_owned(),
            Err(error) => return PlayError { file: "x.rec".into(), ..error }.advice().to_string(),
        }
    }
}

#[test]
fn what_is_wrong_is_said() {
    let whole = recording(&[Some(vec![(1, [1, 1])])]);
    insta::assert_snapshot!(said(b""), @"x.rec: this is no recording; give a file that `record` has written");
    insta::assert_snapshot!(said(b"metrics: {}"), @"x.rec: this is no recording; give a file that `record` has written");
    insta::assert_snapshot!(said(&[&b"EWEREC02"[..], &whole[8..]].concat()), @"x.rec: this is a recording of another version, 02; replay it with the exporter that wrote it");
    insta::assert_snapshot!(said(&whole[..20]), @"x.rec: the recording ends in the middle of its head; copy it again");
    insta::assert_snapshot!(said(&packed(&head(vec![map(64)]), &[])), @"x.rec: the recording ends in the middle of a round; copy it again, or replay what comes before with --at");
    let with = |map: RecordedMap, rest: &[u8]| {
        let round = [&[ROUND][..], &[0; 8], rest].concat();
        said(&packed(&head(vec![map]), &round))
    };
    insta::assert_snapshot!(with(map(64), &[7]), @"x.rec: the recording is damaged: no map begins with 7; record it again");
    insta::assert_snapshot!(with(map(64), &[1, 1, 0, 0, 0, 9, 9]), @"x.rec: the recording is damaged: a key is gone that was not there; record it again");
    insta::assert_snapshot!(with(map(64), &[1, 0, 0, 0, 0, 255, 255, 255, 255]), @"x.rec: the recording ends in the middle of a round; copy it again, or replay what comes before with --at");
    let entry = [&[1, 0, 0, 0, 0, 1, 0, 0, 0][..], &[0; 18]].concat();
    insta::assert_snapshot!(with(map(0), &entry), @"x.rec: the recording is damaged: a map holds more than it can; record it again");
    insta::assert_snapshot!(with(RecordedMap { key_size: 0, ..map(64) }, &[]), @"x.rec: the recording is damaged: map `m` has keys of 0 bytes and 2 values an entry; record it again");
    insta::assert_snapshot!(with(RecordedMap { cpus: 1 << 30, ..map(64) }, &[]), @"x.rec: the recording is damaged: map `m` has keys of 2 bytes and 1073741824 values an entry; record it again");
    insta::assert_snapshot!(with(RecordedMap { name: "\u{1b}[31m\n".into(), key_size: 0, ..map(64) }, &[]), @r"x.rec: the recording is damaged: map `\u{1b}[31m\n` has keys of 0 bytes and 2 values an entry; record it again");
    let foreign = [&[12, 0, 0, 0][..], b"{\"a\\n\":1} {}"].concat();
    let foreign = [&MAGIC[..], &zstd::encode_all(&*foreign, 1).unwrap()].concat();
    insta::assert_snapshot!(said(&foreign), @r"x.rec: the recording is damaged: its head: unknown field `a\n`, expected one of `exporter`, `kernel`, `configs` at line 1 column 6; record it again");
    let endless = [[ROUND; 1].as_slice(), &[0; 8]].concat().repeat(1_000_001);
    insta::assert_snapshot!(said(&packed(&head(Vec::new()), &endless)), @"x.rec: the recording is damaged: it has more than 1000000 rounds; record it again");
    assert!(Tape::open(Path::new("/nowhere/x.rec")).is_err_and(|error| {
        error.advice().to_string()
            == "/nowhere/x.rec: no such file or directory; give the path of a file that `record` has written"
    }));
}
