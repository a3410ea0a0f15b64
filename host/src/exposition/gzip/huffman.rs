//! Huffman codes as deflate has them (RFC 1951 §3.2): how to find a good one for what is to be
//! written, how to say which it is, and how to write with it.

use super::bits::BitWriter;

/// What ends a block.
pub(super) const END_OF_BLOCK: usize = 256;
/// Bytes of the shortest match that can be written.
pub(super) const SHORTEST_MATCH: usize = 3;
/// Bytes of the longest one.
pub(super) const LONGEST_MATCH: usize = 258;

/// Symbols of literals, the end and lengths; of distances; and of the lengths of their codes.
const LITERALS: usize = 286;
const DISTANCES: usize = 30;
const LENGTHS: usize = 19;
/// Bits of the longest code.
const LONGEST_CODE: u32 = 15;
/// Bits of the longest code of a code's length.
const LONGEST_LENGTH_CODE: u32 = 7;
/// In which order the lengths of the codes of lengths are written.
const ORDER: [usize; LENGTHS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// How often each symbol is to be written.
#[derive(Debug)]
pub(super) struct Counts {
    literals: [u32; LITERALS],
    distances: [u32; DISTANCES],
}

impl Counts {
    /// Of one end, and of two distances that may not occur: some readers want a code for them.
    pub(super) fn new() -> Self {
        let mut counts = Self { literals: [0; LITERALS], distances: [0; DISTANCES] };
        counts.literals[END_OF_BLOCK] = 1;
        counts.distances[..2].fill(1);
        counts
    }

    #[inline]
    pub(super) fn literal(&mut self, byte: u8) {
        self.literals[usize::from(byte)] += 1;
    }

    #[inline]
    pub(super) fn matching(&mut self, len: usize, distance: usize) {
        self.literals[length(len).symbol] += 1;
        self.distances[self::distance(distance).symbol] += 1;
    }
}

/// A symbol and the bits that stand behind its code.
#[derive(Clone, Copy)]
struct Part {
    symbol: usize,
    extra: u32,
    extra_bits: u32,
}

/// How a match of so many bytes, 3 to 258, is said.
#[inline]
fn length(len: usize) -> Part {
    if len == LONGEST_MATCH {
        return Part { symbol: 285, extra: 0, extra_bits: 0 };
    }
    let value = (len - SHORTEST_MATCH) as u32;
    let Part { symbol, extra, extra_bits } = scaled(value, 2);
    Part { symbol: 257 + symbol, extra, extra_bits }
}

/// How a distance of so many bytes, 1 to 32,768, is said.
#[inline]
fn distance(distance: usize) -> Part {
    scaled((distance - 1) as u32, 1)
}

/// Bits that stand behind the code of a distance of so many bytes.
#[inline]
pub(super) fn distance_bits(distance: usize) -> usize {
    self::distance(distance).extra_bits as usize
}

/// Symbols that double in reach every `1 << bits` of them.
#[inline]
fn scaled(value: u32, bits: u32) -> Part {
    let step = 1 << bits;
    if value < 2 * step {
        return Part { symbol: value as usize, extra: 0, extra_bits: 0 };
    }
    let extra_bits = 31 - value.leading_zeros() - bits;
    let symbol = (extra_bits * step + (value >> extra_bits)) as usize;
    Part { symbol, extra: value & ((1 << extra_bits) - 1), extra_bits }
}

/// A code for literals, matches and the end.
#[derive(Clone, Debug)]
pub(super) struct Code {
    literals: Box<[Word; LITERALS]>,
    distances: [Word; DISTANCES],
}

/// What is written for a symbol; no bits if it is never written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Word {
    bits: u16,
    len: u8,
}

impl Code {
    /// A code that takes the fewest bits for these counts.
    pub(super) fn of(counts: &Counts) -> Self {
        Self {
            literals: Box::new(words(&counts.literals, LONGEST_CODE)),
            distances: words(&counts.distances, LONGEST_CODE),
        }
    }

    #[inline]
    pub(super) fn literal(&self, byte: u8, out: &mut BitWriter) {
        self.literals[usize::from(byte)].write(out);
    }

    #[inline]
    pub(super) fn matching(&self, len: usize, distance: usize, out: &mut BitWriter) {
        let Part { symbol, extra, extra_bits } = length(len);
        self.literals[symbol].write(out);
        out.push(extra, extra_bits);
        let Part { symbol, extra, extra_bits } = self::distance(distance);
        self.distances[symbol].write(out);
        out.push(extra, extra_bits);
    }

    pub(super) fn end(&self, out: &mut BitWriter) {
        self.literals[END_OF_BLOCK].write(out);
    }

    /// Writes the head of a block in this code.
    pub(super) fn begin(&self, out: &mut BitWriter) {
        let used = |words: &[Word], least: usize| {
            words.iter().rposition(|word| word.len > 0).map_or(least, |last| least.max(last + 1))
        };
        let literals = used(&*self.literals, END_OF_BLOCK + 1);
        let distances = used(&self.distances, 1);
        let all = self.literals[..literals].iter().chain(&self.distances[..distances]);
        let runs = runs(all.map(|word| word.len));
        let mut counts = [0; LENGTHS];
        runs.iter().for_each(|run| counts[run.symbol] += 1);
        let lengths = words(&counts, LONGEST_LENGTH_CODE);
        let last = ORDER.iter().rposition(|symbol| lengths[*symbol].len > 0).unwrap_or(3).max(3);

        // Not the last block; codes of its own.
        out.push(0b100, 3);
        out.push((literals - END_OF_BLOCK - 1) as u32, 5);
        out.push((distances - 1) as u32, 5);
        out.push((last + 1 - 4) as u32, 4);
        ORDER[..=last].iter().for_each(|symbol| out.push(lengths[*symbol].len.into(), 3));
        for Part { symbol, extra, extra_bits } in runs {
            lengths[symbol].write(out);
            out.push(extra, extra_bits);
        }
    }
}

impl Word {
    #[inline]
    fn write(self, out: &mut BitWriter) {
        out.push(self.bits.into(), self.len.into());
    }
}

/// The lengths of codes, runs of zeros as one.
fn runs(lengths: impl Iterator<Item = u8>) -> Vec<Part> {
    let mut runs = Vec::new();
    let mut zeros = 0;
    for len in lengths.map(Some).chain([None]) {
        if len == Some(0) {
            zeros += 1;
            continue;
        }
        while zeros > 0 {
            let run = zeros.min(138);
            runs.push(match run {
                ..3 => Part { symbol: 0, extra: 0, extra_bits: 0 },
                3..11 => Part { symbol: 17, extra: run - 3, extra_bits: 3 },
                _ => Part { symbol: 18, extra: run - 11, extra_bits: 7 },
            });
            zeros -= if run < 3 { 1 } else { run };
        }
        runs.extend(len.map(|len| Part { symbol: len.into(), extra: 0, extra_bits: 0 }));
    }
    runs
}

/// The canonical code for symbols that occur so often, none longer than `limit` bits. Symbols that
/// do not occur have none.
fn words<const N: usize>(counts: &[u32; N], limit: u32) -> [Word; N] {
    let lengths = lengths(counts, limit);
    let mut next = [0u16; LONGEST_CODE as usize + 2];
    lengths.iter().filter(|len| **len > 0).for_each(|len| next[usize::from(*len) + 1] += 1);
    for len in 1..next.len() {
        next[len] = (next[len] + next[len - 1]) << 1;
    }
    lengths.map(|len| {
        if len == 0 {
            return Word::default();
        }
        let code = &mut next[usize::from(len)];
        // The highest bit of a code comes first.
        let bits = code.reverse_bits() >> (16 - len);
        *code += 1;
        Word { bits, len }
    })
}

/// The lengths of the codes that take the fewest bits in all.
fn lengths<const N: usize>(counts: &[u32; N], limit: u32) -> [u8; N] {
    let mut symbols: Vec<(u32, usize)> =
        counts.iter().zip(0..).filter(|(count, _)| **count > 0).map(|(n, s)| (*n, s)).collect();
    symbols.sort_unstable();
    loop {
        let depths = depths(&symbols);
        if depths.iter().all(|depth| *depth <= limit) {
            let mut lengths = [0; N];
            for ((_, symbol), depth) in symbols.iter().zip(depths) {
                lengths[*symbol] = depth as u8;
            }
            return lengths;
        }
        // Flatter counts give a flatter tree, and still fit what is written.
        symbols.iter_mut().for_each(|(count, _)| *count = *count / 2 + 1);
    }
}

/// How deep in a Huffman tree symbols stand that occur so often, the rarest first.
fn depths(symbols: &[(u32, usize)]) -> Vec<u32> {
    let leaves = symbols.len();
    let mut weights: Vec<u32> = symbols.iter().map(|(count, _)| *count).collect();
    let mut parents = vec![0; (2 * leaves).saturating_sub(1)];
    let (mut leaf, mut inner) = (0, leaves);
    for parent in leaves..parents.len() {
        let mut lightest = || {
            let takes_leaf = leaf < leaves && (inner == parent || weights[leaf] <= weights[inner]);
            let node = if takes_leaf { &mut leaf } else { &mut inner };
            *node += 1;
            *node - 1
        };
        let (one, other) = (lightest(), lightest());
        (parents[one], parents[other]) = (parent, parent);
        weights.push(weights[one] + weights[other]);
    }
    let mut depths = vec![0; parents.len()];
    for node in (0..parents.len().saturating_sub(1)).rev() {
        depths[node] = depths[parents[node]] + 1;
    }
    depths.truncate(leaves);
    // A symbol alone still takes a bit.
    depths.iter_mut().for_each(|depth| *depth = (*depth).max(1));
    depths
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_and_distances_are_said_as_the_format_says() {
        let part = |part: Part| (part.symbol, part.extra_bits, part.extra);
        for (len, expected) in [
            (3, (257, 0, 0)),
            (10, (264, 0, 0)),
            (11, (265, 1, 0)),
            (12, (265, 1, 1)),
            (114, (279, 4, 15)),
            (115, (280, 4, 0)),
            (257, (284, 5, 30)),
            (258, (285, 0, 0)),
        ] {
            assert_eq!(part(length(len)), expected, "{len}");
        }
        for (far, expected) in [
            (1, (0, 0, 0)),
            (4, (3, 0, 0)),
            (5, (4, 1, 0)),
            (7, (5, 1, 0)),
            (24_576, (28, 13, 8191)),
            (32_768, (29, 13, 8191)),
        ] {
            assert_eq!(part(distance(far)), expected, "{far}");
        }
    }

    proptest! {
        #[test]
        fn codes_are_complete_and_no_longer_than_allowed(
            counts in prop::collection::vec(prop_oneof![Just(0u32), 1..9u32, 1..1_000_000u32], LENGTHS)
        ) {
            let counts: [u32; LENGTHS] = counts.try_into().unwrap();
            let used = counts.iter().filter(|count| **count > 0).count();
            let lengths = lengths(&counts, LONGEST_LENGTH_CODE);
            prop_assert_eq!(lengths.iter().filter(|len| **len > 0).count(), used);
            prop_assert!(lengths.iter().all(|len| u32::from(*len) <= LONGEST_LENGTH_CODE));
            let space: u32 =
                lengths.iter().filter(|len| **len > 0).map(|len| 128 >> len).sum();
            prop_assert!(used < 2 || space == 128, "{space} of 128");
        }
    }
}
