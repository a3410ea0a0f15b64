//! Buckets of native histograms: the bucket with index i of schema s takes what is in (2^((i-1)/2^s), 2^(i/2^s)].
//!
//! Only buckets that end where these do are made native: nothing is ever counted anew in other buckets.

/// The finest schema that the kernel counts in: eight buckets from a power of two to the next.
pub const FINEST: u8 = 3;

/// Key 0 ends at 2 to minus this seconds, which is less than a nanosecond.
pub const OCTAVES_BELOW: u32 = 30;

/// From key 0 there are so many octaves to the last bound that a `u64` of nanoseconds reaches.
pub const OCTAVES: u32 = 64;

/// Where the buckets of schema 3 end below 1. Those of coarser schemas are among them.
///
/// Prometheus has these very numbers, of which one is not the nearest to the root that it stands for. A bound that
/// is another number than Prometheus' own is, to it, within a bucket.
const EIGHTHS: [f64; 8] = [
    0.5,
    0.545_253_866_332_628_8,
    0.594_603_557_501_360_5,
    0.648_419_777_325_504_8,
    0.707_106_781_186_547_5,
    0.771_105_412_703_970_4,
    0.840_896_415_253_714_4,
    0.917_004_043_204_671_1,
];

/// What the buckets of a histogram are in a native one. The first is its zero bucket: it takes what is up to its
/// bound, 0 too. The others have indices one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Native {
    /// How fine they are: 2^schema of them end from a power of two to the next.
    pub schema: u8,
    /// The index of the second bucket.
    pub second: i32,
    /// Whether classic buckets are exposed beside them.
    pub classic: bool,
}

/// Where the bucket with this key ends, in seconds, as Prometheus has it.
pub(super) fn seconds(schema: u8, key: u32) -> f64 {
    let eighths = key << (FINEST - schema);
    let octave = (eighths / 8).cast_signed() - OCTAVES_BELOW.cast_signed();
    EIGHTHS[(eighths % 8) as usize] * 2f64.powi(octave + 1)
}

/// The index of the bucket with this key.
pub(super) fn index(schema: u8, key: u32) -> i32 {
    key.cast_signed() - (OCTAVES_BELOW << schema).cast_signed()
}

/// Which power of two a number is, if it is one.
pub fn exponent(number: f64) -> Option<i32> {
    const FRACTION: u32 = f64::MANTISSA_DIGITS - 1;
    const BIAS: i32 = f64::MAX_EXP - 1;
    if number <= 0.0 || !number.is_finite() {
        return None;
    }
    let bits = number.to_bits();
    let (exponent, fraction) = ((bits >> FRACTION) as i32, bits & ((1 << FRACTION) - 1));
    match exponent {
        0 if fraction.is_power_of_two() => {
            Some(fraction.ilog2().cast_signed() - (BIAS - 1) - FRACTION.cast_signed())
        }
        1.. if fraction == 0 => Some(exponent - BIAS),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_known() {
        for power in -1022..1024 {
            assert_eq!(exponent(2f64.powi(power)), Some(power));
        }
        for (number, power) in [(f64::from_bits(1), -1074), (f64::from_bits(1 << 51), -1023)] {
            assert_eq!(exponent(number), Some(power));
        }
        let others = [0.0, -1.0, 3.0, 1e-6, f64::from_bits(3), f64::INFINITY, f64::NAN, -2.0];
        for number in others.into_iter().chain([2f64.next_up(), 2f64.next_down()]) {
            assert_eq!(exponent(number), None, "{number}");
        }
    }

    #[test]
    fn eighths_are_roots_to_the_last_bit_but_one() {
        for (n, eighth) in EIGHTHS.into_iter().enumerate() {
            let root = 2f64.powf(n as f64 / 8.0 - 1.0);
            assert!((eighth - root).abs() <= f64::EPSILON, "{n}: {eighth} {root}");
        }
    }
}
