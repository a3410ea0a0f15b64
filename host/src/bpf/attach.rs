//! Attaching: each program where its section says. One that cannot be attached costs only itself.
//!
//! A program takes two descriptors while it runs, its own and its link's; what libbpf holds besides goes
//! with its object as soon as all are attached.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use libbpf_rs::libbpf_sys;
use libbpf_rs::{AsRawLibbpf, Link, Object, ProgramMut};

use super::hook::HookSpec;
use super::host::Host;
use super::pin_file::LinkPin;
use super::reason::attach::{Attempt, explain};
use super::{Attached, log, stats, sys, text};
use crate::advice::{Advice, Advise};

mod hook_place;
mod interface;
mod samples;

pub(super) use hook_place::{HookPlace, is_missing, synonym};

use samples::Sampled;

/// A program of an object that was loaded.
#[derive(Clone, Debug)]
pub struct ProgramInfo {
    /// Its function's name.
    pub name: String,
    /// Its section, which says where it is to be attached.
    pub section: String,
    /// The hash of its instructions: 16 hex digits; empty if it is not in the kernel.
    pub tag: String,
    /// The kernel's id of it, unique until reboot; none if it is not in the kernel, for want of a hook
    /// that it could be loaded for.
    pub id: Option<u32>,
    /// Whether it runs.
    pub attached: bool,
    /// Its descriptor.
    pub(super) fd: Option<Arc<OwnedFd>>,
}

/// Why a program does not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to attach program `{program}` ({section}): {}", .advice.problem)]
pub struct AttachError {
    /// The program.
    pub program: String,
    /// Its section, which says where it was to be attached.
    pub section: String,
    /// What is wrong and what to do.
    pub advice: Advice,
}

impl Advise for AttachError {
    fn remedy(&self) -> Option<String> {
        self.advice.remedy.clone()
    }

    fn evidence(&self) -> Option<String> {
        self.advice.evidence.clone()
    }
}

/// A program that runs.
#[derive(Debug)]
pub(super) struct Attachment {
    /// Its name.
    pub(super) program: String,
    /// Its descriptor.
    pub(super) fd: Arc<OwnedFd>,
    /// Where it hangs.
    pub(super) place: HookPlace,
    /// What has it stay when this process ends.
    pub(super) pin: Option<LinkPin>,
    /// Whether its hook is a kprobe, of which the kernel may say how often it had no room.
    has_probe: bool,
    held: Held,
}

/// What keeps a program attached until it is dropped.
#[derive(Debug)]
pub(super) enum Held {
    /// A link that libbpf made.
    Link(Link),
    /// The same, of one that is to stay: before libbpf closes a link, it switches off what that hangs at.
    Staying(ManuallyDrop<Link>),
    /// What libbpf calls a link of a USDT, which is none of the kernel's.
    Usdt { _held: Link },
    /// One that was made here.
    Descriptor(OwnedFd),
    /// Those to an event on each CPU.
    Samples(Sampled),
}

/// Is called once all programs of all configs are attached, and does nothing: a program with the section
/// `uprobe//proc/self/exe:post_attach_mark` runs then, to begin with what is there already.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn post_attach_mark() {
    std::hint::black_box(());
}

impl Attached {
    /// Whether it opens perf events on CPUs that come.
    pub fn opens_events(&self) -> bool {
        self.links.iter().any(|link| matches!(link.held, Held::Samples(_)))
    }

    /// Has what samples CPUs sample those that have come online since, and let go of those that have gone.
    pub fn follow_cpus(&mut self) {
        for link in &mut self.links {
            if let Held::Samples(sampled) = &mut link.held {
                sampled.follow();
            }
        }
    }
}

impl Attachment {
    pub(super) fn new(program: String, fd: Arc<OwnedFd>, place: HookPlace, held: Held) -> Self {
        let mut attachment = Self { program, fd, place, pin: None, has_probe: true, held };
        attachment.has_probe = attachment.missed_probes().is_some();
        attachment
    }

    /// One that has stayed, by its link's descriptor.
    pub(super) fn found(program: String, fd: OwnedFd, place: HookPlace, link: OwnedFd) -> Self {
        Self::new(program, Arc::new(fd), place, Held::Descriptor(link))
    }

    /// Its link's descriptor, if that is all that keeps it attached.
    pub(super) fn link(&self) -> Option<BorrowedFd<'_>> {
        match &self.held {
            Held::Link(link) => Some(link.as_fd()),
            Held::Staying(link) => Some(link.as_fd()),
            Held::Descriptor(fd) => Some(fd.as_fd()),
            Held::Usdt { .. } | Held::Samples(_) => None,
        }
    }

    /// The same for a program of this name.
    pub(super) fn of(self, program: String) -> Self {
        Self { program, ..self }
    }

    /// One that stays attached when it is dropped, as this pin has it.
    pub(super) fn staying(self, pin: LinkPin) -> Self {
        let held = match self.held {
            Held::Link(link) => Held::Staying(ManuallyDrop::new(link)),
            other => other,
        };
        Self { pin: Some(pin), held, ..self }
    }

    /// Whether libbpf needs its object to detach it.
    pub(super) fn needs_object(&self) -> bool {
        matches!(self.held, Held::Usdt { .. })
    }

    /// Has the kernel run another program in its place, in one step; whether it could. Its pin is gone then.
    pub(super) fn update(&mut self, program: &Arc<OwnedFd>) -> bool {
        let link = self.link();
        let updated = link.is_some_and(|link| sys::update_link(link, program.as_fd()).is_ok());
        if updated {
            self.fd = Arc::clone(program);
            self.unpin();
        }
        updated
    }

    /// Detaches it, and takes its pin away.
    pub(super) fn detach(mut self) {
        self.unpin();
        if let Held::Staying(link) = self.held {
            drop(ManuallyDrop::into_inner(link));
        }
    }

    fn unpin(&mut self) {
        if let Some(pin) = self.pin.take() {
            pin.remove();
        }
    }

    /// How often the kernel's probe had no room to note that it was reached: see [`sys::missed_probes`].
    pub(super) fn missed_probes(&self) -> Option<u64> {
        if self.has_probe { sys::missed_probes(self.link()?) } else { None }
    }
}

impl ProgramInfo {
    /// Notes that the program behind this descriptor runs, which may be another one than was loaded.
    pub(super) fn runs_as(&mut self, fd: &Arc<OwnedFd>) {
        self.attached = true;
        if self.fd.as_ref().is_some_and(|own| Arc::ptr_eq(own, fd)) {
            return;
        }
        let info = stats::info(fd.as_fd()).unwrap_or_default().info;
        (self.tag, self.id, self.fd) = (stats::tag(&info), Some(info.id), Some(Arc::clone(fd)));
    }
}

/// The programs of a loaded object, those that were switched off before among them, not yet attached.
///
/// # Errors
///
/// When no descriptor is left.
pub(super) fn describe(
    object: &Object,
    unloadable: &[AttachError],
) -> io::Result<Vec<ProgramInfo>> {
    let mut programs = Vec::new();
    for program in object.progs() {
        let (name, section) = (text(program.name()), text(program.section()));
        if program.autoload() {
            // The kernel took the program a moment ago; that it does not tell of it is not expected,
            // and no reason to do without its metrics.
            let info = stats::info(program.as_fd()).unwrap_or_default().info;
            programs.push(ProgramInfo {
                name,
                section,
                tag: stats::tag(&info),
                id: Some(info.id),
                attached: false,
                fd: Some(Arc::new(program.as_fd().try_clone_to_owned()?)),
            });
        } else if unloadable.iter().any(|error| error.program == name) {
            programs.push(ProgramInfo {
                name,
                section,
                tag: String::new(),
                id: None,
                attached: false,
                fd: None,
            });
        }
    }
    Ok(programs)
}

/// Attaches a program where its section says.
pub(super) fn attach(program: &ProgramMut<'_>) -> Result<Held, AttachError> {
    let section = text(program.section());
    if let Some(Ok(hook)) = HookSpec::of(&section) {
        return by_hook(program, &hook);
    }
    if let Some(fd) = attach_tracepoint(program, &section) {
        return Ok(Held::Descriptor(fd));
    }
    let raw = program.as_libbpf_object();
    let (result, log) = log::capture(|| {
        // SAFETY: `raw` is a program of a loaded object, which the caller keeps alive.
        let link = unsafe { libbpf_sys::bpf_program__attach(raw.as_ptr()) };
        // libbpf-rs hides errno, which says more than its kinds.
        std::ptr::NonNull::new(link).ok_or_else(io::Error::last_os_error)
    });
    match result {
        Ok(link) => {
            // SAFETY: libbpf gave this link to us alone.
            let link = unsafe { Link::from_ptr(link) };
            Ok(if section.starts_with("usdt") {
                Held::Usdt { _held: link }
            } else {
                Held::Link(link)
            })
        }
        Err(error) => Err(failure(program, &error, &log)),
    }
}

/// Attaches by a section that libbpf does not attach by.
fn by_hook(program: &ProgramMut<'_>, hook: &HookSpec) -> Result<Held, AttachError> {
    let name = text(program.name());
    let held = match hook {
        HookSpec::Samples(sampling) => {
            Sampled::new(&name, program.as_fd(), *sampling).map(Held::Samples)
        }
        HookSpec::Packets { interface, .. } => {
            interface::receive(&name, program.as_fd(), interface).map(Held::Descriptor)
        }
        HookSpec::Traffic { interface, direction } => {
            interface::control(program.as_fd(), interface, *direction).map(Held::Descriptor)
        }
    };
    held.map_err(|error| failure(program, &error, &[]))
}

/// Why a program could not be attached.
pub(super) fn failure(program: &ProgramMut<'_>, error: &io::Error, log: &[String]) -> AttachError {
    let section = text(program.section());
    let errno = error.raw_os_error().unwrap_or_default();
    let advice = explain(&Attempt { section: &section, errno, log }, &Host::current());
    AttachError { program: text(program.name()), section, advice }
}

/// Attaches to a tracepoint as libbpf does, but for the descriptor that libbpf keeps of the event although
/// the link holds it (Linux 5.15). `None` if that does not work: libbpf is to try then, and to say why
/// not.
fn attach_tracepoint(program: &ProgramMut<'_>, section: &str) -> Option<OwnedFd> {
    let path = section.strip_prefix("tracepoint/").or_else(|| section.strip_prefix("tp/"))?;
    let (group, name) = path.split_once('/')?;
    let id = Host::current().tracepoint_id(group, name)?;
    let mut attributes = libbpf_sys::perf_event_attr {
        type_: libbpf_sys::PERF_TYPE_TRACEPOINT,
        config: id,
        ..Default::default()
    };
    // One CPU's event is enough: the program runs on all of them.
    let event = sys::open_event(&mut attributes, 0).ok()?;
    sys::link_event(program.as_fd().as_raw_fd(), event.as_raw_fd()).ok()
}
