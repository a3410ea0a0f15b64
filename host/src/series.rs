//! Label sets and what is summed under them: plain values, no I/O.
//!
//! A [`Family`] is emptied and filled again at every scrape and keeps its memory meanwhile, so that
//! no row allocates. Label sets are compared value by value, never as joined text.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::config::buckets::{Buckets, Slot};

/// A metric as it is exposed: name, help, type and its series.
#[derive(Debug)]
pub struct Family {
    /// The full name, prefix included.
    pub name: String,
    /// The help text.
    pub help: String,
    /// The names of its labels, in the order of the values in its label sets.
    pub labels: Vec<String>,
    /// Type and series.
    pub series: Series,
}

/// The series of a family, by type.
#[derive(Debug)]
pub enum Series {
    /// Counts as the kernel's maps hold them.
    Counters(Counters),
    /// Counters that are no whole numbers.
    RealCounters(Reals),
    /// Gauges.
    Gauges(Reals),
    /// Histograms.
    Histograms(Histograms),
}

impl Series {
    /// Removes all series and keeps their memory.
    pub fn clear(&mut self) {
        match self {
            Self::Counters(counters) => counters.clear(),
            Self::RealCounters(reals) | Self::Gauges(reals) => reals.clear(),
            Self::Histograms(histograms) => histograms.clear(),
        }
    }

    /// The label sets, each once, in the order in which they were met.
    pub fn sets(&self) -> &LabelSets {
        match self {
            Self::Counters(counters) => &counters.sets,
            Self::RealCounters(reals) | Self::Gauges(reals) => &reals.sets,
            Self::Histograms(histograms) => &histograms.sets,
        }
    }
}

/// A count for each label set.
#[derive(Debug, Default)]
pub struct Counters {
    sets: LabelSets,
    values: Vec<u64>,
}

impl Counters {
    /// Adds `value` to the count of `labels`. Wraps at 2^64, as the kernel's own counters do.
    pub fn add(&mut self, labels: &LabelSet, value: u64) {
        let id = self.sets.id_of(labels);
        if id == self.values.len() {
            self.values.push(value);
        } else {
            self.values[id] = self.values[id].wrapping_add(value);
        }
    }

    /// Label sets with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (LabelValues<'_>, u64)> {
        self.sets.iter().zip(self.values.iter().copied())
    }

    fn clear(&mut self) {
        self.sets.clear();
        self.values.clear();
    }
}

/// A real number for each label set.
#[derive(Debug, Default)]
pub struct Reals {
    sets: LabelSets,
    values: Vec<f64>,
}

impl Reals {
    /// Adds `value` to the number of `labels`.
    pub fn add(&mut self, labels: &LabelSet, value: f64) {
        let id = self.sets.id_of(labels);
        if id == self.values.len() {
            self.values.push(value);
        } else {
            self.values[id] += value;
        }
    }

    /// Label sets with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (LabelValues<'_>, f64)> {
        self.sets.iter().zip(self.values.iter().copied())
    }

    fn clear(&mut self) {
        self.sets.clear();
        self.values.clear();
    }
}

/// A histogram for each label set; all have the same buckets.
#[derive(Debug)]
pub struct Histograms {
    sets: LabelSets,
    bounds: Vec<f64>,
    multiplier: f64,
    /// Of each set: what the kernel counted into each bucket, not cumulative.
    counts: Vec<u64>,
    /// Of each set: what the kernel counted under its sum key.
    sums: Vec<u64>,
}

/// One histogram as Prometheus wants it.
#[derive(Clone, Copy, Debug)]
pub struct Histogram<'a> {
    /// Upper bounds, ascending, without +Inf.
    pub bounds: &'a [f64],
    /// What each bucket alone holds; as many as there are bounds.
    pub counts: &'a [u64],
    /// The sum of all observations, 0 if the program keeps none.
    pub sum: f64,
}

impl Histogram<'_> {
    /// For each bound, how many observations are at or below it.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let counts = self.counts.iter().scan(0u64, |total, count| {
            *total = total.wrapping_add(*count);
            Some(*total)
        });
        self.bounds.iter().copied().zip(counts)
    }

    /// How many observations there are: what `+Inf` and `_count` say.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |total, count| total.wrapping_add(*count))
    }
}

impl Histograms {
    /// No histograms yet, with these buckets.
    pub fn new(buckets: &Buckets) -> Self {
        Self {
            sets: LabelSets::default(),
            bounds: buckets.bounds(),
            multiplier: buckets.multiplier,
            counts: Vec::new(),
            sums: Vec::new(),
        }
    }

    /// Adds what the kernel counted under one key to the histogram of `labels`, which is made with
    /// all its buckets if it is not there.
    pub fn add(&mut self, labels: &LabelSet, slot: Slot, value: u64) {
        let id = self.sets.id_of(labels);
        let width = self.bounds.len();
        if id == self.sums.len() {
            self.sums.push(0);
            self.counts.resize((id + 1) * width, 0);
        }
        let sum = match slot {
            Slot::Bucket(bucket) => &mut self.counts[id * width + bucket],
            Slot::Sum => &mut self.sums[id],
        };
        *sum = sum.wrapping_add(value);
    }

    /// Label sets with their histograms.
    pub fn iter(&self) -> impl Iterator<Item = (LabelValues<'_>, Histogram<'_>)> {
        let counts = self.counts.chunks_exact(self.bounds.len());
        self.sets.iter().zip(counts).zip(&self.sums).map(|((labels, counts), sum)| {
            let sum = *sum as f64 * self.multiplier;
            (labels, Histogram { bounds: &self.bounds, counts, sum })
        })
    }

    fn clear(&mut self) {
        self.sets.clear();
        self.counts.clear();
        self.sums.clear();
    }
}

/// The label values of one row, built up value by value and used again for the next row.
#[derive(Debug, Default)]
pub struct LabelSet {
    text: String,
    ends: Vec<usize>,
}

impl LabelSet {
    /// A label set of these values.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut set = Self::default();
        for value in values {
            set.push(value.as_bytes());
        }
        set
    }

    /// Removes all values from the `width`-th on.
    pub fn truncate(&mut self, width: usize) {
        self.ends.truncate(width);
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Adds a value. What is not UTF-8 in it becomes U+FFFD, as Prometheus takes nothing else;
    /// rows that become equal by it are summed like all others.
    pub fn push(&mut self, value: &[u8]) {
        for chunk in value.utf8_chunks() {
            self.text.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                self.text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.ends.push(self.text.len());
    }

    /// The values, in order.
    pub fn values(&self) -> LabelValues<'_> {
        LabelValues { text: &self.text, start: 0, ends: &self.ends }
    }
}

/// The values of one label set, in the order of the family's label names.
#[derive(Clone, Copy, Debug)]
pub struct LabelValues<'a> {
    /// The values end to end.
    text: &'a str,
    /// Where `text` starts in what `ends` counts.
    start: usize,
    ends: &'a [usize],
}

impl<'a> Iterator for LabelValues<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (end, ends) = self.ends.split_first()?;
        let (value, text) = self.text.split_at(end - self.start);
        *self = Self { text, start: *end, ends };
        Some(value)
    }
}

/// Label sets, each once, numbered in the order in which they were met.
#[derive(Debug, Default)]
pub struct LabelSets {
    /// The values of all sets, end to end.
    text: String,
    /// Where each value ends in `text`.
    ends: Vec<usize>,
    /// Values in a set.
    width: usize,
    len: usize,
    index: HashTable<usize>,
    hasher: RandomState,
}

impl LabelSets {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The sets, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = LabelValues<'_>> {
        (0..self.len).map(|id| self.get(id))
    }

    fn get(&self, id: usize) -> LabelValues<'_> {
        values_of(&self.text, &self.ends, self.width, id)
    }

    /// The number of the set with these values: a new one if it was not met before.
    fn id_of(&mut self, labels: &LabelSet) -> usize {
        let Self { text, ends, width, len, index, hasher } = self;
        *width = labels.ends.len();
        let hash = hash(hasher, labels.values());
        let known = index.find(hash, |&id| values_of(text, ends, *width, id).eq(labels.values()));
        if let Some(&id) = known {
            return id;
        }
        let id = *len;
        ends.extend(labels.ends.iter().map(|end| text.len() + end));
        text.push_str(&labels.text);
        *len += 1;
        index.insert_unique(hash, id, |&id| self::hash(hasher, values_of(text, ends, *width, id)));
        id
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.len = 0;
        self.index.clear();
    }
}

fn values_of<'a>(text: &'a str, ends: &'a [usize], width: usize, id: usize) -> LabelValues<'a> {
    let first = id * width;
    let start = if first == 0 { 0 } else { ends[first - 1] };
    let ends = &ends[first..first + width];
    let end = ends.last().copied().unwrap_or(start);
    LabelValues { text: &text[start..end], start, ends }
}

fn hash(hasher: &RandomState, values: LabelValues<'_>) -> u64 {
    let mut state = hasher.build_hasher();
    for end in values.ends {
        state.write_usize(end - values.start);
    }
    state.write(values.text.as_bytes());
    state.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(rows: &[(&[&str], u64)]) -> Vec<(Vec<String>, u64)> {
        let mut counters = Counters::default();
        for (labels, value) in rows {
            counters.add(&LabelSet::of(labels.iter().copied()), *value);
        }
        let owned = |labels: LabelValues<'_>| labels.map(str::to_owned).collect();
        counters.iter().map(|(labels, value)| (owned(labels), value)).collect()
    }

    #[test]
    fn equal_label_sets_are_summed_in_order_of_meeting() {
        let rows: &[(&[&str], u64)] = &[(&["b", "x"], 1), (&["a", "x"], 2), (&["b", "x"], 40)];
        assert_eq!(
            counters(rows),
            [(vec!["b".to_owned(), "x".to_owned()], 41), (vec!["a".to_owned(), "x".to_owned()], 2)]
        );
    }

    #[test]
    fn sets_that_join_to_the_same_text_stay_apart() {
        let rows: &[(&[&str], u64)] =
            &[(&["ab", ""], 1), (&["a", "b"], 2), (&["", "ab"], 3), (&["a|", "b"], 4)];
        assert_eq!(counters(rows).len(), 4);
    }

    #[test]
    fn a_family_without_labels_has_one_series() {
        assert_eq!(counters(&[(&[], 1), (&[], 2)]), [(vec![], 3)]);
    }

    #[test]
    fn what_is_not_utf8_is_replaced() {
        let mut set = LabelSet::default();
        set.push(b"a\xff\xfeb");
        set.push(b"\xf0\x9f\x90\x9d");
        assert_eq!(set.values().collect::<Vec<_>>(), ["a\u{fffd}\u{fffd}b", "\u{1f41d}"]);
    }

    #[test]
    fn truncating_keeps_the_first_values() {
        let mut set = LabelSet::of(["a", "b", "c"]);
        set.truncate(1);
        set.push(b"z");
        assert_eq!(set.values().collect::<Vec<_>>(), ["a", "z"]);
        set.truncate(0);
        assert_eq!(set.values().count(), 0);
    }

    #[test]
    fn clearing_forgets_every_series() {
        let mut counters = Counters::default();
        counters.add(&LabelSet::of(["a"]), 1);
        counters.clear();
        counters.add(&LabelSet::of(["b"]), 2);
        assert_eq!(counters.iter().count(), 1);
        assert_eq!(counters.sets.len(), 1);
    }
}
