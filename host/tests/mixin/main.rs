//! What is asked of Prometheus: the alerts, rules and dashboards of `deploy/mixin`, and the queries of the book.
//! The rendered files are what the sources say, promtool takes them, and each metric that is asked for is one that
//! the exporter or an example has.
//!
//! It needs promtool and gojsonnet: where one is missing, what needs it is ignored, by name and with the reason;
//! with `CI=true` in the environment nothing is.
#![allow(clippy::print_stderr, reason = "a test talks to who runs it")]
#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test has no outside, and may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::Arguments;

#[macro_use]
#[path = "../trials/list.rs"]
mod list;

mod asked;
mod dashboards;
mod metrics;
mod names;
mod rendered;
mod rules;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const MIXIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/mixin");

/// Python that can render.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/tools/jsonnet/bin/python3");

fn main() -> ExitCode {
    let judged = trials![rules:
        promtool_takes_the_rules,
        alerts_and_rules_do_what_they_are_for,
        every_expression_can_be_read,
    ];
    let judged =
        judged.map(|trial| list::unless(lacks("promtool", "--version", "promtool"), trial));
    let rendering = trials![rendered: files_are_what_the_sources_say];
    let rendering = rendering.map(|trial| {
        list::unless(lacks(PYTHON, "-cimport _gojsonnet", "gojsonnet in .ci/tools"), trial)
    });
    let others = trials![rules: every_alert_is_tried_and_told_of]
        .into_iter()
        .chain(trials![metrics:
            every_one_exists,
            every_own_one_is_shown,
            every_label_is_one_that_it_has,
        ])
        .chain(trials![dashboards: can_be_imported, panels_have_places_of_their_own]);
    let all = judged.into_iter().chain(rendering).chain(others).collect();
    libtest_mimic::run(&Arguments::from_args(), all).exit_code()
}

/// Why a program cannot be asked here.
fn lacks(program: &str, argument: &str, name: &str) -> Option<String> {
    let mut command = Command::new(program);
    let status = command.arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let runs = status.is_ok_and(|status| status.success());
    (!runs).then(|| format!("no {name}; `make test` gets it"))
}

/// The text of a file, by its path from the root of the repository.
fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(ROOT).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of a folder with this extension, sorted.
fn files(folder: impl AsRef<Path>, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let wanted = |path: &PathBuf| path.extension().is_some_and(|is| is == extension);
    let mut files: Vec<_> = entries.filter(wanted).collect();
    files.sort();
    files
}

/// What `promtool` says of files.
///
/// # Panics
///
/// If it does not take them.
fn promtool(arguments: &[&str], files: &[PathBuf]) -> String {
    let output = Command::new("promtool").args(arguments).args(files).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    said
}
