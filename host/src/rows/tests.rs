//! Rows against a plain model: a map from keys to what is known of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::str::FromStr;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::series::{Family, Kind, LabelSet};
use crate::source::Chunk;

mod decided;

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
