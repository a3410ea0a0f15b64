//! Independent judges of an exposition: promtool, which knows what Prometheus makes of it, and the parser
//! of Python's client.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde::Deserialize;

/// Prints `[[name, {label: value}, value as text], …]` as JSON, ASCII alone, of a text that the parser
/// of the module in the first argument can read.
const PYTHON: &str = "
import importlib, json, sys
text_string_to_metric_families = importlib.import_module(sys.argv[1]).text_string_to_metric_families
text = sys.stdin.buffer.read().decode('utf-8')
print(json.dumps([[s.name, s.labels, repr(float(s.value))]
                  for family in text_string_to_metric_families(text) for s in family.samples]))
";

/// The parsers' modules.
pub const TEXT: &str = "prometheus_client.parser";
pub const OPENMETRICS: &str = "prometheus_client.openmetrics.parser";

/// Python with a client that knows names in quotes, which Debian's does not yet.
pub const NEWEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/tools/judge/bin/python3");

/// What promtool finds wrong with names and help texts, one complaint a line.
///
/// # Panics
///
/// If it cannot parse the text at all.
pub fn promtool(text: &str) -> Vec<String> {
    let output = feed(Command::new("promtool").args(["check", "metrics"]), text);
    let told = String::from_utf8(output.stderr).unwrap();
    // 3: it could be parsed, and there are complaints.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{told}\nof:\n{text}");
    told.lines().map(str::to_owned).collect()
}

/// One sample as Python's parser reads it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sample(pub String, pub BTreeMap<String, String>, pub String);

/// All samples as Python's parser reads them.
///
/// # Panics
///
/// If it cannot.
pub fn python(text: &str) -> Vec<Sample> {
    parsed_by("/usr/bin/python3", TEXT, text)
}

/// All samples of a text in OpenMetrics as Python's parser, which is strict, reads them.
///
/// # Panics
///
/// If it cannot.
pub fn openmetrics(text: &str) -> Vec<Sample> {
    parsed_by("/usr/bin/python3", OPENMETRICS, text)
}

/// All samples as the newest of Python's parsers reads them.
///
/// # Panics
///
/// If it cannot.
pub fn newest(module: &str, text: &str) -> Vec<Sample> {
    parsed_by(NEWEST, module, text)
}

fn parsed_by(python: &str, module: &str, text: &str) -> Vec<Sample> {
    let output = feed(Command::new(python).args(["-c", PYTHON, module]), text);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn feed(command: &mut Command, text: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // Whoever does not read to the end says why on standard error.
        scope.spawn(move || stdin.write_all(text.as_bytes()));
        child.wait_with_output().unwrap()
    })
}
