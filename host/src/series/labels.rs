//! Label sets: the values of a row's labels, and each set that was met, once.

use std::hash::Hasher as _;

use crate::index::{Hash, Index};

/// The label values of one row, built up value by value and used again for the next row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
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

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Removes all values from the `width`-th on.
    pub fn truncate(&mut self, width: usize) {
        self.ends.truncate(width);
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Adds a value. What is not UTF-8 in it becomes U+FFFD, as Prometheus takes nothing else;
    /// rows that become equal by it are summed like all others.
    pub fn push(&mut self, value: &[u8]) {
        if let Ok(value) = str::from_utf8(value) {
            self.text.push_str(value);
        } else {
            for chunk in value.utf8_chunks() {
                self.text.push_str(chunk.valid());
                if !chunk.invalid().is_empty() {
                    self.text.push(char::REPLACEMENT_CHARACTER);
                }
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

impl LabelValues<'_> {
    /// Whether these are the same values: the same texts, cut at the same places.
    pub(crate) fn same(self, other: LabelValues<'_>) -> bool {
        let ends = |values: Self| values.ends.iter().map(move |end| end - values.start);
        self.text == other.text && ends(self).eq(other.ends.iter().map(|end| end - other.start))
    }
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
#[derive(Clone, Debug, Default)]
pub struct LabelSets {
    /// The values of all sets, end to end.
    text: String,
    /// Where each value ends in `text`.
    ends: Vec<usize>,
    /// Values in a set.
    width: usize,
    len: usize,
    index: Index,
}

impl LabelSets {
    /// The values of the set of this number.
    pub(crate) fn get(&self, id: usize) -> LabelValues<'_> {
        values_of(&self.text, &self.ends, self.width, id)
    }

    /// The number of the set with these values: a new one if it was not met before.
    pub(super) fn id_of(&mut self, labels: &LabelSet) -> usize {
        let hash = self.hash(labels.values());
        let values = labels.values();
        self.known(hash, values).unwrap_or_else(|| self.add(hash, values))
    }

    /// Brings near what finding a set with these values needs. It is called for many sets before the first of
    /// them is looked for.
    pub(super) fn touch(&self, labels: &LabelSet) {
        std::hint::black_box(self.index.find(self.hash(labels.values()), |_| true));
    }

    /// The number of the set with these values, if it was met before.
    pub(crate) fn find(&self, values: LabelValues<'_>) -> Option<usize> {
        self.known(self.hash(values), values)
    }

    fn known(&self, hash: Hash, values: LabelValues<'_>) -> Option<usize> {
        let same = |id: u32| self.get(id as usize).same(values);
        self.index.find(hash, same).map(|id| id as usize)
    }

    /// Bytes of the values of all sets.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// How many sets there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a set that is not there yet; its number.
    pub(crate) fn push(&mut self, values: LabelValues<'_>) -> usize {
        self.add(self.hash(values), values)
    }

    fn add(&mut self, hash: Hash, values: LabelValues<'_>) -> usize {
        let Self { text, ends, width, len, index } = self;
        *width = values.ends.len();
        let id = *len;
        ends.extend(values.ends.iter().map(|end| text.len() + end - values.start));
        text.push_str(values.text);
        *len += 1;
        index.insert(hash, id as u32);
        id
    }

    fn hash(&self, values: LabelValues<'_>) -> Hash {
        self.index.hash(|hasher| {
            for end in values.ends {
                hasher.write_usize(end - values.start);
            }
            hasher.write(values.text.as_bytes());
        })
    }
}

fn values_of<'a>(text: &'a str, ends: &'a [usize], width: usize, id: usize) -> LabelValues<'a> {
    let first = id * width;
    let start = if first == 0 { 0 } else { ends[first - 1] };
    let ends = &ends[first..first + width];
    let end = ends.last().copied().unwrap_or(start);
    LabelValues { text: &text[start..end], start, ends }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(sets: &[&[&str]]) -> Vec<usize> {
        let mut known = LabelSets::default();
        sets.iter().map(|set| known.id_of(&LabelSet::of(set.iter().copied()))).collect()
    }

    #[test]
    fn a_set_met_again_has_the_same_number() {
        assert_eq!(ids(&[&["b", "x"], &["a", "x"], &["b", "x"]]), [0, 1, 0]);
    }

    #[test]
    fn sets_that_join_to_the_same_text_stay_apart() {
        assert_eq!(ids(&[&["ab", ""], &["a", "b"], &["", "ab"], &["a|", "b"]]), [0, 1, 2, 3]);
    }

    #[test]
    fn there_is_one_set_without_values() {
        assert_eq!(ids(&[&[], &[]]), [0, 0]);
    }

    #[test]
    fn values_read_back() {
        let mut sets = LabelSets::default();
        for set in [["a", "bc"], ["", "d"], ["e", ""]] {
            let id = sets.id_of(&LabelSet::of(set));
            assert_eq!(sets.get(id).collect::<Vec<_>>(), set);
        }
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
}
