//! What is written is what is played, and what is damaged is said.

use std::collections::BTreeMap;
use std::fs;
use std::io;
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

/// A player of the one map of a tape.
fn player(tape: &Arc<Mutex<Tape>>) -> Player {
    Player::new(tape, 0, &map(64), "percpu_hash".into(), 1)
}

fn head(maps: Vec<RecordedMap>) -> Head {
    let config = RecordedConfig { name: "c".into(), yaml: "metrics: {}".into(), maps };
    Head { exporter: "0".into(), kernel: "6".into(), boot: String::new(), configs: vec![config] }
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
        recorder.reading(Duration::from_secs(n as u64), sources).unwrap();
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
        let mut player = player(&tape);
        for reading in &readings {
            let sorted = |entries: &Vec<_>| entries.iter().copied().collect::<BTreeMap<_, _>>();
            prop_assert_eq!(read(&mut player).as_ref().map(sorted), reading.as_ref().map(sorted));
        }
        let last = read(&mut player);
        prop_assert_eq!(tape.lock().unwrap().readings(), readings.len() as u64);
        prop_assert_eq!(last.is_some(), readings.last().unwrap().is_some(), "the end stays");
    }

    /// Whatever bit is turned, no number of the recording becomes another: what was read before it is played, or
    /// nothing is.
    #[test]
    fn a_bit_that_was_turned_is_told(readings in readings(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let whole = recording(&readings);
        let mut bytes = whole.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let (before, _) = played(&whole);
        let (now, told) = played(&bytes);
        prop_assert!(before.starts_with(&now) && told.is_some(), "{told:?}");
    }

    /// A file that was not written to its end is played up to there, and it is told.
    #[test]
    fn a_file_without_an_end_is_played_as_far_as_it_goes(readings in readings(), at in any::<prop::sample::Index>()) {
        let whole = recording(&readings);
        let (before, _) = played(&whole);
        let (now, told) = played(&whole[..at.index(whole.len())]);
        prop_assert!(before.starts_with(&now) && told.is_some(), "{told:?}");
    }
}

/// All readings of a recording of one map, and what is wrong behind them.
fn played(bytes: &[u8]) -> (Vec<Reading>, Option<String>) {
    let tape = match open(bytes) {
        Ok(tape) => Arc::new(Mutex::new(tape)),
        Err(error) => return (Vec::new(), Some(error.advice().to_string())),
    };
    let (mut player, mut all) = (player(&tape), Vec::new());
    loop {
        let advanced = tape.lock().unwrap().advance();
        match advanced {
            Ok(true) => all.push(read(&mut player)),
            Ok(false) => return (all, None),
            Err(error) => return (all, Some(error.advice().to_string())),
        }
    }
}

/// What was flushed is there whatever becomes of the process.
#[test]
fn each_reading_is_written_at_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut recorder = Recorder::begin(file.reopen().unwrap(), &head(vec![map(64)])).unwrap();
    let mut held = Held::<2, 2>::default();
    for n in 0..5u16 {
        held.hold(Some(vec![(n.to_le_bytes(), [7, u64::from(n)])]));
        let at = Duration::from_secs(n.into());
        recorder.reading(at, [&mut held as &mut dyn Source]).unwrap();
        let (readings, told) = played(&fs::read(&file).unwrap());
        assert_eq!(readings.len(), usize::from(n) + 1);
        assert_eq!(readings.last().unwrap(), &Some(vec![(n, [7, u64::from(n)])]));
        assert!(
            told.is_some_and(|told| told.contains(&format!("ends behind reading {}: ", n + 1)))
        );
    }
}

/// Who serves a recording that is not all there stays at its last reading, and one that is damaged fails.
#[test]
fn a_player_stays_at_the_last_whole_reading() {
    let readings = [Some(vec![(1, [1, 1])]), Some(vec![(1, [2, 2])])];
    let whole = recording(&readings);
    let reads = |bytes: &[u8]| {
        let mut player = player(&Arc::new(Mutex::new(open(bytes).unwrap())));
        (0..4).map(|_| read(&mut player)).collect::<Vec<_>>()
    };
    let [first, last] = readings;
    let stays = vec![first.clone(), last.clone(), last.clone(), last.clone()];
    assert_eq!(reads(&whole), stays);
    assert_eq!(reads(&whole[..whole.len() - 1]), stays);
    assert_eq!(reads(&[&whole[..], b"x"].concat()), [first, last, None, None]);
}

/// A map that changes while it is walked gives more keys than it can hold at once.
#[test]
fn a_map_may_have_had_more_keys_than_it_can_hold() {
    let reading: Vec<_> = (0..100).map(|n| (n, [1, 2])).collect();
    let (readings, told) = played(&recording(&[Some(reading.clone())]));
    assert_eq!((readings, told), (vec![Some(reading)], None));
}

#[test]
fn new_keys_keep_the_order_of_the_map() {
    let reading = vec![(7, [1, 2]), (3, [3, 4]), (5, [5, 6])];
    let tape = Arc::new(Mutex::new(open(&recording(&[Some(reading.clone())])).unwrap()));
    let mut player = player(&tape);
    assert_eq!(read(&mut player), Some(reading));
    let mut values = [0; 2];
    assert!(player.lookup(&3u16.to_le_bytes(), &mut values).unwrap());
    assert_eq!(values, [3, 4]);
    assert!(!player.lookup(&9u16.to_le_bytes(), &mut values).unwrap());
}

/// A recording of which this is packed.
fn blocks(plain: &[u8]) -> Vec<u8> {
    file_of(&zstd::encode_all(plain, 1).unwrap()).unwrap()
}

/// A recording of this head and these readings.
fn packed(head: &Head, readings: &[u8]) -> Vec<u8> {
    file_of(&packed_only(head, readings)).unwrap()
}

/// What stands in the blocks of one.
fn packed_only(head: &Head, readings: &[u8]) -> Vec<u8> {
    let json = serde_json::to_vec(head).unwrap();
    let plain = [&(json.len() as u32).to_le_bytes()[..], &json, readings].concat();
    zstd::encode_all(&*plain, 1).unwrap()
}

/// A reading of a key, which has this value in the map of [`map`].
fn entry_of(value: u8) -> Vec<u8> {
    [&[READING][..], &[0; 8], &[1, 0, 0, 0, 0, 1, 0, 0, 0], &[value; 18]].concat()
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
fn files_that_are_none_are_told() {
    let whole = recording(&[Some(vec![(1, [1, 1])]), Some(vec![(2, [1, 1])])]);
    assert_eq!(said(&whole), "nothing");
    insta::assert_snapshot!(said(b""), @"x.rec: this is no recording; give a file that `record` has written");
    insta::assert_snapshot!(said(b"metrics: {}"), @"x.rec: this is no recording; give a file that `record` has written");
    insta::assert_snapshot!(said(&[&b"EWEREC01"[..], &whole[8..]].concat()), @"x.rec: this is a recording of another version, 01; replay it with the exporter that wrote it");
    insta::assert_snapshot!(said(&whole[..20]), @"x.rec: the recording ends in the middle of its head; copy it again");
    insta::assert_snapshot!(said(&whole[..whole.len() - 1]), @"x.rec: the recording ends behind reading 2: it was interrupted, or is not all here; copy it again, or replay what comes before with --at 2");
    insta::assert_snapshot!(said(&[&whole[..], b"x"].concat()), @"x.rec: the recording is damaged: more stands behind its end; copy it or record it again, or replay what comes before with --at 2");
    let mut turned = whole.clone();
    turned[20] ^= 1;
    insta::assert_snapshot!(said(&turned), @"x.rec: the recording is damaged: a checksum is not that of what stands before it; copy it or record it again");
    let large = [&MAGIC[..], &u32::MAX.to_le_bytes(), &[0; 99]].concat();
    insta::assert_snapshot!(said(&large), @"x.rec: the recording is damaged: a block has 4294967295 bytes, more than 1048576; copy it or record it again");
    let tape = |file: &str| Tape::open(Path::new(file)).unwrap_err().advice().to_string();
    insta::assert_snapshot!(tape("/nowhere/x.rec"), @"/nowhere/x.rec: no such file or directory; give the path of a file that `record` has written");
    insta::assert_snapshot!(tape("/dev/zero"), @"/dev/zero: it is no regular file; give a file that `record` has written");
    insta::assert_snapshot!(tape("/"), @"/: it is a directory; give a file that `record` has written");
    let denied = io::Error::from(io::ErrorKind::PermissionDenied);
    let error =
        PlayError { file: "x.rec".into(), readings: 0, fault: RecordingFault::Read(denied) };
    insta::assert_snapshot!(error.advice(), @"x.rec: permission denied; see to it that the file can be read");
}

#[test]
fn what_cannot_be_is_told() {
    let one = |map: RecordedMap| said(&packed(&head(vec![map]), &[]));
    let with = |rest: &[u8]| {
        let reading = [&[READING][..], &[0; 8], rest].concat();
        said(&packed(&head(vec![map(64)]), &reading))
    };
    insta::assert_snapshot!(one(map(64)), @"x.rec: the recording is damaged: it has no reading; copy it or record it again");
    insta::assert_snapshot!(with(&[7]), @"x.rec: the recording is damaged: no map begins with 7; copy it or record it again");
    insta::assert_snapshot!(with(&[1, 1, 0, 0, 0, 9, 9]), @"x.rec: the recording is damaged: a key is gone that was not there; copy it or record it again");
    insta::assert_snapshot!(with(&[1, 0, 0, 0, 0, 255, 255, 255, 255]), @"x.rec: the recording is damaged: what is packed ends in its middle; copy it or record it again");
    let twice = [&[1, 0, 0, 0, 0, 2, 0, 0, 0][..], &[0; 36]].concat();
    let frame = zstd::encode_all(&[12, 0, 0, 0, 1][..], 1).unwrap();
    insta::assert_snapshot!(said(&file_of(&frame).unwrap()), @"x.rec: the recording is damaged: what is packed ends in its middle; copy it or record it again");
    insta::assert_snapshot!(said(&file_of(&frame[..frame.len() - 3]).unwrap()), @"x.rec: the recording is damaged: what is packed ends in its middle; copy it or record it again");
    insta::assert_snapshot!(said(&file_of(b"no frame at all").unwrap()), @"x.rec: the recording is damaged: Unknown frame descriptor; copy it or record it again");
    let two =
        [packed_only(&head(vec![map(64)]), &entry_of(1)), packed_only(&head(vec![map(64)]), &[])]
            .concat();
    insta::assert_snapshot!(said(&file_of(&two).unwrap()), @"x.rec: the recording is damaged: more stands behind its last reading; copy it or record it again, or replay what comes before with --at 1");
    insta::assert_snapshot!(with(&twice), @"x.rec: the recording is damaged: a key comes twice in a reading; copy it or record it again");
    let entry = [&[1, 0, 0, 0, 0, 1, 0, 0, 0][..], &[0; 18]].concat();
    insta::assert_snapshot!(with(&[&entry[..], b"x"].concat()), @"x.rec: the recording is damaged: no reading begins with 120; copy it or record it again, or replay what comes before with --at 1");
    let earlier = [&entry[..], &[READING], &[0; 8], &[0]].concat();
    let later = [&[READING][..], &[1; 8], &earlier].concat();
    insta::assert_snapshot!(said(&packed(&head(vec![map(64)]), &later)), @"x.rec: the recording is damaged: a reading was before the one in front of it; copy it or record it again, or replay what comes before with --at 1");
    insta::assert_snapshot!(one(RecordedMap { key_size: 0, ..map(64) }), @"x.rec: the recording is damaged: map `m` has keys of 0 bytes and 2 values an entry; copy it or record it again");
    insta::assert_snapshot!(one(RecordedMap { cpus: 1 << 30, ..map(64) }), @"x.rec: the recording is damaged: map `m` has keys of 2 bytes and 1073741824 values an entry; copy it or record it again");
    insta::assert_snapshot!(one(RecordedMap { name: "\u{1b}[31m\n".into(), key_size: 0, ..map(64) }), @r"x.rec: the recording is damaged: map `\u{1b}[31m\n` has keys of 0 bytes and 2 values an entry; copy it or record it again");
    let foreign = blocks(&[&[12, 0, 0, 0][..], b"{\"a\\n\":1} {}"].concat());
    insta::assert_snapshot!(said(&foreign), @r"x.rec: the recording is damaged: its head: unknown field `a\n`, expected one of `exporter`, `kernel`, `boot`, `configs` at line 1 column 6; copy it or record it again");
    let endless = [[READING; 1].as_slice(), &[0; 8]].concat().repeat(1_000_001);
    insta::assert_snapshot!(said(&packed(&head(Vec::new()), &endless)), @"x.rec: the recording is damaged: it has more than 1000000 readings; copy it or record it again, or replay what comes before with --at 1000000");
}

/// A config is called as a file in a directory may be, so that no name leads elsewhere.
#[test]
fn no_name_of_a_config_leads_out() {
    let named = |name: &str| {
        let mut head = head(vec![map(64)]);
        head.configs[0].name = name.to_owned();
        open(&packed(&head, &[])).is_ok()
    };
    for name in ["c", "a.b", "with space", "..."] {
        assert!(named(name), "{name}");
    }
    for name in ["", ".", "..", "/", "/etc/x", "../x", "a/b", "a/", "a/.", "./a", "a\0b"] {
        assert!(!named(name), "{name:?}");
    }
}

/// What maps hold, and what becomes of it, is bounded before it is in memory, however small the file is.
#[test]
fn a_small_file_takes_little() {
    const CPUS: u32 = 8192;
    let map = RecordedMap { cpus: CPUS, ..map(u32::MAX) };
    let entry = |key: u16| [&key.to_le_bytes()[..], &[1; 8 * CPUS as usize]].concat();
    let entries = |count: u16| (0..count).flat_map(entry).collect::<Vec<_>>();
    let reading = |count: u16| {
        let count_of = u32::from(count).to_le_bytes();
        [&[READING][..], &[0; 8], &[1, 0, 0, 0, 0], &count_of, &entries(count)].concat()
    };
    let told = |count: u16, lines: usize| {
        let mut tape = open(&packed(&head(vec![map.clone()]), &reading(count))).unwrap();
        tape.weigh(0, lines);
        tape.advance()
            .map_err(|error| PlayError { file: "x.rec".into(), ..error }.advice().to_string())
    };
    assert_eq!(told(40, CPUS as usize), Ok(true));
    insta::assert_snapshot!(told(40, 904 * CPUS as usize).unwrap_err(), @"x.rec: the recording is too large: its maps take more than 1073741824 bytes, with what becomes of them; replay fewer of its configs with --config.names");
    assert!(told(1, usize::MAX).is_err(), "no number is too large for it");
}
