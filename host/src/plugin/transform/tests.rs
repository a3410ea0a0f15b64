//! What transforms answer, well and badly.

use std::fs;
use std::path::Path;

use super::*;
use crate::plugin::{Gauge, Limits, Loader, Plugin, PluginError, Request, guests};

fn transform(
    guest: &str,
    labels: &[&str],
) -> Result<(Box<dyn Transform>, Vec<LabelName>), PluginError> {
    // Time enough on any machine.
    let limits = Limits { deadline: Duration::from_secs(10), ..Limits::default() };
    let (plugin, shape) = loaded(guest, labels, limits)?;
    plugin.transform(shape)
}

fn limited(guest: &str, labels: &[&str], limits: Limits) -> (Box<dyn Transform>, Gauge) {
    let (plugin, shape) = loaded(guest, labels, limits).unwrap();
    (plugin.transform(shape).unwrap().0, plugin.gauge())
}

fn loaded(
    guest: &str,
    labels: &[&str],
    limits: Limits,
) -> Result<(Plugin, MetricShape), PluginError> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("guest.wasm"), guests::component(guest)).unwrap();
    let request = Request {
        config: "config",
        name: "pods",
        file: Path::new("guest.wasm"),
        places: &[dir.path()],
        held: None,
        pin: None,
        settings: "{}",
        data: &[],
        limits,
    };
    let labels = labels.iter().map(|label| LabelName::new(label).unwrap()).collect();
    let shape = MetricShape { name: "m".to_owned(), histogram: true, labels };
    Ok((Loader::default().load(&request)?, shape))
}

fn answers(transform: &mut dyn Transform, width: usize, rows: &[&[&[u8]]]) -> RowAnswers {
    let (mut batch, mut answers) = (LabelRows::default(), RowAnswers::default());
    batch.reset(width);
    rows.iter().for_each(|row| batch.push(row.iter().copied()));
    answers.reset(width);
    transform.transform(&batch, &mut answers);
    assert_eq!(answers.len(), rows.len());
    answers
}

#[test]
fn rows_come_back_as_they_were_sent() {
    let (mut pass, labels) = transform("pass", &["a", "b"]).unwrap();
    assert_eq!(labels.iter().map(LabelName::as_str).collect::<Vec<_>>(), ["a", "b"]);
    let texts: Vec<String> = (0..2500).map(|n| n.to_string()).collect();
    let many: Vec<_> = texts.iter().map(|text| [text.as_bytes(), "\u{fc}".as_bytes()]).collect();
    let many: Vec<&[&[u8]]> = many.iter().map(|row| &row[..]).collect();
    let answers = answers(&mut *pass, 2, &many);
    for (n, row) in many.iter().enumerate() {
        let (outcome, values) = answers.get(n);
        assert_eq!(*outcome, Ok(Outcome::Label));
        assert!(values.eq(row.iter().copied()));
    }
}

#[test]
fn equal_rows_are_asked_once() {
    let (mut pass, gauge) = limited("pass", &["a", "b"], Limits::default());
    let rows: [&[&[u8]]; 4] = [&[b"x", b""], &[b"", b"x"], &[b"x", b""], &[b"x", b"\xff"]];
    for round in 0..2 {
        let answers = answers(&mut *pass, 2, &rows);
        for (n, row) in rows.iter().enumerate().take(3) {
            assert!(answers.get(n).1.eq(row.iter().copied()), "{round}: {n}");
        }
        assert!(answers.get(3).1.eq([&b"x"[..], "\u{fffd}".as_bytes()]));
    }
    let stats = gauge.read();
    assert_eq!((stats.calls, stats.inputs), (1, 3));
    assert_eq!((stats.remembered.hits, stats.remembered.entries), (5, 3));
    let limits = Limits { answers: 0, ..Limits::default() };
    let (mut pass, gauge) = limited("pass", &["a", "b"], limits);
    assert!(answers(&mut *pass, 2, &rows).get(1).1.eq(rows[1].iter().copied()));
    assert_eq!(gauge.read().inputs, 4);
}

#[test]
fn rows_without_labels_are_rows() {
    let (mut pass, labels) = transform("pass", &[]).unwrap();
    assert_eq!(labels, []);
    let answers = answers(&mut *pass, 0, &[&[], &[], &[]]);
    assert_eq!((answers.get(2).0, answers.get(2).1.len()), (&Ok(Outcome::Label), 0));
}

#[test]
fn bytes_become_text() {
    let (mut pass, _) = transform("pass", &["a"]).unwrap();
    let answers = answers(&mut *pass, 1, &[&[b"a\xff"]]);
    assert!(answers.get(0).1.eq(["a\u{fffd}".as_bytes()]));
}

#[test]
fn values_that_are_cut_badly_fail_the_call() {
    let (mut cut, _) = transform("cut", &["a"]).unwrap();
    let answers = answers(&mut *cut, 1, &[&[b"a"], &[b"b"]]);
    insta::assert_snapshot!(answers.get(1).0.clone().unwrap_err(), @"plugin `pods`: it returned values that end where none can");
}

#[test]
fn names_are_those_of_prometheus() {
    insta::assert_snapshot!(transform("names", &["a"]).err().unwrap(), @"the plugin refuses its configuration: it returns `__bad`, which cannot be a label's name: Prometheus keeps names that start with `__`");
    // The guest agrees to what it is given.
    insta::assert_snapshot!(transform("pass", &["le"]).err().unwrap(), @"the plugin refuses its configuration: it returns the label `le`, as a histogram's buckets are called");
    insta::assert_snapshot!(transform("pass", &["a", "b", "a"]).err().unwrap(), @"the plugin refuses its configuration: it returns the label `a` twice");
    assert!(transform("pass", &["k8s.pod", "a-b"]).is_ok());
    insta::assert_snapshot!(transform("pass", &["a.b", "a_b"]).err().unwrap(), @"the plugin refuses its configuration: it returns labels that meet: `a_b` is served as `a_b` with escaping=underscores, and so is `a.b`");
    let many: Vec<String> = (0..65).map(|n| format!("l{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    insta::assert_snapshot!(transform("pass", &many).err().unwrap(), @"the plugin refuses its configuration: it returns 65 labels, more than 64");
    let long = "a".repeat(128);
    assert!(transform("pass", &[&long]).is_ok());
    insta::assert_snapshot!(transform("pass", &[&format!("{long}b")]).err().unwrap(), @"the plugin refuses its configuration: it returns a label's name of 129 bytes, `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…`, more than 128");
}

#[test]
fn a_guest_of_an_older_version_agrees_and_answers() {
    let (mut older, labels) = transform("older-transform", &["a", "b"]).unwrap();
    assert_eq!(labels.iter().map(LabelName::as_str).collect::<Vec<_>>(), ["a", "b"]);
    let rows: [&[&[u8]]; 3] = [&[b"x", b""], &[b"drop", b"y"], &["\u{fc}".as_bytes(), b"z"]];
    let found = answers(older.as_mut(), 2, &rows);
    let row = |n| {
        let (outcome, values) = found.get(n);
        (outcome.clone().unwrap(), values.map(<[u8]>::to_vec).collect::<Vec<_>>())
    };
    assert_eq!(row(0), (Outcome::Label, vec![b"x".to_vec(), Vec::new()]));
    assert_eq!(row(1).0, Outcome::Drop);
    assert_eq!(row(2), (Outcome::Label, vec!["\u{fc}".as_bytes().to_vec(), b"z".to_vec()]));
}
