//! From records of a ring buffer to spans.
//!
//! Labels are decoded as those of metrics are, all records of a batch at a time, and nothing is
//! remembered: no span is like another. A record that makes no span is counted. One of which a plugin got no
//! turn waits for it a moment. Never sends one.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, Key, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SpanData, SpanEvents, SpanLinks};
use tracing::warn;

use super::clock::{Clock, later};
use super::held::Held;
use super::kind::TracedKind;
use crate::advice::quote;
use crate::bpf::RecordLayout;
use crate::config::{Label, SpanPart};
use crate::decode::{Batch, Chain, DecodeError, Decodings};
use crate::link::LinkedSpan;

/// The attribute that says which config a span is of.
const CONFIG: &str = "ebpf_exporter.config";

/// A span and which kind it is of.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) kind: Arc<TracedKind>,
    pub(super) span: SpanData,
}

/// Makes spans of one kind.
#[derive(Debug)]
pub(super) struct SpanMaker {
    kind: Arc<TracedKind>,
    config: Arc<str>,
    name: Cow<'static, str>,
    size: usize,
    parts: Vec<Part>,
    /// The records in hand.
    records: Batch,
    /// When the first of them were read, which have waited.
    read: Vec<Clock>,
    held: Held,
    inputs: Batch,
    /// Whether it was said that a record could not be decoded.
    told: bool,
}

/// A label: what it says, and what decodes it.
#[derive(Debug)]
struct Part {
    says: SpanPart,
    key: Key,
    bytes: Range<usize>,
    chain: Chain,
    decodings: Decodings,
}

/// What the labels of a record say of its span.
#[derive(Debug, Default)]
struct Draft {
    trace: Option<TraceId>,
    id: Option<SpanId>,
    parent: Option<SpanId>,
    began: Option<u64>,
    duration: u64,
    name: Option<String>,
    attributes: Vec<KeyValue>,
}

impl SpanMaker {
    /// Makes spans of the config `config`, which are of this kind.
    pub(super) fn new(
        kind: Arc<TracedKind>,
        config: &str,
        linked: LinkedSpan,
        layout: &RecordLayout,
    ) -> Self {
        let LinkedSpan { plan, chains } = linked;
        let labels = plan.labels.iter().zip(chains).zip(&layout.fields);
        let part = |((label, chain), bytes): ((&Label, _), &Range<usize>)| Part {
            says: SpanPart::of(label.name.as_str()),
            key: Key::new(label.name.as_str().to_owned()),
            bytes: bytes.clone(),
            chain,
            decodings: Decodings::default(),
        };
        Self {
            kind,
            config: config.into(),
            name: plan.name.clone().into(),
            size: layout.size,
            parts: labels.map(part).collect(),
            records: Batch::default(),
            read: Vec::new(),
            held: Held::default(),
            inputs: Batch::default(),
            told: false,
        }
    }

    /// Takes a record, to be made a span with others. One that is too short is counted.
    pub(super) fn take(&mut self, record: &[u8]) {
        match record.get(..self.size) {
            Some(bytes) => self.records.push(bytes),
            None => {
                let (bytes, size) = (record.len(), self.size);
                self.fail(1, || format!("a record has {bytes} bytes, and its labels take {size}"));
            }
        }
    }

    /// How many records it has taken.
    pub(super) fn taken(&self) -> usize {
        self.records.len()
    }

    /// Whether any record waits for a plugin.
    pub(super) fn waits(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes those records once more that wait for a plugin, if it is time to. Before others.
    pub(super) fn take_again(&mut self, now: Clock) {
        if let Some((records, read)) = self.held.due(now) {
            (self.records, self.read) = (records, read);
        }
    }

    /// Has no record wait for a plugin from now on.
    pub(super) fn hurry(&mut self) {
        self.held.close();
    }

    /// Makes spans of all records that it has taken, but for those that are to wait for a plugin.
    pub(super) fn make(&mut self, now: Clock) -> Vec<Made> {
        let Self { parts, records, inputs, .. } = self;
        for Part { bytes, chain, decodings, .. } in parts {
            inputs.clear();
            records.iter().for_each(|record| inputs.push(&record[bytes.clone()]));
            chain.decode(inputs, decodings);
        }
        let mut records = std::mem::take(&mut self.records);
        let read = std::mem::take(&mut self.read);
        let mut spans = Vec::with_capacity(records.len());
        for (n, record) in records.iter().enumerate() {
            let read = read.get(n).copied().unwrap_or(now);
            if self.has_no_turn(n) && self.held.keep(record, read, now) {
                continue;
            }
            let draft = self.draft(n);
            spans.extend(draft.map(|draft| self.finish(draft, read)));
        }
        records.clear();
        self.records = records;
        self.kind.stats.count_read(spans.len() as u64);
        spans
    }

    /// Whether a plugin got no turn at a label of the `n`-th record.
    fn has_no_turn(&self, n: usize) -> bool {
        let mut errors = self.parts.iter().filter_map(|part| part.decodings.get(n).error);
        errors.any(DecodeError::is_deferred)
    }

    /// What the labels of the `n`-th record say; nothing if it is left out.
    fn draft(&mut self, n: usize) -> Option<Draft> {
        let (mut draft, mut errors) = (Draft::default(), 0);
        let (mut first, mut left_out) = (None, false);
        for Part { says, key, decodings, .. } in &self.parts {
            let decoded = decodings.get(n);
            if let Some(error) = decoded.error {
                errors += 1;
                first.get_or_insert_with(|| error.to_string());
            }
            let taken = !decoded.outcome.leaves_out() && draft.take(*says, key, decoded.text);
            if !taken && !decoded.outcome.leaves_out() && decoded.error.is_none() {
                errors += 1;
                let (key, text) = (key.as_str(), String::from_utf8_lossy(decoded.text));
                first.get_or_insert_with(|| format!("`{key}` cannot be {}", quote(&text)));
            }
            left_out |= !taken;
        }
        if errors > 0 {
            self.fail(errors, || first.unwrap_or_default());
        }
        (!left_out).then_some(draft)
    }

    /// The span that a record is.
    fn finish(&self, draft: Draft, clock: Clock) -> Made {
        let Draft { trace, id, parent, began, duration, name, mut attributes } = draft;
        let ids = RandomIdGenerator::default();
        let trace = trace.unwrap_or_else(|| ids.new_trace_id());
        let id = id.unwrap_or_else(|| ids.new_span_id());
        let start = began.map_or_else(|| clock.wall(), |began| clock.at(began));
        // A span has each attribute once.
        attributes.retain(|attribute| attribute.key.as_str() != CONFIG);
        attributes.push(KeyValue::new(CONFIG, Arc::clone(&self.config)));
        let name = name.map_or_else(|| self.name.clone(), Cow::Owned);
        let about = About { name, start, end: later(start, duration), attributes };
        let span = about.span(trace, id, parent.unwrap_or(SpanId::INVALID));
        Made { kind: Arc::clone(&self.kind), span }
    }

    fn fail(&mut self, errors: u64, why: impl FnOnce() -> String) {
        self.kind.stats.count_failed(errors);
        if !std::mem::replace(&mut self.told, true) {
            // The reason may quote the record.
            warn!(
                target: concat!(module_path!(), "::private"),
                config = &*self.config,
                "failed to decode a record of the spans {}: {}; this is said once, \
                 ebpf_exporter_decoder_errors_total counts on",
                self.name,
                why()
            );
        }
    }
}

impl Draft {
    /// Takes what a label says; `false` if it cannot be that.
    fn take(&mut self, says: SpanPart, key: &Key, text: &[u8]) -> bool {
        match says {
            SpanPart::TraceId => set(id::<16>(text), |id| {
                self.trace = id.map(TraceId::from_bytes);
            }),
            SpanPart::SpanId => set(id::<8>(text), |id| self.id = id.map(SpanId::from_bytes)),
            SpanPart::ParentSpanId => set(id::<8>(text), |id| {
                self.parent = id.map(SpanId::from_bytes);
            }),
            SpanPart::Began => set(number(text), |nanos| self.began = Some(nanos)),
            SpanPart::Duration => set(number(text), |nanos| self.duration = nanos),
            SpanPart::Name => {
                let name = String::from_utf8_lossy(text).into_owned();
                self.name = Some(name).filter(|name| !name.is_empty());
                true
            }
            SpanPart::Attribute => {
                let text = String::from_utf8_lossy(text).into_owned();
                self.attributes.push(KeyValue::new(key.clone(), text));
                true
            }
        }
    }
}

/// Does something with what was read; `false` if nothing was.
fn set<T>(read: Option<T>, with: impl FnOnce(T)) -> bool {
    read.map(with).is_some()
}

/// An id of so many bytes in hex: none if all digits are 0. Nothing if it is no such text.
fn id<const N: usize>(text: &[u8]) -> Option<Option<[u8; N]>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some((bytes != [0; N]).then_some(bytes))
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// What a span is, but for who it is.
#[derive(Debug)]
pub(super) struct About {
    pub(super) name: Cow<'static, str>,
    pub(super) start: SystemTime,
    pub(super) end: SystemTime,
    pub(super) attributes: Vec<KeyValue>,
}

impl About {
    /// The span, which is sampled as all are.
    pub(super) fn span(self, trace: TraceId, id: SpanId, parent: SpanId) -> SpanData {
        let Self { name, start, end, attributes } = self;
        let state = TraceState::default();
        SpanData {
            span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, state),
            parent_span_id: parent,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name,
            start_time: start,
            end_time: end,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: scope(),
        }
    }
}

/// Who says that there was a span.
fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
}

#[cfg(test)]
mod tests;
