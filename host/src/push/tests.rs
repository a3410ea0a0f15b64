//! What is pushed of series that come, go and begin anew, while messages are lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint};
use proptest::prelude::*;

use super::batches::Batches;
use super::points::metric;
use super::told::{Chosen, Told};
use super::variables::Form;
use crate::config::buckets::{Buckets, Scale, Slot};
use crate::series::{Cell, Family, Kind, LabelSet};

const DELTA: Form = Form { delta_counters: true, delta_histograms: true, exponential: false };
/// When the exporter began.
const BEGAN: u64 = 1000;

fn histogram() -> Kind {
    Kind::histogram(&Buckets {
        scale: Scale::Exp2 { min: 0, max: 2 },
        multiplier: 0.5,
        native: None,
    })
}

fn family(kind: Kind) -> Family {
    Family::new("x_total".to_owned(), "what".to_owned(), vec!["a".to_owned()], kind)
}

/// The metrics of a reading of this time, all in one message.
fn push(told: &mut Told, family: &Family, time: u64) -> Vec<Metric> {
    let families = [Arc::new(family.clone())];
    told.read(&families, time);
    let batch = Batches::of(&families).next().unwrap_or_default();
    let metrics = batch.chosen().map(|chosen| metric(chosen, told, time)).collect();
    batch.chosen().for_each(|chosen| told.acknowledge(chosen, time));
    metrics
}

fn label(attributes: &[KeyValue]) -> String {
    match &attributes[0].value.as_ref().unwrap().value {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{other:?}"),
    }
}

/// Of each point: its label, when it starts and ends, and its numbers.
fn points(metric: &Metric) -> Vec<(String, u64, u64, Vec<f64>)> {
    let number = |point: &NumberDataPoint| {
        let value = match point.value.unwrap() {
            Number::AsInt(value) => value as f64,
            Number::AsDouble(value) => value,
        };
        let (start, end) = (point.start_time_unix_nano, point.time_unix_nano);
        (label(&point.attributes), start, end, vec![value])
    };
    match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => sum.data_points.iter().map(number).collect(),
        Data::Gauge(gauge) => gauge.data_points.iter().map(number).collect(),
        Data::Histogram(histogram) => histogram
            .data_points
            .iter()
            .map(|point| {
                let counts = point.bucket_counts.iter().map(|count| *count as f64);
                let numbers = counts.chain([point.count as f64, point.sum.unwrap()]).collect();
                let (start, end) = (point.start_time_unix_nano, point.time_unix_nano);
                (label(&point.attributes), start, end, numbers)
            })
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// The same in lines.
fn lines(metrics: &[Metric]) -> String {
    let line = |(label, start, end, numbers)| format!("{label} {start}..{end} {numbers:?}");
    metrics.iter().flat_map(points).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_counter_is_told_as_it_is_since_it_was_there() {
    let (mut family, mut told) = (family(Kind::Counter), Told::new(Form::default(), BEGAN));
    let one = family.join(&LabelSet::of(["one"]), None);
    family.add(one, 5);
    insta::assert_snapshot!(lines(&push(&mut told, &family, 2000)), @"one 1000..2000 [5.0]");
    let two = family.join(&LabelSet::of(["two"]), None);
    family.add(two, 7);
    family.add(one, 1);
    insta::assert_snapshot!(lines(&push(&mut told, &family, 3000)), @r"
    one 1000..3000 [6.0]
    two 2000..3000 [7.0]
    ");
    // Gone and come again between two pushes, with a larger number.
    family.leave(two);
    family.let_go();
    let two = family.join(&LabelSet::of(["two"]), None);
    family.add(two, 9);
    insta::assert_snapshot!(lines(&push(&mut told, &family, 4000)), @r"
    one 1000..4000 [6.0]
    two 3000..4000 [9.0]
    ");
}

#[test]
fn a_counter_that_was_found_has_no_start() {
    let (mut family, mut told) = (family(Kind::Counter), Told::new(Form::default(), BEGAN));
    let add = |family: &mut Family, label, begun, count| {
        family.begin_at(begun);
        let cell = family.join(&LabelSet::of([label]), None);
        family.add(cell, count);
    };
    add(&mut family, "pinned", None, 500);
    insta::assert_snapshot!(lines(&push(&mut told, &family, 2_000_000)), @"pinned 0..2000000 [500.0]");
    add(&mut family, "late", None, 7);
    add(&mut family, "new", Some(3), 7);
    insta::assert_snapshot!(lines(&push(&mut told, &family, 4_000_000)), @r"
    pinned 0..4000000 [500.0]
    late 0..4000000 [7.0]
    new 3000000..4000000 [7.0]
    ");
    // The maps are read anew: one goes on, one has lost what rows had counted that have gone, one had another name.
    let mut anew = family.without_series();
    add(&mut anew, "new", None, 8);
    add(&mut anew, "pinned", None, 400);
    add(&mut anew, "later", None, 7);
    insta::assert_snapshot!(lines(&push(&mut told, &anew, 5_000_000)), @r"
    new 3000000..5000000 [8.0]
    pinned 0..5000000 [400.0]
    later 0..5000000 [7.0]
    ");
}

#[test]
fn differences_are_told_since_the_last_that_was_taken() {
    let (mut family, mut told) = (family(histogram()), Told::new(DELTA, BEGAN));
    let labels = LabelSet::of(["one"]);
    let [low, high, sum] =
        [Slot::Bucket(0), Slot::Bucket(2), Slot::Sum].map(|slot| family.join(&labels, Some(slot)));
    family.add(low, 1);
    family.add(sum, 1);
    insta::assert_snapshot!(lines(&push(&mut told, &family, 2000)), @"one 1000..2000 [1.0, 0.0, 0.0, 0.0, 1.0, 0.5]");
    family.add(high, 2);
    family.add(sum, 8);
    // A push that nobody takes.
    told.read(&[Arc::new(family.clone())], 3000);
    family.add(high, 1);
    family.add(sum, 4);
    insta::assert_snapshot!(lines(&push(&mut told, &family, 4000)), @"one 2000..4000 [0.0, 0.0, 3.0, 0.0, 3.0, 6.0]");
    insta::assert_snapshot!(lines(&push(&mut told, &family, 5000)), @"one 4000..5000 [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]");
}

#[test]
fn a_family_that_became_another_is_told_anew() {
    let mut told = Told::new(DELTA, BEGAN);
    let mut counter = family(Kind::Counter);
    let cell = counter.join(&LabelSet::of(["one"]), None);
    counter.add(cell, 5);
    push(&mut told, &counter, 2000);
    let mut other = family(histogram());
    let cell = other.join(&LabelSet::of(["one"]), Some(Slot::Bucket(0)));
    other.add(cell, 6);
    insta::assert_snapshot!(lines(&push(&mut told, &other, 3000)), @"one 2000..3000 [6.0, 0.0, 0.0, 0.0, 6.0, 0.0]");
}

/// Such as one of the exporter's own, after one before it in the order has gone.
#[test]
fn a_family_that_no_map_feeds_and_that_takes_the_place_of_another_goes_on() {
    let mut told = Told::new(DELTA, BEGAN);
    let labels = LabelSet::of(["one"]);
    let mut before = family(Kind::Counter);
    // It was let go of once, so its life is another one than that of the next family's.
    let cell = before.join(&labels, None);
    before.leave(cell);
    before.let_go();
    let cell = before.join(&labels, None);
    before.add(cell, 5);
    push(&mut told, &before, 2000);
    let mut after = before.without_series();
    let cell = after.join(&labels, None);
    after.add(cell, 6);
    insta::assert_snapshot!(lines(&push(&mut told, &after, 3000)), @"one 2000..3000 [1.0]");
    let mut anew = after.without_series();
    let cell = anew.join(&labels, None);
    anew.add(cell, 4);
    insta::assert_snapshot!(lines(&push(&mut told, &anew, 4000)), @"one 3000..4000 [4.0]");
}

#[test]
fn differences_begin_with_the_push_that_finds_a_series() {
    let mut told = Told::new(DELTA, BEGAN);
    let add = |family: &mut Family, label, begun, count| {
        family.begin_at(begun);
        let cell = family.join(&LabelSet::of([label]), None);
        family.add(cell, count);
    };
    let mut family = family(Kind::Counter);
    add(&mut family, "pinned", None, 500);
    insta::assert_snapshot!(lines(&push(&mut told, &family, 2_000_000)), @"pinned 2000000..2000000 [0.0]");
    add(&mut family, "pinned", None, 2);
    add(&mut family, "new", Some(3), 7);
    insta::assert_snapshot!(lines(&push(&mut told, &family, 4_000_000)), @r"
    pinned 2000000..4000000 [2.0]
    new 3000000..4000000 [7.0]
    ");
    // A reload makes the metric anew: one label has another name, one has counted what two had, one has lost what
    // a row had counted that has gone.
    let mut anew = family.without_series();
    add(&mut anew, "renamed", None, 7);
    add(&mut anew, "pinned", None, 509);
    add(&mut anew, "new", None, 1);
    insta::assert_snapshot!(lines(&push(&mut told, &anew, 5_000_000)), @r"
    renamed 5000000..5000000 [0.0]
    pinned 5000000..5000000 [0.0]
    new 5000000..5000000 [0.0]
    ");
    // The next has a label that one before it had, and has counted all of it itself.
    let mut next = anew.without_series();
    add(&mut next, "pinned", Some(5), 600);
    insta::assert_snapshot!(lines(&push(&mut told, &next, 6_000_000)), @"pinned 5000000..6000000 [600.0]");
}

#[test]
fn numbers_keep_their_kind_and_gauges_have_no_start() {
    let told = |kind: Kind, number: u64| {
        let mut family = family(kind);
        family.set_numbers(&LabelSet::of(["one"]), &[number]);
        let metrics = push(&mut Told::new(Form::default(), BEGAN), &family, 2000);
        let point = match metrics[0].data.clone().unwrap() {
            Data::Sum(sum) => sum.data_points[0].clone(),
            Data::Gauge(gauge) => gauge.data_points[0].clone(),
            other => panic!("{other:?}"),
        };
        format!("{} {:?}", point.start_time_unix_nano, point.value.unwrap())
    };
    insta::assert_snapshot!(told(Kind::Counter, u64::MAX >> 1), @"1000 AsInt(9223372036854775807)");
    insta::assert_snapshot!(told(Kind::Counter, 1 << 63), @"1000 AsDouble(9.223372036854776e18)");
    insta::assert_snapshot!(told(Kind::RealCounter, 0.25f64.to_bits()), @"1000 AsDouble(0.25)");
    insta::assert_snapshot!(told(Kind::Gauge, (-0.5f64).to_bits()), @"0 AsDouble(-0.5)");
    insta::assert_snapshot!(told(Kind::IntegerGauge, (-7i64).cast_unsigned()), @"0 AsInt(-7)");
}

/// What happens to the series of a family.
#[derive(Clone, Debug)]
enum Step {
    /// A row counts so much. If it is new, it is known since when, or not.
    Add(usize, u64, bool),
    Leave(usize),
    LetGo,
    Compact,
    /// A reload makes the family anew, and rows have labels that are so much further.
    Remake(usize),
    /// Is pushed, and of each message this is whether it is taken.
    Push(Vec<bool>),
}

fn step() -> impl Strategy<Value = Step> {
    let add = (0..5usize, 0..100u64, any::<bool>());
    prop_oneof![
        6 => add.prop_map(|(label, count, known)| Step::Add(label, count, known)),
        2 => (0..5usize).prop_map(Step::Leave),
        1 => Just(Step::LetGo),
        1 => Just(Step::Compact),
        1 => (0..5usize).prop_map(Step::Remake),
        4 => prop::collection::vec(any::<bool>(), 5).prop_map(Step::Push),
    ]
}

/// A row, and what it has counted itself.
#[derive(Clone, Copy, Debug)]
struct Counting {
    cell: Cell,
    number: u64,
}

/// What was told of a series, at the most, and what it was when a push found it if that is not to be told.
#[derive(Debug, Default)]
struct Seen {
    taken: Option<u64>,
    found: u64,
}

/// A family of which each label has one row at the most, and what a collector has of it.
struct World {
    family: Family,
    rows: [Option<Counting>; 5],
    told: Told,
    time: u64,
    /// All that was ever counted.
    counted: u64,
    /// What the collector has summed up, and when it ends, by label.
    summed: BTreeMap<String, (f64, u64)>,
    /// By label and life.
    seen: BTreeMap<(String, u32), Seen>,
    /// How often each label's series was let go of, or made anew.
    lives: [u32; 5],
}

/// Nanoseconds from one push to the next.
const INTERVAL: u64 = 10_000_000;

impl World {
    fn new() -> Self {
        Self {
            family: family(Kind::Counter),
            rows: [None; 5],
            told: Told::new(DELTA, BEGAN),
            time: BEGAN,
            counted: 0,
            summed: BTreeMap::new(),
            seen: BTreeMap::new(),
            lives: [0; 5],
        }
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Add(label, count, known) => {
                // Since the last push, rounded up.
                self.family.begin_at(known.then_some(self.time / 1_000_000 + 1));
                let labels = LabelSet::of([&*label.to_string()]);
                let new = || Counting { cell: self.family.join(&labels, None), number: 0 };
                let row = self.rows[label].get_or_insert_with(new);
                row.number += count;
                self.family.add(row.cell, count);
                self.counted += count;
            }
            Step::Leave(label) => {
                if let Some(row) = self.rows[label].take() {
                    self.family.leave(row.cell);
                }
            }
            Step::LetGo => self.let_go(),
            Step::Compact => {
                self.let_go();
                let moves = self.family.compact();
                self.rows.iter_mut().flatten().for_each(|row| row.cell = moves.to(row.cell));
            }
            Step::Remake(further) => self.remake(further),
            Step::Push(fates) => self.push(&fates),
        }
    }

    fn let_go(&mut self) {
        self.family.let_go();
        for (row, life) in self.rows.iter().zip(&mut self.lives) {
            *life += u32::from(row.is_none());
        }
    }

    /// What rows had counted that have gone is not there any more.
    fn remake(&mut self, further: usize) {
        self.family = self.family.without_series();
        self.family.begin_at(None);
        self.rows.rotate_right(further);
        for (label, row) in self.rows.iter_mut().enumerate() {
            let Some(row) = row else { continue };
            row.cell = self.family.join(&LabelSet::of([&*label.to_string()]), None);
            self.family.add(row.cell, row.number);
        }
        self.lives.iter_mut().for_each(|life| *life += 1);
    }

    /// Each series is a message of its own.
    fn push(&mut self, fates: &[bool]) {
        self.time += INTERVAL;
        let family = Arc::new(self.family.clone());
        self.told.read(&[Arc::clone(&family)], self.time);
        for ((first, id), taken) in family.live().enumerate().zip(fates) {
            let ids = [id as u32];
            let chosen = Chosen { family: &family, first, ids: &ids };
            let all = points(&metric(chosen, &self.told, self.time));
            let [(label, start, end, numbers)] = &all[..] else { panic!("{all:?}") };
            let life = self.lives[label.parse::<usize>().unwrap()];
            let number = family.numbers(id)[0];
            let found = if family.is_found(id) { number } else { 0 };
            let first = || Seen { taken: None, found };
            let seen = self.seen.entry((label.clone(), life)).or_insert_with(first);
            if !taken {
                continue;
            }
            self.told.acknowledge(chosen, self.time);
            seen.taken = Some(number);
            let (sum, before) = self.summed.entry(label.clone()).or_insert((0.0, BEGAN));
            assert!(*before <= *start && start <= end, "{label}: {before} {start} {end}");
            (*sum, *before) = (*sum + numbers[0], *end);
        }
    }
}

proptest! {
    /// Nothing is lost or told twice, whatever messages are lost, and but for what was there when a push first found
    /// a series that may be older. Whatever a reload does, no more is told than was counted.
    #[test]
    fn differences_sum_up_to_what_was_counted(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.act(step));
        world.push(&[true; 5]);
        let mut counted: BTreeMap<String, f64> = BTreeMap::new();
        for ((label, _), Seen { taken, found }) in world.seen {
            if let Some(taken) = taken {
                *counted.entry(label).or_default() += (taken - found) as f64;
            }
        }
        let summed: BTreeMap<_, _> =
            world.summed.into_iter().map(|(label, (sum, _))| (label, sum)).collect();
        prop_assert!(summed.values().sum::<f64>() <= world.counted as f64);
        prop_assert_eq!(summed, counted);
    }
}
