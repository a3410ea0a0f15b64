//! Which series of a family are marked: a bit for each.

use std::ops::Range;

const BITS: usize = u64::BITS as usize;

/// A set of numbers of series.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks(Vec<u64>);

impl Marks {
    /// Marks the `id`-th.
    #[inline]
    pub(super) fn mark(&mut self, id: usize) {
        let word = id / BITS;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (id % BITS);
    }

    /// Unmarks all, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.0.fill(0);
    }

    /// Those of `ids` that are marked, ascending.
    pub(super) fn among(&self, ids: Range<usize>) -> impl Iterator<Item = usize> {
        let words = ids.start / BITS..ids.end.div_ceil(BITS).min(self.0.len());
        words.flat_map(move |word| {
            let first = word * BITS;
            let mut bits = self.0[word];
            if first < ids.start {
                bits &= u64::MAX << (ids.start - first);
            }
            if first + BITS > ids.end {
                bits &= !(u64::MAX << (ids.end - first));
            }
            std::iter::from_fn(move || {
                let bit = bits.trailing_zeros() as usize;
                bits &= bits.wrapping_sub(1);
                (bit < BITS).then_some(first + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn are_found_in_any_range(
            ids in prop::collection::btree_set(0..400usize, 0..80),
            start in 0..420usize,
            len in 0..420usize,
        ) {
            let mut marks = Marks::default();
            ids.iter().for_each(|id| marks.mark(*id));
            let range = start..start + len;
            let found: BTreeSet<_> = marks.among(range.clone()).collect();
            prop_assert_eq!(found, ids.range(range).copied().collect());
            marks.clear();
            prop_assert_eq!(marks.among(0..1000).count(), 0);
        }
    }
}
