//! Histograms with exponential buckets, where these say the same as the bounds.
//!
//! Native histograms have the buckets of a scale already. Others may have those of scale 0: there the bucket of index
//! `i` holds what is above 2^i and at most 2^(i+1). Ours hold what is above one bound and at most the next. So bounds
//! that are powers of two, each twice the one before, are buckets of it. What is at most the first bound has no lower
//! end, and is what OpenTelemetry counts as zero, up to a threshold.
//!
//! Nothing is rounded: bounds that do not fit are left to who asks.

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;

use crate::config::buckets::native::exponent;
use crate::series::Bounds;

/// How the buckets of bounds are buckets of a scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Exponential {
    /// How fine they are: 2^scale of them end from a power of two to the next.
    pub(super) scale: i32,
    /// Up to where what was observed counts as zero: the first bound.
    pub(super) zero_threshold: f64,
    /// The index of the second of our buckets.
    offset: i32,
}

impl Exponential {
    /// The form of a histogram with these bounds; none if no such form is exact.
    pub(super) fn of(bounds: &Bounds) -> Option<Self> {
        let zero_threshold = *bounds.upper.first()?;
        let form = |(scale, offset)| Self { scale, zero_threshold, offset };
        // Prometheus counts the bucket by its upper end, and OpenTelemetry by its lower one.
        let known = bounds.native.as_ref().map(|native| (native.schema.into(), native.second - 1));
        known.or_else(|| doubling(bounds).map(|offset| (0, offset))).map(form)
    }

    /// What counts as zero, and the buckets above, of what each of our buckets holds.
    pub(super) fn buckets(self, counts: impl Iterator<Item = u64>) -> (u64, Buckets) {
        let mut counts = counts;
        let zero = counts.next().unwrap_or_default();
        (zero, Buckets { offset: self.offset, bucket_counts: counts.collect() })
    }
}

/// The index of the second bucket at scale 0, if each bound is a power of two and twice the one before.
fn doubling(bounds: &Bounds) -> Option<i32> {
    let (first, rest) = bounds.upper.split_first()?;
    // Above 0 there is one unit first: what programs count are whole numbers.
    let below = if *first == 0.0 { bounds.multiplier / 2.0 } else { *first };
    let offset = exponent(below)?;
    let doubles = rest.iter().try_fold(below, |before, bound| {
        (*bound == before * 2.0 && bound.is_finite()).then_some(*bound)
    });
    doubles.map(|_| offset)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::buckets::native::Native;
    use crate::config::buckets::{self, Scale};

    fn bounds(scale: Scale, multiplier: f64) -> Bounds {
        let upper = buckets::Buckets { scale, multiplier, native: None }.bounds();
        Bounds { upper, multiplier, native: None }
    }

    fn of(scale: Scale, multiplier: f64) -> Option<(f64, i32)> {
        Exponential::of(&bounds(scale, multiplier)).map(|form| (form.zero_threshold, form.offset))
    }

    #[test]
    fn powers_of_two_are_exact_and_others_are_left() {
        assert_eq!(of(Scale::Exp2 { min: 0, max: 26 }, 1.0), Some((1.0, 0)));
        assert_eq!(of(Scale::Exp2 { min: 3, max: 4 }, 0.25), Some((2.0, 1)));
        assert_eq!(
            of(Scale::Exp2 { min: 0, max: 64 }, 2f64.powi(-30)),
            Some((2f64.powi(-30), -30))
        );
        assert_eq!(of(Scale::Exp2Zero { min: 0, max: 9 }, 1.0), Some((0.0, -1)));
        assert_eq!(of(Scale::Exp2Zero { min: 0, max: 9 }, 8.0), Some((0.0, 2)));
        assert_eq!(of(Scale::Exp2Zero { min: 1, max: 9 }, 1.0), Some((1.0, 0)));
        assert_eq!(of(Scale::Fixed(vec![2.0, 4.0, 8.0]), 1.0), Some((2.0, 1)));
        assert_eq!(of(Scale::Exp2 { min: 7, max: 7 }, 1.0), Some((128.0, 7)));
        for (scale, multiplier) in [
            (Scale::Exp2 { min: 0, max: 26 }, 1e-6),
            (Scale::Exp2Zero { min: 0, max: 26 }, 3.0),
            (Scale::Linear { min: 0, max: 9 }, 1.0),
            (Scale::Fixed(vec![-2.0, -1.0]), 1.0),
            (Scale::Fixed(vec![0.0, 2.0, 4.0]), 1.0),
            (Scale::Fixed(vec![1.0, 4.0]), 1.0),
            (Scale::Fixed(vec![1.0, 2.0, 3.0]), 1.0),
        ] {
            assert_eq!(of(scale.clone(), multiplier), None, "{scale:?} {multiplier}");
        }
    }

    #[test]
    fn native_ones_have_their_scale() {
        let scale = Scale::Seconds { schema: 3, min: 0, max: 40 };
        let native = Some(Native { schema: 3, second: -239, classic: true });
        let bounds = Bounds { native, ..bounds(scale, 1.0) };
        let form = Exponential::of(&bounds).unwrap();
        assert_eq!((form.scale, form.zero_threshold), (3, 2f64.powi(-30)));
        // The bucket of each index ends at the root that its scale says.
        for (index, bound) in (form.offset..).zip(&bounds.upper[1..]) {
            let end = 2f64.powf(f64::from(index + 1) / 8.0);
            assert!((bound / end - 1.0).abs() < 1e-12, "{index}: {bound} {end}");
        }
    }

    /// The ends of the bucket of this index.
    fn ends(index: i32) -> (f64, f64) {
        (2f64.powi(index), 2f64.powi(index + 1))
    }

    proptest! {
        /// Whatever is observed falls into the bucket of both forms.
        #[test]
        fn both_forms_put_an_observation_into_the_same_bucket(
            zero in any::<bool>(),
            (min, more) in (0..40u32, 0..24u32),
            exponent in -60..60i32,
            observed in 0..1u64 << 60,
        ) {
            let multiplier = 2f64.powi(exponent);
            let (min, max) = (min, min + more);
            let scale = if zero { Scale::Exp2Zero { min, max } } else { Scale::Exp2 { min, max } };
            let bounds = bounds(scale, multiplier);
            let observed = observed as f64 * multiplier;
            let counts = bounds.upper.iter().scan(f64::NEG_INFINITY, |below, upper| {
                let here = u64::from(*below < observed && observed <= *upper);
                *below = *upper;
                Some(here)
            });
            let form = Exponential::of(&bounds).expect("an exact form");
            let (zeros, Buckets { offset, bucket_counts }) = form.buckets(counts);
            prop_assert_eq!(zeros == 1, observed <= form.zero_threshold);
            for (index, count) in (offset..).zip(bucket_counts) {
                let (below, upper) = ends(index);
                // The bucket above zero begins at the threshold.
                let below = below.max(form.zero_threshold);
                prop_assert_eq!(count == 1, below < observed && observed <= upper, "{}", index);
            }
        }
    }
}
