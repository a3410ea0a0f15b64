//! One program after another in the place of those that ran before, and the way back, step by step.
//!
//! Never loads anything, and never pins anything: what has come to run has no name before all is settled.

use std::mem;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libbpf_rs::{Object, ProgramMut};

use super::super::attach::{
    AttachError, Attachment, HookPlace, ProgramInfo, attach, is_missing, synonym,
};
use super::super::pin_dir::ConfigPins;
use super::super::text;
use super::former::{Back, Former, Predecessor, is_same};

/// What became of a program when others took the places of those that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It came, and none was at its hook.
    New,
    /// It ran already, and was left alone.
    Kept,
    /// It took the place of another, and nothing was missed: the kernel did it in one step, or the section names
    /// another file or interface now, where it ran before the other one left.
    InPlace,
    /// For so long there was none at its hook.
    After(Duration),
    /// It has left, for nothing is at its hook any more. So long it ran beside programs that came.
    Left(Duration),
}

impl Passage {
    /// What it has cost, as a sentence.
    pub fn told(&self, program: &str) -> Option<String> {
        match self {
            Self::New | Self::Kept => None,
            Self::InPlace => Some(format!("program `{program}` was replaced, and nothing missed")),
            Self::After(gap) => Some(format!(
                "program `{program}` was replaced; it missed what came within {gap:.0?}"
            )),
            Self::Left(Duration::ZERO) => Some(format!("program `{program}` has left its hook")),
            Self::Left(beside) => Some(format!(
                "program `{program}` has left its hook; for {beside:.0?} it ran beside programs that came"
            )),
        }
    }
}

/// Programs on their way to their hooks.
#[derive(Debug)]
pub(super) struct Succession {
    /// The programs, in the object's order; what keeps each attached stands beside it.
    pub(super) infos: Vec<ProgramInfo>,
    runs: Vec<Option<Attachment>>,
    /// What was done, or was begun and failed.
    steps: Vec<SwapStep>,
    /// Programs that do not run, where that is no reason to go back.
    pub(super) failures: Vec<AttachError>,
    /// What runs at hooks that no program has, and what was not yet touched.
    rest: Vec<Attachment>,
    /// Since when others run beside the rest.
    beside: Option<Instant>,
}

/// What there is to lose if a program does not attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stake {
    /// Nothing, unless one of its name ran.
    Nothing,
    /// Others have no hook any more: it may be meant to come in their place.
    Gone,
    /// What ran at its hook.
    Place,
}

/// When a program that fails is a reason to go back.
pub(super) type IsFault<'a> = &'a dyn Fn(&AttachError, Stake) -> bool;

/// Programs that are where they are to be.
pub(super) struct Settled {
    pub(super) links: Vec<Attachment>,
    pub(super) passages: Vec<(String, Passage)>,
}

/// Programs of before that run again.
#[derive(Default)]
pub(super) struct Undone {
    pub(super) links: Vec<Attachment>,
    /// Why others do not.
    pub(super) lost: Vec<AttachError>,
    /// For how long there was none at the hooks of those that do, by their names.
    pub(super) gaps: Vec<(String, Duration)>,
}

#[derive(Debug)]
struct SwapStep {
    at: usize,
    before: Predecessor,
    how: Passage,
}

/// A program that is to run.
struct Candidate<'o> {
    /// Where it stands among the object's.
    at: usize,
    program: ProgramMut<'o>,
    fd: Arc<OwnedFd>,
    place: HookPlace,
    /// What runs at its hook, until its turn.
    former: Option<Attachment>,
}

impl Succession {
    /// Of these programs, some of which may be known not to run.
    pub(super) fn new(infos: Vec<ProgramInfo>, failures: Vec<AttachError>) -> Self {
        let runs = infos.iter().map(|_| None).collect();
        Self { infos, runs, steps: Vec::new(), failures, rest: Vec::new(), beside: None }
    }

    /// Goes through all programs of the object, after those that run at these links. Without a way back, what runs at
    /// hooks that no program has is detached before others come.
    ///
    /// # Errors
    ///
    /// The faults that were met. If programs run already, the first of them ends it.
    pub(super) fn run(
        &mut self,
        object: &mut Object,
        before: Vec<Attachment>,
        has_back: bool,
        is_fault: IsFault<'_>,
    ) -> Result<(), Vec<AttachError>> {
        let ran = !before.is_empty();
        let mut candidates = self.candidates(object);
        self.rest = pair(&mut candidates, before);
        let mut faults = if has_back { self.foreseen(&candidates, is_fault) } else { Vec::new() };
        if ran && !faults.is_empty() {
            self.leave(candidates);
            return Err(faults);
        }
        // What only comes to the others is tried first: nothing is to be taken back if it fails. Where hooks are gone
        // others may have come in their place, and those are to meet for no longer than they must.
        let stake = self.stake();
        let gone = stake == Stake::Gone;
        candidates.sort_by_key(|candidate| candidate.former.is_some() != gone);
        for n in 0..candidates.len() {
            let Some(candidate) = candidates.get_mut(n) else { break };
            if candidate.former.is_none() && !has_back {
                self.rest.drain(..).for_each(Attachment::detach);
            }
            let stake = if candidate.former.is_some() { Stake::Place } else { stake };
            let Err(error) = self.step(candidate) else { continue };
            if !is_fault(&error, stake) {
                self.failures.push(error);
                continue;
            }
            if !faults.contains(&error) {
                faults.push(error);
            }
            if ran {
                break;
            }
        }
        self.leave(candidates);
        sort(&mut faults, &self.infos);
        sort(&mut self.failures, &self.infos);
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    fn candidates<'o>(&self, object: &'o mut Object) -> Vec<Candidate<'o>> {
        let candidate = |program: ProgramMut<'o>| {
            let name = text(program.name());
            let at = self.infos.iter().position(|info| info.name == name)?;
            let fd = self.infos.get(at)?.fd.clone()?;
            let place = HookPlace::of(&text(program.section()));
            Some(Candidate { at, program, fd, place, former: None })
        };
        object.progs_mut().filter_map(candidate).collect()
    }

    /// What there is to lose with a program at whose hook none ran.
    fn stake(&self) -> Stake {
        if self.rest.is_empty() { Stake::Nothing } else { Stake::Gone }
    }

    /// The faults that are certain before anything has changed.
    fn foreseen(
        &mut self,
        candidates: &[Candidate<'_>],
        is_fault: IsFault<'_>,
    ) -> Vec<AttachError> {
        let stake = self.stake();
        let mut faults: Vec<_> =
            self.failures.extract_if(.., |error| is_fault(error, stake)).collect();
        for candidate in candidates.iter().filter(|candidate| candidate.is_hopeless()) {
            let stake = if candidate.former.is_some() { Stake::Place } else { stake };
            // The kernel says why better than anybody could who has not asked it.
            let refused = attach(&candidate.program).err();
            faults.extend(refused.filter(|error| is_fault(error, stake)));
        }
        faults
    }

    /// Leaves those alone whose turn has not come.
    fn leave(&mut self, candidates: Vec<Candidate<'_>>) {
        self.rest.extend(candidates.into_iter().filter_map(|candidate| candidate.former));
    }

    /// Has a program run, in the place of the one that does, if one does.
    fn step(&mut self, candidate: &mut Candidate<'_>) -> Result<(), AttachError> {
        let Some(mut link) = candidate.former.take() else {
            let link = candidate.attach()?;
            if !self.rest.is_empty() {
                self.beside.get_or_insert_with(Instant::now);
            }
            self.pass(candidate.at, Predecessor::Nothing, Passage::New);
            self.put(candidate.at, link);
            return Ok(());
        };
        let former = Former::of(&link);
        if candidate.is_what_runs(&link) {
            self.pass(candidate.at, Predecessor::Same(former), Passage::Kept);
            self.put(candidate.at, link);
            return Ok(());
        }
        if link.place.is(&candidate.place) && link.update(&candidate.fd) {
            self.pass(candidate.at, Predecessor::Updated(former), Passage::InPlace);
            self.put(candidate.at, link);
            return Ok(());
        }
        if link.place.is_apart_from(&candidate.place) {
            self.pass(candidate.at, Predecessor::Aside(link), Passage::InPlace);
            let link = candidate.attach()?;
            self.put(candidate.at, link);
            return Ok(());
        }
        let began = Instant::now();
        link.detach();
        let link = candidate.attach();
        self.pass(candidate.at, Predecessor::Detached(former), Passage::After(began.elapsed()));
        self.put(candidate.at, link?);
        Ok(())
    }

    fn pass(&mut self, at: usize, before: Predecessor, how: Passage) {
        self.steps.push(SwapStep { at, before, how });
    }

    /// Notes what keeps a program attached.
    fn put(&mut self, at: usize, mut link: Attachment) {
        let (Some(info), Some(run)) = (self.infos.get_mut(at), self.runs.get_mut(at)) else {
            return;
        };
        link.program.clone_from(&info.name);
        info.runs_as(&link.fd);
        *run = Some(link);
    }

    /// Lets go of all that ran before, and has what runs now stay when this process ends, if it is to. There is no way
    /// back from it.
    pub(super) fn settle(&mut self, pins: Option<&ConfigPins>) -> Settled {
        let mut passages: Vec<_> =
            self.steps.iter().filter_map(|step| step.told(&self.infos)).collect();
        for step in mem::take(&mut self.steps) {
            if let Predecessor::Aside(link) = step.before {
                link.detach();
            }
        }
        for link in mem::take(&mut self.rest) {
            let program = link.program.clone();
            link.detach();
            let beside = self.beside.map(|began| began.elapsed());
            passages.push((program, Passage::Left(beside.unwrap_or_default())));
        }
        // Names of those that have left are free now.
        let links = mem::take(&mut self.runs).into_iter().flatten();
        let links = links.map(|link| match pins {
            Some(pins) => pins.hold(link),
            None => link,
        });
        Settled { links: links.collect(), passages }
    }

    /// Has those run again that ran before. `old` is their object, if it is still there.
    pub(super) fn undo(mut self, object: &mut Object, mut old: Option<&mut Object>) -> Undone {
        let mut undone = Undone { links: mem::take(&mut self.rest), ..Undone::default() };
        for SwapStep { at, before, how } in mem::take(&mut self.steps).into_iter().rev() {
            let link = self.runs.get_mut(at).and_then(Option::take);
            let former = match before.back(link) {
                Back::Free => continue,
                Back::Runs(link) => {
                    undone.links.push(link);
                    continue;
                }
                Back::Detached(former) => former,
            };
            let (began, name) = (Instant::now(), former.program.clone());
            let own = self.infos.get(at).map(|info| &*info.name).unwrap_or_default();
            match former.attach(own, object, old.as_deref_mut()) {
                Ok(link) => {
                    let before = if let Passage::After(gap) = how { gap } else { Duration::ZERO };
                    undone.links.push(link);
                    undone.gaps.push((name, before + began.elapsed()));
                }
                Err(error) => undone.lost.push(error),
            }
        }
        undone
    }
}

/// As the programs stand in the object.
fn sort(errors: &mut [AttachError], infos: &[ProgramInfo]) {
    errors.sort_by_key(|error| infos.iter().position(|info| info.name == error.program));
}

impl SwapStep {
    /// For who wants to know; nothing of one that failed.
    fn told(&self, infos: &[ProgramInfo]) -> Option<(String, Passage)> {
        infos.get(self.at).filter(|info| info.attached).map(|info| (info.name.clone(), self.how))
    }
}

impl Candidate<'_> {
    /// Whether it is certain that its hook is not there, and it does not run there already.
    fn is_hopeless(&self) -> bool {
        let runs = self.former.as_ref().is_some_and(|link| self.is_what_runs(link));
        !runs && is_missing(&text(self.program.section()))
    }

    /// Whether it is what runs there.
    fn is_what_runs(&self, link: &Attachment) -> bool {
        link.place.is(&self.place) && is_same(link, &self.fd)
    }

    /// Whether its section is that of what runs there.
    fn is_at(&self, link: &Attachment) -> bool {
        link.place.has_section_of(&self.place)
    }

    /// Whether its section means that of what runs there.
    fn is_as_well_at(&self, link: &Attachment) -> bool {
        let section = synonym(&text(self.program.section()));
        section.is_some_and(|section| link.place.has_section_of(&HookPlace::of(&section)))
    }

    fn attach(&self) -> Result<Attachment, AttachError> {
        let (held, fd) = (attach(&self.program)?, Arc::clone(&self.fd));
        Ok(Attachment::new(text(self.program.name()), fd, self.place, held))
    }
}

/// Gives each program what runs at its hook; what is left runs at hooks that no program has.
fn pair(candidates: &mut [Candidate<'_>], mut before: Vec<Attachment>) -> Vec<Attachment> {
    // Of several at one hook each is followed by the one of its name. The same hook may be named in other words.
    let rules: [fn(&Candidate<'_>, &Attachment) -> bool; 3] = [
        |candidate, link| candidate.is_at(link) && text(candidate.program.name()) == link.program,
        |candidate, link| candidate.is_at(link),
        |candidate, link| candidate.is_as_well_at(link),
    ];
    for follows in rules {
        for candidate in candidates.iter_mut().filter(|candidate| candidate.former.is_none()) {
            let at = before.iter().position(|link| follows(candidate, link));
            candidate.former = at.map(|at| before.remove(at));
        }
    }
    before
}
