//! What a program costs the event that it counts: calls of getpid(), the least that a system call
//! can be, bare and with one program at a time. Prints `name value unit` lines.
//!
//! `alone`: one CPU makes calls. `together`: all CPUs do, and count in the same entry. The machine
//! may have other work, so a program is always compared with bare calls of the same moment.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its figures are its output")]

mod calls;
#[path = "../common/objects.rs"]
mod objects;
mod programs;
#[path = "../common/report.rs"]
mod report;

use calls::Cpus;
use programs::Program;
use report::{median, print, wanted};

/// Times that each program is attached.
const ROUNDS: usize = 15;

/// Nanoseconds of a call, without the program and with it.
type Pair = (f64, f64);

fn main() {
    let hooks: Vec<_> = programs::HOOKS.into_iter().filter(|hook| wanted(hook)).collect();
    let mut programs = programs::compile(&hooks);
    programs.retain(|program| {
        let attached = program.attach();
        if let Err(error) = &attached {
            eprintln!("{}.{} is left out: {error}", program.hook, program.work);
        }
        attached.is_ok()
    });
    let cpus = Cpus::claim();
    let mut alone = vec![Vec::new(); programs.len()];
    let mut together = alone.clone();
    for _ in 0..ROUNDS {
        for (index, program) in programs.iter().enumerate() {
            let round = measure(program, &cpus);
            alone[index].push(round.0);
            together[index].extend(round.1);
        }
    }
    for ((program, alone), together) in programs.iter().zip(alone).zip(together) {
        let label = format!("{}.{}", program.hook, program.work);
        report(&format!("{label}.alone"), &alone);
        report(&format!("{label}.together"), &together);
    }
}

/// One round of one program, alone and, if there are CPUs for it, together.
fn measure(program: &Program, cpus: &Cpus) -> (Pair, Option<Pair>) {
    let bare = (cpus.alone(), cpus.together());
    let attached = program.attach().expect("it could be attached before");
    let with = (cpus.alone(), cpus.together());
    program.expect_counted(&attached, calls::MEASUREMENT);
    ((bare.0, with.0), bare.1.zip(with.1))
}

fn report(label: &str, rounds: &[Pair]) {
    if rounds.is_empty() {
        eprintln!("{label} is left out: no other CPU came to run beside this one");
        return;
    }
    let middle = |of: fn(&Pair) -> f64| median(rounds.iter().map(of).collect());
    print(label, "bare", middle(|(bare, _)| *bare), "ns");
    print(label, "call", middle(|(_, with)| *with), "ns");
    print(label, "added", middle(|(bare, with)| with - bare), "ns");
    print(label, "ratio", middle(|(bare, with)| with / bare), "ratio");
}
