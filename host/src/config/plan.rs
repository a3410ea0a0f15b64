//! The checked plan: what is here can be relied on without looking again.

use std::sync::OnceLock;
use std::time::Duration;

use super::bounds::Bounds;
use super::buckets::Buckets;
use super::error::{ConfigFile, Fault, Severity};
use super::name::{LabelName, MetricName};
use super::node::{self, Node};
use crate::advice::Advice;
use crate::decode::builtin::Patterns;
use crate::decode::{self, builtin};

mod plugin;

pub use plugin::{DataPlan, PluginOrigin, PluginPlan, PluginSettings};

/// One config: its metrics and what its object needs before it is loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The name of its file without `.yaml`.
    pub name: String,
    /// Where it came from, for faults that are found later.
    pub file: ConfigFile,
    /// Its metrics, in the file's order, counters first.
    pub metrics: Vec<Metric>,
    /// What is known of metrics that are left out, because something of theirs is faulty.
    pub faulty: Vec<Outline>,
    /// Its spans, in the file's order.
    pub spans: Vec<SpanPlan>,
    /// Kernel symbols whose addresses the object wants in `kaddr_SYMBOL`.
    pub kaddrs: Vec<Kaddr>,
    /// Its plugins, in the file's order. None has been looked at.
    pub plugins: Vec<PluginPlan>,
    /// The map that is to be kept filled with cgroups.
    pub cgroup_id_map: Option<CgroupIdMap>,
    /// Where in the file what is.
    pub lines: LineIndex,
}

/// The lines of a config's file, which are found when the first fault asks for one: plans live as
/// long as the exporter, and most have none. What is found once is no part of the plan: all are equal, and a
/// clone has found none yet.
#[derive(Debug, Default)]
pub struct LineIndex(OnceLock<Option<Node<'static>>>);

impl Clone for LineIndex {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for LineIndex {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A kernel symbol that the object wants the address of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kaddr {
    /// Its name: letters, digits and `_`.
    pub symbol: String,
    /// Its place in the file: `kaddrs[2]`.
    pub path: String,
}

/// A map of the object that is kept filled with cgroups.
#[derive(Clone, Debug, PartialEq)]
pub struct CgroupIdMap {
    /// Its name in the object.
    pub name: String,
    /// Its type.
    pub kind: CgroupMapKind,
    /// A cgroup is in it if one of these matches its path.
    pub patterns: Patterns,
}

/// The type of a map that is kept filled with cgroups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupMapKind {
    /// A hash of ids.
    #[default]
    Hash,
    /// What the kernel keeps with each cgroup, and lets go with it.
    CgrpStorage,
}

impl CgroupMapKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Hash, Self::CgrpStorage];

    /// What it is called in a config.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::CgrpStorage => "cgrp_storage",
        }
    }

    pub(super) fn says(self) -> &'static str {
        match self {
            Self::Hash => "a hash or an LRU hash whose keys are `u64`: the ids of cgroups",
            Self::CgrpStorage => "storage that the kernel keeps with each cgroup (Linux 6.2)",
        }
    }
}

/// A step that a plugin takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginStep<E> {
    /// The name of the plugin, which the file has.
    pub plugin: String,
    /// The step's place in the file: `metrics.counters[2].labels[0].decoders[1]`.
    pub path: String,
    /// What becomes of what it cannot answer.
    pub on_error: E,
}

/// What becomes of a row whose transform failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnRowError {
    /// All labels that it would have left with become this text.
    Label(String),
    /// The row is left out.
    Drop,
}

impl Default for OnRowError {
    /// The text `error`: totals stay whole, and a redaction that fails shows nothing.
    fn default() -> Self {
        Self::Label("error".to_owned())
    }
}

/// A metric and the map of the same name that feeds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The map's name; the family's is `ebpf_exporter_` and this.
    pub name: MetricName,
    /// The help text.
    pub help: String,
    /// Its place in the file: `metrics.counters[2]`.
    pub path: String,
    /// Counter or histogram.
    pub kind: MetricKind,
    /// The records that it counts; none if its map holds counts.
    pub events: Option<EventStream>,
    /// The parts of the key, in order. One of a histogram's is no label: see [`Metric::bucket`].
    pub labels: Vec<Label>,
    /// Its transforms, in order.
    pub transforms: Vec<PluginStep<OnRowError>>,
    /// How many series it may have, one for all others left out; none if any number.
    pub max_series: Option<u32>,
    /// Labels that its series are summed over: [`super::SeriesRules`] has them.
    pub dropped: Vec<LabelName>,
}

/// Records that a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventStream {
    /// What they come by.
    pub kind: StreamKind,
    /// A key that no record came of for so long, and at most twice as long, is forgotten.
    pub flush_interval: Duration,
}

/// What records come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// `perf_event_array: true`.
    PerfEventArray,
    /// `ringbuf: true`.
    RingBuffer,
}

impl StreamKind {
    /// The key of a counter that says so.
    pub fn key(self) -> &'static str {
        match self {
            Self::PerfEventArray => "perf_event_array",
            Self::RingBuffer => "ringbuf",
        }
    }
}

/// Spans of one kind, and the ring buffer whose records they are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanPlan {
    /// What they are called, unless a label says otherwise.
    pub name: String,
    /// The ring buffer's name in the object.
    pub ringbuf: String,
    /// The service that they are of, if the config says.
    pub service: Option<String>,
    /// Its place in the file: `tracing.spans[2]`.
    pub path: String,
    /// The parts of a record, in order.
    pub labels: Vec<Label>,
}

/// What a label of a span says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpanPart {
    /// `trace_id`: 32 hexadecimal digits.
    TraceId,
    /// `span_id`: 16 of them.
    SpanId,
    /// `parent_span_id`: 16 of them.
    ParentSpanId,
    /// `span_monotonic_timestamp_ns`: when it began, by CLOCK_MONOTONIC.
    Began,
    /// `span_duration_ns`.
    Duration,
    /// `span_name`: what it is called.
    Name,
    /// All others: a text that is an attribute.
    Attribute,
}

/// What of a metric has to fit its map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The map's name.
    pub name: MetricName,
    /// The metric's place in the file: `metrics.counters[2]`.
    pub path: String,
    /// Whether it is a histogram, whose key ends with a bucket.
    pub histogram: bool,
    /// What the records come by that it counts; none if its map holds counts.
    pub events: Option<StreamKind>,
    /// The parts of the key, in order; none if not all of them could be read.
    pub parts: Option<Vec<KeyPart>>,
}

/// What a label takes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPart {
    /// Whether the label is called `cpu`.
    pub named_cpu: bool,
    /// How many bytes of the key it has; never 0.
    pub size: usize,
    /// How many bytes to pass over behind it.
    pub padding: usize,
    /// Whether its bytes are those of the part before it, so that it takes none itself.
    pub reuse: bool,
}

/// What a metric's rows become.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricKind {
    /// A series a label set.
    Counter,
    /// A histogram a label set, its buckets as the last part of the key says.
    Histogram(Buckets),
}

/// A part of a key that becomes a label.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The label's name.
    pub name: LabelName,
    /// How many bytes of the key it has; never 0.
    pub size: usize,
    /// How many bytes to pass over behind it.
    pub padding: usize,
    /// Whether it decodes the bytes of the label before it once more: then `size` is theirs, and
    /// `padding` 0.
    pub reuse: bool,
    /// Its decoders, in order.
    pub steps: Vec<DecoderStep>,
}

/// What a step of a chain that is a plugin calls its decoder.
pub const WASM: &str = "wasm";

/// A step of a label's chain.
#[derive(Clone, Debug, PartialEq)]
pub enum DecoderStep {
    /// A decoder that is built in, and what becomes of what it cannot decode.
    Builtin(builtin::Spec, decode::OnError),
    /// A plugin.
    Plugin(PluginStep<decode::OnError>),
}

impl Config {
    /// A fault at `path` that stops the exporter, with the line that the path has.
    pub fn fault(
        &self,
        path: &str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Fault {
        self.refuse(path, Advice::new(problem, remedy))
    }

    /// As [`Config::fault`], of what was found elsewhere.
    pub fn refuse(&self, path: &str, advice: impl Into<Advice>) -> Fault {
        let (line, file) = (self.line(path), self.file.path.clone());
        let (path, advice) = (path.to_owned(), advice.into());
        Fault { severity: Severity::Error, file, line, path, advice, count: 1 }
    }

    /// As [`Config::refuse`], for what is only told.
    pub fn warn(&self, path: &str, advice: Advice) -> Fault {
        Fault { severity: Severity::Warning, ..self.refuse(path, advice) }
    }

    /// The line of `path` in the file, from 1, or of what it would stand in; none for the whole
    /// file (the empty path).
    pub fn line(&self, path: &str) -> Option<usize> {
        if path.is_empty() {
            return None;
        }
        let read = || {
            let document = node::parse(&self.file.text, &Bounds::default()).ok()?;
            Some(document.root.places())
        };
        self.lines.0.get_or_init(read).as_ref().map(|root| root.line_of(path))
    }
}

impl Metric {
    /// What of it has to fit its map.
    pub fn outline(&self) -> Outline {
        Outline {
            name: self.name.clone(),
            path: self.path.clone(),
            histogram: matches!(self.kind, MetricKind::Histogram(_)),
            events: self.events.map(|events| events.kind),
            parts: Some(self.labels.iter().map(Label::part).collect()),
        }
    }

    /// Which of a histogram's labels is its bucket: the last, or the one before the CPU number.
    /// None for a counter.
    pub fn bucket(&self) -> Option<usize> {
        match self.kind {
            MetricKind::Counter => None,
            MetricKind::Histogram(_) => {
                KeyPart::bucket(&self.labels.iter().map(Label::part).collect::<Vec<_>>())
            }
        }
    }

    /// The steps of its labels' chains that are plugins.
    pub fn decoder_plugins(&self) -> impl Iterator<Item = &PluginStep<decode::OnError>> {
        self.labels.iter().flat_map(Label::plugins)
    }

    /// The names of the labels that its rows have, in order, before they are transformed: all but the
    /// bucket.
    pub fn label_names(&self) -> impl Iterator<Item = &LabelName> {
        let bucket = self.bucket();
        let label = move |&(index, _): &(usize, &Label)| Some(index) != bucket;
        self.labels.iter().enumerate().filter(label).map(|(_, label)| &label.name)
    }
}

impl SpanPlan {
    /// What its labels take of a record.
    pub fn parts(&self) -> Vec<KeyPart> {
        self.labels.iter().map(Label::part).collect()
    }
}

impl SpanPart {
    /// What a label of this name says of a span.
    pub fn of(label: &str) -> Self {
        match label {
            "trace_id" => Self::TraceId,
            "span_id" => Self::SpanId,
            "parent_span_id" => Self::ParentSpanId,
            "span_monotonic_timestamp_ns" => Self::Began,
            "span_duration_ns" => Self::Duration,
            "span_name" => Self::Name,
            _ => Self::Attribute,
        }
    }

    /// How many hexadecimal digits it is, if it is an id.
    pub fn digits(self) -> Option<usize> {
        match self {
            Self::TraceId => Some(32),
            Self::SpanId | Self::ParentSpanId => Some(16),
            Self::Began | Self::Duration | Self::Name | Self::Attribute => None,
        }
    }

    /// Whether it is a whole number in decimal text.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Began | Self::Duration)
    }
}

impl Label {
    /// The steps that are plugins.
    pub fn plugins(&self) -> impl Iterator<Item = &PluginStep<decode::OnError>> {
        self.steps.iter().filter_map(|step| match step {
            DecoderStep::Plugin(step) => Some(step),
            DecoderStep::Builtin(..) => None,
        })
    }

    fn part(&self) -> KeyPart {
        let Self { size, padding, reuse, .. } = *self;
        KeyPart { named_cpu: self.name.as_str() == "cpu", size, padding, reuse }
    }
}

impl KeyPart {
    /// Whether it is called and sized as a CPU number is.
    pub fn is_cpu(&self) -> bool {
        self.named_cpu && self.size == 2 && !self.reuse
    }

    /// Which of a histogram's parts is its bucket: the last, or the one before the CPU's number.
    pub fn bucket(parts: &[Self]) -> Option<usize> {
        Self::cpu(parts).unwrap_or(parts.len()).checked_sub(1)
    }

    /// Which of a metric's parts is the CPU's number, which per-CPU maps have beside the key: the
    /// last that has bytes of its own, if it is called and sized so. Those behind it reuse the
    /// number.
    pub fn cpu(parts: &[Self]) -> Option<usize> {
        let last = parts.iter().rposition(|part| !part.reuse)?;
        parts[last].is_cpu().then_some(last)
    }
}
