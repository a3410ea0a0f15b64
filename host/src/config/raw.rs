//! The config file as it was typed: the schema's fields, all optional, each of the right kind.
//!
//! Faults found here are those of form: a list where a text should be, a key nobody knows. What
//! the fields mean together is decided in [`super::check`].

use super::faults::Faults;
use super::near;
use super::node::{Node, Value};
use super::scalar;

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
    /// Path and text of each symbol.
    pub(super) kaddrs: Vec<(String, String)>,
    /// The sections that are there and not empty, of those that this version does not know.
    pub(super) refused: Vec<&'static str>,
}

pub(super) struct Metric {
    pub(super) path: String,
    pub(super) name: Field<String>,
    pub(super) help: Field<String>,
    pub(super) labels: Field<Vec<Label>>,
    pub(super) has_transforms: bool,
    pub(super) kind: Kind,
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
        bucket_keys: Field<Vec<f64>>,
    },
}

pub(super) struct Label {
    pub(super) path: String,
    pub(super) name: Field<String>,
    pub(super) size: Field<i128>,
    pub(super) padding: Field<i128>,
    pub(super) decoders: Field<Vec<Decoder>>,
}

pub(super) struct Decoder {
    pub(super) path: String,
    pub(super) name: Field<String>,
    pub(super) static_map: Vec<(String, String)>,
    pub(super) regexps: Vec<String>,
    pub(super) allow_unknown: Field<bool>,
    pub(super) on_error: Field<OnError>,
    pub(super) has_plugin: bool,
    /// Whether a fault was found in it, so that its settings may lack something.
    pub(super) faulty: bool,
}

pub(super) enum OnError {
    /// `on_error: TEXT`.
    Word(String),
    /// `on_error: {label: TEXT}`.
    Label(String),
}

/// Reads a file's root, which has to be a mapping.
pub(super) fn document(root: &Node<'_>, faults: &Faults<'_>) -> Option<Document> {
    const LATER: [&str; 3] = ["tracing", "cgroup_id_map", "plugins"];
    const KEYS: [&str; 5] = ["metrics", "kaddrs", LATER[0], LATER[1], LATER[2]];
    let fields = Fields::open(root, "", &KEYS, faults)?;
    let mut metrics = Vec::new();
    let mut has_metrics = false;
    if let Some(section) = fields.get("metrics") {
        has_metrics = !matches!(section.value, Value::Map(_));
        if let Some(lists) = Fields::open(section, "metrics", &["counters", "histograms"], faults) {
            for (key, read) in [("counters", counter as ReadMetric), ("histograms", histogram)] {
                let items = lists.list(key);
                has_metrics |= !matches!(&items, Field::Absent)
                    && !matches!(&items, Field::Given(items) if items.is_empty());
                let items = items.given().unwrap_or_default();
                metrics.extend(items.iter().filter_map(|(path, node)| read(node, path, faults)));
            }
        }
    }
    let kaddrs = fields.texts("kaddrs");
    let refused = LATER.into_iter().filter(|key| fields.has(key)).collect();
    Some(Document { metrics, has_metrics, kaddrs, refused })
}

type ReadMetric = fn(&Node<'_>, &str, &Faults<'_>) -> Option<Metric>;

fn counter(node: &Node<'_>, path: &str, faults: &Faults<'_>) -> Option<Metric> {
    const KEYS: [&str; 7] =
        ["name", "help", "labels", "perf_event_array", "ringbuf", "flush_interval", "transforms"];
    let fields = Fields::open(node, path, &KEYS, faults)?;
    let kind = Kind::Counter {
        perf_event_array: fields.boolean("perf_event_array"),
        ringbuf: fields.boolean("ringbuf"),
        flush_interval: fields.text("flush_interval"),
    };
    Some(metric(&fields, kind))
}

fn histogram(node: &Node<'_>, path: &str, faults: &Faults<'_>) -> Option<Metric> {
    const KEYS: [&str; 9] = [
        "name",
        "help",
        "labels",
        "bucket_type",
        "bucket_multiplier",
        "bucket_min",
        "bucket_max",
        "bucket_keys",
        "transforms",
    ];
    let fields = Fields::open(node, path, &KEYS, faults)?;
    let kind = Kind::Histogram {
        bucket_type: fields.text("bucket_type"),
        bucket_multiplier: fields.number("bucket_multiplier"),
        bucket_min: fields.integer("bucket_min"),
        bucket_max: fields.integer("bucket_max"),
        bucket_keys: fields.numbers("bucket_keys"),
    };
    Some(metric(&fields, kind))
}

fn metric(fields: &Fields<'_, '_>, kind: Kind) -> Metric {
    Metric {
        path: fields.path.to_owned(),
        name: fields.text("name"),
        help: fields.text("help"),
        labels: fields.items("labels", label),
        has_transforms: fields.has("transforms"),
        kind,
    }
}

fn label(node: &Node<'_>, path: &str, faults: &Faults<'_>) -> Option<Label> {
    let fields = Fields::open(node, path, &["name", "size", "padding", "decoders"], faults)?;
    Some(Label {
        path: path.to_owned(),
        name: fields.text("name"),
        size: fields.integer("size"),
        padding: fields.integer("padding"),
        decoders: fields.items("decoders", decoder),
    })
}

fn decoder(node: &Node<'_>, path: &str, faults: &Faults<'_>) -> Option<Decoder> {
    const KEYS: [&str; 6] =
        ["name", "static_map", "regexps", "allow_unknown", "on_error", "plugin"];
    let before = faults.errors();
    let fields = Fields::open(node, path, &KEYS, faults)?;
    let decoder = Decoder {
        path: path.to_owned(),
        name: fields.text("name"),
        static_map: fields.pairs("static_map"),
        regexps: fields.texts("regexps").into_iter().map(|(_, text)| text).collect(),
        allow_unknown: fields.boolean("allow_unknown"),
        on_error: on_error(&fields),
        has_plugin: fields.has("plugin"),
        faulty: false,
    };
    Some(Decoder { faulty: faults.errors() > before, ..decoder })
}

fn on_error(fields: &Fields<'_, '_>) -> Field<OnError> {
    let (key, path) = ("on_error", fields.at("on_error"));
    match fields.get(key) {
        Some(node) if matches!(node.value, Value::Map(_)) => {
            let Some(inner) = Fields::open(node, &path, &["label"], fields.faults) else {
                return Field::Faulty;
            };
            match inner.text("label") {
                Field::Given(text) => Field::Given(OnError::Label(text)),
                Field::Faulty => Field::Faulty,
                Field::Absent => {
                    fields.faults.error(&path, "the label's text is missing", ON_ERROR);
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

/// What to write as `on_error`.
pub(super) const ON_ERROR: &str = "write `drop`, `raw` or `{label: TEXT}`";

/// The entries of one mapping, and where to tell what is wrong with them.
struct Fields<'f, 't> {
    node: &'f Node<'t>,
    path: &'f str,
    faults: &'f Faults<'f>,
}

impl<'f, 't> Fields<'f, 't> {
    /// The entries of `node`, which has to be a mapping; warns of keys that are not `known`.
    fn open(
        node: &'f Node<'t>,
        path: &'f str,
        known: &[&str],
        faults: &'f Faults<'_>,
    ) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            wrong_kind(node, path, "a mapping", faults);
            return None;
        };
        let fields = Self { node, path, faults };
        for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&&**key)) {
            let remedy = near::suggest(key, known, "remove it; the keys here are");
            faults.warning(&fields.at(key), "unknown key, which does nothing", remedy);
        }
        Some(fields)
    }

    fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// What is written at `key`, if it is not null.
    fn get(&self, key: &str) -> Option<&'f Node<'t>> {
        self.node.get(key).filter(|node| !matches!(node.value, Value::Null))
    }

    /// Whether anything is written at `key` that means something.
    fn has(&self, key: &str) -> bool {
        self.get(key).is_some_and(|node| match &node.value {
            Value::Null => false,
            Value::Text(_) => true,
            Value::List(items) => !items.is_empty(),
            Value::Map(entries) => !entries.is_empty(),
        })
    }

    fn scalar<T>(&self, key: &str, wanted: &str, read: fn(&str) -> Option<T>) -> Field<T> {
        match self.get(key) {
            None => Field::Absent,
            Some(node) => match one(node, &self.at(key), wanted, read, self.faults) {
                Some(value) => Field::Given(value),
                None => Field::Faulty,
            },
        }
    }

    fn text(&self, key: &str) -> Field<String> {
        self.scalar(key, "a text", |text| Some(text.to_owned()))
    }

    fn integer(&self, key: &str) -> Field<i128> {
        self.scalar(key, "a whole number", scalar::integer)
    }

    fn number(&self, key: &str) -> Field<f64> {
        self.scalar(key, "a number", scalar::float)
    }

    fn boolean(&self, key: &str) -> Field<bool> {
        self.scalar(key, "true or false", scalar::boolean)
    }

    /// The items of a list, each with its path.
    fn list(&self, key: &str) -> Field<Vec<(String, &'f Node<'t>)>> {
        let path = self.at(key);
        match self.get(key) {
            None => Field::Absent,
            Some(Node { value: Value::List(items), .. }) => {
                let at = |(index, item)| (format!("{path}[{index}]"), item);
                Field::Given(items.iter().enumerate().map(at).collect())
            }
            Some(node) => {
                wrong_kind(node, &path, "a list", self.faults);
                Field::Faulty
            }
        }
    }

    /// The texts of a list, each with its path; those that are none are told and left out.
    fn texts(&self, key: &str) -> Vec<(String, String)> {
        let read = |(path, node): (String, &Node<'_>)| {
            let text = one(node, &path, "a text", |text| Some(text.to_owned()), self.faults)?;
            Some((path, text))
        };
        self.list(key).given().unwrap_or_default().into_iter().filter_map(read).collect()
    }

    fn numbers(&self, key: &str) -> Field<Vec<f64>> {
        self.items(key, |node, path, faults| one(node, path, "a number", scalar::float, faults))
    }

    /// The items of a list as `read` reads them; faulty if it cannot read one.
    fn items<T>(
        &self,
        key: &str,
        read: fn(&Node<'_>, &str, &Faults<'_>) -> Option<T>,
    ) -> Field<Vec<T>> {
        match self.list(key) {
            Field::Absent => Field::Absent,
            Field::Faulty => Field::Faulty,
            Field::Given(nodes) => {
                let read = |(path, node): &(String, &Node<'_>)| read(node, path, self.faults);
                let items: Vec<_> = nodes.iter().filter_map(read).collect();
                if items.len() == nodes.len() { Field::Given(items) } else { Field::Faulty }
            }
        }
    }

    /// The texts of a mapping to texts. Nothing behind a key is the empty text.
    fn pairs(&self, key: &str) -> Vec<(String, String)> {
        let path = self.at(key);
        match self.get(key) {
            None => Vec::new(),
            Some(Node { value: Value::Map(entries), .. }) => entries
                .iter()
                .filter_map(|(from, node)| {
                    let at = format!("{path}.{from}");
                    let to = one(node, &at, "a text", |text| Some(text.to_owned()), self.faults)?;
                    Some((from.clone().into_owned(), to))
                })
                .collect(),
            Some(node) => {
                wrong_kind(node, &path, "a mapping", self.faults);
                Vec::new()
            }
        }
    }
}

/// A scalar's meaning. Nothing at all is read as the empty text.
fn one<T>(
    node: &Node<'_>,
    path: &str,
    wanted: &str,
    read: fn(&str) -> Option<T>,
    faults: &Faults<'_>,
) -> Option<T> {
    let text = match &node.value {
        Value::Text(text) => text,
        Value::Null => "",
        Value::List(_) | Value::Map(_) => {
            wrong_kind(node, path, wanted, faults);
            return None;
        }
    };
    let value = read(text);
    if value.is_none() {
        let problem = format!("expected {wanted}, found {}", super::error::quote(text));
        faults.error(path, problem, format!("write {wanted}"));
    }
    value
}

fn wrong_kind(node: &Node<'_>, path: &str, wanted: &str, faults: &Faults<'_>) {
    let found = match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Text(text) => super::error::quote(text),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
    };
    faults.error(path, format!("expected {wanted}, found {found}"), format!("write {wanted}"));
}
