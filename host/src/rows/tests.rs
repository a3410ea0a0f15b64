//! Rows against a plain model: a map from keys to what is known of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::str::FromStr;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::series::{Family, Kind, LabelSet};
use crate::source::Chunk;

/// One walk: the keys that the map hands out, in its order, doubles included; how many seconds
/// after the last one it comes; the keys of a walk before it that was given up; and whether entries
/// have places, which are where they stand among those keys.
type Script = (Vec<u8>, u64, Vec<u8>, bool);

fn walks() -> impl Strategy<Value = Vec<Script>> {
    let any = || prop::collection::vec(0..40u8, 0..60);
    // Most maps hand out most of their keys in the same order each time.
    let like_the_last = (0..40u8, 0..40u8)
        .prop_map(|(without, from)| (from..40).chain(0..from).filter(|n| *n != without).collect());
    let keys = prop_oneof![any(), like_the_last, Just((0..40).collect())];
    let given_up = prop_oneof![3 => Just(Vec::new()), 1 => any()];
    prop::collection::vec((keys, 0..4u64, given_up, prop::bool::ANY), 1..12)
}

/// Rows of counters, what was decided for them, and the family that they add to.
struct Scene {
    known: Known,
    family: Family,
}

/// The next entry of a walk, at this place if its places are known.
fn meet_at(place: Option<usize>, walk: &mut Walk<'_, Adding<'_>>, key: &[u8], values: &[u64]) {
    let chunk = Chunk::new(key, key.len(), values, values.len());
    let places = place.map(|place| [place as u32]);
    walk.take(places.as_ref().map_or(chunk, |places| chunk.at(places)));
}

/// The next entry of a walk.
fn meet(walk: &mut Walk<'_, Adding<'_>>, key: &[u8], values: &[u64]) {
    meet_at(None, walk, key, values);
}

impl Scene {
    /// Of keys of so many bytes, whose rows add to a family with one label.
    fn new(key_size: usize) -> Self {
        Self::of(key_size, &[Column::Counter], Kind::Counter)
    }

    fn of(key_size: usize, columns: &[Column], kind: Kind) -> Self {
        let family = Family::new("x".into(), "x".into(), vec!["a".into()], kind);
        Self { known: Known::new(key_size, columns), family }
    }

    /// A walk that `meets` entries, whose rows are those of the map then; the new ones.
    fn walk(&mut self, meets: impl FnOnce(&mut Walk<'_, Adding<'_>>)) -> Vec<Row> {
        self.walk_until(meets, |met| met.forget_missed())
    }

    /// The same, with what is done at its end.
    fn walk_until<T>(
        &mut self,
        meets: impl FnOnce(&mut Walk<'_, Adding<'_>>),
        end: impl FnOnce(Met<'_, Adding<'_>>) -> T,
    ) -> T {
        let mut adding = self.known.decided.adding(&mut self.family);
        let mut walk = self.known.rows.begin(&mut adding);
        meets(&mut walk);
        end(walk.end().trust())
    }

    /// What is in doubt after a walk that `meets` entries; and the keys that are new then, and the numbers of
    /// all keys.
    fn outcome(
        &mut self,
        meets: impl FnOnce(&mut Walk<'_, Adding<'_>>),
    ) -> (usize, BTreeSet<Vec<u8>>, BTreeMap<Vec<u8>, u64>) {
        let mut adding = self.known.decided.adding(&mut self.family);
        let mut walk = self.known.rows.begin(&mut adding);
        meets(&mut walk);
        let walked = walk.end();
        let doubts = walked.doubts();
        let new = walked.trust().forget_missed();
        let rows = &self.known.rows;
        let key = |row| rows.key(row).to_vec();
        let numbers = rows.all().map(|row| (key(row), rows.number(row, 0))).collect();
        (doubts, new.into_iter().map(key).collect(), numbers)
    }

    fn decide(&mut self, row: Row, decision: Decision<'_>) {
        let Known { rows, decided } = &mut self.known;
        decided.decide(row, decision, rows, &mut self.family);
    }

    /// Decides that a row adds to the series of this label.
    fn add_to(&mut self, row: Row, label: &str, errors: u16, due: Option<Instant>) {
        let cell = self.family.join(&LabelSet::of([label]), None);
        self.decide(row, decision(&[Fate::Add(cell)], errors, due));
    }

    /// Rows that wait, then these.
    fn undecided(&mut self, mut new: Vec<Row>) -> Vec<Row> {
        let mut rows = self.known.decided.take_waiting(usize::MAX);
        rows.append(&mut new);
        rows
    }

    /// The number of each series, by its label.
    fn series<T: FromStr + Ord>(&self) -> BTreeMap<T, u64>
    where
        T::Err: Debug,
    {
        let series = |id| {
            let label = self.family.label_values(id).next().unwrap().parse().unwrap();
            (label, self.family.numbers(id)[0])
        };
        self.family.live().map(series).collect()
    }
}

/// What a key was met with last, and what is counted of it once that is decided.
struct Counted {
    last: u64,
    total: Option<u64>,
}

impl Counted {
    fn meet(all: &mut BTreeMap<u8, Self>, n: u8, value: u64) {
        let Self { last, total } = all.entry(n).or_insert(Self { last: value, total: None });
        total.iter_mut().for_each(|total| *total += grown(*last, value));
        *last = value;
    }
}

/// What a value has grown by: all of it if it is a new one.
fn grown(before: u64, value: u64) -> u64 {
    if value < before { value } else { value - before }
}

fn decision(fates: &[Fate], errors: u16, due: Option<Instant>) -> Decision<'_> {
    Decision { fates, errors, due, grounds: Grounds::Known }
}

fn key(n: u8) -> [u8; 5] {
    [n, 1, n ^ 0xff, 0, n]
}

proptest! {
    /// Whatever order keys come in, each is known as what was decided for it, once a walk, until
    /// it is gone or its answer has ended.
    #[test]
    fn knows_what_was_decided(walks in walks()) {
        let mut scene = Scene::new(5);
        let mut model: BTreeMap<u8, Option<Instant>> = BTreeMap::new();
        let mut known: Vec<u8> = Vec::new();
        let mut counted: BTreeMap<u8, Counted> = BTreeMap::new();
        let mut now = Instant::now();
        for (keys, pause, given_up, placed) in walks {
            now += Duration::from_secs(pause);
            let at = |n| placed.then_some(n);
            for n in given_up.iter().collect::<BTreeSet<_>>() {
                Counted::meet(&mut counted, *n, 107);
            }
            scene.walk_until(
                |walk| {
                    for (place, n) in given_up.iter().enumerate() {
                        meet_at(at(place), walk, &key(*n), &[7, 100]);
                    }
                },
                |_| {},
            );
            let mut met = BTreeMap::new();
            for (value, n) in (1..).zip(&keys) {
                if met.insert(*n, value + 100).is_none() {
                    Counted::meet(&mut counted, *n, value + 100);
                }
            }
            let meets = |walk: &mut Walk<'_, Adding<'_>>| {
                for (value, n) in (1..).zip(&keys) {
                    meet_at(at(value as usize), walk, &key(*n), &[value, 100]);
                }
            };
            let (doubts, new) = {
                let mut adding = scene.known.decided.adding(&mut scene.family);
                let mut walk = scene.known.rows.begin(&mut adding);
                meets(&mut walk);
                let walked = walk.end();
                (walked.doubts(), walked.trust().forget_missed())
            };
            counted.retain(|n, _| met.contains_key(n));
            let doubles = keys.len() - met.len();
            let unknown = met.keys().filter(|n| !placed && !known.contains(n)).count();
            let gone = known.iter().filter(|n| !met.contains_key(n)).count();
            prop_assert!(!given_up.is_empty() || doubts == unknown + gone + doubles);
            known = met.keys().copied().collect();
            scene.known.decided.expire(now);
            model.retain(|n, due| met.contains_key(n) && due.is_none_or(|due| due > now));
            let to_decide = met.keys().filter(|n| !model.contains_key(n)).count();
            prop_assert!(new.iter().all(|row| !scene.known.decided.is_decided(*row)));
            let undecided = scene.undecided(new);
            prop_assert_eq!(undecided.len(), to_decide);
            for row in undecided {
                let n = scene.known.rows.key(row)[0];
                prop_assert!(model.insert(n, None).is_none(), "{} was decided before", n);
                let due = n.is_multiple_of(3).then(|| now + Duration::from_secs(2));
                scene.add_to(row, &n.to_string(), u16::from(n.is_multiple_of(5)), due);
                model.insert(n, due);
                let Counted { last, total } = counted.get_mut(&n).unwrap();
                total.get_or_insert(*last);
            }
            scene.family.let_go();
            for (n, number) in scene.series::<u8>() {
                prop_assert_eq!(counted[&n].total, Some(number));
            }
            prop_assert_eq!(scene.family.len(), met.len(), "series of gone keys are gone");
            let errors = met.keys().filter(|n| n.is_multiple_of(5)).count();
            prop_assert_eq!(scene.known.decided.errors(), errors as u64);
            let is_known = |n| scene.known.rows.find(&key(n)).is_some();
            prop_assert!((0..40).all(|n| is_known(n) == met.contains_key(&n)));
        }
    }
}

proptest! {
    /// Entries that come in one chunk are met as they are one by one, however many are elsewhere than before.
    #[test]
    fn a_chunk_is_met_as_its_entries_are(walks in prop::collection::vec(prop::collection::vec(0..200u8, 0..300), 1..6)) {
        let mut scenes = [Scene::new(5), Scene::new(5)];
        for (walk, entries) in (0..).zip(walks) {
            let keys: Vec<_> = entries.iter().flat_map(|n| key(*n)).collect();
            let values: Vec<_> = entries.iter().map(|n| u64::from(*n) + walk * 7).collect();
            let places: Vec<_> = (0..).take(entries.len()).collect();
            let whole = Chunk::new(&keys, 5, &values, 1).at(&places);
            let [at_once, one_by_one] = &mut scenes;
            let met = at_once.outcome(|walk| walk.take(whole));
            let expected = one_by_one.outcome(|walk| {
                for (place, (n, value)) in entries.iter().zip(&values).enumerate() {
                    meet_at(Some(place), walk, &key(*n), &[*value]);
                }
            });
            prop_assert_eq!(met, expected);
        }
    }
}

/// What a map holds at a scrape: for each key its value, and the series that it is decided for then.
type Content = BTreeMap<u8, (u64, u8)>;

fn contents() -> impl Strategy<Value = Vec<Content>> {
    let content = prop::collection::btree_map(0..6u8, (0..50u64, 0..3u8), 0..6);
    prop::collection::vec(content, 1..20)
}

/// The series that have rows at the last scrape, each with what was counted in it since it has had rows
/// at each scrape: worked out from all that was ever read.
fn twin(history: &[Content]) -> BTreeMap<u8, u64> {
    let mut totals: BTreeMap<u8, u64> = BTreeMap::new();
    let mut before = &Content::new();
    for content in history {
        for (key, (value, series)) in content {
            let (counted, counted_in) = match before.get(key) {
                Some((last, series)) => (grown(*last, *value), series),
                None => (*value, series),
            };
            *totals.entry(*counted_in).or_default() += counted;
            totals.entry(*series).or_default();
        }
        totals.retain(|series, _| content.values().any(|(_, other)| other == series));
        before = content;
    }
    totals
}

/// Has a map hold this at a scrape of rows of these columns, each of which has the key's value.
fn hold(scene: &mut Scene, content: &Content, placed: bool, now: Instant) {
    let columns = scene.known.rows.columns.len();
    let new = scene.walk(|walk| {
        for (place, (of, (value, _))) in content.iter().enumerate() {
            meet_at(placed.then_some(place), walk, &key(*of), &vec![*value; columns]);
        }
    });
    scene.known.decided.expire(now);
    for row in scene.undecided(new) {
        let (_, series) = content[&scene.known.rows.key(row)[0]];
        let label = LabelSet::of([series.to_string().as_str()]);
        let fates: Vec<_> =
            (0..columns).map(|_| Fate::Add(scene.family.join(&label, None))).collect();
        scene.decide(row, decision(&fates, 0, Some(now)));
    }
    scene.family.let_go();
}

proptest! {
    /// Rows are merged, go, come again, fall, and move from series to series: what was counted stays
    /// counted, once.
    #[test]
    fn no_series_falls(history in contents(), placed in prop::bool::ANY) {
        let mut scene = Scene::new(5);
        let now = Instant::now();
        let mut last: BTreeMap<u8, u64> = BTreeMap::new();
        for (n, content) in history.iter().enumerate() {
            hold(&mut scene, content, placed, now);
            let live = scene.series();
            prop_assert_eq!(&live, &twin(&history[..=n]));
            for (series, total) in &live {
                prop_assert!(last.get(series).is_none_or(|before| before <= total));
            }
            last = live;
        }
    }

    /// The series of a gauge are the sums of what the map holds now, whatever it held before. Numbers are
    /// signed, and wrap.
    #[test]
    fn gauges_are_what_the_map_holds(
        history in contents(),
        placed in prop::bool::ANY,
        zero in prop::sample::select(&[0, 25, u64::MAX, 1 << 63][..]),
        columns in 1..3usize,
    ) {
        let mut scene = Scene::of(5, &vec![Column::Gauge; columns], Kind::IntegerGauge);
        let now = Instant::now();
        for content in &history {
            let mut content = content.clone();
            content.values_mut().for_each(|(value, _)| *value = value.wrapping_sub(zero));
            hold(&mut scene, &content, placed, now);
            let mut sums: BTreeMap<u8, u64> = BTreeMap::new();
            for (value, series) in content.values() {
                let sum = sums.entry(*series).or_default();
                *sum = sum.wrapping_add(value.wrapping_mul(columns as u64));
            }
            prop_assert_eq!(scene.series(), sums);
        }
    }
}

/// Two maps add to one series, and one of them is let go of.
#[test]
fn a_map_that_leaves_takes_its_gauges_along_and_leaves_what_it_counted() {
    for (column, kind, left) in
        [(Column::Counter, Kind::Counter, 12), (Column::Gauge, Kind::IntegerGauge, 5)]
    {
        let mut scene = Scene::of(1, &[column], kind);
        let mut other = Known::new(1, &[column]);
        for value in [5, 7] {
            let row = scene.walk(|walk| meet(walk, &[1], &[value]))[0];
            scene.add_to(row, "a", 0, None);
            std::mem::swap(&mut scene.known, &mut other);
        }
        assert_eq!(scene.family.numbers(0), [12]);
        other.decided.leave_all(&other.rows, &mut scene.family);
        scene.family.let_go();
        assert_eq!((scene.family.len(), scene.family.numbers(0)[0]), (1, left));
        let Known { rows, decided } = &mut scene.known;
        decided.leave_all(rows, &mut scene.family);
        assert!(scene.family.is_empty());
    }
}

#[test]
fn a_row_that_was_only_put_off_brings_all_that_it_counted() {
    for (grounds, total) in [(Grounds::Owing, 9), (Grounds::Known, 2), (Grounds::Unknown, 2)] {
        let mut scene = Scene::new(1);
        let row = scene.walk(|walk| meet(walk, &[1], &[7]))[0];
        scene.decide(row, Decision { fates: &[Fate::Out], errors: 0, due: None, grounds });
        scene.add_to(row, "a", 0, None);
        scene.walk(|walk| meet(walk, &[1], &[9]));
        assert_eq!(scene.family.numbers(0), [total], "{grounds:?}");
    }
}

#[test]
fn room_is_used_again() {
    let mut scene = Scene::new(1);
    for walk in 0..100u8 {
        scene.walk(|walked| {
            (0..10).for_each(|n| meet(walked, &[walk.wrapping_mul(10).wrapping_add(n)], &[1]));
        });
    }
    let places = scene.known.rows.places();
    assert!(places <= 20, "{places} rows for 10 keys");
}

/// A walk that may err is set right: what it met and the map does not hold is no row, and what it
/// missed and the map does hold is one.
#[test]
fn doubts_are_settled_by_lookup() {
    let mut scene = Scene::new(1);
    let mut scrape = |keys: &[u8], there: &[u8]| {
        let new = {
            let mut adding = scene.known.decided.adding(&mut scene.family);
            let mut walk = scene.known.rows.begin(&mut adding);
            keys.iter().for_each(|key| meet(&mut walk, &[*key], &[7]));
            let lookup = |key: &[u8], values: &mut [u64]| {
                values[0] = 9;
                Ok(there.contains(&key[0]))
            };
            walk.end().confirm(lookup, 1).unwrap().forget_missed()
        };
        for (n, row) in new.iter().enumerate() {
            scene.decide(*row, decision(&[Fate::Out], 0, None));
            assert!(new[..n].iter().all(|other| other != row));
        }
        let known = (0..=9).filter(|key| scene.known.rows.find(&[*key]).is_some());
        (known.collect::<Vec<_>>(), new.len())
    };
    assert_eq!(scrape(&[1, 2, 3], &[1, 2]), (vec![1, 2], 2), "3 was torn");
    assert_eq!(scrape(&[1, 3, 2], &[1, 2, 3]), (vec![1, 2, 3], 1));
    assert_eq!(scrape(&[3], &[1, 3]), (vec![1, 3], 0), "1 was missed, 2 is gone");
    assert_eq!(scrape(&[3, 4, 1], &[1, 3]), (vec![1, 3], 0), "4 was torn");
    assert_eq!(scrape(&[3, 4, 1], &[1, 3, 4]), (vec![1, 3, 4], 1), "4 is there now");
}

/// A scrape that decides key 1 with an answer that ends, then one after its end of which `walk` is
/// the walk; how many rows are to be decided then, and the sum of all numbers once they are.
fn after_the_end(walk: impl FnOnce(&mut Scene) -> Vec<Row>) -> (usize, u64) {
    let mut scene = Scene::new(1);
    let now = Instant::now();
    let new = scene.walk(|walk| meet(walk, &[1], &[7]));
    scene.add_to(new[0], "a", 0, Some(now));
    let new = walk(&mut scene);
    scene.known.decided.expire(now);
    let rows = scene.undecided(new);
    rows.iter().for_each(|row| scene.add_to(*row, "a", 0, None));
    (rows.len(), scene.family.numbers(0)[0])
}

#[test]
fn an_answer_that_ends_is_asked_again_and_costs_no_row() {
    let as_usual = |scene: &mut Scene| scene.walk(|walk| meet(walk, &[1], &[8]));
    assert_eq!(after_the_end(as_usual), (1, 8), "met as usual");
    let behind = |scene: &mut Scene| scene.walk_until(|_| {}, |met| met.keep_missed());
    assert_eq!(after_the_end(behind), (1, 7), "behind an error: the last number stays");
    let confirmed = |scene: &mut Scene| {
        let mut adding = scene.known.decided.adding(&mut scene.family);
        let lookup = |_: &[u8], values: &mut [u64]| {
            values[0] = 9;
            Ok(true)
        };
        let walked = scene.known.rows.begin(&mut adding).end();
        walked.confirm(lookup, 1).unwrap().forget_missed()
    };
    assert_eq!(after_the_end(confirmed), (1, 9), "missed by a harvest, and there");
}

/// Rows of these keys are met, and those that are new decided as holding until `due`.
fn decided(scene: &mut Scene, keys: &[u8], due: Instant) {
    let new = scene.walk(|walk| keys.iter().for_each(|key| meet(walk, &[*key], &[(*key).into()])));
    for row in new {
        let label = scene.known.rows.key(row)[0].to_string();
        scene.add_to(row, &label, 1, Some(due));
    }
}

#[test]
fn rows_wait_in_order_and_stay_as_they_are() {
    let mut scene = Scene::new(1);
    let (now, second) = (Instant::now(), Duration::from_secs(1));
    decided(&mut scene, &[1, 2, 3, 4], now + second);
    let keys = |scene: &Scene, rows: &[Row]| -> Vec<u8> {
        rows.iter().map(|row| scene.known.rows.key(*row)[0]).collect()
    };
    scene.known.decided.expire(now);
    assert_eq!(scene.known.decided.waiting(), 0);
    scene.known.decided.expire(now + second);
    let taken = scene.known.decided.take_waiting(2);
    assert_eq!(keys(&scene, &taken), [1, 2]);
    // 1 has its turn, 2 has not, and 5 is new and has not either.
    scene.decide(taken[0], decision(&[Fate::Out], 0, None));
    scene.known.decided.wait(&taken[1..], now + second * 2);
    decided(&mut scene, &[1, 2, 3, 4, 5], now + second * 9);
    let five = scene.known.rows.find(&[5]).unwrap();
    scene.decide(five, decision(&[Fate::Out], 0, None));
    scene.known.decided.wait(&[five], now + second * 3);
    let errors = scene.known.decided.errors();
    assert_eq!(errors, 3, "2, 3 and 4 are counted once, whatever they wait for");
    assert_eq!(scene.family.len(), 3, "and their series stay");
    // 3 goes, and another key takes its room: it has not waited.
    decided(&mut scene, &[1, 2, 4, 5], now + second * 9);
    decided(&mut scene, &[1, 2, 4, 5, 6], now + second * 9);
    scene.known.decided.expire(now + second * 3);
    let rest = scene.known.decided.take_waiting(9);
    assert_eq!(keys(&scene, &rest), [2, 4, 5]);
    scene.known.decided.wait(&rest, now + second * 4);
    let rest = scene.known.decided.take_waiting(9);
    assert_eq!(keys(&scene, &rest), [2, 4, 5], "none is passed by another");
}

#[test]
fn rows_that_wait_and_go_leave_nothing_behind() {
    let mut scene = Scene::new(2);
    let now = Instant::now();
    for n in 0..1000u16 {
        for row in scene.walk(|walk| meet(walk, &n.to_ne_bytes(), &[7])) {
            scene.decide(row, decision(&[Fate::Out], 0, None));
            scene.known.decided.wait(&[row], now);
        }
        scene.known.decided.expire(now);
    }
    let waiting = scene.known.decided.waiting();
    assert!(waiting <= 100, "{waiting} wait of 1 key");
}

#[test]
fn a_row_that_is_decided_as_before_turns_nothing() {
    let mut scene = Scene::new(1);
    let now = Instant::now();
    decided(&mut scene, &[1], now);
    scene.family.settle();
    scene.known.decided.expire(now);
    let rows = scene.known.decided.take_waiting(1);
    scene.add_to(rows[0], "1", 0, None);
    assert!(!scene.family.turned(0..1));
    assert_eq!((scene.family.len(), scene.family.numbers(0)), (1, &[1][..]));
    scene.walk(|_| {});
    assert_eq!(scene.family.len(), 0);
}

#[test]
fn ends_of_gone_keys_are_forgotten() {
    let mut scene = Scene::new(2);
    let due = Instant::now() + Duration::from_secs(600);
    for n in 0..1000u16 {
        for row in scene.walk(|walk| meet(walk, &n.to_ne_bytes(), &[7])) {
            scene.decide(row, decision(&[Fate::Out], 0, Some(due)));
        }
    }
    let ends = scene.known.decided.ends();
    assert!(ends <= 200, "{ends} ends for 1 key");
}

#[test]
fn walks_are_counted_anew_when_the_number_is_at_its_end() {
    let mut scene = Scene::new(1);
    scene.walk(|walk| (0..3).for_each(|n| meet(walk, &[n], &[1])));
    scene.known.rows.progress.walk = u32::MAX - 1;
    for _ in 0..3 {
        scene.walk(|walk| (0..2).for_each(|n| meet(walk, &[n], &[1])));
        assert_eq!(scene.known.rows.met(), 2);
        assert_eq!(scene.known.rows.len(), 2);
    }
}
