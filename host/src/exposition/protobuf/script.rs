//! Protobuf, series by series, so that it can be kept. Whoever decodes it finds the message that the client
//! makes.
//!
//! Every number takes the same bytes whatever it is: zeros are written, and whole numbers in the ten
//! bytes that the largest needs. All readers of protobuf take both. So a number that changed is written
//! over the old one, and the lengths that stand before it stay.

use bytes::Bytes;

use super::MOST;
use crate::config::buckets::native::Native;
use crate::escaping::Escaping;
use crate::exposition::names::Names;
use crate::exposition::script::Script;
use crate::series::{Bounds, Family, Histogram, Kind};

/// The tags of fields, as the bytes they begin with: their number and what they hold.
mod tag {
    const fn varint(field: u8) -> u8 {
        field << 3
    }
    const fn double(field: u8) -> u8 {
        field << 3 | 1
    }
    const fn bytes(field: u8) -> u8 {
        field << 3 | 2
    }

    pub(super) const FAMILY_NAME: u8 = bytes(1);
    pub(super) const FAMILY_HELP: u8 = bytes(2);
    pub(super) const FAMILY_TYPE: u8 = varint(3);
    pub(super) const FAMILY_METRIC: u8 = bytes(4);
    pub(super) const METRIC_LABEL: u8 = bytes(1);
    pub(super) const METRIC_GAUGE: u8 = bytes(2);
    pub(super) const METRIC_COUNTER: u8 = bytes(3);
    pub(super) const METRIC_HISTOGRAM: u8 = bytes(7);
    pub(super) const LABEL_NAME: u8 = bytes(1);
    pub(super) const LABEL_VALUE: u8 = bytes(2);
    pub(super) const VALUE: u8 = double(1);
    pub(super) const COUNTER_CREATED: u8 = bytes(3);
    pub(super) const HISTOGRAM_CREATED: u8 = bytes(15);
    pub(super) const SECONDS: u8 = varint(1);
    pub(super) const NANOSECONDS: u8 = varint(2);
    pub(super) const HISTOGRAM_COUNT: u8 = varint(1);
    pub(super) const HISTOGRAM_SUM: u8 = double(2);
    pub(super) const HISTOGRAM_BUCKET: u8 = bytes(3);
    pub(super) const HISTOGRAM_SCHEMA: u8 = varint(5);
    pub(super) const HISTOGRAM_ZERO_THRESHOLD: u8 = double(6);
    pub(super) const HISTOGRAM_ZERO_COUNT: u8 = varint(7);
    pub(super) const HISTOGRAM_SPAN: u8 = bytes(12);
    pub(super) const HISTOGRAM_DELTAS: u8 = bytes(13);
    pub(super) const SPAN_OFFSET: u8 = varint(1);
    pub(super) const SPAN_LENGTH: u8 = varint(2);
    pub(super) const BUCKET_COUNT: u8 = varint(1);
    pub(super) const BUCKET_BOUND: u8 = double(2);
}

/// Bytes of a real number.
const REAL: usize = size_of::<f64>();
/// Bytes of the largest whole number: seven bits in each.
const WHOLE: usize = 10;

/// All there are.
const BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut byte = 0;
    while byte < bytes.len() {
        bytes[byte] = byte as u8;
        byte += 1;
    }
    bytes
};

/// Writes a family as protobuf.
#[derive(Debug)]
pub(crate) struct ProtobufScript {
    /// The fields that stand before the series.
    head: Vec<u8>,
    /// What stands before the length of each label's value, behind the label's own length.
    names: Vec<Vec<u8>>,
    /// What begins the field that holds a series' numbers.
    numbers: u8,
    /// What begins the field in there that says when the series began, if its type has one.
    created: Option<u8>,
    /// What stands before each number of a series; nothing stands behind the last.
    before: Vec<Vec<u8>>,
    /// Bytes that numbers take, and what stands before them.
    len: usize,
    /// The labels of the series in hand.
    labels: Vec<u8>,
    /// When it began.
    begun: Vec<u8>,
}

impl Script for ProtobufScript {
    type Terms = Escaping;

    const DIGITS: &'static [u8] = &BYTES;

    fn new(family: &Family, escaping: &Escaping) -> Self {
        let Names { name, labels } = Names::of(family, *escaping);
        let names = labels.iter().map(|label| {
            let mut field = Vec::new();
            put(tag::LABEL_NAME, label.as_bytes(), &mut field);
            field.push(tag::LABEL_VALUE);
            field
        });
        let (head, names, before) = (head(family, &name), names.collect(), before(&family.kind));
        let (numbers, created) = match family.kind {
            Kind::Counter | Kind::RealCounter => (tag::METRIC_COUNTER, Some(tag::COUNTER_CREATED)),
            Kind::Gauge | Kind::IntegerGauge => (tag::METRIC_GAUGE, None),
            Kind::Histogram(_) => (tag::METRIC_HISTOGRAM, Some(tag::HISTOGRAM_CREATED)),
        };
        let cells = vec![0; family.kind.cells()];
        let mut len = before.iter().map(Vec::len).sum();
        Self::numbers(&family.kind, &cells, |_, number| len += number.len());
        let (labels, begun) = (Vec::new(), Vec::new());
        Self { head, names, numbers, created, before, len, labels, begun }
    }

    fn head(&self, series: usize) -> Bytes {
        let mut head = Vec::with_capacity(self.head.len() + WHOLE);
        length(self.head.len() + series, &mut head);
        head.extend_from_slice(&self.head);
        head.into()
    }

    fn len(&self) -> usize {
        self.before.len()
    }

    fn numbers(kind: &Kind, cells: &[u64], mut then: impl FnMut(usize, &[u8])) {
        match kind {
            Kind::Counter => then(0, &(cells[0] as f64).to_le_bytes()),
            Kind::IntegerGauge => then(0, &(cells[0].cast_signed() as f64).to_le_bytes()),
            // The bits of a real number.
            Kind::RealCounter | Kind::Gauge => then(0, &cells[0].to_le_bytes()),
            Kind::Histogram(bounds) => {
                let histogram = Histogram::new(bounds, cells);
                let mut place = 0;
                let mut next = |number: &[u8]| {
                    then(place, number);
                    place += 1;
                };
                next(&whole(histogram.told_count(MOST)));
                next(&histogram.sum().to_le_bytes());
                if bounds.has_classic() {
                    histogram.cumulative().for_each(|(_, count)| next(&whole(count)));
                    next(&whole(histogram.count()));
                }
                if bounds.native.is_some() {
                    next(&whole(histogram.native_counts(MOST).next().unwrap_or_default()));
                    histogram.native_deltas(MOST).for_each(|delta| next(&whole(zigzag(delta))));
                }
            }
        }
    }

    fn begin(&mut self, family: &Family, id: usize, out: &mut Vec<u8>) {
        let Self { names, numbers, created, len, labels: written, begun, .. } = self;
        written.clear();
        for (name, value) in names.iter().zip(family.label_values(id)) {
            let value = value.as_bytes();
            written.push(tag::METRIC_LABEL);
            length(name.len() + prost::length_delimiter_len(value.len()) + value.len(), written);
            written.extend_from_slice(name);
            length(value.len(), written);
            written.extend_from_slice(value);
        }
        begun.clear();
        if let (Some(tag), Some(time)) = (*created, family.begun(id)) {
            put(tag, &timestamp(time), begun);
        }
        let inside = begun.len() + *len;
        let field = 1 + prost::length_delimiter_len(inside) + inside;
        begin(tag::FAMILY_METRIC, written.len() + field, out);
        out.extend_from_slice(written);
        begin(*numbers, inside, out);
        out.extend_from_slice(begun);
    }

    fn put(&self, n: usize, number: &[u8], out: &mut Vec<u8>) -> usize {
        out.extend_from_slice(&self.before[n]);
        let at = out.len();
        out.extend_from_slice(number);
        at
    }
}

/// The fields that stand before a family's series.
fn head(family: &Family, name: &str) -> Vec<u8> {
    let kind = match family.kind {
        Kind::Counter | Kind::RealCounter => 0,
        Kind::Gauge | Kind::IntegerGauge => 1,
        Kind::Histogram(_) => 4,
    };
    let mut out = Vec::new();
    put(tag::FAMILY_NAME, name.as_bytes(), &mut out);
    put(tag::FAMILY_HELP, family.help.as_bytes(), &mut out);
    out.extend_from_slice(&[tag::FAMILY_TYPE, kind]);
    out
}

/// What stands before each number of a series.
fn before(kind: &Kind) -> Vec<Vec<u8>> {
    match kind {
        Kind::Counter | Kind::RealCounter | Kind::Gauge | Kind::IntegerGauge => {
            vec![vec![tag::VALUE]]
        }
        Kind::Histogram(bounds) => {
            let mut parts = vec![vec![tag::HISTOGRAM_COUNT], vec![tag::HISTOGRAM_SUM]];
            if bounds.has_classic() {
                let ends = bounds.upper.iter().copied().chain([f64::INFINITY]);
                parts.extend(ends.map(bucket));
            }
            if let Some(native) = &bounds.native {
                parts.extend(before_native(bounds, native));
            }
            parts
        }
    }
}

/// A point in time: whole seconds since 1970, and nanoseconds.
fn timestamp(milliseconds: u64) -> Vec<u8> {
    let mut out = vec![tag::SECONDS];
    varint(milliseconds / 1000, &mut out);
    out.push(tag::NANOSECONDS);
    varint(milliseconds % 1000 * 1_000_000, &mut out);
    out
}

/// What stands before each number of a native histogram: the zero bucket's, then those of all others. All are told,
/// empty ones too, so that none moves. The span that says which they are stands there even if there are none: so
/// it is a native histogram whatever it has counted.
fn before_native(bounds: &Bounds, native: &Native) -> Vec<Vec<u8>> {
    let others = bounds.upper.len() - 1;
    let mut first = vec![tag::HISTOGRAM_SCHEMA, zigzag(native.schema.into()) as u8];
    first.push(tag::HISTOGRAM_ZERO_THRESHOLD);
    first.extend_from_slice(&bounds.upper[0].to_le_bytes());
    let mut span = vec![tag::SPAN_OFFSET];
    varint(zigzag(native.second.into()), &mut span);
    span.push(tag::SPAN_LENGTH);
    varint(others as u64, &mut span);
    put(tag::HISTOGRAM_SPAN, &span, &mut first);
    first.push(tag::HISTOGRAM_ZERO_COUNT);
    let mut before = vec![Vec::new(); others];
    if let Some(first) = before.first_mut() {
        begin(tag::HISTOGRAM_DELTAS, others * WHOLE, first);
    }
    before.insert(0, first);
    before
}

/// What stands before the number of a bucket: its bound comes first, so that nothing stands behind.
fn bucket(bound: f64) -> Vec<u8> {
    let mut before = Vec::new();
    begin(tag::HISTOGRAM_BUCKET, 2 + REAL + WHOLE, &mut before);
    before.push(tag::BUCKET_BOUND);
    before.extend_from_slice(&bound.to_le_bytes());
    before.push(tag::BUCKET_COUNT);
    before
}

/// Begins a field of so many bytes.
fn begin(tag: u8, len: usize, out: &mut Vec<u8>) {
    out.push(tag);
    length(len, out);
}

/// Appends a field that is text.
fn put(tag: u8, text: &[u8], out: &mut Vec<u8>) {
    begin(tag, text.len(), out);
    out.extend_from_slice(text);
}

/// Appends a length.
fn length(len: usize, out: &mut Vec<u8>) {
    varint(len as u64, out);
}

/// Appends a whole number in as few bytes as it needs.
fn varint(value: u64, out: &mut Vec<u8>) {
    prost::encoding::encode_varint(value, out);
}

/// A signed number as protobuf has it: small numbers are small, whatever their sign.
fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

/// A whole number: seven bits in each byte, the lowest first, and a bit that says that more follows.
fn whole(value: u64) -> [u8; WHOLE] {
    std::array::from_fn(|n| {
        let more = if n + 1 < WHOLE { 0x80 } else { 0 };
        (value >> (7 * n)) as u8 & 0x7f | more
    })
}
