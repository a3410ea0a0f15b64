//! A family's text, kept from one scrape to the next: only what changed is written again.
//!
//! A sheet is cut into blocks of series. A block whose numbers are all what they were costs one
//! comparison; a number that changed is written over the old one where it stands if it is as long,
//! else its block is joined anew from the parts of the old one. Labels are escaped once, when their
//! series is first seen. What comes out is byte for byte what [`super::text::encode`] writes.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::gzip::{Deflated, Deflater};
use super::text::{self, Lines};
use crate::series::Family;

/// Lines in a block: enough that a block's fixed cost vanishes, few enough that one number that
/// grew a digit moves little text.
const LINES: usize = 512;

/// The text of one family.
#[derive(Debug)]
pub(crate) struct Sheet {
    head: Bytes,
    lines: Lines,
    blocks: Vec<Block>,
}

/// The text of some series.
#[derive(Debug, Default)]
struct Block {
    text: Bytes,
    /// Where each number stands in `text`, in order.
    numbers: Vec<Number>,
    /// What the numbers were made of; empty before the first time.
    cells: Vec<u64>,
    /// Which of the block's series are in `text`.
    live: Vec<bool>,
    /// The number among `numbers` that each series begins with.
    first: Vec<u32>,
    /// `text`, deflated, if anyone has asked for it since it changed.
    deflated: Option<Deflated>,
}

#[derive(Clone, Copy, Debug)]
struct Number {
    at: u32,
    len: u32,
}

impl Sheet {
    pub(crate) fn new(family: &Family) -> Self {
        let mut head = Vec::new();
        text::head(family, &mut head);
        Self { head: head.into(), lines: Lines::new(family), blocks: Vec::new() }
    }

    /// Brings the text up to date with the family and hands out its parts, in order: the comments,
    /// then the blocks, each with its number.
    pub(crate) fn render(&mut self, family: &Family, mut part: impl FnMut(&Bytes, Option<usize>)) {
        let per_block = (LINES / self.lines.len()).max(1);
        let room = family.room();
        self.blocks.resize_with(room.div_ceil(per_block), Block::default);
        if family.is_empty() {
            return;
        }
        part(&self.head, None);
        for (n, block) in self.blocks.iter_mut().enumerate() {
            let ids = n * per_block..((n + 1) * per_block).min(room);
            block.update(family, ids, &mut self.lines);
            part(&block.text, Some(n));
        }
    }

    /// The `n`-th block's text, deflated.
    pub(crate) fn deflated(&mut self, n: usize, deflater: &mut Deflater) -> &Deflated {
        let Block { text, deflated, .. } = &mut self.blocks[n];
        deflated.get_or_insert_with(|| deflater.deflate(text))
    }
}

impl Block {
    fn update(&mut self, family: &Family, ids: Range<usize>, lines: &mut Lines) {
        // Without cells, a panic has cut short what was done here the last time.
        let same_series = !self.cells.is_empty()
            && self.live.len() == ids.len()
            && ids.clone().zip(&self.live).all(|(id, live)| family.is_live(id) == *live);
        let cells = family.numbers_of(ids.clone());
        if !same_series {
            self.write(family, ids, lines);
        } else if self.cells != cells {
            self.patch(family, ids);
        } else {
            return;
        }
        self.deflated = None;
        self.cells.clear();
        self.cells.extend_from_slice(cells);
    }

    /// Writes all lines.
    fn write(&mut self, family: &Family, ids: Range<usize>, lines: &mut Lines) {
        let Self { numbers, live, first, .. } = self;
        numbers.clear();
        live.clear();
        first.clear();
        let mut out = Vec::with_capacity(self.text.len() + 64);
        for id in ids {
            live.push(family.is_live(id));
            first.push(numbers.len() as u32);
            if family.is_live(id) {
                lines.write(family, id, &mut out, |at, len| {
                    numbers.push(Number { at: at as u32, len: len as u32 });
                });
            }
        }
        self.text = out.into();
    }

    /// Writes the numbers of those series whose cells changed.
    fn patch(&mut self, family: &Family, ids: Range<usize>) {
        let width = family.kind.cells();
        let mut text = into_mut(std::mem::take(&mut self.text));
        let mut moved = Vec::new();
        let cells = std::mem::take(&mut self.cells);
        let old = cells.chunks_exact(width);
        for ((id, old), (live, first)) in ids.zip(old).zip(self.live.iter().zip(&self.first)) {
            let new = family.numbers(id);
            if old == new || !live {
                continue;
            }
            text::numbers(&family.kind, new, |line, digits| {
                let n = *first as usize + line;
                let Number { at, len } = self.numbers[n];
                if digits.len() == len as usize {
                    text[at as usize..(at + len) as usize].copy_from_slice(digits.as_bytes());
                } else {
                    moved.push((n, digits.to_owned()));
                }
            });
        }
        self.text = if moved.is_empty() { text.freeze() } else { self.join(&text, &moved) };
    }

    /// Joins the text anew around the numbers whose length changed.
    fn join(&mut self, text: &[u8], moved: &[(usize, String)]) -> Bytes {
        let mut out = Vec::with_capacity(text.len() + moved.len() * 4);
        let mut from = 0;
        let mut moved = moved.iter().peekable();
        for (n, number) in self.numbers.iter_mut().enumerate() {
            let (at, end) = (number.at as usize, (number.at + number.len) as usize);
            let shift = out.len() as i64 - from as i64;
            number.at = (at as i64 + shift) as u32;
            if let Some((_, digits)) = moved.next_if(|(moved, _)| *moved == n) {
                out.extend_from_slice(&text[from..at]);
                out.extend_from_slice(digits.as_bytes());
                number.len = digits.len() as u32;
                from = end;
            }
        }
        out.extend_from_slice(&text[from..]);
        out.into()
    }
}

/// The bytes to write over: the same memory if no client is still being sent them.
fn into_mut(bytes: Bytes) -> BytesMut {
    bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::buckets::{Buckets, Scale, Slot};
    use crate::series::{Cell, Kind, LabelSet};
    use proptest::prelude::*;

    /// What is done to a family between two scrapes.
    #[derive(Clone, Debug)]
    enum Change {
        Join(u8, u8),
        Leave(usize),
        Add(usize, u64),
        Hold,
    }

    fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
        let value = prop_oneof![0..20u64, any::<u64>(), (0..20u32).prop_map(|n| 10u64.pow(n) - 1)];
        let change = prop_oneof![
            3 => (any::<u8>(), 0..4u8).prop_map(|(label, slot)| Change::Join(label, slot)),
            1 => any::<usize>().prop_map(Change::Leave),
            4 => (any::<usize>(), value).prop_map(|(row, value)| Change::Add(row, value)),
            1 => Just(Change::Hold),
        ];
        prop::collection::vec(prop::collection::vec(change, 0..200), 1..8)
    }

    fn family(kind: Kind) -> Family {
        Family::new("x".to_owned(), "help".to_owned(), vec!["a\\b".to_owned()], kind)
    }

    fn check(mut family: Family, scrapes: Vec<Vec<Change>>) {
        let slots = matches!(family.kind, Kind::Histogram(_));
        let mut sheet = Sheet::new(&family);
        let mut rows: Vec<Cell> = Vec::new();
        // A client that is slow to read holds the bytes of an old scrape, which must not change.
        let mut held: Vec<(Bytes, Vec<u8>)> = Vec::new();
        for changes in scrapes {
            for change in changes {
                match change {
                    Change::Join(label, slot) => {
                        let slot = slots.then_some(match slot {
                            3 => Slot::Sum,
                            slot => Slot::Bucket(slot.into()),
                        });
                        let label = LabelSet::of([format!("\"{label}").as_str()]);
                        rows.push(family.join(&label, slot));
                    }
                    Change::Leave(row) if !rows.is_empty() => {
                        family.leave(rows.swap_remove(row % rows.len()));
                    }
                    Change::Add(row, value) if !rows.is_empty() => {
                        family.add(rows[row % rows.len()], value);
                    }
                    Change::Hold => {
                        let mut hold = |part: &Bytes, _| held.push((part.clone(), part.to_vec()));
                        sheet.render(&family, &mut hold);
                    }
                    Change::Leave(_) | Change::Add(..) => {}
                }
            }
            let mut out = Vec::new();
            sheet.render(&family, |part, _| out.extend_from_slice(part));
            let mut expected = Vec::new();
            text::encode([&family], &mut expected);
            assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(expected).unwrap());
            assert!(held.iter().all(|(part, was)| part == was), "a part in use was changed");
        }
    }

    proptest! {
        #[test]
        fn counters_are_what_the_plain_encoder_writes(scrapes in changes()) {
            check(family(Kind::Counter), scrapes);
        }

        #[test]
        fn histograms_are_what_the_plain_encoder_writes(scrapes in changes()) {
            let buckets = Buckets { scale: Scale::Linear { min: 0, max: 2 }, multiplier: 0.5 };
            check(family(Kind::histogram(&buckets)), scrapes);
        }
    }
}
