//! A program that runs at samples of a perf event: on every CPU that is online, also on those that come
//! while the exporter runs.
//!
//! A CPU that goes takes its event with it: it does not count again when the CPU is back, so another one is
//! opened then. Without the right to, it is said once a CPU.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use libbpf_rs::libbpf_sys;
use tracing::{debug, warn};

use crate::bpf::hook::{Rate, Sampling};
use crate::bpf::{cpus, sys};

/// A program at an event of each CPU.
#[derive(Debug)]
pub(in crate::bpf) struct Sampled {
    name: String,
    program: OwnedFd,
    sampling: Sampling,
    /// What keeps it attached on each CPU that is online; nothing where it could not be attached.
    on: BTreeMap<u32, Option<OwnedFd>>,
}

impl Sampled {
    /// Attaches a program on every CPU that is online.
    ///
    /// # Errors
    ///
    /// The kernel's about the first CPU that refuses it.
    pub(super) fn new(name: &str, program: BorrowedFd<'_>, sampling: Sampling) -> io::Result<Self> {
        let program = program.try_clone_to_owned()?;
        let mut sampled = Self { name: name.to_owned(), program, sampling, on: BTreeMap::new() };
        for cpu in cpus::online()? {
            match sampled.attach(cpu) {
                Ok(link) => drop(sampled.on.insert(cpu, Some(link))),
                // It has just gone.
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sampled)
    }

    /// Attaches it on CPUs that have come, and lets go of those that have gone.
    pub(super) fn follow(&mut self) {
        let Ok(online) = cpus::online() else { return };
        if online.iter().eq(self.on.keys()) {
            return;
        }
        self.on.retain(|cpu, _| online.contains(cpu));
        for cpu in online {
            if self.on.contains_key(&cpu) {
                continue;
            }
            let link = self.attach(cpu);
            match &link {
                Ok(_) => debug!(program = self.name, "CPU {cpu} has come and is sampled too"),
                Err(error) => warn!(
                    program = self.name,
                    "CPU {cpu} has come and is not sampled: {error}; keep what it takes with \
                     --capabilities.keep=cap_perfmon, or restart the exporter"
                ),
            }
            self.on.insert(cpu, link.ok());
        }
    }

    fn attach(&self, cpu: u32) -> io::Result<OwnedFd> {
        let Sampling { kind, config, rate } = self.sampling;
        let mut attributes =
            libbpf_sys::perf_event_attr { type_: kind, config, ..Default::default() };
        match rate {
            Rate::Frequency(frequency) => {
                attributes.__bindgen_anon_1.sample_freq = frequency;
                attributes.set_freq(1);
            }
            Rate::Period(period) => attributes.__bindgen_anon_1.sample_period = period,
        }
        let event = sys::open_event(&mut attributes, cpu)?;
        keep(self.program.as_raw_fd(), event)
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
