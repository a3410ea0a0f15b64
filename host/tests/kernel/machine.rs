//! Trials of a kernel that a machine was started for (`tests/kernels`): what it takes of the examples, which hooks
//! fire, which ways of reading agree. What was found is left for who started the machine.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use libtest_mimic::Trial;

use crate::list::unless;

mod catalogue;
mod cpus;
mod hooks;
mod locked;
mod misses;
mod ways;

/// Where to leave what was found, if this is such a machine.
pub fn found() -> Option<PathBuf> {
    std::env::var_os("MACHINE").map(PathBuf::from)
}

/// Whether every example is to be fired here, too: what natively nobody can fire for want of kprobes.
pub fn fires() -> bool {
    std::env::var_os("FIRES").is_some()
}

/// The trials that are of no use elsewhere.
pub fn trials() -> impl Iterator<Item = Trial> {
    let catalogue = trials![catalogue: each_example];
    let hooks = trials![hooks: each_kind_counts, the_place_of_each_is_told];
    let ways = trials![ways: all_serve_the_same_with_least_capabilities];
    let cpus = trials![cpus: one_that_goes_and_comes_back, its_perf_events_come_back_too];
    // An older kernel runs a program within itself until its stack is full.
    let lacks = "Linux before 5.12 lets programs recur".to_owned();
    let lacks = (found().is_some() && !is_at_least((5, 12))).then_some(lacks);
    let misses = trials![misses: the_kernel_says_what_did_not_run];
    let misses = misses.map(|trial| unless(lacks.clone(), trial));
    catalogue.into_iter().chain(hooks).chain(ways).chain(cpus).chain(misses)
}

/// Those that come last, for the kernel is another after them.
pub fn last() -> impl Iterator<Item = Trial> {
    let locked = trials![locked:
        integrity_leaves_copies,
        maps_are_read_in_other_ways,
        some_kinds_of_hooks_count,
        who_reads_the_kernels_memory_is_told_so,
        owners_are_not_told,
    ];
    locked.into_iter()
}

/// Whether this kernel is of this version, or a later one.
pub fn is_at_least(version: (u32, u32)) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap()) >= version
}

/// What became of a program: why it does not run, if it does not.
struct Fate<'a> {
    /// `example` or `hook`, or `locked` for a hook under lockdown.
    kind: &'a str,
    /// The example or the hook.
    name: &'a str,
    /// The program; `*` for the whole object.
    program: &'a str,
    why: Option<String>,
}

impl Fate<'_> {
    /// Leaves it, a line with tabs, where the release of the kernel is only `RELEASE`.
    fn leave(&self) {
        let file = found().expect("these trials run in a machine");
        let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let why = self.why.as_deref().unwrap_or_default().replace(release.trim(), "RELEASE");
        let why = why.lines().next().unwrap_or_default();
        writeln!(file, "{}\t{}\t{}\t{why}", self.kind, self.name, self.program).unwrap();
    }
}
