//! What a histogram is as a native one: its first bucket is the zero bucket, and the others stand one behind the other.
//!
//! Never counts anything anew: a bucket has what the classic one has.

use super::Histogram;

impl<'a> Histogram<'a> {
    /// How many observations there are, as told to clients that know native histograms and count up to this.
    pub fn told_count(&self, most: u64) -> u64 {
        match self.bounds.native {
            Some(_) => self.native_counts(most).sum(),
            None => self.count(),
        }
    }

    /// What the buckets hold, the zero bucket first. Together they are at most so many: what is more is left out of the
    /// last ones.
    pub fn native_counts(&self, most: u64) -> impl Iterator<Item = u64> + use<'a> {
        let counted = |left: &mut u64, count: &u64| {
            let told = (*count).min(*left);
            *left -= told;
            Some(told)
        };
        self.counts().iter().scan(most, counted)
    }

    /// What the buckets behind the zero bucket hold more than the one before each; the first, more than 0.
    pub fn native_deltas(&self, most: u64) -> impl Iterator<Item = i64> + use<'a> {
        self.native_counts(most).skip(1).scan(0, |before, count| {
            let count = count.cast_signed();
            Some(count - std::mem::replace(before, count))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::buckets::native::Native;
    use crate::series::Bounds;

    const MOST: u64 = i64::MAX as u64;

    #[test]
    fn what_is_too_much_for_prometheus_is_left_out() {
        let native = Some(Native { schema: 0, second: 1, classic: true });
        let bounds = Bounds { upper: vec![1.0, 2.0, 4.0, 8.0], multiplier: 1.0, native };
        for (cells, counts, deltas) in [
            ([1, 5, 2, 7, 9], [1, 5, 2, 7], [5, -3, 5]),
            ([0, 0, 0, 0, 9], [0, 0, 0, 0], [0, 0, 0]),
            ([1, MOST, 2, 7, 9], [1, MOST - 1, 0, 0], [i64::MAX - 1, 1 - i64::MAX, 0]),
            ([u64::MAX, 1, u64::MAX, 0, 9], [MOST, 0, 0, 0], [0, 0, 0]),
        ] {
            let histogram = Histogram::new(&bounds, &cells);
            assert_eq!(histogram.native_counts(MOST).collect::<Vec<_>>(), counts);
            assert_eq!(histogram.native_deltas(MOST).collect::<Vec<_>>(), deltas);
            assert_eq!(histogram.told_count(MOST), counts.iter().sum::<u64>());
        }
    }
}
