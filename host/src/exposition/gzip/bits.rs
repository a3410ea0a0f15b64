//! Bits end to end, the lowest first, as deflate wants them.

use std::ops::Range;

/// Appends bits to bytes.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    out: Vec<u8>,
    /// Bits that do not fill 32 yet.
    pending: u64,
    count: u32,
}

impl BitWriter {
    /// A writer with room for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Appends the `count` lowest bits of `bits`, at most 32; the others must be zero.
    #[inline]
    pub(super) fn push(&mut self, bits: u32, count: u32) {
        self.pending |= u64::from(bits) << self.count;
        self.count += count;
        if self.count >= 32 {
            self.out.extend_from_slice(&(self.pending as u32).to_le_bytes());
            self.pending >>= 32;
            self.count -= 32;
        }
    }

    /// Appends the bits of `from` that stand at `bits`.
    pub(super) fn copy(&mut self, from: &[u8], bits: Range<u32>) {
        let whole = (bits.end - bits.start) / 64;
        let (first, shift) = (bits.start as usize / 8, bits.start % 8);
        // Nine bytes hold 64 bits wherever they begin.
        let source = from.get(first..).unwrap_or_default();
        let count = (whole as usize).min(source.len().saturating_sub(1) / 8);
        let (words, next) = (source.as_chunks::<8>().0, source.get(8..).unwrap_or_default());
        self.out.reserve(count * 8 + 8);
        for (word, next) in words.iter().zip(next.iter().step_by(8)).take(count) {
            let word = u64::from_le_bytes(*word) >> shift | u64::from(*next) << 1 << (63 - shift);
            let out = self.pending | word << self.count;
            self.out.extend_from_slice(&out.to_le_bytes());
            self.pending = word >> 1 >> (63 - self.count);
        }
        let mut at = bits.start + count as u32 * 64;
        while bits.end - at >= 32 {
            self.push(word(from, at) as u32, 32);
            at += 32;
        }
        let rest = bits.end - at;
        self.push((word(from, at) & ((1 << rest) - 1)) as u32, rest);
    }

    /// How many bits there are.
    pub(super) fn len(&self) -> u32 {
        self.out.len() as u32 * 8 + self.count
    }

    /// Fills up the last byte with zeros.
    pub(super) fn align(&mut self) {
        self.push(0, (8 - self.count % 8) % 8);
    }

    /// The bytes, the last one filled up with zeros.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.align();
        let bytes = self.count as usize / 8;
        self.out.extend_from_slice(&self.pending.to_le_bytes()[..bytes]);
        self.out
    }
}

/// At least 32 bits from `at` on; zeros behind the end.
#[inline]
fn word(from: &[u8], at: u32) -> u64 {
    let first = at as usize / 8;
    let word = match from.get(first..first + 8) {
        Some(bytes) => u64::from_le_bytes(bytes.try_into().unwrap_or_default()),
        None => {
            let mut last = [0; 8];
            let rest = from.get(first..).unwrap_or_default();
            last[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(last)
        }
    };
    word >> (at % 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_pushed_or_copied_comes_out(
            pieces in prop::collection::vec((any::<u32>(), 0..=32u32), 0..40),
            cuts in prop::collection::vec(any::<u32>(), 0..6),
        ) {
            let mut plain = Vec::new();
            let mut writer = BitWriter::default();
            for (bits, count) in pieces {
                let bits = (u64::from(bits) & ((1 << count) - 1)) as u32;
                plain.extend((0..count).map(|n| bits >> n & 1 == 1));
                writer.push(bits, count);
            }
            let len = writer.len();
            prop_assert_eq!(len as usize, plain.len());
            let bytes = writer.finish();
            prop_assert_eq!(bytes.len(), plain.len().div_ceil(8));
            prop_assert!(plain.iter().enumerate().all(|(n, bit)| bytes[n / 8] >> (n % 8) & 1 == u8::from(*bit)));

            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut % (len + 1)).collect();
            cuts.extend([0, len]);
            cuts.sort_unstable();
            let mut copy = BitWriter::default();
            cuts.windows(2).for_each(|cut| copy.copy(&bytes, cut[0]..cut[1]));
            prop_assert_eq!(copy.finish(), bytes);
        }
    }
}
