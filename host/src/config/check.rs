//! From what was typed to what can be relied on: every rule that needs no kernel and no object.

mod cgroups;
mod chain;
mod data;
mod histogram;
mod label;
mod plugin;
mod span;
mod within;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::error::ConfigFile;
use super::faults::Faults;
use super::limits::Limits;
use super::name::{MetricName, NameError};
use super::plan::{
    Config, EventStream, Kaddr, LineIndex, Metric, MetricKind, OnRowError, Outline, PluginSettings,
    PluginStep, StreamKind,
};
use super::raw::{self, Field};
use super::{bounds, duration, ranges};
use crate::advice::{Advice, Advise as _, near, quote};

/// How long a key is kept that no record comes of, if nothing else was said.
const FLUSH_INTERVAL: Duration = Duration::from_secs(3600);

/// The checked part of a file. What is faulty is told and left out.
pub(super) fn config(raw: raw::Document, file: &ConfigFile, faults: &Faults<'_>) -> Config {
    if !raw.has_metrics && !raw.has_spans {
        faults.error(
            "metrics",
            "the file has no metrics and no spans",
            "list some under `metrics.counters`, `metrics.histograms` or `tracing.spans`",
        );
    }
    twice(&raw.metrics, faults);
    let names = plugin::Names::of(&raw.plugins);
    let plugins = plugin::all(raw.plugins, file, faults);
    let (mut metrics, mut faulty) = (Vec::new(), Vec::new());
    let mut maps = HashSet::new();
    for raw in raw.metrics {
        let outline = outline(&raw);
        let metric = metric(raw, &names, faults);
        // Of metrics with the same map, the first is held against it.
        if outline.as_ref().is_some_and(|outline| !maps.insert(outline.name.clone())) {
            continue;
        }
        match metric {
            Some(metric) => metrics.push(metric),
            None => faulty.extend(outline),
        }
    }
    let spans = span::all(raw.spans, &names, &metrics, faults);
    names.unused(faults);
    let kaddrs = kaddrs(raw.kaddrs, faults);
    let cgroup_id_map = raw.cgroup_id_map.and_then(|raw| cgroups::id_map(raw, faults));
    let (name, file, lines) = (file.name(), file.clone(), LineIndex::default());
    Config { name, file, metrics, faulty, spans, kaddrs, plugins, cgroup_id_map, lines }
}

/// Settings that are a document of their own.
pub(super) fn settings(
    raw: raw::Setting,
    file: &ConfigFile,
    faults: &Faults<'_>,
) -> PluginSettings {
    plugin::settings(Field::Given(raw), "", file, faults)
}

pub(super) use data::typed as data_file;

/// The limits of a plugin, from texts of their own. `text` has that of each key, `memory` or `compile.time`.
pub(super) fn limits(
    text: &dyn Fn(&str) -> Option<String>,
) -> Result<Limits, Vec<(String, Advice)>> {
    let faults = RefCell::new(Vec::new());
    let refuse = |key: &str, advice| faults.borrow_mut().push((key.to_owned(), advice));
    let count = |key: &str| {
        let text = text(key)?;
        let number = text.parse().ok();
        if number.is_none() {
            let problem = format!("{} is no number", quote(&text));
            refuse(key, Advice::new(problem, "write it in digits"));
        }
        number
    };
    let raw = raw::Limits {
        memory: text("memory"),
        deadline: text("deadline"),
        output: text("output"),
        table: count("table"),
        instances: count("instances"),
        answers: text("answers"),
        text: text("text"),
        hold: text("hold"),
        compile: raw::Compile { time: text("compile.time"), memory: text("compile.memory") },
    };
    let limits = plugin::limits(&raw, &refuse);
    let faults = faults.into_inner();
    if faults.is_empty() { Ok(limits) } else { Err(faults) }
}

/// The time that all plugins may run in a scrape.
pub(super) fn plugin_budget(text: &str) -> Result<Duration, Advice> {
    plugin::budget(text).ok_or_else(|| {
        let (least, most) = ranges::BUDGET;
        Advice::new(
            format!("--plugins.scrape-budget={text} is no time for the plugins of a scrape"),
            format!("write one from {least} to {most}"),
        )
    })
}

/// Tells of metrics that have the name, and so the map, of one before them.
fn twice(metrics: &[raw::Metric], faults: &Faults<'_>) {
    let mut first = HashMap::new();
    for metric in metrics {
        let Field::Given(name) = &metric.name else { continue };
        let earlier: &mut &raw::Metric = first.entry(name.as_str()).or_insert(metric);
        if earlier.path != metric.path {
            let line = faults.line(&earlier.path);
            faults.error(
                &format!("{}.name", metric.path),
                format!("{} is the name of {} on line {line} too", quote(name), earlier.path),
                "give each its own name and map",
            );
        }
    }
}

/// What of a metric has to fit its map, as far as it can be read.
fn outline(raw: &raw::Metric) -> Option<Outline> {
    let Field::Given(name) = &raw.name else { return None };
    let (histogram, events) = match &raw.kind {
        raw::Kind::Histogram { .. } => (true, None),
        raw::Kind::Counter { perf_event_array, ringbuf, .. } => {
            (false, stream_kind(perf_event_array, ringbuf)?)
        }
    };
    let parts = label::parts(&raw.labels);
    // Without labels there is no bucket, which has been told.
    let parts = parts.filter(|parts| !histogram || !parts.is_empty());
    let name = MetricName::new(name).ok()?;
    Some(Outline { name, path: raw.path.clone(), histogram, events, parts })
}

/// What the records of a counter come by, if it counts any; none if that is not known.
fn stream_kind(
    perf_event_array: &Field<bool>,
    ringbuf: &Field<bool>,
) -> Option<Option<StreamKind>> {
    let asked = |field: &Field<bool>| match field {
        Field::Absent => Some(false),
        Field::Faulty => None,
        Field::Given(asked) => Some(*asked),
    };
    match (asked(perf_event_array)?, asked(ringbuf)?) {
        (false, false) => Some(None),
        (true, false) => Some(Some(StreamKind::PerfEventArray)),
        (false, true) => Some(Some(StreamKind::RingBuffer)),
        (true, true) => None,
    }
}

fn metric(raw: raw::Metric, plugins: &plugin::Names, faults: &Faults<'_>) -> Option<Metric> {
    let before = faults.errors();
    let path = raw.path;
    let name = name(raw.name, &path, faults);
    let help = help(raw.help, &path, faults);
    let steps = raw.transforms.given().unwrap_or_default();
    let transforms = steps.into_iter().filter_map(|raw| transform(raw, plugins, faults)).collect();
    let has_buckets = matches!(raw.kind, raw::Kind::Histogram { .. });
    let mut events = None;
    let kind = match raw.kind {
        raw::Kind::Counter { perf_event_array, ringbuf, flush_interval } => {
            let kind = streamed(&perf_event_array, &ringbuf, &path, faults);
            let flush_interval = flush(flush_interval, &path, faults);
            events = kind.zip(flush_interval);
            Some(MetricKind::Counter)
        }
        kind @ raw::Kind::Histogram { .. } => {
            histogram::buckets(kind, &path, faults).map(MetricKind::Histogram)
        }
    };
    if has_buckets {
        let buckets = match &kind {
            Some(MetricKind::Histogram(buckets)) => Some(buckets),
            _ => None,
        };
        histogram::bucket_label(&raw.labels, buckets, &path, faults);
    }
    let of = if has_buckets { label::Of::Histogram } else { label::Of::Counter };
    let labels = label::all(raw.labels, &path, of, plugins, faults);
    let events = events.map(|(kind, flush_interval)| EventStream { kind, flush_interval });
    let max_series = max_series(raw.max_series, &path, faults);
    let (name, help, kind, dropped) = (name?, help?, kind?, Vec::new());
    let metric = Metric { name, help, path, kind, events, labels, transforms, max_series, dropped };
    (!raw.faulty && faults.errors() == before).then_some(metric)
}

fn transform(
    raw: raw::Transform,
    plugins: &plugin::Names,
    faults: &Faults<'_>,
) -> Option<PluginStep<OnRowError>> {
    let on_error = match raw.on_error {
        Field::Absent => Some(OnRowError::default()),
        Field::Faulty => None,
        Field::Given(raw::OnError::Label(text)) => Some(OnRowError::Label(text)),
        Field::Given(raw::OnError::Word(word)) if word == "drop" => Some(OnRowError::Drop),
        Field::Given(raw::OnError::Word(word)) => {
            let problem = format!("{} is nothing to do on an error of a row", quote(&word));
            faults.error(&format!("{}.on_error", raw.path), problem, raw::ON_ERROR_OF_ROWS);
            None
        }
    };
    plugins.step(raw.plugin, &raw.path, on_error, faults)
}

fn name(raw: Field<String>, path: &str, faults: &Faults<'_>) -> Option<MetricName> {
    if raw.is_absent() {
        faults.error(path, "the metric has no name", "add `name:` with the name of its map");
    }
    let text = raw.given()?;
    let refused = |error: NameError| {
        let name = quote(&text);
        let advice = error.advice().about(format_args!("{name} cannot be a metric's name"));
        faults.refuse(&format!("{path}.name"), advice);
    };
    MetricName::new(&text).map_err(refused).ok()
}

fn help(raw: Field<String>, path: &str, faults: &Faults<'_>) -> Option<String> {
    if raw.is_absent() {
        let remedy = "add `help:` with a line on what it counts";
        faults.error(path, "the metric has no help", remedy);
    }
    raw.given()
}

/// How many series the metric may have, if that is bounded.
fn max_series(raw: Field<i128>, path: &str, faults: &Faults<'_>) -> Option<u32> {
    let given = raw.given()?;
    let (least, most) = ranges::SERIES;
    if !(i128::from(least)..=i128::from(most)).contains(&given) {
        let problem = format!("{given} is no number of series");
        faults.error(
            &format!("{path}.max_series"),
            problem,
            format!("write one from {least} to {most}"),
        );
    }
    u32::try_from(given).ok()
}

/// What the records of a counter come by, if it counts any.
fn streamed(
    perf_event_array: &Field<bool>,
    ringbuf: &Field<bool>,
    path: &str,
    faults: &Faults<'_>,
) -> Option<StreamKind> {
    if let (Field::Given(true), Field::Given(true)) = (perf_event_array, ringbuf) {
        let problem = "a map is a perf event array or a ring buffer, not both";
        faults.error(&format!("{path}.ringbuf"), problem, "take out the one that it is not");
    }
    stream_kind(perf_event_array, ringbuf).flatten()
}

/// How long a key is kept that no record comes of. 0 says nothing, as in Go.
fn flush(raw: Field<String>, path: &str, faults: &Faults<'_>) -> Option<Duration> {
    let text = match raw {
        Field::Absent => return Some(FLUSH_INTERVAL),
        Field::Faulty => return None,
        Field::Given(text) => text,
    };
    let interval = duration::parse(&text);
    if interval.is_none() {
        let problem = format!("{} is no duration", quote(&text));
        let remedy = "write numbers with units, such as `1h30m` or `500ms`";
        faults.error(&format!("{path}.flush_interval"), problem, remedy);
    }
    interval.map(|interval| if interval.is_zero() { FLUSH_INTERVAL } else { interval })
}

fn kaddrs(raw: Vec<(String, String)>, faults: &Faults<'_>) -> Vec<Kaddr> {
    let mut kaddrs = Vec::new();
    for (path, symbol) in raw {
        if faults.bounds.kaddr().is_err() {
            let problem = format!("the configs have more than {} kaddrs", bounds::KADDRS);
            faults.error("kaddrs", problem, "serve fewer in one process");
            break;
        }
        if !is_identifier(&symbol) {
            faults.error(
                &path,
                format!("{} cannot be a symbol with a `kaddr_` variable", quote(&symbol)),
                "write a kernel symbol made of letters, digits and `_`",
            );
        } else {
            kaddrs.push(Kaddr { symbol, path });
        }
    }
    kaddrs
}

fn is_identifier(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A remedy for a word that should have been one of these.
fn one_of(word: &str, known: &[&str]) -> String {
    near::suggest(word, known, "write one of")
}
