//! The memory against a plain model: a map from keys to what is known of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::bpf::read::Chunk;
use crate::series::{Kind, LabelSet};

/// One walk: the keys that the map hands out, in its order, doubles included; how many seconds
/// after the last one it comes; the keys of a walk before it that was given up; and whether entries
/// have places, which are where they stand among those keys.
type Walk = (Vec<u8>, u64, Vec<u8>, bool);

fn walks() -> impl Strategy<Value = Vec<Walk>> {
    let any = || prop::collection::vec(0..40u8, 0..60);
    // Most maps hand out most of their keys in the same order each time.
    let like_the_last = (0..40u8, 0..40u8)
        .prop_map(|(without, from)| (from..40).chain(0..from).filter(|n| *n != without).collect());
    let keys = prop_oneof![any(), like_the_last, Just((0..40).collect())];
    let given_up = prop_oneof![3 => Just(Vec::new()), 1 => any()];
    prop::collection::vec((keys, 0..4u64, given_up, prop::bool::ANY), 1..12)
}

/// The next entry of a walk, at this place if its places are known.
fn meet_at(
    place: Option<usize>,
    memory: &mut Memory,
    key: &[u8],
    values: &[u64],
    family: &mut Family,
) {
    let chunk = Chunk::new(key, key.len(), values, values.len());
    let places = place.map(|place| [place as u32]);
    memory.take(places.as_ref().map_or(chunk, |places| chunk.at(places)), family);
}

/// The next entry of a walk.
fn meet(memory: &mut Memory, key: &[u8], values: &[u64], family: &mut Family) {
    memory.take(Chunk::new(key, key.len(), values, values.len()), family);
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

/// A family for rows whose fate does not matter.
fn any() -> Family {
    Family::new("x".into(), "x".into(), Vec::new(), Kind::Counter)
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
        let mut family = Family::new("x".into(), "x".into(), vec!["a".into()], Kind::Counter);
        let mut memory = Memory::new(5, 1);
        let mut model: BTreeMap<u8, Option<Instant>> = BTreeMap::new();
        let mut known: Vec<u8> = Vec::new();
        let mut counted: BTreeMap<u8, Counted> = BTreeMap::new();
        let mut now = Instant::now();
        for (keys, pause, given_up, placed) in walks {
            now += Duration::from_secs(pause);
            let at = |n| placed.then_some(n);
            memory.begin();
            for n in given_up.iter().collect::<BTreeSet<_>>() {
                Counted::meet(&mut counted, *n, 107);
            }
            for (place, n) in given_up.iter().enumerate() {
                meet_at(at(place), &mut memory, &key(*n), &[7, 100], &mut family);
            }
            memory.begin();
            let mut met = BTreeMap::new();
            let doubles = keys.len();
            for (value, n) in (1..).zip(keys) {
                meet_at(at(value as usize), &mut memory, &key(n), &[value, 100], &mut family);
                if met.insert(n, value + 100).is_none() {
                    Counted::meet(&mut counted, n, value + 100);
                }
            }
            counted.retain(|n, _| met.contains_key(n));
            let doubles = doubles - met.len();
            let unknown = met.keys().filter(|n| !placed && !known.contains(n)).count();
            let gone = known.iter().filter(|n| !met.contains_key(n)).count();
            prop_assert!(!given_up.is_empty() || memory.doubts() == unknown + gone + doubles);
            known = met.keys().copied().collect();
            memory.forget_missed(&mut family);
            memory.expire(now);
            model.retain(|n, due| met.contains_key(n) && due.is_none_or(|due| due > now));
            let new = met.keys().filter(|n| !model.contains_key(n)).count();
            let mut undecoded = memory.take_waiting(usize::MAX);
            prop_assert!(undecoded.iter().all(|row| memory.is_decided(*row)));
            undecoded.append(&mut memory.take_undecoded());
            prop_assert_eq!(undecoded.len(), new);
            for row in undecoded {
                let n = memory.key(row)[0];
                prop_assert!(model.insert(n, None).is_none(), "{} was decided before", n);
                let due = n.is_multiple_of(3).then(|| now + Duration::from_secs(2));
                let label = n.to_string();
                let cell = family.join(&LabelSet::of([label.as_str()]), None);
                let errors = u16::from(n.is_multiple_of(5));
                memory.decide(row, decision(&[Fate::Add(cell)], errors, due), &mut family);
                model.insert(n, due);
                let Counted { last, total } = counted.get_mut(&n).unwrap();
                total.get_or_insert(*last);
            }
            family.let_go();
            for id in family.live() {
                let n = family.label_values(id).next().unwrap().parse().unwrap();
                prop_assert_eq!(counted[&n].total, Some(family.numbers(id)[0]));
            }
            prop_assert_eq!(family.len(), met.len(), "series of gone keys are gone");
            let errors = met.keys().filter(|n| n.is_multiple_of(5)).count();
            prop_assert_eq!(memory.errors(), errors as u64);
            prop_assert!((0..40).all(|n| memory.find(&key(n)).is_some() == met.contains_key(&n)));
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

proptest! {
    /// Rows are merged, go, come again, fall, and move from series to series: what was counted stays
    /// counted, once.
    #[test]
    fn no_series_falls(history in contents(), placed in prop::bool::ANY) {
        let mut family = Family::new("x".into(), "x".into(), vec!["a".into()], Kind::Counter);
        let mut memory = Memory::new(5, 1);
        let now = Instant::now();
        let mut last: BTreeMap<u8, u64> = BTreeMap::new();
        for (n, content) in history.iter().enumerate() {
            memory.begin();
            for (place, (of, (value, _))) in content.iter().enumerate() {
                let place = placed.then_some(place);
                meet_at(place, &mut memory, &key(*of), &[*value], &mut family);
            }
            memory.forget_missed(&mut family);
            memory.expire(now);
            let mut rows = memory.take_waiting(usize::MAX);
            rows.append(&mut memory.take_undecoded());
            for row in rows {
                let (_, series) = content[&memory.key(row)[0]];
                let cell = family.join(&LabelSet::of([series.to_string().as_str()]), None);
                memory.decide(row, decision(&[Fate::Add(cell)], 0, Some(now)), &mut family);
            }
            family.let_go();
            let live = family.live().map(|id| {
                let series = family.label_values(id).next().unwrap().parse().unwrap();
                (series, family.numbers(id)[0])
            });
            let live: BTreeMap<u8, u64> = live.collect();
            prop_assert_eq!(&live, &twin(&history[..=n]));
            for (series, total) in &live {
                prop_assert!(last.get(series).is_none_or(|before| before <= total));
            }
            last = live;
        }
    }
}

#[test]
fn a_row_that_was_only_put_off_brings_all_that_it_counted() {
    for (grounds, total) in [(Grounds::Owing, 9), (Grounds::Known, 2), (Grounds::Unknown, 2)] {
        let (mut memory, mut family) = (Memory::new(1, 1), any());
        let now = Instant::now();
        memory.begin();
        meet(&mut memory, &[1], &[7], &mut family);
        let row = memory.take_undecoded()[0];
        let left_out = Decision { fates: &[Fate::Out], errors: 0, due: None, grounds };
        memory.decide(row, left_out, &mut family);
        let cell = family.join(&LabelSet::default(), None);
        memory.decide(row, decision(&[Fate::Add(cell)], 0, Some(now)), &mut family);
        memory.begin();
        meet(&mut memory, &[1], &[9], &mut family);
        assert_eq!(family.numbers(0), [total], "{grounds:?}");
    }
}

#[test]
fn room_is_used_again() {
    let (mut memory, mut family) = (Memory::new(1, 1), any());
    for walk in 0..100u8 {
        memory.begin();
        for n in 0..10 {
            meet(&mut memory, &[walk.wrapping_mul(10).wrapping_add(n)], &[1], &mut family);
        }
        memory.forget_missed(&mut family);
    }
    assert!(memory.rows.len() <= 20, "{} rows for 10 keys", memory.rows.len());
}

/// A walk that may err is set right: what it met and the map does not hold is no row, and what it
/// missed and the map does hold is one.
#[test]
fn doubts_are_settled_by_lookup() {
    let (mut memory, mut family) = (Memory::new(1, 1), any());
    let mut scrape = |keys: &[u8], there: &[u8]| {
        memory.begin();
        keys.iter().for_each(|key| meet(&mut memory, &[*key], &[7], &mut family));
        let lookup = |key: &[u8], values: &mut [u64]| {
            values[0] = 9;
            Ok(there.contains(&key[0]))
        };
        memory.confirm(lookup, 1, &mut family).unwrap();
        let new = memory.take_undecoded();
        for (n, row) in new.iter().enumerate() {
            memory.decide(*row, decision(&[Fate::Out], 0, None), &mut family);
            assert!(new[..n].iter().all(|other| other != row));
        }
        memory.forget_missed(&mut family);
        let known = (0..=9).filter(|key| memory.find(&[*key]).is_some());
        (known.collect::<Vec<_>>(), new.len())
    };
    assert_eq!(scrape(&[1, 2, 3], &[1, 2]), (vec![1, 2], 2), "3 was torn");
    assert_eq!(scrape(&[1, 3, 2], &[1, 2, 3]), (vec![1, 2, 3], 1));
    assert_eq!(scrape(&[3], &[1, 3]), (vec![1, 3], 0), "1 was missed, 2 is gone");
    assert_eq!(scrape(&[3, 4, 1], &[1, 3]), (vec![1, 3], 0), "4 was torn");
    assert_eq!(scrape(&[3, 4, 1], &[1, 3, 4]), (vec![1, 3, 4], 1), "4 is there now");
}

/// A scrape that decodes key 1 with an answer that ends, then one after its end of which `walk` is
/// the walk; how many rows are to be decoded then, and the sum of all values once they are.
fn after_the_end(walk: impl FnOnce(&mut Memory, &mut Family)) -> (usize, u64) {
    let (mut memory, mut family) = (Memory::new(1, 1), any());
    let now = Instant::now();
    memory.begin();
    meet(&mut memory, &[1], &[7], &mut family);
    let decode = |memory: &mut Memory, due, family: &mut Family| {
        let mut rows = memory.take_waiting(9);
        rows.append(&mut memory.take_undecoded());
        for row in &rows {
            let cell = family.join(&LabelSet::default(), None);
            memory.decide(*row, decision(&[Fate::Add(cell)], 0, due), family);
        }
        rows.len()
    };
    decode(&mut memory, Some(now), &mut family);
    memory.begin();
    walk(&mut memory, &mut family);
    memory.expire(now);
    let decoded = decode(&mut memory, None, &mut family);
    (decoded, family.numbers(0)[0])
}

#[test]
fn an_answer_that_ends_is_asked_again_and_costs_no_row() {
    let as_usual = |memory: &mut Memory, family: &mut Family| meet(memory, &[1], &[8], family);
    assert_eq!(after_the_end(as_usual), (1, 8), "met as usual");
    assert_eq!(after_the_end(|_, _| {}), (1, 7), "behind an error: the last value stays");
    let confirmed = |memory: &mut Memory, family: &mut Family| {
        let lookup = |_: &[u8], values: &mut [u64]| {
            values[0] = 9;
            Ok(true)
        };
        memory.confirm(lookup, 1, family).unwrap();
        memory.forget_missed(family);
    };
    assert_eq!(after_the_end(confirmed), (1, 9), "missed by a harvest, and there");
}

/// Rows of these keys are met, and decided as holding for so many seconds.
fn decided(memory: &mut Memory, family: &mut Family, keys: &[u8], due: Instant) {
    memory.begin();
    keys.iter().for_each(|key| meet(memory, &[*key], &[u64::from(*key)], family));
    for row in memory.take_undecoded() {
        let label = memory.key(row)[0].to_string();
        let cell = family.join(&LabelSet::of([label.as_str()]), None);
        memory.decide(row, decision(&[Fate::Add(cell)], 1, Some(due)), family);
    }
    memory.forget_missed(family);
}

#[test]
fn rows_wait_in_order_and_stay_as_they_are() {
    let (mut memory, mut family) = (Memory::new(1, 1), any());
    let (now, second) = (Instant::now(), Duration::from_secs(1));
    decided(&mut memory, &mut family, &[1, 2, 3, 4], now + second);
    let keys = |memory: &Memory, rows: &[Row]| -> Vec<u8> {
        rows.iter().map(|row| memory.key(*row)[0]).collect()
    };
    memory.expire(now);
    assert_eq!(memory.waiting(), 0);
    memory.expire(now + second);
    let taken = memory.take_waiting(2);
    assert_eq!(keys(&memory, &taken), [1, 2]);
    // 1 has its turn, 2 has not, and 5 is new and has not either.
    memory.decide(taken[0], decision(&[Fate::Out], 0, None), &mut family);
    memory.wait(&taken[1..], now + second * 2);
    decided(&mut memory, &mut family, &[1, 2, 3, 4, 5], now + second * 9);
    let five = memory.find(&[5]).unwrap();
    memory.decide(five, decision(&[Fate::Out], 0, None), &mut family);
    memory.wait(&[five], now + second * 3);
    assert_eq!(memory.errors(), 3, "2, 3 and 4 are counted once, whatever they wait for");
    assert_eq!(family.len(), 3, "and their series stay");
    // 3 goes, and another key takes its room: it has not waited.
    decided(&mut memory, &mut family, &[1, 2, 4, 5], now + second * 9);
    decided(&mut memory, &mut family, &[1, 2, 4, 5, 6], now + second * 9);
    memory.expire(now + second * 3);
    let rest = memory.take_waiting(9);
    assert_eq!(keys(&memory, &rest), [2, 4, 5]);
    memory.wait(&rest, now + second * 4);
    let rest = memory.take_waiting(9);
    assert_eq!(keys(&memory, &rest), [2, 4, 5], "none is passed by another");
}

#[test]
fn rows_that_wait_and_go_leave_nothing_behind() {
    let (mut memory, mut family) = (Memory::new(2, 1), any());
    let now = Instant::now();
    for n in 0..1000u16 {
        memory.begin();
        meet(&mut memory, &n.to_ne_bytes(), &[7], &mut family);
        for row in memory.take_undecoded() {
            memory.decide(row, decision(&[Fate::Out], 0, None), &mut family);
            memory.wait(&[row], now);
        }
        memory.forget_missed(&mut family);
        memory.expire(now);
    }
    assert!(memory.waiting() <= 100, "{} wait of 1 key", memory.waiting());
}

#[test]
fn a_row_that_is_decided_as_before_turns_nothing() {
    let (mut memory, mut family) = (Memory::new(1, 1), any());
    let now = Instant::now();
    decided(&mut memory, &mut family, &[1], now);
    family.settle();
    memory.expire(now);
    let rows = memory.take_waiting(1);
    let cell = family.join(&LabelSet::of(["1"]), None);
    memory.decide(rows[0], decision(&[Fate::Add(cell)], 0, None), &mut family);
    assert!(!family.turned(0..1));
    assert_eq!((family.len(), family.numbers(0)), (1, &[1][..]));
    memory.begin();
    memory.forget_missed(&mut family);
    assert_eq!(family.len(), 0);
}

#[test]
fn ends_of_gone_keys_are_forgotten() {
    let (mut memory, mut family) = (Memory::new(2, 1), any());
    let due = Instant::now() + Duration::from_secs(600);
    for n in 0..1000u16 {
        memory.begin();
        meet(&mut memory, &n.to_ne_bytes(), &[7], &mut family);
        for row in memory.take_undecoded() {
            memory.decide(row, decision(&[Fate::Out], 0, Some(due)), &mut family);
        }
        memory.forget_missed(&mut family);
    }
    assert!(memory.due.len() <= 200, "{} ends for 1 key", memory.due.len());
}

#[test]
fn walks_are_counted_anew_when_the_number_is_at_its_end() {
    let (mut memory, mut family) = (Memory::new(1, 1), any());
    memory.begin();
    (0..3).for_each(|n| meet(&mut memory, &[n], &[1], &mut family));
    memory.forget_missed(&mut family);
    memory.walk = u32::MAX - 1;
    for _ in 0..3 {
        memory.begin();
        (0..2).for_each(|n| meet(&mut memory, &[n], &[1], &mut family));
        assert_eq!(memory.count(), 2);
        memory.forget_missed(&mut family);
        assert_eq!(memory.len(), 2);
    }
}
