//! A family's text, kept from one scrape to the next: only what changed is written again.
//!
//! A sheet is cut into blocks of series. A block of which no number changed costs a look at a few
//! bits; a number that changed is written over the old one where it stands if it is as long, else its
//! block is joined anew from the parts of the old one. Labels are escaped once, when their series is
//! first seen. What comes out is byte for byte what [`super::text::encode`] writes.
//!
//! Names stand in every line, so a text belongs to one [`Escaping`]. A family whose names are plain has one
//! text for all of them. Of any other, the text is kept in the escaping that was asked for last, and
//! written anew when another one is: all servers that scrape an exporter mostly ask for the same, and
//! a second text kept beside the first would be patched at every scrape and have its own memory, for
//! whoever looks in with a browser.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::gzip::{Deflated, Deflater, Packed};
use super::names::is_plain;
use super::text::{self, Lines};
use crate::escaping::Escaping;
use crate::series::Family;

/// Lines in a block: enough that a block's fixed cost vanishes, few enough that one number that
/// grew a digit moves little text.
const LINES: usize = 512;

/// The text of one family.
#[derive(Debug)]
pub struct Sheet {
    /// How names are written; none if it does not matter.
    escaping: Option<Escaping>,
    head: Bytes,
    lines: Lines,
    blocks: Vec<Block>,
}

/// The text of some series.
#[derive(Debug, Default)]
struct Block {
    text: Bytes,
    /// Whether `text` is what the family was when it was last settled. If not, it is to be written
    /// anew: so it is at first, and after a panic in the middle of a change.
    sound: bool,
    /// Where each number stands in `text`, in order.
    numbers: Vec<Number>,
    /// The number among `numbers` that each series begins with.
    first: Vec<u32>,
    /// A text that was deflated, and from which `text` differs in `changed` alone.
    packed: Option<Packed>,
    /// The numbers that were written over since then, in no order.
    changed: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Number {
    at: u32,
    len: u32,
}

impl Number {
    fn range(self) -> Range<usize> {
        self.at as usize..(self.at + self.len) as usize
    }
}

impl Sheet {
    /// A sheet that nothing is written on yet.
    pub fn new(family: &Family) -> Self {
        Self::escaped(family, Escaping::default())
    }

    fn escaped(family: &Family, escaping: Escaping) -> Self {
        let mut head = Vec::new();
        text::head(family, escaping, &mut head);
        let lines = Lines::new(family, escaping);
        let escaping = (!is_plain(family)).then_some(escaping);
        Self { escaping, head: head.into(), lines, blocks: Vec::new() }
    }

    /// Brings the text up to date with the family, which is settled by it, and hands out its parts,
    /// in order: the comments, then the blocks, each with its number.
    pub fn render(
        &mut self,
        family: &mut Family,
        escaping: Escaping,
        mut part: impl FnMut(&Bytes, Option<usize>),
    ) {
        if self.escaping.is_some_and(|kept| kept != escaping) {
            *self = Self::escaped(family, escaping);
        }
        let per_block = (LINES / self.lines.len()).max(1);
        let room = family.room();
        self.blocks.resize_with(room.div_ceil(per_block), Block::default);
        for (n, block) in self.blocks.iter_mut().enumerate() {
            let ids = n * per_block..((n + 1) * per_block).min(room);
            block.update(family, ids, &mut self.lines);
        }
        family.settle();
        if family.is_empty() {
            return;
        }
        part(&self.head, None);
        for (n, block) in self.blocks.iter().enumerate() {
            part(&block.text, Some(n));
        }
    }

    /// The `n`-th block's text, deflated.
    pub fn deflated(&mut self, n: usize, deflater: &mut Deflater) -> &Deflated {
        self.blocks[n].deflated(deflater)
    }
}

impl Block {
    fn update(&mut self, family: &Family, ids: Range<usize>, lines: &mut Lines) {
        if self.sound && self.first.len() == ids.len() && !family.turned(ids.clone()) {
            self.patch(family, ids);
        } else {
            self.write(family, ids, lines);
        }
    }

    /// Writes all lines.
    fn write(&mut self, family: &Family, ids: Range<usize>, lines: &mut Lines) {
        let Self { numbers, first, .. } = self;
        self.sound = false;
        self.packed = None;
        numbers.clear();
        first.clear();
        let mut out = Vec::with_capacity(self.text.len() + 64);
        for id in ids {
            first.push(numbers.len() as u32);
            if family.is_live(id) {
                lines.write(family, id, &mut out, |at, len| {
                    numbers.push(Number { at: at as u32, len: len as u32 });
                });
            }
        }
        self.text = out.into();
        self.sound = true;
    }

    /// Writes the numbers of those series that changed.
    fn patch(&mut self, family: &Family, ids: Range<usize>) {
        let start = ids.start;
        let mut changed = family.changed(ids).filter(|id| family.is_live(*id)).peekable();
        if changed.peek().is_none() {
            return;
        }
        self.sound = false;
        let mut text = into_mut(std::mem::take(&mut self.text));
        let (mut moved, mut longer) = (Vec::new(), String::new());
        for id in changed {
            let first = self.first[id - start] as usize;
            text::numbers(&family.kind, family.numbers(id), |line, digits| {
                let n = first + line;
                let old = &mut text[self.numbers[n].range()];
                if digits.len() != old.len() {
                    longer.push_str(digits);
                    moved.push((n, digits.len()));
                } else if self.packed.is_none() {
                    // Not compared: the old digits are rarely in the cache, and a write need not wait.
                    old.copy_from_slice(digits.as_bytes());
                } else if digits.as_bytes() != old {
                    old.copy_from_slice(digits.as_bytes());
                    self.changed.push(n as u32);
                }
            });
        }
        if moved.is_empty() {
            self.text = text.freeze();
        } else {
            self.text = self.join(&text, &moved, &longer);
            self.packed = None;
        }
        // Nobody has asked for it lately.
        if self.changed.len() > self.numbers.len() {
            self.packed = None;
        }
        self.sound = true;
    }

    /// The text, deflated.
    fn deflated(&mut self, deflater: &mut Deflater) -> &Deflated {
        let Self { text, numbers, packed, changed, .. } = self;
        let packed = match packed.take() {
            Some(mut old) if !changed.is_empty() => {
                changed.sort_unstable();
                changed.dedup();
                let changed = changed.iter().map(|n| *n as usize);
                old.patch(text, changed.map(|n| (n, numbers[n].range())));
                packed.insert(old)
            }
            Some(old) => packed.insert(old),
            None => packed.insert(deflater.pack(text, numbers.iter().map(|number| number.range()))),
        };
        changed.clear();
        packed.deflated()
    }

    /// Joins the text anew around the numbers whose length changed: `moved` has their places among
    /// all numbers and their new lengths, `digits` their new digits, end to end.
    fn join(&mut self, text: &[u8], moved: &[(usize, usize)], digits: &str) -> Bytes {
        let mut out = Vec::with_capacity(text.len() + digits.len());
        let (mut from, mut digits) = (0, digits.as_bytes());
        let mut moved = moved.iter().peekable();
        for (n, number) in self.numbers.iter_mut().enumerate() {
            let Range { start, end } = number.range();
            number.at = (out.len() + start - from) as u32;
            if let Some((_, len)) = moved.next_if(|(moved, _)| *moved == n) {
                let (new, rest) = digits.split_at(*len);
                out.extend_from_slice(&text[from..start]);
                out.extend_from_slice(new);
                number.len = *len as u32;
                (from, digits) = (end, rest);
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
    use std::collections::HashSet;
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::*;
    use crate::config::buckets::{Buckets, Scale, Slot};
    use crate::exposition::gzip::Member;
    use crate::series::{Cell, Kind, LabelSet};

    /// What is done to a family between two scrapes.
    #[derive(Clone, Debug)]
    enum Change {
        Join(u8, u8),
        Leave(usize),
        Add(usize, u64),
        Ask(Escaping),
        Hold,
    }

    fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
        let value = prop_oneof![0..20u64, any::<u64>(), (0..20u32).prop_map(|n| 10u64.pow(n) - 1)];
        let change = prop_oneof![
            3 => (any::<u8>(), 0..4u8).prop_map(|(label, slot)| Change::Join(label, slot)),
            1 => any::<usize>().prop_map(Change::Leave),
            4 => (any::<usize>(), value).prop_map(|(row, value)| Change::Add(row, value)),
            1 => Just(Change::Hold),
            1 => prop::sample::select(&Escaping::ALL[..]).prop_map(Change::Ask),
        ];
        prop::collection::vec(prop::collection::vec(change, 0..200), 1..8)
    }

    fn family(kind: Kind) -> Family {
        Family::new("x.y".to_owned(), "help".to_owned(), vec!["a\\b".to_owned()], kind)
    }

    #[test]
    fn only_names_that_are_not_plain_are_written_anew() {
        for (label, kept) in [("a_b", true), ("a.b", false)] {
            let labels = vec![label.to_owned()];
            let mut family = Family::new("x".to_owned(), "h".to_owned(), labels, Kind::Counter);
            family.join(&LabelSet::of(["v"]), None);
            let mut sheet = Sheet::new(&family);
            let mut blocks = Vec::new();
            for escaping in Escaping::ALL {
                sheet.render(&mut family, escaping, |part, block| {
                    blocks.extend(block.map(|_| part.clone()));
                });
            }
            let places: HashSet<_> = blocks.iter().map(|block| block.as_ptr()).collect();
            assert_eq!(places.len(), if kept { 1 } else { 4 }, "{label}");
        }
    }

    /// What a client reads that takes gzip.
    fn unzipped(sheet: &mut Sheet, deflater: &mut Deflater) -> Vec<u8> {
        let mut member = Member::default();
        for n in 0..sheet.blocks.len() {
            member.push(sheet.deflated(n, deflater));
        }
        let mut text = Vec::new();
        GzDecoder::new(&*member.finish().concat()).read_to_end(&mut text).unwrap();
        text
    }

    fn check(mut family: Family, scrapes: Vec<Vec<Change>>) {
        let slots = matches!(family.kind, Kind::Histogram(_));
        let mut sheet = Sheet::new(&family);
        let mut deflater = Deflater::default();
        let mut zipping = false;
        let mut escaping = Escaping::default();
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
                        zipping = !zipping;
                        let mut hold = |part: &Bytes, _| held.push((part.clone(), part.to_vec()));
                        sheet.render(&mut family, escaping, &mut hold);
                    }
                    Change::Ask(other) => escaping = other,
                    Change::Leave(_) | Change::Add(..) => {}
                }
            }
            let mut out = Vec::new();
            sheet.render(&mut family, escaping, |part, _| out.extend_from_slice(part));
            let mut expected = Vec::new();
            text::encode([&family], escaping, &mut expected);
            let expected = String::from_utf8(expected).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
            if zipping && !family.is_empty() {
                let body = &expected.as_bytes()[sheet.head.len()..];
                assert!(unzipped(&mut sheet, &mut deflater) == body, "gzip differs");
            }
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
