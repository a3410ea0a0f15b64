//! A text deflated so that a number that changes costs only its own bits.
//!
//! Such a text is labels, which stay, and numbers, which change. Labels may refer back to earlier
//! labels, never to a number; numbers are written digit by digit, in a format of bytes byte by byte. So
//! while numbers keep their length, new digits leave the rest of the stream as it is, and that is copied
//! rather than compressed again.

use std::ops::Range;

use flate2::Crc;

use super::Deflated;
use super::bits::BitWriter;
use super::huffman::{Code, Counts, LONGEST_MATCH, SHORTEST_MATCH, distance_bits};

/// How far back a match may lie, bytes.
const WINDOW: usize = 32 << 10;
/// About how many bits a literal takes, and a match without the bits behind its distance's code. What is worth
/// a match is told by them.
const LITERAL_BITS: usize = 4;
const MATCH_BITS: usize = 8;
/// Places that are remembered for matches to begin at: 2 to this power.
const PLACES: u32 = 12;

/// A deflated text and what is needed to change its numbers.
#[derive(Debug)]
pub struct Packed {
    deflated: Deflated,
    code: Code,
    /// The bits that each number has.
    numbers: Vec<Range<u32>>,
    /// The bit behind the last label.
    end: u32,
}

impl Packed {
    /// Deflates `text`, whose numbers stand at `numbers`, in order, and are made of `digits`, whatever
    /// they are.
    pub(super) fn new(
        text: &[u8],
        numbers: impl Iterator<Item = Range<usize>> + Clone,
        digits: &[u8],
        matcher: &mut Matcher,
    ) -> Self {
        let code = Code::of(&matcher.cut(text, numbers.clone(), digits));
        let mut out = BitWriter::with_capacity(text.len() / 4 + 512);
        code.begin(&mut out);
        let mut places = Vec::with_capacity(matcher.marks.len());
        let mut from = 0;
        for (number, mark) in numbers.zip(&matcher.marks) {
            write_label(&matcher.tokens[from..*mark], &code, &mut out);
            places.push(write_number(&text[number], &code, &mut out));
            from = *mark;
        }
        write_label(&matcher.tokens[from..], &code, &mut out);
        let end = out.len();
        Self { deflated: finish(out, &code, sum(text)), code, numbers: places, end }
    }

    /// The deflated text.
    pub fn deflated(&self) -> &Deflated {
        &self.deflated
    }

    /// Takes over a text that differs only in numbers that are as long as before: at most in those
    /// that `changed` gives, in order, each with its place among all numbers.
    pub fn patch(&mut self, text: &[u8], changed: impl Iterator<Item = (usize, Range<usize>)>) {
        let Self { deflated, code, numbers, end } = self;
        // First, because it reads the text from end to end: the digits are in the cache then.
        let crc = sum(text);
        let mut out = BitWriter::with_capacity(deflated.bytes.len() + 64);
        // How far the old bits are written, and by how much they have moved.
        let (mut copied, mut moved) = (0, 0u32);
        let mut next = 0;
        for (n, number) in changed {
            shift(&mut numbers[next..n], moved);
            let old = numbers[n].clone();
            out.copy(&deflated.bytes, copied..old.start);
            numbers[n] = write_number(&text[number], code, &mut out);
            moved = numbers[n].end.wrapping_sub(old.end);
            (copied, next) = (old.end, n + 1);
        }
        shift(&mut numbers[next..], moved);
        out.copy(&deflated.bytes, copied..*end);
        *end = end.wrapping_add(moved);
        *deflated = finish(out, code, crc);
    }
}

fn shift(numbers: &mut [Range<u32>], by: u32) {
    for bits in numbers {
        *bits = bits.start.wrapping_add(by)..bits.end.wrapping_add(by);
    }
}

fn write_label(tokens: &[Token], code: &Code, out: &mut BitWriter) {
    for token in tokens {
        match *token {
            Token::Literal(byte) => code.literal(byte, out),
            Token::Match { len, far } => code.matching(len.into(), far.into(), out),
        }
    }
}

/// Writes a number's digits; the bits they take.
fn write_number(digits: &[u8], code: &Code, out: &mut BitWriter) -> Range<u32> {
    let start = out.len();
    digits.iter().for_each(|digit| code.literal(*digit, out));
    start..out.len()
}

fn sum(text: &[u8]) -> Crc {
    let mut crc = Crc::new();
    crc.update(text);
    crc
}

/// Ends the block, and the stream on a byte: a full flush.
fn finish(mut out: BitWriter, code: &Code, crc: Crc) -> Deflated {
    code.end(&mut out);
    // An empty block of stored bytes: its kind, then its length and the length's complement.
    out.push(0, 3);
    out.align();
    out.push(0xffff_0000, 32);
    // Without what the writer had room for beyond it.
    Deflated { bytes: out.finish().into_boxed_slice().into(), crc }
}

/// Finds what labels have in common; kept for its memory.
#[derive(Debug)]
pub(super) struct Matcher {
    tokens: Vec<Token>,
    /// How many tokens stand before each number.
    marks: Vec<usize>,
    /// Where text with a certain hash was seen last.
    places: Box<[Place]>,
}

/// A piece of a label.
#[derive(Clone, Copy, Debug)]
enum Token {
    Literal(u8),
    /// What stood `far` bytes before.
    Match {
        len: u16,
        far: u16,
    },
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    at: u32,
    /// Where the label ends that it is in.
    end: u32,
}

impl Default for Matcher {
    fn default() -> Self {
        let places = vec![Place::default(); 1 << PLACES].into();
        Self { tokens: Vec::new(), marks: Vec::new(), places }
    }
}

impl Matcher {
    /// Cuts the labels of `text` into tokens, and counts what is to be written: that, and at least
    /// once each of the `digits`, which any number may be made of.
    fn cut(
        &mut self,
        text: &[u8],
        numbers: impl Iterator<Item = Range<usize>>,
        digits: &[u8],
    ) -> Counts {
        self.tokens.clear();
        self.marks.clear();
        self.places.fill(Place::default());
        let mut counts = Counts::new();
        digits.iter().for_each(|digit| counts.literal(*digit));
        let mut from = 0;
        for number in numbers {
            self.label(text, from..number.start, &mut counts);
            self.marks.push(self.tokens.len());
            text[number.clone()].iter().for_each(|digit| counts.literal(*digit));
            from = number.end;
        }
        self.label(text, from..text.len(), &mut counts);
        counts
    }

    fn label(&mut self, text: &[u8], label: Range<usize>, counts: &mut Counts) {
        let mut at = label.start;
        while at < label.end {
            let (mut len, far) = self.find(text, at..label.end);
            if !is_worth_it(len, far) {
                self.tokens.push(Token::Literal(text[at]));
                counts.literal(text[at]);
                at += 1;
                continue;
            }
            // What is left of a long one is written as what it is, if it is too short.
            while len >= SHORTEST_MATCH {
                let part = len.min(LONGEST_MATCH);
                self.tokens.push(Token::Match { len: part as u16, far: far as u16 });
                counts.matching(part, far);
                at += part;
                len -= part;
            }
        }
    }

    /// How many bytes of the rest of a label stood somewhere before, and how far. Notes that they
    /// stand here too.
    #[inline]
    fn find(&mut self, text: &[u8], rest: Range<usize>) -> (usize, usize) {
        let Some([one, two, three]) = text[rest.clone()].first_chunk::<SHORTEST_MATCH>() else {
            return (0, 0);
        };
        let first = u32::from_le_bytes([*one, *two, *three, 0]);
        let hash = first.wrapping_mul(0x9e37_79b1) >> (32 - PLACES);
        let here = Place { at: rest.start as u32, end: rest.end as u32 };
        let Place { at, end } = std::mem::replace(&mut self.places[hash as usize], here);
        let far = rest.start - at as usize;
        if far >= WINDOW {
            return (0, 0);
        }
        (common(&text[at as usize..end as usize], &text[rest]), far)
    }
}

/// Whether a match of so many bytes, so far back, takes no more bits than the bytes as literals.
#[inline]
fn is_worth_it(len: usize, far: usize) -> bool {
    len >= SHORTEST_MATCH && len * LITERAL_BITS >= MATCH_BITS + distance_bits(far)
}

/// How many bytes two texts have in common at their beginnings.
#[inline]
fn common(one: &[u8], other: &[u8]) -> usize {
    let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
    let mut same = 0;
    for (one, other) in words {
        let differ = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if differ != 0 {
            return same + differ.trailing_zeros() as usize / 8;
        }
        same += 8;
    }
    let rest = one[same..].iter().zip(&other[same..]);
    same + rest.take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::DeflateDecoder;
    use proptest::prelude::*;

    use super::*;

    const DIGITS: &[u8] = b"0123456789";

    fn read_back(packed: &Packed) -> Vec<u8> {
        let mut text = Vec::new();
        let stream = [&packed.deflated().bytes[..], &[3, 0]].concat();
        DeflateDecoder::new(&*stream).read_to_end(&mut text).unwrap();
        text
    }

    /// Labels and numbers in turn, the last label without one.
    fn texts() -> impl Strategy<Value = Vec<(Vec<u8>, u64)>> {
        let label = prop_oneof![
            Just(b"\nname{one=\"".to_vec()),
            prop::collection::vec(any::<u8>(), 0..20),
            prop::collection::vec(97..100u8, 0..700),
            (0..900usize).prop_map(|len| vec![b'x'; len]),
        ];
        prop::collection::vec((label, any::<u64>()), 0..60)
    }

    fn join(parts: &[(Vec<u8>, u64)]) -> (Vec<u8>, Vec<Range<usize>>) {
        let (mut text, mut numbers) = (Vec::new(), Vec::new());
        for (label, number) in parts {
            text.extend_from_slice(label);
            let start = text.len();
            text.extend_from_slice(number.to_string().as_bytes());
            numbers.push(start..text.len());
        }
        text.push(b'\n');
        (text, numbers)
    }

    /// Another number with as many digits.
    fn as_long(number: u64, random: u64) -> u64 {
        let least = 10u64.pow(number.checked_ilog10().unwrap_or(0));
        least + random % least.saturating_mul(9).min(u64::MAX - least)
    }

    proptest! {
        #[test]
        fn reads_back_and_so_does_each_patch(
            mut parts in texts(),
            changes in prop::collection::vec(prop::collection::vec((any::<usize>(), any::<u64>()), 0..40), 0..4),
        ) {
            let mut matcher = Matcher::default();
            let (text, numbers) = join(&parts);
            let mut packed = Packed::new(&text, numbers.iter().cloned(), DIGITS, &mut matcher);
            prop_assert_eq!(read_back(&packed), text);
            let none = parts.is_empty();
            for changes in changes.into_iter().filter(|_| !none) {
                let mut changed = std::collections::BTreeSet::new();
                for (n, random) in changes {
                    let n = n % parts.len();
                    parts[n].1 = as_long(parts[n].1, random);
                    changed.insert(n);
                }
                let (text, now) = join(&parts);
                prop_assert_eq!(&now, &numbers);
                packed.patch(&text, changed.iter().map(|n| (*n, now[*n].clone())));
                prop_assert_eq!(read_back(&packed), text.clone());
                let fresh = Packed::new(&text, now.into_iter(), DIGITS, &mut matcher);
                prop_assert_eq!(packed.deflated().crc.sum(), fresh.deflated().crc.sum());
            }
        }
    }

    #[test]
    fn lines_of_a_metric_shrink_as_much_as_by_a_library() {
        let parts: Vec<_> = (0..512u64)
            .map(|n| {
                let head = if n == 0 { "" } else { "\n" };
                let pod = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 16;
                let label = format!(
                    "{head}rows_total{{id=\"{}\",pod=\"pod-{:016x}\"}} ",
                    n * 7919,
                    pod * 0x1234_5678_9abc
                );
                (label.into_bytes(), n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40)
            })
            .collect();
        let (text, numbers) = join(&parts);
        let ours = Packed::new(&text, numbers.into_iter(), DIGITS, &mut Matcher::default());
        let theirs = super::super::Deflater::default().deflate(&text);
        let (ours, theirs) = (ours.deflated().bytes.len(), theirs.bytes.len());
        assert!(ours <= theirs, "{ours} bytes, by the library {theirs}");
    }
}
