//! Plugins in other languages than Rust, as `make plugins` built them, in the real host: what they answer and
//! what they refuse. Those in Rust have tests of their own beside them. And what all of them say of themselves, and
//! plugins in all languages as `plugin new` begins them.
//!
//! A plugin that was not built has its tests ignored, by name and with the reason; with `CI=true` in the
//! environment they fail.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test talks to who runs it")]
#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test has no outside, and may panic")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

mod host;
mod mac;
mod new;
mod port;
mod said;
mod uuid;
mod way;

#[path = "../servers/certificates.rs"]
mod certificates;
#[path = "../registry/debian.rs"]
mod debian;
#[path = "../servers/signer.rs"]
mod signer;

/// The trials of the functions of a plugin's module, ignored where it was not built.
macro_rules! trials {
    ($plugin:ident: $($test:ident),+ $(,)?) => {
        trials![$plugin built as $plugin: $($test),+]
    };
    ($built:ident built as $plugin:ident: $($test:ident),+) => {{
        let lacks = lacks(stringify!($built));
        [$(Trial::test(concat!(stringify!($plugin), "::", stringify!($test)), || {
            $plugin::$test();
            Ok(())
        }).with_ignored_flag(lacks)),+]
    }};
}

fn main() -> ExitCode {
    // Those that take longest first. Where ours were built, there is what builds others.
    let mut all = Vec::new();
    all.extend(trials![cidr built as new: rust].map(with_registry));
    all.extend(trials![uuid built as new: python].map(with_registry));
    all.extend(trials![uuid: answers, refuses_settings, wants_memory]);
    all.extend(trials![port: answers, refuses_settings, wants_memory]);
    all.extend(trials![mac: answers, refuses_settings]);
    for plugin in OTHERS {
        all.push(about(plugin, "means_what_it_says", said::means_what_it_says));
        all.push(about(plugin, "is_made_again", said::is_made_again));
    }
    for plugin in OTHERS.into_iter().chain(IN_RUST) {
        all.push(about(plugin, "says_what_it_is", said::says_what_it_is));
    }
    all.extend(trials![port built as new: js].map(with_registry));
    all.extend(trials![mac built as new: c].map(with_registry));
    libtest_mimic::run(&Arguments::from_args(), all).exit_code()
}

const OTHERS: [&str; 3] = ["uuid", "port", "mac"];
const IN_RUST: [&str; 5] = ["cgroup-pod", "cidr", "domain", "redact", "relabel"];

/// Ignores a trial that pushes what it builds, where there is no registry for that.
fn with_registry(trial: Trial) -> Trial {
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    let lacks = debian::lacks().or_else(certificates::lacks).or_else(signer::lacks);
    match lacks.filter(|_| !ci) {
        None => trial,
        Some(reason) => {
            eprintln!("{} is ignored: {reason}", trial.name());
            trial.with_ignored_flag(true)
        }
    }
}

/// The trial of a function that takes a plugin, ignored where it was not built.
fn about(plugin: &'static str, what: &str, test: fn(&str)) -> Trial {
    let run = move || {
        test(plugin);
        Ok(())
    };
    Trial::test(format!("{plugin}::{what}"), run).with_ignored_flag(lacks(plugin))
}

/// Whether a plugin was not built, where that may be.
fn lacks(plugin: &str) -> bool {
    let file = directory().join(plugin).with_extension("wasm");
    let lacks = !file.exists() && std::env::var_os("CI").is_none_or(|ci| ci != "true");
    if lacks {
        eprintln!("tests of {plugin} are ignored: no {}; `make plugins` builds it", file.display());
    }
    lacks
}

/// Where `make plugins` puts them.
fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("plugins")
}
