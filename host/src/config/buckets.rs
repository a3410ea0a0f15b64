//! The buckets of a histogram: which keys the kernel uses for them and where they end.

pub mod native;

use native::Native;

/// What a config may write as `bucket_type`.
pub(super) const TYPES: [&str; 5] = ["exp2", "exp2zero", "linear", "fixed", "native"];

/// Buckets of one histogram, checked: at least one, ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    /// How keys and upper bounds belong together.
    pub scale: Scale,
    /// What the sum is multiplied with, and bounds that are not in seconds; never 0.
    pub multiplier: f64,
    /// What they are in a native histogram, if they are exposed as one too.
    pub native: Option<Native>,
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
    /// Key k ends at 2^(k/2^schema - 30) seconds, whatever the multiplier is.
    Seconds {
        /// How fine the buckets are, at most [`native::FINEST`].
        schema: u8,
        /// First key.
        min: u32,
        /// Last key, inclusive.
        max: u32,
    },
}

/// Where a row of a histogram belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The bucket with this index into [`Buckets::bounds`].
    Bucket(usize),
    /// The sum of all observations, before the multiplier.
    Sum,
}

impl Scale {
    /// How many buckets there are.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Exp2 { min, max }
            | Self::Exp2Zero { min, max }
            | Self::Linear { min, max }
            | Self::Seconds { min, max, .. } => (max - min) as usize + 1,
            Self::Fixed(keys) => keys.len(),
        }
    }
}

impl Buckets {
    /// The upper bounds of all buckets, ascending, in the unit of the metric; `+Inf` is not among them.
    pub fn bounds(&self) -> Vec<f64> {
        let scaled = |bounds: &mut dyn Iterator<Item = f64>| -> Vec<f64> {
            bounds.map(|bound| bound * self.multiplier).collect()
        };
        match &self.scale {
            Scale::Exp2 { min, max } => scaled(&mut (*min..=*max).map(power)),
            Scale::Exp2Zero { min, max } => {
                scaled(&mut (*min..=*max).map(|key| key.checked_sub(1).map_or(0.0, power)))
            }
            Scale::Linear { min, max } => scaled(&mut (*min..=*max).map(f64::from)),
            Scale::Fixed(keys) => scaled(&mut keys.iter().copied()),
            Scale::Seconds { schema, min, max } => {
                (*min..=*max).map(|key| native::seconds(*schema, key)).collect()
            }
        }
    }

    /// What these buckets are in a native histogram; none if they do not end where its buckets do.
    pub fn as_native(&self, classic: bool) -> Option<Native> {
        let multiplier = || native::exponent(self.multiplier);
        let (schema, first) = match self.scale {
            Scale::Exp2 { min, .. } => (0, min.cast_signed() + multiplier()?),
            // Key k ends at 2^(k-1). Key 0 ends at 0, and key 1 at 1: the bucket of 1 is the second.
            Scale::Exp2Zero { min, .. } => (0, min.cast_signed() - 1 + multiplier()?),
            Scale::Seconds { schema, min, .. } => (schema, native::index(schema, min)),
            Scale::Linear { .. } | Scale::Fixed(_) => return None,
        };
        Some(Native { schema, second: first + 1, classic })
    }

    /// Where the row with this bucket key, as decoded, belongs; none if the key is no number or
    /// no bucket's.
    pub fn slot(&self, key: &[u8]) -> Option<Slot> {
        match &self.scale {
            Scale::Exp2 { min, max }
            | Scale::Exp2Zero { min, max }
            | Scale::Linear { min, max }
            | Scale::Seconds { min, max, .. } => {
                let (key, min, max) = (integer(key)?, u64::from(*min), u64::from(*max));
                match key {
                    _ if key == max + 1 => Some(Slot::Sum),
                    _ if key < min || key > max => None,
                    _ => usize::try_from(key - min).ok().map(Slot::Bucket),
                }
            }
            Scale::Fixed(keys) => {
                let key = number(key)?;
                match keys.binary_search_by(|bound| bound.total_cmp(&key)) {
                    Ok(index) => Some(Slot::Bucket(index)),
                    Err(_) => keys.last().filter(|last| key == *last + 1.0).map(|_| Slot::Sum),
                }
            }
        }
    }

    /// Whether a text can be a bucket key at all.
    pub(super) fn takes(&self, key: &[u8]) -> bool {
        match self.scale {
            Scale::Fixed(_) => number(key).is_some(),
            _ => integer(key).is_some(),
        }
    }
}

fn power(key: u32) -> f64 {
    2f64.powi(i32::try_from(key).unwrap_or(i32::MAX))
}

/// A whole number as Go reads one that says its base: `0x1f`, `0o17` or `017`, `0b11`, with `_` between digits.
fn integer(text: &[u8]) -> Option<u64> {
    let (base, digits) = match text {
        [b'0', b'x' | b'X', digits @ ..] => (16, digits),
        [b'0', b'o' | b'O', digits @ ..] => (8, digits),
        [b'0', b'b' | b'B', digits @ ..] => (2, digits),
        [b'0', digits @ ..] if !digits.is_empty() => (8, digits),
        digits => (10, digits),
    };
    // One may stand behind the prefix too, and none at the end.
    let digits = digits.strip_prefix(b"_").filter(|_| digits.len() < text.len()).unwrap_or(digits);
    let mut after_digit = false;
    let number = digits.iter().try_fold(0u64, |number, byte| {
        if *byte == b'_' {
            return std::mem::take(&mut after_digit).then_some(number);
        }
        after_digit = true;
        let digit = char::from(*byte).to_digit(base)?;
        number.checked_mul(base.into())?.checked_add(digit.into())
    })?;
    after_digit.then_some(number)
}

/// Integers first: they are nearly all keys, and need no float parser.
fn number(text: &[u8]) -> Option<f64> {
    #[allow(clippy::cast_precision_loss)]
    if let Some(integer) = integer(text) {
        return (integer <= LARGEST_EXACT).then_some(integer as f64);
    }
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    // Adding turns -0 into 0, which the order below tells apart.
    number.is_finite().then_some(number + 0.0)
}

/// Up to here every whole number is an f64 of its own.
pub(super) const LARGEST_EXACT: u64 = 1 << 53;

#[cfg(test)]
mod tests {
    use super::*;
    use Slot::{Bucket, Sum};

    #[test]
    fn bounds_are_multiplied() {
        for (scale, multiplier, bounds) in [
            (Scale::Exp2 { min: 0, max: 3 }, 1.0, vec![1.0, 2.0, 4.0, 8.0]),
            (Scale::Exp2 { min: 2, max: 3 }, 0.5, vec![2.0, 4.0]),
            (Scale::Exp2 { min: 64, max: 64 }, 1.0, vec![18_446_744_073_709_551_616.0]),
            (Scale::Exp2Zero { min: 0, max: 3 }, 1.0, vec![0.0, 1.0, 2.0, 4.0]),
            (Scale::Exp2Zero { min: 2, max: 3 }, 10.0, vec![20.0, 40.0]),
            (Scale::Linear { min: 0, max: 3 }, 0.25, vec![0.0, 0.25, 0.5, 0.75]),
            (Scale::Linear { min: 7, max: 7 }, 1.0, vec![7.0]),
            (Scale::Fixed(vec![0.5, 10.0]), 2.0, vec![1.0, 20.0]),
            (
                Scale::Seconds { schema: 1, min: 58, max: 60 },
                1e-9,
                vec![0.5, 0.707_106_781_186_547_5, 1.0],
            ),
        ] {
            let buckets = Buckets { scale, multiplier, native: None };
            assert_eq!(buckets.bounds(), bounds, "{buckets:?}");
        }
    }

    #[test]
    fn keys_find_their_slot() {
        let to_three = |text: &str| match text {
            "1" => Some(Bucket(0)),
            "2" | "002" => Some(Bucket(1)),
            "3" => Some(Bucket(2)),
            "4" => Some(Sum),
            _ => None,
        };
        for scale in [
            Scale::Exp2 { min: 1, max: 3 },
            Scale::Exp2Zero { min: 1, max: 3 },
            Scale::Linear { min: 1, max: 3 },
            Scale::Seconds { schema: 3, min: 1, max: 3 },
        ] {
            let buckets = Buckets { scale, multiplier: 1e-6, native: None };
            let texts = ["0", "1", "2", "002", "3", "4", "5", "", "-1", "+2", "2.0", " 2", "two"];
            for text in texts.into_iter().chain(["18446744073709551617"]) {
                assert_eq!(buckets.slot(text.as_bytes()), to_three(text), "{text:?} {buckets:?}");
            }
        }
    }

    #[test]
    fn whole_numbers_are_read_as_go_reads_them() {
        for (text, number) in [
            ("0", Some(0)),
            ("00", Some(0)),
            ("010", Some(8)),
            ("0x1F", Some(31)),
            ("0X_1f", Some(31)),
            ("0o17", Some(15)),
            ("0b101", Some(5)),
            ("1_000", Some(1000)),
            ("0_7", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("0xffffffffffffffff", Some(u64::MAX)),
            ("0x10000000000000000", None),
            ("08", None),
            ("0x", None),
            ("0_", None),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("0x__1", None),
            ("0b2", None),
            ("1f", None),
            ("", None),
            ("_", None),
        ] {
            assert_eq!(integer(text.as_bytes()), number, "{text:?}");
        }
    }

    #[test]
    fn fixed_keys_are_matched_exactly() {
        let scale = Scale::Fixed(vec![-1.0, 0.0, 0.5, 200.0]);
        let fixed = Buckets { scale, multiplier: 3.0, native: None };
        for (text, slot) in [
            ("-1", Some(Bucket(0))),
            ("0", Some(Bucket(1))),
            ("-0", Some(Bucket(1))),
            ("0.5", Some(Bucket(2))),
            ("200", Some(Bucket(3))),
            ("200.0", Some(Bucket(3))),
            ("0310", Some(Bucket(3))),
            ("0xc8", Some(Bucket(3))),
            ("201", Some(Sum)),
            ("202", None),
            ("1", None),
            ("", None),
            ("nan", None),
            ("inf", None),
            ("unknown:7", None),
            ("18446744073709551615", None),
        ] {
            assert_eq!(fixed.slot(text.as_bytes()), slot, "{text:?}");
        }
    }

    #[test]
    fn the_last_key_of_all_has_no_sum_that_overflows() {
        let scale = Scale::Linear { min: u32::MAX, max: u32::MAX };
        let buckets = Buckets { scale, multiplier: 1.0, native: None };
        assert_eq!(buckets.slot(b"4294967295"), Some(Bucket(0)));
        assert_eq!(buckets.slot(b"4294967296"), Some(Sum));
    }

    #[test]
    fn every_bound_is_the_one_of_its_index() {
        let buckets = |scale, multiplier| Buckets { scale, multiplier, native: None };
        let all = [
            (buckets(Scale::Exp2 { min: 0, max: 3 }, 1.0), 0, 1),
            (buckets(Scale::Exp2 { min: 5, max: 9 }, 2f64.powi(-10)), 0, -4),
            (buckets(Scale::Exp2 { min: 0, max: 3 }, f64::from_bits(1)), 0, -1073),
            (buckets(Scale::Exp2Zero { min: 0, max: 3 }, 1.0), 0, 0),
            (buckets(Scale::Exp2Zero { min: 2, max: 3 }, 4.0), 0, 4),
            (buckets(Scale::Seconds { schema: 0, min: 0, max: 64 }, 1e-9), 0, -29),
            (buckets(Scale::Seconds { schema: 2, min: 119, max: 122 }, 1e-9), 2, 0),
            (buckets(Scale::Seconds { schema: 3, min: 0, max: 512 }, 1e-9), 3, -239),
        ];
        for (buckets, schema, second) in all {
            let native = buckets.as_native(true).unwrap();
            assert_eq!((native.schema, native.second), (schema, second), "{buckets:?}");
            for (index, bound) in (second..).zip(&buckets.bounds()[1..]) {
                let exact = 2f64.powf(f64::from(index) / f64::from(1 << schema));
                assert!((bound / exact - 1.0).abs() < 1e-15, "{index}: {bound} {exact}");
            }
        }
    }

    #[test]
    fn others_are_not_made_native() {
        for (scale, multiplier) in [
            (Scale::Exp2 { min: 0, max: 3 }, 1e-6),
            (Scale::Exp2Zero { min: 0, max: 3 }, 3.0),
            (Scale::Linear { min: 1, max: 2 }, 1.0),
            (Scale::Fixed(vec![1.0, 2.0, 4.0]), 1.0),
        ] {
            let buckets = Buckets { scale, multiplier, native: None };
            assert_eq!(buckets.as_native(true), None, "{buckets:?}");
        }
    }
}
