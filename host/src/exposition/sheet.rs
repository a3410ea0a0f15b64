//! A family's text in one format, kept from one scrape to the next: only what changed is written again.
//!
//! A sheet is cut into blocks of series. A block of which no number changed costs a look at a few
//! bits; a number that changed is written over the old one where it stands if it is as long, else its
//! block is joined anew from the parts of the old one. Labels are escaped once, when their series is
//! first seen. What comes out is what the plain encoder of the format writes.
//!
//! Never settles the family: sheets in other formats have to see the same changes.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::gzip::{Deflated, Deflater, Packed};
use super::script::Script;
use crate::series::Family;

/// Numbers in a block: enough that a block's fixed cost vanishes, few enough that one number that
/// grew a digit moves little text.
const NUMBERS: usize = 512;

/// The text of one family in one format.
#[derive(Debug)]
pub(super) struct Sheet<S: Script> {
    terms: S::Terms,
    script: S,
    blocks: Vec<Block>,
}

/// The text of some series.
#[derive(Debug)]
pub(super) struct Block {
    text: Bytes,
    /// Whether `text` is what the family was when it was last settled. If not, it is to be written
    /// anew: so it is at first, and after a panic in the middle of a change.
    sound: bool,
    /// Where each number stands in `text`, in order.
    numbers: Vec<Number>,
    /// The number among `numbers` that each series begins with.
    first: Vec<u32>,
    /// All bytes that numbers may be made of.
    digits: &'static [u8],
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

impl<S: Script> Sheet<S> {
    /// A sheet with the family written on it.
    pub(super) fn new(family: &Family, terms: &S::Terms) -> Self {
        let script = S::new(family, terms);
        let mut sheet = Self { terms: terms.clone(), script, blocks: Vec::new() };
        sheet.update(family);
        sheet
    }

    /// What its script was made for.
    pub(super) fn terms(&self) -> &S::Terms {
        &self.terms
    }

    /// Brings the text up to date with the family, which may be settled then.
    pub(super) fn update(&mut self, family: &Family) {
        let per_block = (NUMBERS / self.script.len()).max(1);
        let room = family.room();
        self.blocks.resize_with(room.div_ceil(per_block), || Block::new(S::DIGITS));
        let mut scratch = Vec::new();
        for (n, block) in self.blocks.iter_mut().enumerate() {
            let ids = n * per_block..((n + 1) * per_block).min(room);
            block.update(family, ids, &mut self.script, &mut scratch);
        }
    }

    /// Hands out the text in parts, in order: what stands before the series, then the blocks.
    pub(super) fn parts(&self, mut then: impl FnMut(Bytes)) {
        then(self.script.head(self.blocks.iter().map(|block| block.text.len()).sum()));
        self.blocks.iter().for_each(|block| then(block.text.clone()));
    }

    /// The blocks, in order.
    pub(super) fn blocks_mut(&mut self) -> &mut [Block] {
        &mut self.blocks
    }
}

impl Block {
    /// A block that nothing is written in yet.
    fn new(digits: &'static [u8]) -> Self {
        Self {
            text: Bytes::new(),
            sound: false,
            numbers: Vec::new(),
            first: Vec::new(),
            digits,
            packed: None,
            changed: Vec::new(),
        }
    }

    /// Which of its numbers are those of the `n`-th series.
    fn numbers_of(&self, n: usize) -> Range<usize> {
        let end = self.first.get(n + 1).map_or(self.numbers.len(), |first| *first as usize);
        self.first[n] as usize..end
    }

    /// Its text.
    pub(super) fn text(&self) -> &Bytes {
        &self.text
    }

    fn update<S: Script>(
        &mut self,
        family: &Family,
        ids: Range<usize>,
        script: &mut S,
        scratch: &mut Vec<u8>,
    ) {
        if self.sound && self.first.len() == ids.len() && !family.turned(ids.clone()) {
            self.patch::<S>(family, ids);
        } else {
            self.write(family, ids, script, scratch);
        }
    }

    /// Writes all series, in `out` first: so what is kept takes no more memory than it has bytes.
    fn write<S: Script>(
        &mut self,
        family: &Family,
        ids: Range<usize>,
        script: &mut S,
        out: &mut Vec<u8>,
    ) {
        let Self { numbers, first, .. } = self;
        self.sound = false;
        self.packed = None;
        numbers.clear();
        first.clear();
        out.clear();
        numbers.reserve_exact(ids.len() * script.len());
        first.reserve_exact(ids.len());
        for id in ids {
            first.push(numbers.len() as u32);
            if family.is_live(id) {
                script.write(family, id, out, |at, len| {
                    numbers.push(Number { at: at as u32, len: len as u32 });
                });
            }
        }
        self.text = Bytes::copy_from_slice(out);
        self.sound = true;
    }

    /// Writes the numbers of those series that changed.
    fn patch<S: Script>(&mut self, family: &Family, ids: Range<usize>) {
        let start = ids.start;
        let changed: Vec<_> = family.changed(ids).filter(|id| family.is_live(*id)).collect();
        if changed.is_empty() {
            return;
        }
        self.sound = false;
        let mut text = into_mut(std::mem::take(&mut self.text));
        // Old digits are rarely in the cache: memory gives many at once in the time in which it gives one.
        let old = changed.iter().flat_map(|id| &self.numbers[self.numbers_of(id - start)]);
        std::hint::black_box(old.fold(0, |all, number| all ^ text[number.at as usize]));
        let (mut moved, mut longer) = (Vec::new(), Vec::new());
        for id in changed {
            let first = self.numbers_of(id - start).start;
            S::numbers(&family.kind, family.numbers(id), |place, digits| {
                let n = first + place;
                let old = &mut text[self.numbers[n].range()];
                if digits.len() != old.len() {
                    longer.extend_from_slice(digits);
                    moved.push((n, digits.len()));
                } else if self.packed.is_none() {
                    // Not compared: the old digits are rarely in the cache, and a write need not wait.
                    old.copy_from_slice(digits);
                } else if digits != old {
                    old.copy_from_slice(digits);
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
    pub(super) fn deflated(&mut self, deflater: &mut Deflater) -> &Deflated {
        let Self { text, numbers, digits, packed, changed, .. } = self;
        let packed = match packed.take() {
            Some(mut old) if !changed.is_empty() => {
                changed.sort_unstable();
                changed.dedup();
                let changed = changed.iter().map(|n| *n as usize);
                old.patch(text, changed.map(|n| (n, numbers[n].range())));
                packed.insert(old)
            }
            Some(old) => packed.insert(old),
            None => {
                let numbers = numbers.iter().map(|number| number.range());
                packed.insert(deflater.pack(text, numbers, digits))
            }
        };
        changed.clear();
        packed.deflated()
    }

    /// Joins the text anew around the numbers whose length changed: `moved` has their places among
    /// all numbers and their new lengths, `digits` their new digits, end to end.
    fn join(&mut self, text: &[u8], moved: &[(usize, usize)], digits: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(text.len() + digits.len());
        let (mut from, mut digits) = (0, digits);
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
    use std::io::Read;
    use std::sync::Arc;

    use flate2::read::GzDecoder;
    use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model::MetricFamily;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::config::buckets::native::Native;
    use crate::config::buckets::{Buckets, Scale, Slot};
    use crate::escaping::Escaping;
    use crate::exposition::gzip::Member;
    use crate::exposition::openmetrics::script::OpenMetricsScript;
    use crate::exposition::openmetrics::{self, Exposed};
    use crate::exposition::openmetrics2::{self, OpenMetrics2Script};
    use crate::exposition::protobuf::{self, script::ProtobufScript};
    use crate::exposition::text::{self, TextScript};
    use crate::series::{Cell, Kind, LabelSet};

    /// What is done to a family between two scrapes.
    #[derive(Clone, Debug)]
    enum Change {
        Join(u8, u8),
        Leave(usize),
        Add(usize, u64),
        Hold,
    }

    fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
        let ten = |n| 10u64.pow(n) - 1;
        // The client adds up buckets, and does not expect more than there can be.
        let value = prop_oneof![0..20u64, 0..1u64 << 50, (0..15u32).prop_map(ten)];
        let change = prop_oneof![
            3 => (any::<u8>(), 0..4u8).prop_map(|(label, slot)| Change::Join(label, slot)),
            1 => any::<usize>().prop_map(Change::Leave),
            4 => (any::<usize>(), value).prop_map(|(row, value)| Change::Add(row, value)),
            1 => Just(Change::Hold),
        ];
        prop::collection::vec(prop::collection::vec(change, 0..200), 1..8)
    }

    /// What is put in front of the number of a row: all bits of a real number change.
    fn scale(kind: &Kind, value: u64) -> u64 {
        match kind {
            Kind::RealCounter | Kind::Gauge | Kind::IntegerGauge => {
                value.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            }
            Kind::Counter | Kind::Histogram(_) => value,
        }
    }

    /// What the plain encoder writes for these terms, and how its bytes are compared.
    struct Plain<T> {
        encode: fn(&Arc<Family>, &T) -> Vec<u8>,
        read: fn(&[u8]) -> String,
    }

    fn utf8(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    const TEXT: Plain<Escaping> = Plain {
        encode: |family, escaping| {
            let mut out = Vec::new();
            text::encode([&**family], *escaping, &mut out);
            out
        },
        read: utf8,
    };

    const OPENMETRICS: Plain<Exposed> = Plain {
        encode: |family, exposed| {
            let mut out = String::new();
            openmetrics::write(family, exposed, &mut out);
            out.into()
        },
        read: utf8,
    };

    const OPENMETRICS2: Plain<Escaping> = Plain {
        encode: |family, escaping| {
            let mut out = Vec::new();
            openmetrics2::encode([&**family], *escaping, &mut out);
            out.truncate(out.len() - openmetrics::end().len());
            out
        },
        read: utf8,
    };

    const PROTOBUF: Plain<Escaping> = Plain {
        encode: |family, escaping| protobuf::encode(&[Arc::clone(family)], *escaping).concat(),
        read: |bytes| format!("{:?}", MetricFamily::decode_length_delimited(bytes).unwrap()),
    };

    /// What a client reads that takes gzip.
    fn unzipped<S: Script>(sheet: &mut Sheet<S>, deflater: &mut Deflater) -> Vec<u8> {
        let mut member = Member::default();
        sheet.blocks.iter_mut().for_each(|block| member.push(block.deflated(deflater)));
        let mut text = Vec::new();
        GzDecoder::new(&*member.finish().concat()).read_to_end(&mut text).unwrap();
        text
    }

    fn check<S: Script>(
        mut family: Arc<Family>,
        terms: &S::Terms,
        plain: &Plain<S::Terms>,
        scrapes: Vec<Vec<Change>>,
    ) {
        let slots = matches!(family.kind, Kind::Histogram(_));
        let mut sheet = Sheet::<S>::new(&family, terms);
        let mut deflater = Deflater::default();
        let mut zipping = false;
        let mut rows: Vec<Cell> = Vec::new();
        // A client that is slow to read holds the bytes of an old scrape, which must not change.
        let mut held: Vec<(Bytes, Vec<u8>)> = Vec::new();
        for changes in scrapes {
            for change in changes {
                let family = Arc::make_mut(&mut family);
                match change {
                    Change::Join(label, slot) => {
                        let slot = slots.then_some(match slot {
                            3 => Slot::Sum,
                            slot => Slot::Bucket(slot.into()),
                        });
                        // Of some it is not known when they began.
                        family
                            .begin_at((label % 4 > 0).then_some(u64::from(label) * 6_789_012_345));
                        let label = LabelSet::of([format!("\"{label}").as_str()]);
                        rows.push(family.join(&label, slot));
                    }
                    Change::Leave(row) if !rows.is_empty() => {
                        family.leave(rows.swap_remove(row % rows.len()));
                    }
                    Change::Add(row, value) if !rows.is_empty() => {
                        let value = scale(&family.kind, value);
                        family.add(rows[row % rows.len()], value);
                    }
                    Change::Hold => {
                        zipping = !zipping;
                        sheet.update(family);
                        family.settle();
                        sheet.parts(|part| held.push((part.clone(), part.to_vec())));
                    }
                    Change::Leave(_) | Change::Add(..) => {}
                }
            }
            let mut out = Vec::new();
            sheet.update(&family);
            Arc::make_mut(&mut family).settle();
            if family.is_empty() {
                continue;
            }
            sheet.parts(|part| out.extend_from_slice(&part));
            assert_eq!((plain.read)(&out), (plain.read)(&(plain.encode)(&family, terms)));
            if zipping {
                let mut head = None;
                sheet.parts(|part| _ = head.get_or_insert(part.len()));
                assert!(
                    unzipped(&mut sheet, &mut deflater) == out[head.unwrap()..],
                    "gzip differs"
                );
            }
            assert!(held.iter().all(|(part, was)| part == was), "a part in use was changed");
        }
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        let scale = Scale::Exp2 { min: 0, max: 2 };
        let native = [None, Some(true), Some(false)]
            .map(|classic| classic.map(|classic| Native { schema: 0, second: -7, classic }));
        let histograms = native.map(|native| {
            Kind::histogram(&Buckets { scale: scale.clone(), multiplier: 0.5, native })
        });
        let others = [Kind::Counter, Kind::RealCounter, Kind::Gauge, Kind::IntegerGauge];
        prop::sample::select([&others[..], &histograms[..]].concat())
    }

    fn family(labels: &[&str], kind: Kind) -> Arc<Family> {
        let labels = labels.iter().map(|label| (*label).to_owned());
        Family::new("x.y".to_owned(), "a \"b\"\n\\".to_owned(), labels.collect(), kind).into()
    }

    fn escapings() -> impl Strategy<Value = Escaping> {
        prop::sample::select(&Escaping::ALL[..])
    }

    proptest! {
        #[test]
        fn text_is_what_the_plain_encoder_writes(
            kind in kinds(), escaping in escapings(), scrapes in changes()
        ) {
            check::<TextScript>(family(&["a\\b"], kind), &escaping, &TEXT, scrapes);
        }

        #[test]
        fn openmetrics_is_what_the_client_writes(
            kind in kinds(), escaping in escapings(), scrapes in changes()
        ) {
            let name = escaping.metric("x.y").into_owned();
            let exposed = Exposed { escaping, name, unknown: false };
            check::<OpenMetricsScript>(family(&["a\\b"], kind), &exposed, &OPENMETRICS, scrapes);
        }

        #[test]
        fn openmetrics_2_is_what_the_plain_encoder_writes(
            kind in kinds(), escaping in escapings(), scrapes in changes()
        ) {
            check::<OpenMetrics2Script>(family(&["a\\b"], kind), &escaping, &OPENMETRICS2, scrapes);
        }

        #[test]
        fn protobuf_is_the_message_that_the_client_makes(
            kind in kinds(), escaping in escapings(), scrapes in changes()
        ) {
            check::<ProtobufScript>(family(&["a\\b"], kind), &escaping, &PROTOBUF, scrapes);
        }

        #[test]
        fn no_label_is_written_otherwise(kind in kinds(), count in 0..4usize, value in ".{0,300}") {
            let names = &["a", "b.c", "le:"][..count.min(3)];
            let mut family = family(names, kind);
            Arc::make_mut(&mut family).join(&LabelSet::of(names.iter().map(|_| &*value)), None);
            let escaping = Escaping::AllowUtf8;
            let exposed = Exposed { escaping, name: "x.y".to_owned(), unknown: false };
            check::<TextScript>(Arc::clone(&family), &escaping, &TEXT, vec![vec![]]);
            check::<OpenMetricsScript>(Arc::clone(&family), &exposed, &OPENMETRICS, vec![vec![]]);
            check::<OpenMetrics2Script>(Arc::clone(&family), &escaping, &OPENMETRICS2, vec![vec![]]);
            check::<ProtobufScript>(family, &escaping, &PROTOBUF, vec![vec![]]);
        }
    }
}
