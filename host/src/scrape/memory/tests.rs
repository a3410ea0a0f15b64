//! The memory against a plain model: a map from keys to what is known of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::series::{Family, Kind, LabelSet};

/// One walk: the keys that the map hands out, in its order, doubles included; and how many seconds
/// after the last one it comes.
type Walk = (Vec<u8>, u64);

fn walks() -> impl Strategy<Value = Vec<Walk>> {
    prop::collection::vec((prop::collection::vec(0..40u8, 0..60), 0..4u64), 1..12)
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
        let mut now = Instant::now();
        for (keys, pause) in walks {
            now += Duration::from_secs(pause);
            memory.begin(now, |cell| family.leave(cell));
            model.retain(|_, due| due.is_none_or(|due| due > now));
            let mut met = BTreeSet::new();
            for n in keys {
                let Some(row) = memory.meet(&key(n)) else {
                    prop_assert!(!met.insert(n), "{} was met for the first time", n);
                    continue;
                };
                prop_assert!(met.insert(n), "{} was met before", n);
                prop_assert_eq!(memory.key(row), key(n));
                let undecoded = memory.fates(row) == [Fate::Undecoded];
                prop_assert_eq!(undecoded, !model.contains_key(&n));
                if undecoded {
                    let due = n.is_multiple_of(3).then(|| now + Duration::from_secs(2));
                    let label = n.to_string();
                    let cell = family.join(&LabelSet::of([label.as_str()]), None);
                    let errors = u16::from(n.is_multiple_of(5));
                    memory.decide(row, std::iter::once(Fate::Add(cell)), errors, due);
                    model.insert(n, due);
                }
                let [Fate::Add(cell)] = memory.fates(row) else { panic!("it was decided") };
                prop_assert_eq!(family.place(*cell).0.collect::<Vec<_>>(), [n.to_string()]);
            }
            memory.end(|cell| family.leave(cell));
            model.retain(|n, _| met.contains(n));
            prop_assert_eq!(family.len(), met.len(), "series of gone keys are gone");
            let errors = met.iter().filter(|n| n.is_multiple_of(5)).count();
            prop_assert_eq!(memory.errors(), errors as u64);
            prop_assert!((0..40).all(|n| memory.find(&key(n)).is_some() == met.contains(&n)));
        }
    }
}

#[test]
fn room_is_used_again() {
    let mut memory = Memory::new(1, 1);
    for walk in 0..100u8 {
        memory.begin(Instant::now(), |_| {});
        for n in 0..10 {
            memory.meet(&[walk.wrapping_mul(10).wrapping_add(n)]);
        }
        memory.end(|_| {});
    }
    assert!(memory.met.len() <= 20, "{} rows for 10 keys", memory.met.len());
}
