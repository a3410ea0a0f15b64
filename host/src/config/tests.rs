//! What a person sees for every file they could write: one fixture, one snapshot.

mod bombs;
mod cgroups;
mod families;
mod files;
mod histograms;
mod hostile;
mod labels;
mod metrics;
mod older;
mod plugins;
mod schema;
mod spans;
mod yaml;

use super::{Config, ConfigFile, Fault, Severity, load};

fn file(path: &str, text: &str) -> ConfigFile {
    ConfigFile::new(path, text)
}

/// The faults of these files, a line each. The schema is held against what has none, and against one that has some.
fn faults_of(files: &[(&str, &str)]) -> String {
    let all = files.iter().map(|(path, text)| file(path, text)).collect();
    let faults = load(all, &crate::scrape::own_series()).1;
    match files {
        _ if faults.is_empty() => files.iter().for_each(|(_, text)| schema::takes(text)),
        [(_, text)] => schema::refuses(text, &faults),
        _ => {}
    }
    lines(&faults)
}

/// The faults of one file.
fn faults(text: &str) -> String {
    faults_of(&[("x.yaml", text)])
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

/// The config in a file that has no fault but warnings.
fn good(text: &str) -> Config {
    let (mut configs, faults) = load(vec![file("x.yaml", text)], &crate::scrape::own_series());
    let errors = faults.iter().filter(|fault| fault.severity == Severity::Error).count();
    assert_eq!((configs.len(), errors), (1, 0), "{}", lines(&faults));
    if faults.is_empty() {
        schema::takes(text);
    }
    configs.remove(0)
}

/// A file with one counter that has these labels.
fn with_labels(labels: &str) -> String {
    format!("metrics: {{counters: [{{name: a, help: A, labels: [\n{labels}\n]}}]}}")
}

/// A file with one histogram that has these fields beside name, help and labels.
fn with_buckets(fields: &str) -> String {
    with_histogram(&format!(
        "{fields}\n      labels: [{{name: bucket, size: 4, decoders: [{{name: uint}}]}}]"
    ))
}

/// A file with one histogram that has these fields beside name and help.
fn with_histogram(fields: &str) -> String {
    format!("metrics:\n  histograms:\n    - name: h\n      help: H\n      {fields}")
}
