//! From what was typed to what can be relied on: every rule that needs no kernel and no object.

mod cgroups;
mod chain;
mod histogram;
mod label;
mod plugin;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::error::ConfigFile;
use super::faults::Faults;
use super::limits::{CompileLimits, Limits};
use super::name::{MetricName, NameError};
use super::plan::{
    Config, Kaddr, LineIndex, Metric, MetricKind, OnRowError, Outline, PluginSettings, PluginStep,
};
use super::raw::{self, Field};
use super::{bounds, duration, ranges};
use crate::advice::{Advice, Advise as _, near, quote};

/// The checked part of a file. What is faulty is told and left out.
pub(super) fn config(raw: raw::Document, file: &ConfigFile, faults: &Faults<'_>) -> Config {
    for section in &raw.refused {
        refuse(faults, section, &format!("`{section}`"));
    }
    if !raw.has_metrics && raw.refused.is_empty() {
        faults.error(
            "metrics",
            "the file has no metrics",
            "list some under `metrics.counters` or `metrics.histograms`",
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
    names.unused(faults);
    let kaddrs = kaddrs(raw.kaddrs, faults);
    let cgroup_id_map = raw.cgroup_id_map.and_then(|raw| cgroups::id_map(raw, faults));
    let (name, file, lines) = (file.name(), file.clone(), LineIndex::default());
    Config { name, file, metrics, faulty, kaddrs, plugins, cgroup_id_map, lines }
}

/// Settings that are a document of their own.
pub(super) fn settings(
    raw: raw::Setting,
    file: &ConfigFile,
    faults: &Faults<'_>,
) -> PluginSettings {
    plugin::settings(Field::Given(raw), "", plugin::folder(file), faults)
}

/// The limits of a plugin, from texts of their own.
pub(super) fn limits(memory: Option<&str>, deadline: Option<&str>) -> Result<Limits, Advice> {
    let mut limits = Limits::default();
    if let Some(text) = memory {
        limits.memory = plugin::bytes(text, ranges::MEMORY)?;
    }
    if let Some(text) = deadline {
        limits.deadline = plugin::time(text)?;
    }
    Ok(limits)
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

/// What compiling a plugin may take, from texts of their own.
pub(super) fn compile_limits(
    time: Option<&str>,
    memory: Option<&str>,
) -> Result<CompileLimits, Advice> {
    let time = time.map(plugin::compile_time).transpose()?;
    let memory = memory.map(|text| plugin::bytes(text, ranges::COMPILE_MEMORY));
    let memory = memory.transpose()?;
    let default = CompileLimits::default();
    Ok(CompileLimits { time, memory: memory.map_or(default.memory, |bytes| bytes as u64) })
}

/// Tells what the peer has and this version lacks.
fn refuse(faults: &Faults<'_>, path: &str, what: &str) {
    faults.error(
        path,
        format!("{what} is not supported by this version"),
        "remove it, or serve this config with cloudflare/ebpf_exporter for now",
    );
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

/// What of a metric has to fit its map, as far as it can be read. None of events that are
/// streamed: they are refused, whatever their map.
fn outline(raw: &raw::Metric) -> Option<Outline> {
    let Field::Given(name) = &raw.name else { return None };
    let histogram = match &raw.kind {
        raw::Kind::Histogram { .. } => true,
        raw::Kind::Counter { perf_event_array, ringbuf, .. } => {
            let kept = |field| matches!(field, &Field::Absent | &Field::Given(false));
            if !kept(perf_event_array) || !kept(ringbuf) {
                return None;
            }
            false
        }
    };
    let parts = label::parts(&raw.labels);
    // Without labels there is no bucket, which has been told.
    let parts = parts.filter(|parts| !histogram || !parts.is_empty());
    Some(Outline { name: MetricName::new(name).ok()?, path: raw.path.clone(), histogram, parts })
}

fn metric(raw: raw::Metric, plugins: &plugin::Names, faults: &Faults<'_>) -> Option<Metric> {
    let before = faults.errors();
    let path = raw.path;
    let name = name(raw.name, &path, faults);
    let help = help(raw.help, &path, faults);
    let steps = raw.transforms.given().unwrap_or_default();
    let transforms = steps.into_iter().filter_map(|raw| transform(raw, plugins, faults)).collect();
    let has_buckets = matches!(raw.kind, raw::Kind::Histogram { .. });
    let kind = match raw.kind {
        raw::Kind::Counter { perf_event_array, ringbuf, flush_interval } => {
            events(perf_event_array, ringbuf, flush_interval, &path, faults);
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
    let labels = label::all(raw.labels, &path, has_buckets, plugins, faults);
    let metric = Metric { name: name?, help: help?, path, kind: kind?, labels, transforms };
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

/// Counters of events that are streamed, not kept in a map.
fn events(
    perf_event_array: Field<bool>,
    ringbuf: Field<bool>,
    flush_interval: Field<String>,
    path: &str,
    faults: &Faults<'_>,
) {
    for (key, asked) in [("perf_event_array", perf_event_array), ("ringbuf", ringbuf)] {
        if asked.given() == Some(true) {
            refuse(faults, &format!("{path}.{key}"), &format!("`{key}: true`"));
        }
    }
    if let Field::Given(text) = flush_interval
        && !duration::is_duration(&text)
    {
        faults.error(
            &format!("{path}.flush_interval"),
            format!("{} is no duration", quote(&text)),
            "write numbers with units, such as `1h30m` or `500ms`",
        );
    }
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
