//! Programs that take the place of others, hook by hook: nothing is counted twice, and what is missed is measured.
//!
//! A program that is the same one stays. Where the kernel can, it puts the new one in the place of the old in one
//! step. Else the old one is detached first, and the new one is attached at once. Until all is settled there is a way
//! back: so what runs at hooks that no new program has runs on until then. For that moment, which is measured, what
//! passes an old hook and a new one is counted at both.
//!
//! Never loads anything, and never has two programs at one hook.

use std::mem;
use std::time::Duration;

use libbpf_rs::Object;
use tracing::{info, warn};

mod former;
mod steps;

pub use steps::Passage;

use super::admitted::Admitted;
use super::attach::{AttachError, Attachment};
use super::pin_dir::Taken;
use super::{Attached, Loaded, MapRef};
use crate::advice::Advise as _;

use steps::{IsFault, Settled, Stake, Succession, Undone};

/// Programs that run where others ran before, which can have their places back until it is settled.
#[derive(Debug)]
#[must_use = "what ran before runs neither on nor again"]
pub struct Swap {
    name: String,
    // Its links have to go before the objects.
    succession: Succession,
    faults: Vec<AttachError>,
    object: Object,
    maps: Vec<MapRef>,
    admitted: Admitted,
    pins: Option<Taken>,
    /// What is replaced, without its links; none if that is only pinned.
    old: Option<Attached>,
}

/// Programs that have taken their places for good.
#[derive(Debug)]
pub struct Swapped {
    /// The object that they are of.
    pub attached: Attached,
    /// What became of each program that runs, and of those that have left, by its name.
    pub passages: Vec<(String, Passage)>,
}

/// Programs that run as before.
#[derive(Debug)]
pub struct TakenBack {
    /// The object that was to be replaced; none if that is only pinned.
    pub attached: Option<Attached>,
    /// Why programs of it do not run that ran before.
    pub lost: Vec<AttachError>,
    /// For how long there was none at the hooks of those that were attached again, by their names.
    pub gaps: Vec<(String, Duration)>,
}

/// Programs that could not take the place of others.
#[derive(Debug)]
pub struct NotSwapped {
    /// What was in the way: one at the least.
    pub faults: Vec<AttachError>,
    /// What runs instead.
    pub back: TakenBack,
}

impl Loaded {
    /// Attaches every program that was loaded. Those that cannot be are logged, once each, and
    /// found in [`Attached::failures`] with those that could not be loaded at all; the rest goes on.
    ///
    /// With pins, programs that an exporter before left there go on, or give way.
    pub fn attach(self) -> Attached {
        self.swap(None, false, &|_, _| false).settle().attached
    }

    /// The same with a way back: see [`Swap::failures`]. Programs that are pinned are not touched if it is certain
    /// before that one does not attach, and the first one that does not is the last one that is tried.
    pub fn attach_strictly(self) -> Swap {
        self.swap(None, true, &|_, _| true)
    }

    /// Attaches the programs in the place of those of `old`, as the head of this file says; of those that are pinned if
    /// there is no other. A program that does not attach is a fault if it replaces one that ran, has the name of one that ran, or comes where others have left;
    /// with `strict` whatever it is. One that `old` could not attach at that hook either is none.
    ///
    /// # Errors
    ///
    /// When there is a fault. Nothing of this object is left then.
    pub fn attach_in_place_of(
        self,
        old: Option<Attached>,
        strict: bool,
    ) -> Result<Swap, Box<NotSwapped>> {
        let ran = old.iter().flat_map(|old| &old.links).map(|link| link.program.clone());
        let failed = old.iter().flat_map(|old| &old.failures).map(AttachError::place);
        let (ran, failed): (Vec<_>, Vec<_>) = (ran.collect(), failed.collect());
        let is_fault = |error: &AttachError, stake| {
            let failed_before = || failed.contains(&error.place());
            strict
                || match stake {
                    Stake::Place => true,
                    Stake::Gone => !failed_before(),
                    Stake::Nothing => ran.contains(&error.program) && !failed_before(),
                }
        };
        let mut swap = self.swap(old, true, &is_fault);
        match mem::take(&mut swap.faults) {
            faults if faults.is_empty() => Ok(swap),
            faults => Err(Box::new(NotSwapped { faults, back: swap.undo() })),
        }
    }

    fn swap(self, mut old: Option<Attached>, has_back: bool, is_fault: IsFault<'_>) -> Swap {
        let Self { name, mut object, maps, admitted, programs, unloadable, pins } = self;
        let before = match &mut old {
            Some(old) => mem::take(&mut old.links),
            None => pins.as_ref().map(|taken| taken.pins().links()).unwrap_or_default(),
        };
        let mut succession = Succession::new(programs, unloadable);
        let faults = succession.run(&mut object, before, has_back, is_fault).err();
        let faults = faults.unwrap_or_default();
        Swap { name, succession, faults, object, maps, admitted, pins, old }
    }
}

impl Swap {
    /// How many programs were to be attached.
    pub fn programs(&self) -> usize {
        self.succession.infos.len()
    }

    /// Those that do not run.
    pub fn failures(&self) -> impl Iterator<Item = &AttachError> {
        self.faults.iter().chain(&self.succession.failures)
    }

    /// Lets go of what ran before.
    pub fn settle(self) -> Swapped {
        let Self { name, mut succession, faults, object, maps, mut admitted, pins, old } = self;
        let Settled { links, passages } = succession.settle(pins.as_ref().map(Taken::pins));
        let Succession { infos: programs, mut failures, .. } = succession;
        failures.extend(faults);
        failures.iter().for_each(|error| warn!(config = name, "{}", error.advice()));
        tell(&name, &passages);
        let pins = pins.map(|mut taken| {
            taken.settle(&object);
            taken.pins().clone()
        });
        if let Some(old) = old {
            admitted.follow(&old.admitted);
        }
        // What libbpf keeps for these in the object is asked for when they are detached.
        let needed = links.iter().any(Attachment::needs_object);
        let object = needed.then_some(object);
        let attached = Attached { links, object, maps, admitted, programs, failures, pins };
        Swapped { attached, passages }
    }

    /// Has those run again that ran before.
    pub fn undo(self) -> TakenBack {
        let Self { name, succession, mut object, pins, mut old, .. } = self;
        let own = old.as_mut().and_then(|old| old.object.as_mut());
        let Undone { links, lost, gaps } = succession.undo(&mut object, own);
        let links: Vec<_> = match &pins {
            Some(taken) => links.into_iter().map(|link| taken.pins().hold(link)).collect(),
            None => links,
        };
        for (program, gap) in &gaps {
            info!(
                config = name,
                "program `{program}` runs again; it missed what came within {gap:.0?}"
            );
        }
        lost.iter().for_each(|error| warn!(config = name, "{}", error.advice()));
        if let Some(old) = &mut old {
            old.take_back(links);
            old.failures.extend(lost.iter().cloned());
        }
        TakenBack { attached: old, lost, gaps }
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

    /// Detaches all programs, and takes away all that is pinned of the config. Dropped, it leaves what is pinned.
    pub fn detach(mut self) {
        mem::take(&mut self.links).into_iter().for_each(Attachment::detach);
        if let Some(pins) = &self.pins {
            pins.remove();
        }
    }
}

impl AttachError {
    /// Which program it is, and where.
    fn place(&self) -> (String, String) {
        (self.program.clone(), self.section.clone())
    }
}

/// Tells the log which programs have run on, and what those that did not have missed.
fn tell(config: &str, passages: &[(String, Passage)]) {
    match passages.iter().filter(|(_, how)| *how == Passage::Kept).count() {
        0 => {}
        1 => info!(config, "1 program has run on"),
        n => info!(config, "{n} programs have run on"),
    }
    let told = passages.iter().filter_map(|(program, how)| how.told(program));
    told.for_each(|text| info!(config, "{text}"));
}
