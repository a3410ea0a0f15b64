//! A program that runs at samples of a perf event: on every CPU that is online, also on those that come
//! while the exporter runs.
//!
//! A CPU that goes takes its event with it: it does not count again when the CPU is back, so another one is
//! opened then. Without the right to, it is said once a CPU.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use libbpf_rs::libbpf_sys;
use tracing::warn;

use crate::bpf::cpus::{self, PerCpu};
use crate::bpf::hook::{Rate, Sampling};
use crate::bpf::sys;

/// A program at an event of each CPU.
#[derive(Debug)]
pub(in crate::bpf) struct Sampled {
    name: String,
    program: OwnedFd,
    sampling: Sampling,
    /// What keeps it attached on each CPU.
    on: PerCpu<OwnedFd>,
}

impl Sampled {
    /// Attaches a program on every CPU that is online.
    ///
    /// # Errors
    ///
    /// The kernel's about the first CPU that refuses it.
    pub(super) fn new(name: &str, program: BorrowedFd<'_>, sampling: Sampling) -> io::Result<Self> {
        let (name, program) = (name.to_owned(), program.try_clone_to_owned()?);
        let mut sampled = Self { name, program, sampling, on: PerCpu::default() };
        // One that has just gone refuses nothing.
        let gone = |error: &io::Error| error.raw_os_error() == Some(libc::ENODEV);
        match sampled.attach(&cpus::online()?).into_iter().find(|(_, error)| !gone(error)) {
            Some((_, error)) => Err(error),
            None => Ok(sampled),
        }
    }

    /// Attaches it on CPUs that have come, and lets go of those that have gone.
    pub(super) fn follow(&mut self) {
        // What is online is read again at the next scrape.
        let Ok(online) = cpus::online() else { return };
        for (cpu, error) in self.attach(&online) {
            warn!(
                program = self.name,
                "CPU {cpu} has come and is not sampled: {error}; keep what it takes with \
                 --capabilities.keep=cap_perfmon, or restart the exporter"
            );
        }
    }

    /// Attaches it on these CPUs alone; those on which it could not be.
    fn attach(&mut self, cpus: &[u32]) -> Vec<(u32, io::Error)> {
        let Self { program, sampling, on, .. } = self;
        on.follow(cpus, |cpu| keep(program.as_raw_fd(), sampling.open(cpu)?))
    }
}

impl Sampling {
    /// The event on one CPU.
    fn open(self, cpu: u32) -> io::Result<OwnedFd> {
        let Self { kind, config, rate } = self;
        let mut attributes =
            libbpf_sys::perf_event_attr { type_: kind, config, ..Default::default() };
        match rate {
            Rate::Frequency(frequency) => {
                attributes.__bindgen_anon_1.sample_freq = frequency;
                attributes.set_freq(1);
            }
            Rate::Period(period) => attributes.__bindgen_anon_1.sample_period = period,
        }
        sys::open_event(&mut attributes, cpu)
    }
}

/// Has the program run at the event. What is given back keeps it so.
fn keep(program: RawFd, event: OwnedFd) -> io::Result<OwnedFd> {
    match sys::link_event(program, event.as_raw_fd()) {
        // Before Linux 5.15 events have no links.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            sys::set_event_program(event.as_raw_fd(), program)?;
            Ok(event)
        }
        link => link,
    }
}
