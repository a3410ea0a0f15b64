//! Families that come, count, go and come again, and their pages in all formats.
//!
//! What is written must be what an independent reader reads back: ours of text, `prometheus-client`'s messages of
//! protobuf, flate2 of gzip. And what is kept from page to page must be what is written anew.

use std::collections::{BTreeMap, HashSet};
use std::io::Read as _;
use std::sync::Arc;

use arbitrary::{Arbitrary as _, Result, Unstructured};
use ebpf_wasm_exporter::config::buckets::Slot;
use ebpf_wasm_exporter::config::buckets::native::Native;
use ebpf_wasm_exporter::escaping::Escaping;
use ebpf_wasm_exporter::exposition::gzip::Deflater;
use ebpf_wasm_exporter::exposition::kept::Kept;
use ebpf_wasm_exporter::exposition::{
    Body, Format, openmetrics, openmetrics2, page, protobuf, text,
};
use ebpf_wasm_exporter::series::{Bounds, Cell, Family, Histogram, Kind, LabelSet};
use flate2::read::GzDecoder;
use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model::{
    Histogram as HistogramMessage, Metric, MetricFamily,
};
use prost::Message as _;

use crate::reader::{self, Sample};

mod expected;
mod family;
mod reader2;

use expected::{canonical, expected, expected_natively, sorted};
use family::family;

const FORMATS: [Format; 4] =
    [Format::Text, Format::OpenMetrics, Format::OpenMetrics2, Format::Protobuf];
/// What a row of a histogram counts at the most: `prometheus-client` adds up its buckets, and in a build with debug
/// assertions panics if that is more than a `u64` has. And no story counts further than native histograms tell.
const MOST_COUNTED: u64 = u64::MAX >> 20;
/// Steps of the longest story.
const MOST_STEPS: usize = 96;

/// Takes in families and what becomes of them.
pub fn encoder(data: &[u8]) {
    // What ends early has been tried up to there.
    let _ = story(&mut Unstructured::new(data));
}

fn story(u: &mut Unstructured<'_>) -> Result<()> {
    let mut families = Families::arbitrary(u)?;
    for _ in 0..MOST_STEPS {
        if u.is_empty() {
            break;
        }
        families.step(u)?;
    }
    for (format, escaping) in FORMATS.into_iter().zip(Escaping::ALL) {
        families.page(format, escaping);
    }
    Ok(())
}

/// Families of which no two have one name, and the rows in them.
#[derive(Default)]
struct Families {
    kept: Vec<Kept>,
    rows: Vec<(usize, Cell)>,
    deflater: Deflater,
}

impl Families {
    fn arbitrary(u: &mut Unstructured<'_>) -> Result<Self> {
        let (mut by_name, mut taken) = (BTreeMap::new(), HashSet::new());
        for _ in 0..u.int_in_range(1..=4)? {
            let family = family(u)?;
            let called = called(&family);
            // A config in which two of them meet is refused.
            if called.is_disjoint(&taken) {
                taken.extend(called);
                by_name.insert(family.name.clone(), Kept::from(family));
            }
        }
        let kept = by_name.into_values().collect();
        Ok(Self { kept, ..Self::default() })
    }

    /// One thing that happens.
    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let which = u.choose_index(self.kept.len())?;
        match u.int_in_range(0..=7)? {
            0..=2 => self.come(which, u)?,
            3 => {
                let Some((family, cell)) = self.row(u)? else { return Ok(()) };
                let family = self.kept[family].family_mut();
                family.add(cell, counted(&family.kind, u)?);
            }
            4 => {
                let Some((family, cell)) = self.row(u)? else { return Ok(()) };
                self.rows.retain(|row| *row != (family, cell));
                self.kept[family].family_mut().leave(cell);
            }
            5 => self.kept[which].family_mut().let_go(),
            6 => self.compact(which),
            _ => self.page(*u.choose(&FORMATS)?, *u.choose(&Escaping::ALL)?),
        }
        Ok(())
    }

    /// A row comes with labels of any bytes. Of each cell one row is held, so that none leaves twice.
    fn come(&mut self, which: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let family = self.kept[which].family_mut();
        let mut labels = LabelSet::default();
        for _ in 0..family.labels.len() {
            let size = u.int_in_range(0..=24)?;
            labels.push(u.bytes(size.min(u.len()))?);
        }
        if !counts(&family.kind) {
            let number = match family.kind {
                Kind::RealCounter => f64::arbitrary(u)?.abs().to_bits(),
                _ => u64::arbitrary(u)?,
            };
            family.set_numbers(&labels, &[number]);
            return Ok(());
        }
        let slot = match &family.kind {
            Kind::Histogram(bounds) => match u.choose_index(bounds.upper.len() + 1)? {
                bucket if bucket < bounds.upper.len() => Some(Slot::Bucket(bucket)),
                _ => Some(Slot::Sum),
            },
            _ => None,
        };
        let cell = family.join(&labels, slot);
        family.add(cell, counted(&family.kind, u)?);
        match self.rows.contains(&(which, cell)) {
            true => self.kept[which].family_mut().leave(cell),
            false => self.rows.push((which, cell)),
        }
        Ok(())
    }

    fn row(&self, u: &mut Unstructured<'_>) -> Result<Option<(usize, Cell)>> {
        if self.rows.is_empty() { Ok(None) } else { u.choose(&self.rows).copied().map(Some) }
    }

    /// As if many had gone: the memory of those without rows is given back.
    fn compact(&mut self, which: usize) {
        let Some(moves) = self.kept[which].compact() else { return };
        for (_, cell) in self.rows.iter_mut().filter(|(family, _)| *family == which) {
            *cell = moves.to(*cell);
        }
    }

    /// Makes a page and reads it back.
    fn page(&mut self, format: Format, escaping: Escaping) {
        let body = page::render(self.kept.iter_mut(), format, escaping);
        let zipped = page::compress(self.kept.iter_mut(), &body, &mut self.deflater);
        let bytes = body.concat();
        assert!(unzipped(&zipped) == bytes, "gzip differs");
        let families: Vec<_> = self.kept.iter().map(|kept| Arc::clone(kept.family())).collect();
        let anew = anew(&families, format, escaping);
        match format {
            Format::Protobuf => {
                let messages = messages(&bytes);
                // They are the same, but for the order in which fields are written.
                assert_eq!(format!("{messages:?}"), format!("{:?}", self::messages(&anew)));
                told(&messages, &families, escaping);
            }
            Format::Text => {
                let text = same(&bytes, &anew);
                let found = reader::read(text).expect("a page of text");
                assert_eq!(sorted(found.samples), expected(&families, escaping));
            }
            Format::OpenMetrics2 => {
                let found = reader2::read(same(&bytes, &anew));
                let found = found.expect("a page of OpenMetrics 2.0");
                assert_eq!(sorted(found), expected_natively(&families, escaping));
            }
            Format::OpenMetrics => {
                let found = reader::read(same(&bytes, &anew)).expect("a page of OpenMetrics");
                assert!(found.has_ended, "a page without end");
                // Names may differ here, and `le` stands first: what is left is labels and numbers.
                let nameless = |samples: Vec<Sample>| {
                    let bare = |sample| {
                        let mut bare = canonical(Sample { name: String::new(), ..sample });
                        bare.labels.sort();
                        bare
                    };
                    sorted(samples.into_iter().map(bare).collect())
                };
                let expected = expected(&families, escaping);
                if families.iter().all(|family| !may_be_unknown(family)) {
                    assert_eq!(nameless(found.samples), nameless(expected));
                }
            }
        }
    }
}

/// Whether its numbers are sums of rows.
fn counts(kind: &Kind) -> bool {
    matches!(kind, Kind::Counter | Kind::Histogram(_))
}

/// What its series are called in each escaping.
fn called(family: &Family) -> HashSet<(&'static str, String)> {
    let suffixes = family.names().into_iter().map(|name| name[family.name.len()..].to_owned());
    let suffixes: Vec<_> = suffixes.collect();
    let of = |escaping: Escaping| {
        let name = escaping.metric(&family.name).into_owned();
        let series = move |suffix: &String| (escaping.as_str(), format!("{name}{suffix}"));
        suffixes.iter().map(series).collect::<Vec<_>>()
    };
    Escaping::ALL.into_iter().flat_map(of).collect()
}

/// What a row counts.
fn counted(kind: &Kind, u: &mut Unstructured<'_>) -> Result<u64> {
    let most = if matches!(kind, Kind::Histogram(_)) { MOST_COUNTED } else { u64::MAX };
    Ok(u64::arbitrary(u)? & most)
}

/// The same families, by the encoders that keep nothing.
fn anew(families: &[Arc<Family>], format: Format, escaping: Escaping) -> Vec<u8> {
    let each = families.iter().map(|family| &**family);
    let mut out = Vec::new();
    match format {
        Format::Text => text::encode(each, escaping, &mut out),
        Format::OpenMetrics2 => openmetrics2::encode(each, escaping, &mut out),
        Format::OpenMetrics => return openmetrics::encode(families, escaping).into(),
        Format::Protobuf => return protobuf::encode(families, escaping).concat(),
    }
    out
}

/// Both as one text.
fn same<'a>(kept: &'a [u8], anew: &[u8]) -> &'a str {
    let kept = std::str::from_utf8(kept).expect("text");
    assert_eq!(Ok(kept), std::str::from_utf8(anew));
    kept
}

fn unzipped(body: &Body) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(&*body.concat()).read_to_end(&mut bytes).expect("gzip");
    bytes
}

fn messages(mut bytes: &[u8]) -> Vec<MetricFamily> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        all.push(MetricFamily::decode_length_delimited(&mut bytes).expect("a message"));
    }
    all
}

/// Panics unless messages tell what the families hold.
fn told(messages: &[MetricFamily], families: &[Arc<Family>], escaping: Escaping) {
    let full: Vec<_> = families.iter().filter(|family| !family.is_empty()).collect();
    assert_eq!(messages.len(), full.len());
    for (message, family) in messages.iter().zip(full) {
        assert_eq!(
            (&*message.name, &*message.help),
            (&*escaping.metric(&family.name), &*family.help)
        );
        assert_eq!(message.metric.len(), family.len());
        for (metric, id) in message.metric.iter().zip(family.live()) {
            let values = metric.label.iter().map(|label| label.value.as_str());
            assert!(values.eq(family.label_values(id)), "other labels");
            assert!(says(metric, family, id), "another number: {metric:?}");
        }
    }
}

/// Whether a message has the numbers of a series.
fn says(metric: &Metric, family: &Family, id: usize) -> bool {
    let numbers = family.numbers(id);
    let is = |found: Option<f64>, number: f64| found.is_some_and(|found| alike(found, number));
    match &family.kind {
        Kind::Counter => {
            is(metric.counter.as_ref().map(|counter| counter.value), numbers[0] as f64)
        }
        Kind::RealCounter => {
            is(metric.counter.as_ref().map(|counter| counter.value), f64::from_bits(numbers[0]))
        }
        Kind::Gauge => {
            is(metric.gauge.as_ref().map(|gauge| gauge.value), f64::from_bits(numbers[0]))
        }
        Kind::IntegerGauge => {
            is(metric.gauge.as_ref().map(|gauge| gauge.value), numbers[0].cast_signed() as f64)
        }
        Kind::Histogram(bounds) => {
            let wanted = Histogram::new(bounds, numbers);
            metric.histogram.as_ref().is_some_and(|histogram| {
                histogram.sample_count == wanted.count()
                    && alike(histogram.sample_sum, wanted.sum())
                    && says_native(histogram, bounds, &numbers[..bounds.upper.len()])
            })
        }
    }
}

/// Whether a message has these buckets as native ones, if it is to have them.
fn says_native(message: &HistogramMessage, bounds: &Bounds, counts: &[u64]) -> bool {
    let Some(Native { schema, second, classic }) = bounds.native else {
        return message.positive_span.is_empty() && message.bucket.len() >= counts.len();
    };
    let sums = message.positive_delta.iter().scan(0_i64, |sum, delta| {
        *sum += delta;
        Some(sum.cast_unsigned())
    });
    let spans: Vec<_> =
        message.positive_span.iter().map(|span| (span.offset, span.length as usize)).collect();
    message.schema == i32::from(schema)
        && message.zero_count == counts[0]
        && spans == [(second, counts.len() - 1)]
        && sums.eq(counts[1..].iter().copied())
        && message.bucket.is_empty() != classic
}

/// Whether two numbers are one to Prometheus.
fn alike(one: f64, other: f64) -> bool {
    one == other || (one.is_nan() && other.is_nan())
}

/// A histogram with a negative bound has neither sum nor count in OpenMetrics.
fn may_be_unknown(family: &Family) -> bool {
    matches!(&family.kind, Kind::Histogram(bounds) if bounds.upper.iter().any(|bound| *bound < 0.0))
}
