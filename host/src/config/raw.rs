//! The config file as it was typed: the schema's fields, all optional, each of the right kind.
//!
//! Faults found here are those of form: a list where a text should be, a key nobody knows. Which keys
//! there are stands in [`keys`]. What the fields mean together is decided in [`super::check`].

mod fields;
pub(super) mod keys;
mod plugin;
pub(super) mod policy;
mod section;
pub(super) mod web;

use super::bounds;
use super::faults::Faults;
use super::node::{Node, Value};
use super::older;
use fields::Fields;
pub(super) use plugin::{Compile, Data, Limits, Plugin, Setting, setting};

/// A field of the file.
#[derive(Debug)]
pub(super) enum Field<T> {
    /// Not written, or null.
    Absent,
    /// Written wrongly; the fault has been told.
    Faulty,
    /// Written.
    Given(T),
}

impl<T> Field<T> {
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub(super) fn given(self) -> Option<T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Faulty => None,
        }
    }
}

/// A whole file.
pub(super) struct Document {
    /// Counters first, each list in the file's order.
    pub(super) metrics: Vec<Metric>,
    /// Whether any metric was written, be it wrongly.
    pub(super) has_metrics: bool,
    pub(super) spans: Vec<Span>,
    /// Whether any span was written, be it wrongly.
    pub(super) has_spans: bool,
    /// Path and text of each symbol.
    pub(super) kaddrs: Vec<(String, String)>,
    pub(super) plugins: Vec<Plugin>,
    pub(super) cgroup_id_map: Option<CgroupIdMap>,
}

/// A map of cgroups.
pub(super) struct CgroupIdMap {
    pub(super) name: Field<String>,
    pub(super) kind: Field<String>,
    pub(super) regexps: Vec<String>,
    /// Whether a fault was found in it, so that it may lack something.
    pub(super) faulty: bool,
}

pub(super) struct Metric {
    pub(super) path: String,
    pub(super) name: Field<String>,
    pub(super) help: Field<String>,
    pub(super) labels: Field<Vec<Label>>,
    pub(super) max_series: Field<i128>,
    pub(super) transforms: Field<Vec<Transform>>,
    pub(super) kind: Kind,
    /// Whether a fault was found in it, so that its parts may lack something.
    pub(super) faulty: bool,
}

pub(super) enum Kind {
    Counter {
        perf_event_array: Field<bool>,
        ringbuf: Field<bool>,
        flush_interval: Field<String>,
    },
    Histogram {
        bucket_type: Field<String>,
        bucket_multiplier: Field<f64>,
        bucket_min: Field<i128>,
        bucket_max: Field<i128>,
        bucket_schema: Field<i128>,
        /// Those that are no numbers have been told.
        bucket_keys: Field<Vec<Option<f64>>>,
        native: Field<bool>,
        classic: Field<bool>,
    },
}

/// Spans of one kind.
pub(super) struct Span {
    pub(super) path: String,
    pub(super) name: Field<String>,
    pub(super) ringbuf: Field<String>,
    pub(super) service: Field<String>,
    pub(super) labels: Field<Vec<Label>>,
    /// Whether a fault was found in it, so that its parts may lack something.
    pub(super) faulty: bool,
}

pub(super) struct Label {
    pub(super) path: String,
    pub(super) name: Field<String>,
    pub(super) size: Field<i128>,
    pub(super) padding: Field<i128>,
    pub(super) reuse: Field<bool>,
    pub(super) decoders: Field<Vec<Decoder>>,
}

impl Label {
    /// Whether it decodes the bytes of the label before it.
    pub(super) fn reuses(&self) -> bool {
        matches!(self.reuse, Field::Given(true))
    }
}

pub(super) struct Decoder {
    pub(super) path: String,
    pub(super) name: Field<String>,
    pub(super) static_map: Vec<(String, String)>,
    pub(super) regexps: Vec<String>,
    pub(super) allow_unknown: Field<bool>,
    pub(super) on_error: Field<OnError>,
    pub(super) plugin: Field<String>,
    /// Whether a fault was found in it, so that its settings may lack something.
    pub(super) faulty: bool,
}

pub(super) struct Transform {
    pub(super) path: String,
    pub(super) plugin: Field<String>,
    pub(super) on_error: Field<OnError>,
}

pub(super) enum OnError {
    /// `on_error: TEXT`.
    Word(String),
    /// `on_error: {label: TEXT}`.
    Label(String),
}

/// Reads a file's root, which has to be a mapping.
pub(super) fn document(root: &Node<'_>, faults: &Faults<'_>) -> Option<Document> {
    if let Some((key, code)) = older_file(root, &keys::FILE.names()) {
        let problem = match code {
            true => format!("this is a config of ebpf_exporter 1.x (`{key}:` with BCC code)"),
            false => format!("this is a config of ebpf_exporter before 2.0 (`{key}:`)"),
        };
        let remedy = "2.x and this exporter take one NAME.yaml with `metrics:` and a compiled \
                      NAME.bpf.o";
        faults.error(key, problem, remedy);
        return None;
    }
    let fields = Fields::open(root, "", &keys::FILE, faults)?;
    let mut metrics = Vec::new();
    let mut has_metrics = false;
    if let Some(section) = fields.get("metrics") {
        has_metrics = !matches!(section.value, Value::Map(_));
        if let Some(lists) = Fields::open(section, "metrics", &keys::METRICS, faults) {
            for (key, read) in [("counters", counter as ReadMetric), ("histograms", histogram)] {
                let items = lists.list(key);
                has_metrics |= !matches!(&items, Field::Absent)
                    && !matches!(&items, Field::Given(items) if items.is_empty());
                for (path, node) in items.given().unwrap_or_default() {
                    if faults.bounds.metric().is_err() {
                        let problem =
                            format!("the configs have more than {} metrics", bounds::METRICS);
                        faults.error("metrics", problem, "serve fewer in one process");
                        break;
                    }
                    metrics.extend(read(node, &path, faults));
                }
            }
        }
    }
    let kaddrs = fields.texts("kaddrs");
    let plugins = plugin::all(&fields);
    let (spans, has_spans) = spans(&fields);
    let cgroup_id_map = cgroup_id_map(&fields);
    Some(Document { metrics, has_metrics, spans, has_spans, kaddrs, plugins, cgroup_id_map })
}

/// The spans of a file, and whether any was written, be it wrongly.
fn spans(file: &Fields<'_, '_>) -> (Vec<Span>, bool) {
    let Some(section) = file.get("tracing") else { return (Vec::new(), false) };
    let Some(fields) = Fields::open(section, "tracing", &keys::TRACING, file.faults) else {
        return (Vec::new(), true);
    };
    let items = match fields.list("spans") {
        Field::Absent => return (Vec::new(), false),
        Field::Faulty => return (Vec::new(), true),
        Field::Given(items) => items,
    };
    let mut spans = Vec::new();
    for (path, node) in &items {
        if file.faults.bounds.metric().is_err() {
            let problem =
                format!("the configs have more than {} metrics and spans", bounds::METRICS);
            file.faults.error("tracing", problem, "serve fewer in one process");
            break;
        }
        spans.extend(span(node, path, file.faults));
    }
    (spans, !items.is_empty())
}

fn span(node: &Node<'_>, path: &str, faults: &Faults<'_>) -> Option<Span> {
    let before = faults.errors();
    let fields = Fields::open(node, path, &keys::SPAN, faults)?;
    let span = Span {
        path: path.to_owned(),
        name: fields.word("name"),
        ringbuf: fields.word("ringbuf"),
        service: fields.word("service"),
        labels: labels(&fields),
        faulty: false,
    };
    Some(Span { faulty: faults.errors() > before, ..span })
}

/// The map of cgroups, if there is more than an empty one.
fn cgroup_id_map(file: &Fields<'_, '_>) -> Option<CgroupIdMap> {
    const KEY: &str = "cgroup_id_map";
    let node = file.get(KEY)?;
    let says = file.has(KEY);
    if !says && !matches!(node.value, Value::Map(_)) {
        return None;
    }
    let before = file.faults.errors();
    let fields = Fields::open(node, KEY, &keys::CGROUP_ID_MAP, file.faults)?;
    let map = CgroupIdMap {
        name: fields.word("name"),
        kind: fields.word("type"),
        regexps: fields.texts("regexps").into_iter().map(|(_, text)| text).collect(),
        faulty: false,
    };
    says.then_some(CgroupIdMap { faulty: file.faults.errors() > before, ..map })
}

/// The key that shows that a whole file is of the older format, and whether it holds C code. A file
/// with metrics is of today, be there keys of then beside them.
fn older_file<'n>(root: &'n Node<'_>, known: &[&str]) -> Option<(&'n str, bool)> {
    let Value::Map(map) = &root.value else { return None };
    if ["metrics", "tracing"].iter().any(|key| root.get(key).is_some_and(fields::says)) {
        return None;
    }
    let (key, node) = map
        .iter()
        .find(|(key, _)| older::find(key, known).is_some_and(|older| older.key != "name"))?;
    let has_code = |node: &Node<'_>| node.get("code").is_some();
    let programs = matches!(&node.value, Value::List(items) if items.iter().any(has_code));
    Some((key, programs || root.get("code").is_some()))
}

type ReadMetric = fn(&Node<'_>, &str, &Faults<'_>) -> Option<Metric>;

fn counter(node: &Node<'_>, path: &str, faults: &Faults<'_>) -> Option<Metric> {
    let before = faults.errors();
    let fields = Fields::open(node, path, &keys::COUNTER, faults)?;
    let kind = Kind::Counter {
        perf_event_array: fields.boolean("perf_event_array"),
        ringbuf: fields.boolean("ringbuf"),
        flush_interval: fields.text("flush_interval"),
    };
    Some(metric(&fields, kind, before))
}

fn histogram(node: &Node<'_>, path: &str, faults: &Faults<'_>) -> Option<Metric> {
    let before = faults.errors();
    let fields = Fields::open(node, path, &keys::HISTOGRAM, faults)?;
    let kind = Kind::Histogram {
        bucket_type: fields.word("bucket_type"),
        bucket_multiplier: fields.number("bucket_multiplier"),
        bucket_min: fields.integer("bucket_min"),
        bucket_max: fields.integer("bucket_max"),
        bucket_schema: fields.integer("bucket_schema"),
        bucket_keys: fields.numbers("bucket_keys"),
        native: fields.boolean("native"),
        classic: fields.boolean("classic"),
    };
    Some(metric(&fields, kind, before))
}

/// `before`: how many faults were known before the metric was read.
fn metric(fields: &Fields<'_, '_>, kind: Kind, before: usize) -> Metric {
    let metric = Metric {
        path: fields.path.to_owned(),
        name: fields.word("name"),
        help: fields.word("help"),
        labels: labels(fields),
        max_series: fields.integer("max_series"),
        transforms: fields.items("transforms", transform),
        kind,
        faulty: false,
    };
    Metric { faulty: fields.faults.errors() > before, ..metric }
}

fn labels(fields: &Fields<'_, '_>) -> Field<Vec<Label>> {
    let count = match fields.get("labels").map(|node| &node.value) {
        Some(Value::List(items)) => items.len(),
        _ => 0,
    };
    if fields.faults.bounds.labels(count).is_err() {
        let problem = format!("the configs have more than {} labels", bounds::LABELS);
        fields.faults.error(&fields.at("labels"), problem, "serve fewer in one process");
        return Field::Faulty;
    }
    fields.items("labels", label)
}

fn label(node: &Node<'_>, path: &str, faults: &Faults<'_>) -> Option<Label> {
    let fields = Fields::open(node, path, &keys::LABEL, faults)?;
    Some(Label {
        path: path.to_owned(),
        name: fields.word("name"),
        size: fields.integer("size"),
        padding: fields.integer("padding"),
        reuse: fields.boolean("reuse"),
        decoders: fields.items("decoders", decoder),
    })
}

fn decoder(node: &Node<'_>, path: &str, faults: &Faults<'_>) -> Option<Decoder> {
    let before = faults.errors();
    let fields = Fields::open(node, path, &keys::DECODER, faults)?;
    let decoder = Decoder {
        path: path.to_owned(),
        name: fields.word("name"),
        static_map: fields.pairs("static_map"),
        regexps: fields.texts("regexps").into_iter().map(|(_, text)| text).collect(),
        allow_unknown: fields.boolean("allow_unknown"),
        on_error: on_error(&fields, ON_ERROR),
        plugin: fields.word("plugin"),
        faulty: false,
    };
    Some(Decoder { faulty: faults.errors() > before, ..decoder })
}

fn transform(node: &Node<'_>, path: &str, faults: &Faults<'_>) -> Option<Transform> {
    let fields = Fields::open(node, path, &keys::TRANSFORM, faults)?;
    Some(Transform {
        path: path.to_owned(),
        plugin: fields.word("plugin"),
        on_error: on_error(&fields, ON_ERROR_OF_ROWS),
    })
}

fn on_error(fields: &Fields<'_, '_>, remedy: &'static str) -> Field<OnError> {
    let (key, path) = ("on_error", fields.at("on_error"));
    match fields.get(key) {
        Some(node) if matches!(node.value, Value::Map(_)) => {
            let Some(inner) = Fields::open(node, &path, &keys::ON_ERROR, fields.faults) else {
                return Field::Faulty;
            };
            match inner.text("label") {
                Field::Given(text) => Field::Given(OnError::Label(text)),
                Field::Faulty => Field::Faulty,
                Field::Absent => {
                    fields.faults.error(&path, "the label's text is missing", remedy);
                    Field::Faulty
                }
            }
        }
        _ => match fields.text(key) {
            Field::Given(word) => Field::Given(OnError::Word(word)),
            Field::Faulty => Field::Faulty,
            Field::Absent => Field::Absent,
        },
    }
}

/// What to write as `on_error` of a decoder.
pub(super) const ON_ERROR: &str = "write `drop`, `raw` or `{label: TEXT}`";
/// What to write as `on_error` of a transform.
pub(super) const ON_ERROR_OF_ROWS: &str = "write `drop` or `{label: TEXT}`";
