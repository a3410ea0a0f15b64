//! Families whose text is counted, and when series begin.

use super::*;

fn measured() -> Family {
    let labels = vec!["a".to_owned(), "b".to_owned()];
    let mut family = Family::new("x".into(), "x".into(), labels, Kind::Counter);
    family.measure();
    family
}

#[test]
fn text_counts_once_a_series_and_goes_with_it() {
    let mut family = measured();
    let (one, other) = (LabelSet::of(["abc", ""]), LabelSet::of(["x", "yz"]));
    assert!(!family.has(&one));
    let cells = [&one, &one, &other].map(|labels| family.join(labels, None));
    assert_eq!([family.text_of(0), family.text_of(1), family.text_of(9)], [4, 2, 0]);
    family.leave(cells[0]);
    assert!(family.has(&one));
    assert_eq!(family.text_of(0), 4);
    family.leave(cells[1]);
    assert!(!family.has(&one) && family.has(&other));
    assert_eq!([family.text_of(0), family.text_of(1)], [1, 2]);
    family.join(&one, None);
    assert_eq!(family.text_of(0), 4);
    family.compact();
    assert_eq!([family.text_of(0), family.text_of(1)], [4, 2]);
}

#[test]
fn a_series_has_begun_when_it_came_and_begins_anew_when_it_was_let_go_of() {
    let mut family = measured();
    let [one, other, third] = ["a", "b", "c"].map(|label| LabelSet::of([label, ""]));
    let first = family.join(&one, None);
    assert!(!family.is_found(0) && !family.is_of_map(), "nothing was said of it");
    family.leave(first);
    family.let_go();
    family.begin_at(None);
    let first = family.join(&one, None);
    assert!(family.is_found(0) && family.is_of_map());
    family.begin_at(Some(1_000));
    let second = family.join(&other, None);
    family.begin_at(Some(2_000));
    family.join(&one, None);
    let begun = |family: &Family| (0..family.room()).map(|id| family.begun(id)).collect::<Vec<_>>();
    assert_eq!(begun(&family), [None, Some(1_000)], "it began with its first row");

    assert!(!family.is_found(1), "it is known");

    family.leave(second);
    family.hold();
    family.join(&other, None);
    assert_eq!(begun(&family), [None, Some(1_000)], "what is held goes on");
    family.leave(second);
    family.let_go();
    assert_eq!(begun(&family), [None, None]);
    family.join(&third, None);
    family.join(&other, None);
    assert_eq!(begun(&family), [None, Some(2_000), Some(2_000)]);

    family.leave(first);
    family.leave(first);
    family.compact();
    assert_eq!(begun(&family), [Some(2_000), Some(2_000)]);
}

#[test]
fn long_labels_of_series_that_have_gone_are_not_kept() {
    let mut family = measured();
    let long = "x".repeat(10_000);
    for n in 0..200 {
        let number = n.to_string();
        let cell = family.join(&LabelSet::of([&*long, &*number]), None);
        family.leave(cell);
    }
    assert!(family.is_sparse());
    family.compact();
    assert_eq!(family.sets.bytes(), 0);
    assert!(!family.is_sparse());
}

#[test]
fn a_histogram_of_more_than_there_are_numbers_still_rises() {
    let bounds = Bounds { upper: vec![1.0, 2.0], multiplier: 1.0, native: None };
    let cells = [u64::MAX, 9, 0];
    let histogram = Histogram::new(&bounds, &cells);
    let most = u64::MAX;
    assert!(histogram.cumulative().eq([(1.0, most), (2.0, most)]) && histogram.count() == most);
}
