//! The types of families, and what the numbers of a histogram are.
//!
//! Never sums anything up but what stands in one series.

use crate::config::buckets::Buckets;
use crate::config::buckets::native::Native;

/// The type of a family.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Counts, as the kernel's maps hold them.
    Counter,
    /// Counters that are no whole numbers; their cells are the bits of an `f64`.
    RealCounter,
    /// Gauges; their cells are the bits of an `f64`.
    Gauge,
    /// Gauges that are whole numbers; their cells are the bits of an `i64`.
    IntegerGauge,
    /// Histograms, all with the same buckets.
    Histogram(Bounds),
}

/// Where the buckets of a histogram end.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// Upper bounds, ascending, without +Inf.
    pub upper: Vec<f64>,
    /// What the sum is multiplied with.
    pub multiplier: f64,
    /// What they are in a native histogram, if it is one too.
    pub native: Option<Native>,
}

impl Bounds {
    /// Whether classic buckets are told to clients that know native histograms.
    pub fn has_classic(&self) -> bool {
        self.native.as_ref().is_none_or(|native| native.classic)
    }
}

/// One histogram as Prometheus wants it.
#[derive(Clone, Copy, Debug)]
pub struct Histogram<'a> {
    pub(super) bounds: &'a Bounds,
    /// What each bucket alone holds, then the sum.
    cells: &'a [u64],
}

impl Kind {
    /// Histograms with these buckets.
    pub fn histogram(buckets: &Buckets) -> Self {
        let Buckets { multiplier, native, .. } = buckets;
        let (upper, native) = (buckets.bounds(), native.clone());
        Self::Histogram(Bounds { upper, multiplier: *multiplier, native })
    }

    /// What Prometheus calls it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Counter | Self::RealCounter => "counter",
            Self::Gauge | Self::IntegerGauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }

    /// How many numbers a series has: one, or in histograms one for each bucket and the sum.
    pub fn cells(&self) -> usize {
        match self {
            Self::Histogram(bounds) => bounds.upper.len() + 1,
            _ => 1,
        }
    }

    /// How many lines a series has in the text: in histograms one for each bucket, +Inf, the sum and the
    /// count.
    pub fn lines(&self) -> usize {
        match self {
            Self::Histogram(bounds) => bounds.upper.len() + 3,
            _ => 1,
        }
    }
}

impl<'a> Histogram<'a> {
    /// The histogram with these bounds and the numbers of its series.
    pub fn new(bounds: &'a Bounds, cells: &'a [u64]) -> Self {
        Self { bounds, cells }
    }

    /// For each bound, how many observations are at or below it.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + use<'a> {
        let counts = self.counts().iter().scan(0u64, |total, count| {
            *total = total.saturating_add(*count);
            Some(*total)
        });
        self.bounds.upper.iter().copied().zip(counts)
    }

    /// For each bound, how many observations are at or below it and above the one before.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + use<'a> {
        self.bounds.upper.iter().copied().zip(self.counts().iter().copied())
    }

    /// How many observations there are.
    pub fn count(&self) -> u64 {
        self.counts().iter().copied().fold(0, u64::saturating_add)
    }

    /// The sum of all observations, 0 if the program keeps none.
    pub fn sum(&self) -> f64 {
        self.cells[self.cells.len() - 1] as f64 * self.bounds.multiplier
    }

    pub(super) fn counts(&self) -> &'a [u64] {
        &self.cells[..self.cells.len() - 1]
    }
}
