//! Which series of a family are marked: a bit for each.

use std::ops::Range;

const BITS: usize = u64::BITS as usize;

/// A set of numbers of series.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    words: Vec<u64>,
    /// Whether any is marked. If none is, nobody has to look at the words, which are rarely in the cache.
    any: bool,
}

impl Marks {
    /// Marks the `id`-th.
    #[inline]
    pub(super) fn mark(&mut self, id: usize) {
        let word = id / BITS;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (id % BITS);
        self.any = true;
    }

    /// Whether the `id`-th is marked.
    pub(super) fn has(&self, id: usize) -> bool {
        self.words.get(id / BITS).is_some_and(|word| word >> (id % BITS) & 1 == 1)
    }

    /// Unmarks all, and keeps the memory.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.any) {
            self.words.fill(0);
        }
    }

    /// Those of `ids` that are marked, ascending.
    pub(super) fn among(&self, ids: Range<usize>) -> impl Iterator<Item = usize> {
        let end = if self.any { ids.end.div_ceil(BITS).min(self.words.len()) } else { 0 };
        let words = ids.start / BITS..end;
        words.flat_map(move |word| {
            let first = word * BITS;
            let mut bits = self.words[word];
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
            prop_assert!((0..450).all(|id| marks.has(id) == ids.contains(&id)));
            let found: BTreeSet<_> = marks.among(range.clone()).collect();
            prop_assert_eq!(found, ids.range(range).copied().collect());
            marks.clear();
            prop_assert_eq!(marks.among(0..1000).count(), 0);
        }
    }
}
