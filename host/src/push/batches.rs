//! A reading in batches, each of which makes a message that collectors take: by default they take 4 MiB over gRPC.
//!
//! They are made one after the other, so no more than one message is in memory. A series whose labels alone are larger
//! than that has a batch of its own.

use std::sync::Arc;

use super::told::Chosen;
use crate::series::Family;

/// Points in a batch.
const MOST_POINTS: usize = 8192;
/// Bytes of a batch, as far as they are known before it is written.
const MOST_BYTES: usize = 2 << 20;
/// Bytes of a metric beside its name and help.
const METRIC: usize = 64;
/// Bytes of a point beside its attributes and numbers.
const POINT: usize = 64;
/// Bytes of an attribute beside its name and value.
const ATTRIBUTE: usize = 16;
/// Bytes of a number: of a bucket and its bound.
const NUMBER: usize = 16;

/// Series of some families.
#[derive(Debug, Default)]
pub(super) struct PointBatch {
    parts: Vec<Part>,
    points: usize,
    bytes: usize,
}

/// Series of one family.
#[derive(Debug)]
struct Part {
    family: Arc<Family>,
    first: usize,
    ids: Vec<u32>,
}

impl PointBatch {
    /// How many series there are.
    pub(super) fn points(&self) -> usize {
        self.points
    }

    /// The series, family by family.
    pub(super) fn chosen(&self) -> impl Iterator<Item = Chosen<'_>> {
        let parts = self.parts.iter();
        parts.map(|Part { family, first, ids }| Chosen { family, first: *first, ids })
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.points == 0 || self.points < MOST_POINTS && self.bytes + bytes <= MOST_BYTES
    }
}

/// The batches of a reading, in order.
#[derive(Debug)]
pub(super) struct Batches<'a> {
    families: &'a [Arc<Family>],
    /// Which series of the first of them is next.
    id: usize,
    /// How many of it have gone before.
    place: usize,
}

impl<'a> Batches<'a> {
    /// Those of these families.
    pub(super) fn of(families: &'a [Arc<Family>]) -> Self {
        Self { families, id: 0, place: 0 }
    }

    /// Puts as many series of a family into a batch as it has room for; whether these were all.
    fn fill(&mut self, family: &Arc<Family>, batch: &mut PointBatch) -> bool {
        let (first, mut ids) = (self.place, Vec::new());
        batch.bytes += METRIC + family.name.len() + family.help.len();
        while self.id < family.room() {
            if family.is_live(self.id) {
                let bytes = size(family, self.id);
                if !batch.has_room(bytes) {
                    break;
                }
                batch.points += 1;
                batch.bytes += bytes;
                ids.push(self.id as u32);
            }
            self.id += 1;
        }
        self.place += ids.len();
        if !ids.is_empty() {
            batch.parts.push(Part { family: Arc::clone(family), first, ids });
        }
        self.id == family.room()
    }
}

impl Iterator for Batches<'_> {
    type Item = PointBatch;

    fn next(&mut self) -> Option<PointBatch> {
        let mut batch = PointBatch::default();
        while let Some((family, rest)) = self.families.split_first() {
            if !self.fill(family, &mut batch) {
                return Some(batch);
            }
            *self = Self::of(rest);
        }
        (batch.points > 0).then_some(batch)
    }
}

/// Bytes that a point takes, or less.
fn size(family: &Family, id: usize) -> usize {
    let labels = family.labels.iter().zip(family.label_values(id));
    let labels: usize = labels.map(|(name, value)| ATTRIBUTE + name.len() + value.len()).sum();
    POINT + labels + NUMBER * family.kind.cells()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{Kind, LabelSet};

    fn family(name: &str, values: impl Iterator<Item = String>) -> Arc<Family> {
        let labels = vec!["a".to_owned()];
        let mut family = Family::new(name.to_owned(), "x".to_owned(), labels, Kind::Counter);
        for value in values {
            family.join(&LabelSet::of([value.as_str()]), None);
        }
        family.into()
    }

    /// Of each batch the families, and the first of their series and how many.
    fn told(families: &[Arc<Family>]) -> Vec<Vec<(String, usize, usize)>> {
        let part =
            |chosen: Chosen<'_>| (chosen.family.name.clone(), chosen.first, chosen.ids.len());
        Batches::of(families).map(|batch| batch.chosen().map(part).collect()).collect()
    }

    #[test]
    fn each_series_is_in_one_batch_and_none_has_too_many() {
        let numbers = |count: usize| (0..count).map(|n| n.to_string());
        let families = [
            family("a", numbers(3)),
            family("none", numbers(0)),
            family("b", numbers(20_000)),
            family("c", numbers(1)),
        ];
        let part = |name: &str, first, count| (name.to_owned(), first, count);
        assert_eq!(
            told(&families),
            [
                vec![part("a", 0, 3), part("b", 0, 8189)],
                vec![part("b", 8189, 8192)],
                vec![part("b", 16_381, 3619), part("c", 0, 1)],
            ]
        );
        assert_eq!(told(&[]), [[]; 0]);
        assert_eq!(told(&[family("none", numbers(0))]), [[]; 0]);
    }

    #[test]
    fn a_series_that_has_gone_is_in_none() {
        let mut family = Family::new("x".into(), "x".into(), vec!["a".into()], Kind::Counter);
        let cells = ["a", "b", "c"].map(|value| family.join(&LabelSet::of([value]), None));
        family.leave(cells[1]);
        let families = [family.into()];
        let batches: Vec<_> = Batches::of(&families).collect();
        let ids: Vec<_> = batches[0].chosen().map(|chosen| chosen.ids.to_vec()).collect();
        assert_eq!((batches.len(), ids), (1, vec![vec![0, 2]]));
    }

    #[test]
    fn long_labels_make_small_batches() {
        let long = |n: usize| format!("{n}{}", "x".repeat(1_000_000));
        let told = told(&[family("x", (0..5).map(long))]);
        let counts: Vec<_> = told.iter().flatten().map(|(_, _, count)| *count).collect();
        assert_eq!(counts, [2, 2, 1]);
        let huge = |n: usize| format!("{n}{}", "x".repeat(5_000_000));
        let batches = [family("x", (0..2).map(huge))];
        assert_eq!(Batches::of(&batches).count(), 2);
    }
}
