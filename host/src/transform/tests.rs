//! Steps in a row, and rows that end early.

use std::time::Duration;

use super::*;

/// Adds its name to each value; `drop` drops, `fail` fails, `brief` holds for so many seconds.
struct Tag(&'static str, u64);

impl Transform for Tag {
    fn transform(&mut self, rows: &LabelRows, answers: &mut RowAnswers) {
        for row in rows.iter() {
            let texts: Vec<Vec<u8>> =
                row.map(|value| [value, self.0.as_bytes()].concat()).collect();
            let starts = |word: &str| texts[0].starts_with(word.as_bytes());
            let outcome = match () {
                () if starts("drop") => Ok(Outcome::Drop),
                () if starts("fail") => Err(DecodeError::new("as the test wants it")),
                () if starts("brief") => Ok(Outcome::LabelFor(Duration::from_secs(self.1))),
                () => Ok(Outcome::Label),
            };
            answers.push(outcome, texts.iter().map(Vec::as_slice));
        }
    }
}

fn step(tag: &'static str, seconds: u64, labels: &[&str], on_error: OnRowError) -> TransformStep {
    let labels = labels.iter().map(|label| LabelName::new(label).unwrap()).collect();
    TransformStep { name: tag.to_owned(), transform: Box::new(Tag(tag, seconds)), labels, on_error }
}

fn apply(transforms: &mut Transforms, rows: &[&[&str]]) -> Vec<String> {
    let (mut batch, mut out) = (LabelRows::default(), Transformed::default());
    batch.reset(rows[0].len());
    rows.iter().for_each(|row| batch.push(row.iter().map(|value| value.as_bytes())));
    transforms.apply(&batch, &mut out);
    assert_eq!(out.len(), rows.len());
    let row = |n| {
        let row = out.get(n);
        let values: Vec<_> = row.values().map(String::from_utf8_lossy).collect();
        format!(
            "{:?} {}{}",
            row.outcome,
            values.join(","),
            if row.error.is_some() { " !" } else { "" }
        )
    };
    (0..out.len()).map(row).collect()
}

#[test]
fn none_is_the_identity() {
    let mut none = Transforms::default();
    assert!(none.is_empty() && none.labels().is_none());
    assert_eq!(apply(&mut none, &[&["a", "b"], &["", ""]]), ["Label a,b", "Label ,"]);
}

#[test]
fn each_takes_what_the_one_before_it_gave() {
    let on_error = OnRowError::default;
    let mut two = Transforms::new(vec![
        step("1", 9, &["a", "b", "c"], on_error()),
        step("2", 5, &["a", "b"], on_error()),
    ]);
    assert_eq!(two.labels().unwrap().len(), 2);
    let rows: [&[&str]; 5] =
        [&["x", "y"], &["drop", "y"], &["brief", "y"], &["fail", "y"], &["x", "z"]];
    assert_eq!(
        apply(&mut two, &rows),
        [
            "Label x12,y12",
            "Drop ",
            "LabelFor(5s) brief12,y12",
            "Label error,error !",
            "Label x12,z12"
        ]
    );
}

#[test]
fn a_failure_shows_nothing_of_the_row() {
    let mut steps =
        Transforms::new(vec![step("1", 0, &["a", "b", "c"], OnRowError::Label("?".into()))]);
    assert_eq!(apply(&mut steps, &[&["fail", "secret"]]), ["Label ?,?,? !"]);
    let mut steps = Transforms::new(vec![step("1", 0, &["a"], OnRowError::Drop)]);
    assert_eq!(apply(&mut steps, &[&["fail", "secret"]]), ["Drop  !"]);
}

#[test]
fn rows_are_made_whole() {
    let mut rows = LabelRows::default();
    rows.reset(2);
    rows.push([&b"a"[..]]);
    rows.push([&b"b"[..], b"c", b"d"]);
    let all: Vec<Vec<&[u8]>> = rows.iter().map(Iterator::collect).collect();
    assert_eq!(all, [[&b"a"[..], b""], [b"b", b"c"]]);
    rows.reset(0);
    rows.push([&b"a"[..]]);
    assert_eq!((rows.len(), rows.get(0).len()), (1, 0));
}

#[test]
fn that_a_row_is_left_out_holds_as_long_as_what_led_to_it() {
    let [brief, long] = [5, 9].map(Duration::from_secs);
    for (before, last, expected) in [
        (Outcome::Label, Outcome::Drop, Outcome::Drop),
        (Outcome::Label, Outcome::DropFor(brief), Outcome::DropFor(brief)),
        (Outcome::LabelFor(brief), Outcome::Drop, Outcome::DropFor(brief)),
        (Outcome::LabelFor(brief), Outcome::DropFor(long), Outcome::DropFor(brief)),
        (Outcome::NoName(long), Outcome::DropFor(brief), Outcome::DropFor(brief)),
    ] {
        assert_eq!(before.left_out(last), expected, "{before:?} {last:?}");
    }
}
