//! The trials of the kernel on kernels of Debian's: boots each in a machine of its own, runs those trials there that
//! are about kernels, and holds what loads and attaches against the page of the book that says it.
//!
//! `make test-kernels` says which kernels, and which program has the trials. Without that this does nothing: an
//! emulated machine takes its time.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test talks to who runs it")]
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::env;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

mod machine;
mod page;

use machine::{Ended, Kernel, Shared};

fn main() -> ExitCode {
    let wanted = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let (Some(kernels), Some(trials)) = (wanted("KERNELS"), wanted("TRIALS")) else {
        println!("kernels: SKIPPED, for nobody has asked for any; `make test-kernels` does");
        return ExitCode::SUCCESS;
    };
    let filters: Vec<String> = env::args().skip(1).collect();
    let kernels: Vec<&str> = kernels.split(',').collect();
    let newest = kernels.last().copied();
    // A machine takes one CPU, however many it has itself.
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let at_once = |kernels: &[&str]| -> Vec<Outcome> {
        thread::scope(|scope| {
            let (trials, filters) = (&trials, &filters);
            let start = |kernel| {
                // One fires every example, the last and mostly the newest: that takes longest.
                let fires = Some(kernel) == newest;
                scope.spawn(move || outcome(kernel, &lines(trials, filters, fires)))
            };
            let started: Vec<_> = kernels.iter().copied().map(start).collect();
            started.into_iter().map(|kernel| kernel.join().expect("it does not panic")).collect()
        })
    };
    let outcomes: Vec<Outcome> = kernels.chunks(cpus).flat_map(at_once).collect();
    // One after the other, as each may write the page.
    let judge = |(kernel, outcome): (&&str, Outcome)| match outcome {
        Outcome::Skipped => env::var("CI").as_deref() != Ok("true"),
        Outcome::Failed => false,
        Outcome::Found(found) => !filters.is_empty() || page::holds(kernel, &found),
    };
    let passed: Vec<bool> = kernels.iter().zip(outcomes).map(judge).collect();
    ExitCode::from(u8::from(passed.contains(&false)))
}

/// What came of a kernel.
enum Outcome {
    /// It cannot be started here.
    Skipped,
    /// A trial failed, or the machine did.
    Failed,
    /// All passed, and this was found.
    Found(String),
}

/// Tries a kernel by these lines, and says what comes of it.
fn outcome(version: &str, lines: &str) -> Outcome {
    let kernel = match Kernel::find(version) {
        Ok(kernel) => kernel,
        Err(lacks) => {
            println!("kernel {version}: SKIPPED, {lacks}");
            return Outcome::Skipped;
        }
    };
    let (began, shared) = (Instant::now(), Shared::new());
    let tell = |line: &str| println!("{version:>4} | {line}");
    let Ended { code, console } = shared.run(&kernel, lines, tell);
    let took = began.elapsed().as_secs();
    if code != Some(0) {
        let code = code.map_or("did not end".to_owned(), |code| format!("ended with {code}"));
        println!("kernel {version}: its trials {code}, {took} s; it has said:\n{console}");
        return Outcome::Failed;
    }
    println!("kernel {version}: its trials pass, {took} s");
    Outcome::Found(shared.read("found"))
}

/// What runs in the machine: the trials, which are told so, and whether they are to fire every example.
fn lines(trials: &str, filters: &[String], fires: bool) -> String {
    let fires = if fires { " FIRES=true" } else { "" };
    let ci = env::var("CI").unwrap_or_default();
    let filters: Vec<String> = filters.iter().map(|filter| format!("'{filter}'")).collect();
    let here = env!("CARGO_MANIFEST_DIR");
    format!(
        "cd '{here}'\nexport CI='{ci}' MACHINE=/shared/found INSTA_WORKSPACE_ROOT='{here}'{fires}\n\
         exec '{trials}' --test-threads=1 --color=never {}",
        filters.join(" ")
    )
}
