//! Attaching: each program where its section says. One that cannot be attached costs only itself.

use std::io;
use std::os::fd::AsFd as _;

use libbpf_rs::libbpf_sys;
use libbpf_rs::{AsRawLibbpf, Link, ProgramMut};

use super::host::Host;
use super::reason::attach::{Attempt, explain};
use super::{Attached, Loaded, log, stats, text};

/// A program in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramInfo {
    /// Its function's name.
    pub name: String,
    /// The hash of its instructions: 16 hex digits.
    pub tag: String,
    /// The kernel's id of it, unique until reboot.
    pub id: u32,
    /// Whether it runs.
    pub attached: bool,
}

/// Why a program does not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to attach program `{program}` ({section}): {reason}")]
pub struct AttachError {
    /// The program.
    pub program: String,
    /// Its section, which says where it was to be attached.
    pub section: String,
    /// What is wrong and what to do.
    pub reason: String,
}

impl Loaded {
    /// Attaches every program that was loaded. Those that cannot be are logged, once each, and
    /// found in [`Attached::failures`]; the rest goes on.
    pub fn attach(self) -> Attached {
        let Self { name, object } = self;
        let (mut links, mut programs, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for program in object.progs_mut().filter(|program| program.autoload()) {
            let attached = match attach(&program) {
                Ok(link) => {
                    links.push(link);
                    true
                }
                Err(error) => {
                    tracing::warn!(config = name, "{error}");
                    failures.push(error);
                    false
                }
            };
            programs.push(describe(&program, attached));
        }
        Attached { _links: links, object, programs, failures }
    }
}

fn attach(program: &ProgramMut<'_>) -> Result<Link, AttachError> {
    let raw = program.as_libbpf_object();
    let (result, log) = log::capture(|| {
        // SAFETY: `raw` is a program of a loaded object, which the caller keeps alive.
        let link = unsafe { libbpf_sys::bpf_program__attach(raw.as_ptr()) };
        // libbpf-rs hides errno, which says more than its kinds.
        std::ptr::NonNull::new(link).ok_or_else(io::Error::last_os_error)
    });
    match result {
        // SAFETY: libbpf gave this link to us alone.
        Ok(link) => Ok(unsafe { Link::from_ptr(link) }),
        Err(error) => {
            let (program, section) = (text(program.name()), text(program.section()));
            let errno = error.raw_os_error().unwrap_or_default();
            let reason =
                explain(&Attempt { section: &section, errno, log: &log }, &Host::current());
            Err(AttachError { program, section, reason })
        }
    }
}

fn describe(program: &ProgramMut<'_>, attached: bool) -> ProgramInfo {
    // The kernel took the program a moment ago; that it does not tell of it is not expected, and
    // no reason to do without its metrics.
    let info = stats::info(program.as_fd()).unwrap_or_default();
    let tag = info.tag.iter().map(|byte| format!("{byte:02x}")).collect();
    ProgramInfo { name: text(program.name()), tag, id: info.id, attached }
}
