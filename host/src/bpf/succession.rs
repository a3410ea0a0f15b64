//! Programs that take the place of others, hook by hook: nothing is counted twice, and what is missed is measured.
//!
//! A program that is the same one stays. Where the kernel can, it puts the new one in the place of the old in one
//! step. Else the old one is detached first, and the new one is attached at once. With a way back, a new program that
//! does not attach has those that were before it run again.
//!
//! Never loads anything, and never has two programs at one hook.

use std::mem;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libbpf_rs::{Object, ProgramMut};
use tracing::{info, warn};

use super::attach::{AttachError, Attachment, HookPlace, ProgramInfo, attach, failure};
use super::pin_dir::{ConfigPins, Taken};
use super::{Attached, Loaded, sys, text};
use crate::advice::Advise as _;

/// How a program has come to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// None was at its hook.
    New,
    /// It ran already, and was left alone.
    Kept,
    /// The kernel put it in the place of another: nothing was missed.
    InPlace,
    /// For so long there was none at its hook.
    After(Duration),
}

/// Programs that run where others ran before.
#[derive(Debug)]
pub struct Swapped {
    /// The object that they are of.
    pub attached: Attached,
    /// How each program that runs has come to, by its name.
    pub passages: Vec<(String, Passage)>,
}

/// Programs that could not take the place of others, which run as before.
#[derive(Debug)]
pub struct NotSwapped {
    /// The object that was to be replaced.
    pub attached: Attached,
    /// What was in the way: of new programs, and of old ones that could not be attached again.
    pub failures: Vec<AttachError>,
}

impl Loaded {
    /// Attaches every program that was loaded. Those that cannot be are logged, once each, and
    /// found in [`Attached::failures`] with those that could not be loaded at all; the rest goes on.
    ///
    /// With pins, programs that an exporter before left there go on, or give way.
    pub fn attach(self) -> Attached {
        let pins = self.pins.as_ref();
        let before = pins.map(|taken| taken.pins().links()).unwrap_or_default();
        match self.succeed(before, None) {
            Ended::Succeeded(swapped) => swapped.attached,
            Ended::Refused { attached, .. } => attached,
        }
    }

    /// Attaches the programs in the place of those of `old`, as the head of this file says. A program that `old` could
    /// not attach either may fail again, and so may one whose hook is new where hooks of `old` are gone: they are
    /// among [`Attached::failures`].
    ///
    /// # Errors
    ///
    /// When a program does not attach otherwise. Nothing of this object is left then.
    pub fn attach_in_place_of(self, mut old: Attached) -> Result<Swapped, Box<NotSwapped>> {
        let runs = |name: &str| old.links.iter().any(|link| link.program == name);
        let lost = self.unloadable.iter().filter(|error| runs(&error.program));
        let lost: Vec<_> = lost.cloned().collect();
        if !lost.is_empty() {
            return Err(Box::new(NotSwapped { attached: old, failures: lost }));
        }
        let links = mem::take(&mut old.links);
        match self.succeed(links, Some(&mut old)) {
            Ended::Succeeded(mut swapped) => {
                swapped.attached.admitted.follow(&old.admitted);
                Ok(swapped)
            }
            Ended::Refused { restored, failures, .. } => {
                old.take_back(restored);
                Err(Box::new(NotSwapped { attached: old, failures }))
            }
        }
    }

    /// Attaches the programs after those that run at these links. With `old`, which those are of, there is a way back.
    /// Without it a program that fails costs itself.
    fn succeed(self, before: Vec<Attachment>, old: Option<&mut Attached>) -> Ended {
        let Self { name, mut object, maps, admitted, programs, unloadable, pins: mut taken } = self;
        let runs = programs.iter().map(|_| None).collect();
        let (passed, pins) = (Vec::new(), taken.as_ref().map(Taken::pins));
        let mut succession =
            Succession { infos: programs, runs, passed, failures: unloadable, pins };
        let refused = succession.run(&mut object, before, old);
        let Succession { infos, runs, passed, mut failures, .. } = succession;
        failures.sort_by_key(|error| infos.iter().position(|info| info.name == error.program));
        let links: Vec<_> = runs.into_iter().flatten().collect();
        let passages: Vec<_> = passed.iter().filter_map(|step| step.told(&infos)).collect();
        let pins = pins.cloned();
        if let (Some(taken), None) = (&mut taken, &refused) {
            taken.settle(&object);
            tell(&name, &passages);
        }
        // What libbpf keeps for these in the object is asked for when they are detached.
        let needed = links.iter().any(Attachment::needs_object);
        let object = needed.then_some(object);
        let attached = Attached { links, object, maps, admitted, programs: infos, failures, pins };
        match refused {
            None => {
                let warned = attached.failures.iter();
                warned.for_each(|error| warn!(config = name, "{}", error.advice()));
                Ended::Succeeded(Swapped { attached, passages })
            }
            Some(Refusal { restored, failures }) => Ended::Refused { attached, restored, failures },
        }
    }
}

impl Attached {
    /// Has these run again, and says of all others that they do not.
    fn take_back(&mut self, mut restored: Vec<Attachment>) {
        for info in &mut self.programs {
            let at = restored.iter().position(|link| link.program == info.name);
            info.attached = at.is_some();
            self.links.extend(at.map(|at| restored.swap_remove(at)));
        }
    }

    /// Whether a program did not attach there either.
    fn failed_at(&self, error: &AttachError) -> bool {
        let same =
            |old: &AttachError| (&old.program, &old.section) == (&error.program, &error.section);
        self.failures.iter().any(same)
    }

    /// Detaches all programs, and takes away all that is pinned of the config. Dropped, it leaves what is pinned.
    pub fn detach(mut self) {
        mem::take(&mut self.links).into_iter().for_each(Attachment::detach);
        if let Some(pins) = &self.pins {
            pins.remove();
        }
    }
}

/// What has come of it.
enum Ended {
    Succeeded(Swapped),
    Refused { attached: Attached, restored: Vec<Attachment>, failures: Vec<AttachError> },
}

/// Why it was taken back.
struct Refusal {
    restored: Vec<Attachment>,
    failures: Vec<AttachError>,
}

/// A program that is to run.
struct Candidate<'o> {
    /// Where it stands among the object's.
    at: usize,
    program: ProgramMut<'o>,
    place: HookPlace,
    /// What runs at its hook, until its turn.
    former: Option<Attachment>,
}

/// A program that ran before.
struct Former {
    program: String,
    fd: Arc<OwnedFd>,
    place: HookPlace,
}

/// A step that was done, or was begun and failed.
struct Passed {
    at: usize,
    former: Option<Former>,
    how: Passage,
}

impl Passed {
    /// For who wants to know; nothing of one that failed.
    fn told(&self, infos: &[ProgramInfo]) -> Option<(String, Passage)> {
        infos.get(self.at).filter(|info| info.attached).map(|info| (info.name.clone(), self.how))
    }
}

struct Succession<'a> {
    /// The programs, in the object's order; what keeps each attached stands beside it.
    infos: Vec<ProgramInfo>,
    runs: Vec<Option<Attachment>>,
    passed: Vec<Passed>,
    failures: Vec<AttachError>,
    pins: Option<&'a ConfigPins>,
}

impl Succession<'_> {
    /// Goes through all programs. What was in the way, if it was taken back.
    fn run(
        &mut self,
        object: &mut Object,
        before: Vec<Attachment>,
        mut old: Option<&mut Attached>,
    ) -> Option<Refusal> {
        let mut candidates = self.candidates(object);
        let mut gone = pair(&mut candidates, before);
        // What only comes to the others is tried first: nothing is to be taken back if it fails. Where hooks have gone
        // others may have come in their place, and those must not meet.
        candidates.sort_by_key(|candidate| candidate.former.is_some() == gone.is_empty());
        for n in 0..candidates.len() {
            let Some(candidate) = candidates.get_mut(n) else { break };
            if candidate.former.is_none() && !gone.is_empty() {
                // From here on there is no way back.
                gone.drain(..).for_each(Attachment::detach);
                old = None;
            }
            let Err(error) = self.step(candidate) else { continue };
            match &mut old {
                Some(old) if !old.failed_at(&error) => {
                    return Some(self.take_back(candidates, gone, old, error));
                }
                _ => self.failures.push(error),
            }
        }
        gone.into_iter().for_each(Attachment::detach);
        None
    }

    fn candidates<'o>(&self, object: &'o mut Object) -> Vec<Candidate<'o>> {
        let candidate = |program: ProgramMut<'o>| {
            let name = text(program.name());
            let at = self.infos.iter().position(|info| info.name == name && info.fd.is_some())?;
            let place = HookPlace::of(&text(program.section()));
            Some(Candidate { at, program, place, former: None })
        };
        object.progs_mut().filter_map(candidate).collect()
    }

    /// Has a program run, in the place of the one that does, if one does.
    fn step(&mut self, candidate: &mut Candidate<'_>) -> Result<(), AttachError> {
        let Some(info) = self.infos.get(candidate.at) else { return Ok(()) };
        let Some(fd) = info.fd.clone() else { return Ok(()) };
        let Some(mut link) = candidate.former.take() else {
            let link = candidate.attach(fd)?;
            self.pass(candidate.at, None, Passage::New);
            self.put(candidate.at, link);
            return Ok(());
        };
        let former = Former::of(&link);
        if link.place.is(&candidate.place) {
            if is_same(&link, &fd) {
                self.pass(candidate.at, Some(former), Passage::Kept);
                self.put(candidate.at, link);
                return Ok(());
            }
            if link.update(&fd) {
                self.pass(candidate.at, Some(former), Passage::InPlace);
                self.put(candidate.at, link);
                return Ok(());
            }
        }
        let began = Instant::now();
        link.detach();
        let link = candidate.attach(fd);
        self.pass(candidate.at, Some(former), Passage::After(began.elapsed()));
        self.put(candidate.at, link?);
        Ok(())
    }

    fn pass(&mut self, at: usize, former: Option<Former>, how: Passage) {
        self.passed.push(Passed { at, former, how });
    }

    /// Notes what keeps a program attached, and has it stay when this process ends, if it is to.
    fn put(&mut self, at: usize, mut link: Attachment) {
        let (Some(info), Some(run)) = (self.infos.get_mut(at), self.runs.get_mut(at)) else {
            return;
        };
        link.program.clone_from(&info.name);
        info.runs_as(&link.fd);
        *run = Some(match self.pins {
            Some(pins) => pins.hold(link),
            None => link,
        });
    }

    /// Has those run again that ran before.
    fn take_back(
        &mut self,
        candidates: Vec<Candidate<'_>>,
        gone: Vec<Attachment>,
        old: &mut Attached,
        error: AttachError,
    ) -> Refusal {
        let (mut restored, mut failures) = (gone, vec![error]);
        for Passed { at, former, how } in mem::take(&mut self.passed).into_iter().rev() {
            let link = self.runs.get_mut(at).and_then(Option::take);
            let candidate = candidates.iter().find(|candidate| candidate.at == at);
            let (Some(former), Some(candidate)) = (former, candidate) else {
                link.into_iter().for_each(Attachment::detach);
                continue;
            };
            match restore(former, link, how, candidate, old) {
                Ok(link) => restored.push(link),
                Err(error) => failures.push(error),
            }
        }
        restored.extend(candidates.into_iter().filter_map(|candidate| candidate.former));
        if let Some(pins) = self.pins {
            restored = restored.into_iter().map(|link| pins.hold(link)).collect();
        }
        Refusal { restored, failures }
    }
}

impl Former {
    fn of(link: &Attachment) -> Self {
        Self { program: link.program.clone(), fd: Arc::clone(&link.fd), place: link.place }
    }
}

impl Candidate<'_> {
    /// Attaches it.
    fn attach(&self, fd: Arc<OwnedFd>) -> Result<Attachment, AttachError> {
        let held = attach(&self.program)?;
        Ok(Attachment::new(text(self.program.name()), fd, self.place, held))
    }
}

/// Gives each program what runs at its hook; what is left runs at hooks that no program has.
fn pair(candidates: &mut [Candidate<'_>], mut before: Vec<Attachment>) -> Vec<Attachment> {
    // Of several at one hook each is followed by the one of its name.
    for named in [true, false] {
        for candidate in candidates.iter_mut().filter(|candidate| candidate.former.is_none()) {
            let name = text(candidate.program.name());
            let at = before.iter().position(|link| {
                link.place.has_section_of(&candidate.place) && (!named || link.program == name)
            });
            candidate.former = at.map(|at| before.remove(at));
        }
    }
    before
}

/// Tells the log which programs have run on, and what those that did not have missed.
fn tell(config: &str, passages: &[(String, Passage)]) {
    match passages.iter().filter(|(_, how)| *how == Passage::Kept).count() {
        0 => {}
        1 => info!(config, "1 program has run on"),
        n => info!(config, "{n} programs have run on"),
    }
    for (program, how) in passages {
        match how {
            Passage::InPlace => {
                info!(config, "program `{program}` was replaced, and nothing missed")
            }
            Passage::After(gap) => {
                info!(
                    config,
                    "program `{program}` was replaced; it missed what came within {gap:.0?}"
                );
            }
            Passage::New | Passage::Kept => {}
        }
    }
}

/// Whether what runs at a link is this program: the same instructions, which use the same maps.
fn is_same(link: &Attachment, program: &OwnedFd) -> bool {
    let of = |fd: &OwnedFd| sys::instructions(fd.as_fd()).unwrap_or_default();
    let own = of(program);
    !own.is_empty() && own == of(&link.fd)
}

/// Has the one before run again, where `link` has this one run now, if it does.
fn restore(
    former: Former,
    link: Option<Attachment>,
    how: Passage,
    candidate: &Candidate<'_>,
    old: &mut Attached,
) -> Result<Attachment, AttachError> {
    let Former { program, fd, place } = former;
    let is_named = |own: &ProgramMut<'_>| text(own.name()) == program;
    let link = match (how, link) {
        (Passage::Kept, Some(link)) => return Ok(link.of(program)),
        (Passage::InPlace, Some(mut link)) => {
            if link.update(&fd) {
                return Ok(link.of(program));
            }
            Some(link)
        }
        (_, link) => link,
    };
    link.into_iter().for_each(Attachment::detach);
    let again = |own: &ProgramMut<'_>| -> Result<Attachment, AttachError> {
        // libbpf knows a program by the number of its descriptor, and the section is the same one.
        let attach = || attach(own);
        let held = sys::standing_for(own.as_fd(), fd.as_fd(), attach);
        let held = held.unwrap_or_else(|error| Err(failure(own, &error, &[])))?;
        Ok(Attachment::new(program.clone(), Arc::clone(&fd), place, held))
    };
    // What libbpf has written into maps for a USDT is its own object's.
    match old.object.as_mut().and_then(|object| object.progs_mut().find(is_named)) {
        Some(own) => again(&own),
        None => again(&candidate.program),
    }
}
