//! Each metric that is asked for exists, with the labels that it is summed by.

use std::collections::{BTreeMap, BTreeSet};

use ebpf_wasm_exporter::scrape;
use serde_yaml::Value;

use crate::asked::{self, Asked};
use crate::{ROOT, files, names, read};

/// Labels that Prometheus gives to all series of a target.
const TARGET: [&str; 2] = ["instance", "job"];

/// The labels of each series that there can be; none if a plugin decides which.
type Series = BTreeMap<String, Option<BTreeSet<String>>>;

pub fn every_one_exists() {
    let known = known();
    let unknown = |asked: &Asked| -> Vec<String> {
        let names = names::metrics(&asked.expr);
        assert!(!names.is_empty(), "{asked:?} asks for nothing");
        let unknown = names.into_iter().filter(|name| !known.contains_key(name));
        unknown.map(|name| format!("{}: {name}", asked.place)).collect()
    };
    let unknown: Vec<_> = asked::all().iter().flat_map(unknown).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

/// Whatever the exporter says of itself, and of no other process, some dashboard shows.
pub fn every_own_one_is_shown() {
    let asked = asked::by_dashboards();
    let shown: BTreeSet<_> = asked.iter().flat_map(|asked| names::metrics(&asked.expr)).collect();
    let own = scrape::own_families();
    let names = own.families().iter().map(|kept| kept.family().names());
    let is_hidden = |names: &Vec<String>| {
        names[0].starts_with("ebpf_exporter_") && !names.iter().any(|name| shown.contains(name))
    };
    let hidden: Vec<_> = names.filter(is_hidden).collect();
    assert!(hidden.is_empty(), "{hidden:#?}");
}

pub fn every_label_is_one_that_it_has() {
    let known = known();
    let wrong = |asked: &Asked| -> Vec<String> {
        let unknown = |(metric, labels): (String, Vec<String>)| {
            let has = known.get(&metric).cloned().flatten();
            let lacks = |label: &String| has.as_ref().is_some_and(|has| !has.contains(label));
            let place = asked.place.clone();
            labels
                .into_iter()
                .filter(lacks)
                .map(move |label| format!("{place}: {metric} by {label}"))
                .collect()
        };
        names::kept(&asked.expr).into_iter().flat_map(|kept| -> Vec<_> { unknown(kept) }).collect()
    };
    let all = asked::all();
    assert!(all.iter().map(|asked| names::kept(&asked.expr).len()).sum::<usize>() > 100);
    let wrong: Vec<_> = all.iter().flat_map(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// All series: the exporter's own, those of examples, those of rules, and `up`.
fn known() -> Series {
    let mut known = Series::from([("up".to_owned(), labels([]))]);
    for kept in scrape::own_families().families() {
        let family = kept.family();
        for name in family.names() {
            note(&mut known, name, labels(family.labels.iter().map(String::as_str)));
        }
    }
    known.extend(asked::rules().iter().map(|rule| (asked::name(rule).to_owned(), None)));
    let examples = files(format!("{ROOT}/examples"), "yaml");
    examples.iter().for_each(|file| example(&read(file), &mut known));
    known
}

/// Two examples may have a metric of one name.
fn note(known: &mut Series, name: String, labels: Option<BTreeSet<String>>) {
    let merged = match (known.remove(&name), labels) {
        (Some(before), labels) => before.zip(labels).map(|(before, labels)| &before | &labels),
        (None, labels) => labels,
    };
    known.insert(name, merged);
}

fn labels<'a>(own: impl IntoIterator<Item = &'a str>) -> Option<BTreeSet<String>> {
    let all = own.into_iter().chain(TARGET).chain(["le"]);
    Some(all.map(str::to_owned).collect())
}

/// The metrics of a config.
fn example(text: &str, known: &mut Series) {
    let config: Value = serde_yaml::from_str(text).unwrap();
    let metrics = |kind: &str| {
        let metrics = config.get("metrics").and_then(|metrics| metrics.get(kind)).cloned();
        metrics.and_then(|metrics| metrics.as_sequence().cloned()).unwrap_or_default()
    };
    for counter in metrics("counters") {
        note(known, name(&counter), own_labels(&counter));
    }
    for histogram in metrics("histograms") {
        let labels = own_labels(&histogram);
        let is_native = histogram["bucket_type"] == "native" || histogram.get("native").is_some();
        if is_native {
            note(known, name(&histogram), labels.clone());
        }
        for part in ["bucket", "count", "sum"] {
            note(known, format!("{}_{part}", name(&histogram)), labels.clone());
        }
    }
}

fn name(metric: &Value) -> String {
    format!("ebpf_exporter_{}", metric["name"].as_str().unwrap())
}

/// The labels of a metric but its bucket, unless a transform makes others of them.
fn own_labels(metric: &Value) -> Option<BTreeSet<String>> {
    if metric.get("transforms").is_some() {
        return None;
    }
    let all = metric.get("labels").and_then(Value::as_sequence).cloned().unwrap_or_default();
    let names = all.iter().map(|label| label["name"].as_str().unwrap());
    labels(names.filter(|&name| name != "bucket"))
}
