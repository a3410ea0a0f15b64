//! From the bytes of `NAME.yaml` to a checked [`Config`], or to every fault found.
//!
//! In the order of data: [`read()`] finds the files, `node` makes a tree of texts of each, `raw`
//! the fields of the schema, `check` a [`Config`], `family` compares metrics across configs.
//! Nothing here touches the kernel or a BPF object: `bpf/check.rs` holds a plan against those.

mod bounds;
pub mod buckets;
mod check;
mod duration;
pub mod error;
pub(crate) mod family;
mod faults;
pub mod limits;
pub mod name;
mod node;
mod older;
pub mod plan;
pub mod policy;
mod ranges;
mod raw;
mod read;
mod scalar;
pub mod schema;
mod series_rules;
pub(crate) mod size;
#[cfg(test)]
mod tests;
pub mod web;

pub use error::{Beside, ConfigFile, Fault, Severity, shown};
pub use plan::{
    CgroupIdMap, CgroupMapKind, Config, DataPlan, DecoderStep, EventStream, Kaddr, KeyPart, Label,
    LineIndex, Metric, MetricKind, OnRowError, Outline, PluginOrigin, PluginPlan, PluginStep,
    SpanPart, SpanPlan, StreamKind,
};
pub use read::read;
pub use series_rules::SeriesRules;

use std::collections::HashMap;
use std::time::Duration;

use crate::advice::{Advice, Advise as _};

use bounds::Bounds;
use faults::Faults;
use limits::Limits;
use node::{Document, Node, Value};

/// Checks all configs together: what is good of them, and every fault of every file, sorted by
/// file and line.
///
/// A faulty metric is left out of its [`Config`], and a config that is no mapping of YAML at all
/// is left out of the list, so that the next stage can check what remains. Unless a fault is a
/// warning, what is returned is not to be served. No metric may be called as one of `own`, the exporter's
/// own series, prefix included.
pub fn load(files: Vec<ConfigFile>, own: &[String]) -> (Vec<Config>, Vec<Fault>) {
    let (mut configs, mut faults) = (Vec::new(), Vec::new());
    let mut by_name = HashMap::new();
    let bounds = Bounds::default();
    for file in &files {
        if let Some(earlier) = by_name.insert(file.name(), file) {
            faults.push(same_name(file, earlier));
            continue;
        }
        let (config, found) = one(file, &bounds);
        configs.extend(config);
        faults.extend(found);
    }
    faults.extend(family::check(&configs, own));
    faults.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    (configs, faults)
}

/// The settings of a plugin that a text of their own holds: the text of a JSON object. Files that
/// they name are beside it.
///
/// # Errors
///
/// Every fault of the text.
pub fn settings(file: &ConfigFile) -> Result<String, Vec<Fault>> {
    let bounds = Bounds::default();
    let document = node::parse(&file.text, &bounds).map_err(|error| vec![no_yaml(file, &error)])?;
    let faults = Faults::new(file, &document, &bounds);
    let settings = check::settings(raw::setting(&document.root), file, &faults);
    match faults.errors() {
        0 => Ok(settings.as_str().to_owned()),
        _ => Err(faults.into_found()),
    }
}

/// Faults of a file that were found elsewhere: where in it, `a[1]`, and what is wrong there.
pub fn located(file: &ConfigFile, found: Vec<(String, Advice)>) -> Vec<Fault> {
    let bounds = Bounds::default();
    let document = node::parse(&file.text, &bounds).ok();
    let fault = |(path, advice): (String, Advice)| {
        let line = document.as_ref().map(|document| document.root.line_of(&path));
        let (severity, file) = (Severity::Error, file.path.clone());
        Fault { severity, file, line, path, advice, count: 1 }
    };
    let mut faults: Vec<_> = found.into_iter().map(fault).collect();
    faults.sort_by_key(|fault| fault.line);
    faults
}

/// The limits of a plugin that are written as in a config, the others being the default. `text` has what is
/// written for a key of `limits`: `memory`, `compile.time`.
///
/// # Errors
///
/// The key of each that cannot be, with what is wrong, and what to write instead.
pub fn limits(text: impl Fn(&str) -> Option<String>) -> Result<Limits, Vec<(String, Advice)>> {
    check::limits(&text)
}

/// A file that a plugin reads and calls so, relative to where the program runs.
///
/// # Errors
///
/// What is wrong with its name or its place, and what to write instead.
pub fn data_file(name: &str, file: &str) -> Result<DataPlan, Advice> {
    check::data_file(name, file)
}

/// What `--plugins.scrape-budget` says.
///
/// # Errors
///
/// What is wrong with it, and what to write instead.
pub fn plugin_budget(text: &str) -> Result<Duration, Advice> {
    check::plugin_budget(text)
}

/// A length of time as configs write it, `1m30s` or `500ms`, up to a year; nothing if it is none.
pub fn time(text: &str) -> Option<Duration> {
    const YEAR: f64 = 366.0 * 86_400e9;
    let nanos = duration::nanoseconds(text).filter(|nanos| (0.0..=YEAR).contains(nanos))?;
    Some(Duration::from_nanos(nanos as u64))
}

fn one(file: &ConfigFile, bounds: &Bounds) -> (Option<Config>, Vec<Fault>) {
    let document = match node::parse(&file.text, bounds) {
        Ok(document) => document,
        Err(error) => return (None, vec![no_yaml(file, &error)]),
    };
    let faults = Faults::new(file, &document, bounds);
    if let Some(line) = document.more {
        let problem = "the file holds several documents, of which only the first counts";
        faults.warning_at(line, "", problem, "remove the `---` and what follows");
    }
    for (line, key) in &document.shadowed.named {
        let problem = "the key comes again in the same mapping, and the last one counts";
        faults.warning_at(*line, key, problem, "write it once");
    }
    faults.count_warnings(document.shadowed.more);
    if empty(&document.root) {
        faults.error("", "the file is empty", "write a `metrics` section, or leave the config out");
        return (None, faults.into_found());
    }
    let raw = raw::document(&document.root, &faults);
    let config = raw.map(|raw| check::config(raw, file, &faults));
    (config, faults.into_found())
}

/// Tells of what means nothing, and is a fault where a file is strict: another document, a key twice.
fn tell_unread(document: &Document<'_>, faults: &Faults<'_>) {
    if let Some(line) = document.more {
        faults.error_at(line, "", "another document begins here", "write one document");
    }
    for (line, key) in &document.shadowed.named {
        faults.error_at(*line, key, "the key comes again in the same mapping", "write it once");
    }
    faults.count_errors(document.shadowed.more);
}

fn empty(root: &Node<'_>) -> bool {
    matches!(root.value, Value::Null)
}

fn no_yaml(file: &ConfigFile, error: &node::NoYaml) -> Fault {
    let (severity, file, path) = (Severity::Error, file.path.clone(), String::new());
    Fault { severity, file, line: Some(error.line()), path, advice: error.advice(), count: 1 }
}

fn same_name(file: &ConfigFile, earlier: &ConfigFile) -> Fault {
    let (name, other) = (file.name(), earlier.path.display());
    let advice = Advice::new(
        format!("`{name}` is the name of two configs, {other} too"),
        "name each config once in --config.names, and give each file its own name",
    );
    Fault::of_file(&file.path, advice)
}
