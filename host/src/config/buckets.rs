//! The buckets of a histogram: which keys the kernel uses for them and where they end.

/// Buckets of one histogram, checked: at least one, ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    /// How keys and upper bounds belong together.
    pub scale: Scale,
    /// What bounds and sum are multiplied with; never 0.
    pub multiplier: f64,
}

/// How the kernel numbers its buckets.
#[derive(Clone, Debug, PartialEq)]
pub enum Scale {
    /// Key k ends at 2^k.
    Exp2 {
        /// First key.
        min: u32,
        /// Last key, inclusive.
        max: u32,
    },
    /// Key 0 ends at 0, key k at 2^(k-1).
    Exp2Zero {
        /// First key.
        min: u32,
        /// Last key, inclusive.
        max: u32,
    },
    /// Key k ends at k.
    Linear {
        /// First key.
        min: u32,
        /// Last key, inclusive.
        max: u32,
    },
    /// These keys, each its own end; ascending.
    Fixed(Vec<f64>),
}

/// Where a key belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The n-th bucket.
    Bucket(usize),
    /// The sum of all observations.
    Sum,
}

impl Buckets {
    /// Upper bounds.
    pub fn bounds(&self) -> Vec<f64> {
        let scale = |bound: f64| bound * self.multiplier;
        match &self.scale {
            Scale::Exp2 { min, max } => (*min..=*max).map(|k| scale((k as f64).exp2())).collect(),
            Scale::Exp2Zero { min, max } => (*min..=*max)
                .map(|k| scale(if k == 0 { 0.0 } else { (k as f64 - 1.0).exp2() }))
                .collect(),
            Scale::Linear { min, max } => (*min..=*max).map(|k| scale(k as f64)).collect(),
            Scale::Fixed(keys) => keys.iter().map(|k| scale(*k)).collect(),
        }
    }
}
