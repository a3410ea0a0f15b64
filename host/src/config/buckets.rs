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
