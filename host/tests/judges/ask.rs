//! Independent judges of an exposition: promtool, which knows what Prometheus makes of it, and the parser
//! of Python's client.

#![allow(dead_code, reason = "not every test needs all of it")]

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

/// What promtool may say: dashboards of the peer rely on this name. It is there while the kernel measures
/// programs.
const TOLERATED: [&str; 1] =
    ["ebpf_exporter_ebpf_program_run_time_seconds counter metrics should have \"_total\" suffix"];

/// The samples of a text that neither judge finds fault with: one a line.
pub fn judge(text: &str) -> Vec<Sample> {
    for complaint in promtool(text) {
        assert!(TOLERATED.contains(&&*complaint), "{complaint}");
    }
    every_line(python(text), text)
}

/// The same of a text in OpenMetrics, which promtool does not know.
pub fn judge_openmetrics(text: &str) -> Vec<Sample> {
    every_line(openmetrics(text), text)
}

fn every_line(samples: Vec<Sample>, text: &str) -> Vec<Sample> {
    let lines = text.split_terminator('\n').filter(|line| !line.starts_with('#')).count();
    assert_eq!(samples.len(), lines, "every line is a sample");
    samples
}

/// The samples of this name.
pub fn named<'a>(samples: &'a [Sample], name: &str) -> Vec<&'a Sample> {
    samples.iter().filter(|Sample(other, ..)| other == name).collect()
}

/// Why they cannot be asked here.
pub fn lacks() -> Option<&'static str> {
    let runs = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        let status = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if !runs("prometheus", &["--version"]) || !runs("promtool", &["--version"]) {
        return Some("no prometheus and promtool; `make test` gets them");
    }
    let parser = runs("/usr/bin/python3", &["-c", "import prometheus_client"]);
    (!parser).then_some("no prometheus_client for /usr/bin/python3; `make test` gets it")
}

/// Why the newest parser cannot be asked.
pub fn newest_lacks() -> Option<String> {
    let there = Command::new(NEWEST).args(["-c", "import prometheus_client"]).status();
    let there = there.is_ok_and(|status| status.success());
    (!there).then(|| "no newest prometheus_client in .ci/tools; `make test` gets it".to_owned())
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
