//! What becomes of what rows have counted when they go, fall, wait and are decided anew.

use super::*;

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

/// What is in each series, and what becomes of what rows have counted.
#[derive(Default)]
struct Twins {
    series: BTreeMap<u8, u64>,
    rows: BTreeMap<u8, Twin>,
}

#[derive(Default)]
struct Twin {
    now: Option<u8>,
    /// The series that it was in last, if that has gone on since.
    last: Option<u8>,
    /// What it has counted there, with no other series in between.
    there: u64,
    /// What it is to bring to the next one.
    owed: u64,
}

impl Twins {
    fn count(&mut self, row: u8, more: u64) {
        let Twin { now, there, owed, .. } = self.rows.entry(row).or_default();
        match now {
            Some(now) => {
                *self.series.entry(*now).or_default() += more;
                *there += more;
            }
            None => *owed += more,
        }
    }

    fn turn(&mut self, row: u8, to: Option<u8>) {
        let Twin { now, last, there, owed } = self.rows.entry(row).or_default();
        if let Some(to) = to {
            *self.series.entry(to).or_default() += *owed;
            *there = if *last == Some(to) { *there + *owed } else { *owed };
            *owed = 0;
            *last = Some(to);
        }
        *now = to;
    }

    /// Series that no row is in go; rows that are in none since then still have what they had there.
    fn let_go(&mut self) {
        let Self { series, rows } = self;
        series.retain(|id, _| rows.values().any(|twin| twin.now == Some(*id)));
        for twin in
            rows.values_mut().filter(|twin| twin.last.is_some_and(|id| !series.contains_key(&id)))
        {
            twin.owed += std::mem::take(&mut twin.there);
            twin.last = None;
        }
    }
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

    /// Rows are left out for a while, too: no series falls while it has rows, what is counted in a series is
    /// counted in no other, and what is in none is lost only with its series.
    #[test]
    fn no_row_that_is_left_out_loses_a_count(
        history in prop::collection::vec(prop::collection::vec((0..9u64, 0..5u8), 4), 1..25),
        compact in prop::bool::ANY,
    ) {
        let mut scene = Scene::new(1);
        let mut twins = Twins::default();
        let mut values = [0; 4];
        let mut last: BTreeMap<u8, u64> = BTreeMap::new();
        for content in history {
            (0..).zip(&content).for_each(|(n, (more, _))| { let n: usize = n; values[n] += more; });
            scene.walk(|walk| (0..).zip(values).for_each(|(key, value)| meet(walk, &[key], &[value])));
            for (key, (more, to)) in (0..).zip(&content) {
                let row = scene.known.rows.find(&[key]).unwrap();
                // Two of the five are that it is left out.
                match to {
                    0..3 => scene.add_to(row, &to.to_string(), 0, None),
                    _ => scene.decide(row, decision(&[Fate::Out], 0, None)),
                }
                twins.count(key, *more);
            }
            (0..).zip(&content).for_each(|(key, (_, to))| twins.turn(key, Some(*to).filter(|to| *to < 3)));
            twins.let_go();
            scene.family.let_go();
            if compact {
                let moves = scene.family.compact();
                scene.known.decided.follow(&moves);
            }
            let live = scene.series();
            prop_assert_eq!(&live, &twins.series);
            for (series, total) in &live {
                prop_assert!(last.get(series).is_none_or(|before| before <= total));
            }
            prop_assert!(live.values().sum::<u64>() <= values.iter().sum());
            last = live;
        }
    }

    /// The series of a gauge are the sums of what the map holds now, whatever it held before. Numbers are
    /// signed, and wrap. So are those of a counter whose program sets it.
    #[test]
    fn gauges_are_what_the_map_holds(
        history in contents(),
        placed in prop::bool::ANY,
        zero in prop::sample::select(&[0, 25, u64::MAX, 1 << 63][..]),
        columns in 1..3usize,
        is_set in prop::bool::ANY,
    ) {
        let kind = if is_set { Kind::Counter } else { Kind::IntegerGauge };
        let mut scene = Scene::of(5, &vec![Column::Gauge; columns], kind);
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

/// It was inserted again: CPUs that have counted more since than before have counted all of it anew too.
#[test]
fn a_row_one_of_whose_numbers_fell_is_all_new() {
    let mut scene = Scene::of(1, &[Column::Counter; 2], Kind::Counter);
    let row = scene.walk(|walk| meet(walk, &[1], &[100, 10]))[0];
    let cells = ["0", "1"].map(|cpu| scene.family.join(&LabelSet::of([cpu]), None));
    scene.decide(row, decision(&cells.map(Fate::Add), 0, None));
    for (numbers, series) in [([0, 150], [100, 160]), ([1, 151], [101, 161])] {
        scene.walk(|walk| meet(walk, &[1], &numbers));
        assert_eq!(cells.map(|cell| scene.family.number(cell)), series);
    }
}

#[test]
fn a_counter_that_has_come_to_its_end_stays_there() {
    let mut scene = Scene::new(1);
    for value in [5, u64::MAX, 3, 4] {
        let new = scene.walk(|walk| {
            meet(walk, &[1], &[value]);
            meet(walk, &[2], &[1000]);
        });
        new.into_iter().for_each(|row| scene.add_to(row, "a", 0, None));
        let sum = if value == 5 { 1005 } else { u64::MAX };
        assert_eq!(scene.family.numbers(0), [sum], "{value}");
    }
}

#[test]
fn a_row_that_was_in_no_series_brings_all_that_it_counted() {
    for grounds in [Grounds::Known, Grounds::Unknown] {
        let mut scene = Scene::new(1);
        let row = scene.walk(|walk| meet(walk, &[1], &[7]))[0];
        let out = Decision { fates: &[Fate::Out], errors: 0, due: None, grounds };
        scene.decide(row, out);
        scene.walk(|walk| meet(walk, &[1], &[9]));
        scene.decide(row, out);
        scene.add_to(row, "a", 0, None);
        scene.walk(|walk| meet(walk, &[1], &[12]));
        assert_eq!(scene.series(), BTreeMap::from([("a".to_owned(), 12)]), "{grounds:?}");
    }
}

/// A row leaves a series with another one in it, counts while it is left out, and comes into `series`; what
/// is in each series then.
fn left_out_and_back(series: &str) -> BTreeMap<String, u64> {
    let mut scene = Scene::new(1);
    let counts = |scene: &mut Scene, value| {
        scene.walk(|walk| {
            meet(walk, &[1], &[value]);
            meet(walk, &[2], &[1]);
        })
    };
    let rows = counts(&mut scene, 7);
    rows.iter().for_each(|row| scene.add_to(*row, "a", 0, None));
    for value in [9, 10] {
        scene.decide(rows[0], decision(&[Fate::Out], 0, None));
        counts(&mut scene, value);
        scene.family.let_go();
    }
    scene.add_to(rows[0], series, 0, None);
    counts(&mut scene, 15);
    scene.series()
}

#[test]
fn a_row_that_was_left_out_for_a_while_brings_what_it_has_counted_since() {
    let of = |label: &str, number| (label.to_owned(), number);
    assert_eq!(left_out_and_back("b"), BTreeMap::from([of("a", 8), of("b", 8)]));
    assert_eq!(left_out_and_back("a"), BTreeMap::from([of("a", 16)]));
}

/// All rows leave their series, which are let go of, or not as rows wait; and come again.
#[test]
fn rows_that_come_again_bring_what_went_with_their_series() {
    for (goes, a, b) in [(true, 9, 7), (false, 16, 7)] {
        let mut scene = Scene::new(1);
        let counts = |scene: &mut Scene, values: [u64; 2]| {
            scene.walk(|walk| (1..).zip(values).for_each(|(key, n)| meet(walk, &[key], &[n])))
        };
        let rows = counts(&mut scene, [3, 7]);
        rows.iter().for_each(|row| scene.add_to(*row, "a", 0, None));
        // The second one's 7 were counted in `a`, and stay there.
        scene.add_to(rows[1], "b", 0, None);
        rows.iter().for_each(|row| scene.decide(*row, decision(&[Fate::Out], 0, None)));
        if goes {
            scene.family.let_go()
        } else {
            scene.family.hold()
        }
        assert!(scene.family.is_empty());
        counts(&mut scene, [4, 9]);
        rows.iter().zip(["a", "b"]).for_each(|(row, label)| scene.add_to(*row, label, 0, None));
        counts(&mut scene, [9, 14]);
        let of = |label: &str, number| (label.to_owned(), number);
        assert_eq!(scene.series(), BTreeMap::from([of("a", a), of("b", b)]), "{goes}");
    }
}

/// A row is left out twice: its series goes on the first time, and goes the second time.
#[test]
fn a_row_still_has_what_it_counted_before_it_was_left_out_for_a_while() {
    let mut scene = Scene::new(1);
    let rows = scene.walk(|walk| (1..3).for_each(|key| meet(walk, &[key], &[7])));
    rows.iter().for_each(|row| scene.add_to(*row, "a", 0, None));
    scene.decide(rows[0], decision(&[Fate::Out], 0, None));
    scene.family.let_go();
    scene.add_to(rows[0], "a", 0, None);
    assert_eq!(scene.series(), BTreeMap::from([("a".to_owned(), 14)]));
    rows.iter().for_each(|row| scene.decide(*row, decision(&[Fate::Out], 0, None)));
    scene.family.let_go();
    rows.iter().for_each(|row| scene.add_to(*row, "a", 0, None));
    assert_eq!(scene.series(), BTreeMap::from([("a".to_owned(), 14)]));
}

#[test]
fn a_count_that_falls_while_its_row_is_left_out_is_all_new() {
    let mut scene = Scene::new(1);
    let rows = scene.walk(|walk| (1..3).for_each(|key| meet(walk, &[key], &[7])));
    rows.iter().for_each(|row| scene.add_to(*row, "a", 0, None));
    scene.decide(rows[0], decision(&[Fate::Out], 0, None));
    for value in [9, 2, 20] {
        scene.walk(|walk| (1..).zip([value, 7]).for_each(|(key, n)| meet(walk, &[key], &[n])));
    }
    scene.add_to(rows[0], "a", 0, None);
    assert_eq!(scene.series(), BTreeMap::from([("a".to_owned(), 14 + 2 + 20)]));
}

#[test]
fn what_is_kept_of_rows_that_were_left_out_goes_with_them() {
    let mut scene = Scene::new(2);
    for n in 0..1000u16 {
        for row in scene.walk(|walk| meet(walk, &n.to_ne_bytes(), &[7])) {
            for label in ["a", "b"] {
                scene.add_to(row, label, 0, None);
                scene.decide(row, decision(&[Fate::Out], 0, None));
            }
            if n % 2 == 0 {
                scene.add_to(row, "a", 0, None);
                scene.add_to(row, "b", 0, None);
            }
        }
        scene.family.let_go();
    }
    let kept = scene.known.decided.kept_past();
    assert!(kept <= 4, "{kept} of 1 key");
}

#[test]
fn rows_that_are_asked_again_wait_once() {
    let mut scene = Scene::new(1);
    let (now, second) = (Instant::now(), Duration::from_secs(1));
    decided(&mut scene, &[1, 2, 3], now + second);
    let new = scene.walk(|walk| (1..=4).for_each(|key| meet(walk, &[key], &[1])));
    for _ in 0..2 {
        let Known { rows, decided } = &mut scene.known;
        decided.ask_again(rows, now);
    }
    assert_eq!(scene.known.decided.waiting(), 3, "the fourth is not decided yet");
    scene.known.decided.expire(now + second);
    let taken = scene.known.decided.take_waiting(9);
    assert_eq!(taken.len(), 3, "what they waited for does not come again");
    for row in taken {
        scene.add_to(row, "a", 0, None);
    }
    scene.add_to(new[0], "a", 0, None);
    scene.known.decided.expire(now + second * 2);
    assert_eq!(scene.known.decided.waiting(), 0);
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
