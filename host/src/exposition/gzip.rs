//! gzip made of parts: what did not change since the last scrape is not compressed again.
//!
//! Each part is deflated on its own and ends on a byte (a full flush), so parts can be put one
//! behind the other in any order. What comes out is one gzip member, as any reader expects. Parts
//! that are kept are deflated here ([`Packed`]), so that they can be changed; all others by a library.

use std::ops::Range;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use super::Body;
use packed::Matcher;
pub use packed::Packed;

mod bits;
mod huffman;
mod packed;

/// The header of a member without name, time or comment (RFC 1952).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The last block of a deflate stream, with nothing in it.
const END: [u8; 2] = [3, 0];

/// A part, deflated.
#[derive(Debug)]
pub struct Deflated {
    bytes: Bytes,
    crc: Crc,
}

/// Deflates parts, one after the other.
#[derive(Debug)]
pub struct Deflater {
    compress: Compress,
    matcher: Matcher,
}

impl Default for Deflater {
    fn default() -> Self {
        // At 100,000 series, level 1 takes a third of the time of level 6 and gives a tenth more.
        Self { compress: Compress::new(Compression::fast(), false), matcher: Matcher::default() }
    }
}

impl Deflater {
    /// Deflates a text that is kept, so that its numbers can change. They stand at `numbers`, and are made
    /// of `digits`.
    pub fn pack(
        &mut self,
        text: &[u8],
        numbers: impl Iterator<Item = Range<usize>> + Clone,
        digits: &[u8],
    ) -> Packed {
        Packed::new(text, numbers, digits, &mut self.matcher)
    }

    /// Deflates `text`.
    pub fn deflate(&mut self, text: &[u8]) -> Deflated {
        let mut crc = Crc::new();
        crc.update(text);
        self.compress.reset();
        let mut out = Vec::with_capacity(text.len() / 8 + 64);
        loop {
            let read = self.compress.total_in() as usize;
            let result = self.compress.compress_vec(&text[read..], &mut out, FlushCompress::Full);
            let done = self.compress.total_in() as usize == text.len();
            // With room left in `out`, the flush is complete. Deflate itself cannot fail.
            if done && out.len() < out.capacity()
                || !matches!(result, Ok(Status::Ok | Status::BufError))
            {
                break;
            }
            out.reserve(out.capacity().max(64));
        }
        Deflated { bytes: out.into(), crc }
    }
}

/// A gzip member, put together part by part.
#[derive(Debug)]
pub struct Member {
    parts: Vec<Bytes>,
    crc: Crc,
}

impl Default for Member {
    fn default() -> Self {
        Self { parts: vec![Bytes::from_static(&HEADER)], crc: Crc::new() }
    }
}

impl Member {
    /// Adds a part.
    pub fn push(&mut self, part: &Deflated) {
        self.parts.push(part.bytes.clone());
        self.crc.combine(&part.crc);
    }

    /// The member's bytes, in parts.
    pub fn finish(mut self) -> Vec<Bytes> {
        let mut end = END.to_vec();
        end.extend_from_slice(&self.crc.sum().to_le_bytes());
        end.extend_from_slice(&self.crc.amount().to_le_bytes());
        self.parts.push(end.into());
        self.parts
    }
}

/// A body of which nothing is kept, as one gzip member.
pub fn compress(body: &Body) -> Body {
    let (mut deflater, mut member) = (Deflater::default(), Member::default());
    body.parts().iter().for_each(|part| member.push(&deflater.deflate(part)));
    member.finish().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    /// What a reader makes of a member of these parts.
    fn read_back(parts: &[Vec<u8>]) -> Vec<u8> {
        let mut deflater = Deflater::default();
        let mut member = Member::default();
        parts.iter().for_each(|part| member.push(&deflater.deflate(part)));
        let bytes = member.finish().concat();
        let mut reader = GzDecoder::new(&*bytes);
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        assert_eq!(reader.into_inner().len(), 0, "there is one member and nothing behind it");
        text
    }

    proptest! {
        #[test]
        fn parts_read_back_as_one(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 0..6)
        ) {
            prop_assert_eq!(read_back(&parts), parts.concat());
        }
    }

    #[test]
    fn a_part_that_does_not_shrink_is_whole() {
        let mut state = 1u64;
        let noise = (0..300_000).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        });
        let noise: Vec<u8> = noise.collect();
        assert!(read_back(&[noise.clone(), b"end".to_vec()]) == [&noise[..], b"end"].concat());
    }
}
