//! What the exporter is installed with: the systemd units, the Debian package and the chart for Kubernetes. Each is
//! held against what takes it: systemd, dpkg, helm and the schemas of Kubernetes.
//!
//! Where one of these is missing, or root for what has to be installed, the trials that need it are ignored, by name
//! and with the reason; with `CI=true` in the environment none is.
#![allow(clippy::print_stderr, reason = "a test talks to who runs it")]
#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test has no outside, and may panic")]

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};

#[macro_use]
#[path = "../trials/list.rs"]
mod list;

mod chart;
mod debian;
mod schemas;
mod units;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const EXPORTER: &str = env!("CARGO_BIN_EXE_ebpf_wasm_exporter");

fn main() -> ExitCode {
    let all = units().chain(charts()).chain(debs()).collect();
    libtest_mimic::run(&Arguments::from_args(), all).exit_code()
}

fn units() -> impl Iterator<Item = Trial> {
    let judged = trials![units: systemd_takes_them, exposure_is_what_the_book_says];
    let judged = judged.map(|trial| list::unless(lacks("systemd-analyze", "--version"), trial));
    let read = trials![units: the_standalone_one_differs_in_its_socket_alone];
    judged.into_iter().chain(read)
}

fn charts() -> impl Iterator<Item = Trial> {
    let rendered = trials![chart:
        helm_takes_every_set_of_values,
        the_exporter_takes_every_flag,
        no_container_has_more_rights_than_it_needs,
        one_container_alone_has_a_token,
        what_a_cluster_has_once_is_called_by_the_namespace,
        probes_ask_as_the_web_config_lets_them,
        what_makes_no_sense_is_said,
    ];
    let rendered = rendered.map(|trial| list::unless(lacks("helm", "version"), trial));
    let judged = trials![schemas: kubernetes_takes_all, the_operator_takes_pod_monitors];
    let judged = judged.map(|trial| {
        list::unless(lacks("helm", "version").or_else(|| lacks(schemas::JUDGE, "--version")), trial)
    });
    let read = trials![chart:
        versions_are_those_of_the_exporter,
        every_value_is_in_the_schema,
        configs_of_a_mounted_map_are_read,
    ];
    rendered.into_iter().chain(judged).chain(read)
}

fn debs() -> impl Iterator<Item = Trial> {
    let built = trials![debian:
        it_holds_what_it_should,
        a_program_of_ones_own_is_compiled_with_what_it_holds,
        examples_name_the_schema_that_it_holds,
    ];
    let built = built.map(|trial| list::unless(debian::lacks_to_build(), trial));
    let installed = trials![debian: it_is_installed_serves_and_goes];
    let lacking = || debian::lacks_to_build().into_iter().chain(debian::lacks_to_install());
    let installed = installed.map(|trial| list::unless(lacking(), trial));
    built.into_iter().chain(installed)
}

/// Why a program cannot be asked here.
fn lacks(program: &str, argument: &str) -> Option<String> {
    let mut command = Command::new(program);
    let status = command.arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let runs = status.is_ok_and(|status| status.success());
    let name = program.rsplit('/').next().unwrap_or(program);
    (!runs).then(|| format!("no {name}; `make test` gets it"))
}

/// The text of a file, by its path from the root of the repository.
fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(ROOT).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a command says on its standard output, and whether it succeeds; if not, what it says is wrong.
fn ask(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&[output.stdout, output.stderr].concat()))
    }
}
