//! Programs that change places while the thread that scrapes waits, and what it is told to change.
//!
//! All that may fail comes first. Until all of it has worked, every program of before can run again. Never loads
//! anything.

use std::collections::BTreeMap;
use std::mem;

use tracing::{info, warn};

use super::difference::{Comparison, Standing};
use super::refused::NotReloaded;
use crate::advice::{self, Advice, Advise as _};
use crate::bpf::{self, AttachError, Attached, NotSwapped, Passage, TakenBack};
use crate::scrape::{Change, Renewal};
use crate::source::ReadError;
use crate::spans::SpanChange;
use crate::startup::{self, Arriving, Passages, Ready, Running, report};
use crate::system::System;

/// Programs that change places.
pub(super) struct Exchanging<'a> {
    system: &'a System,
    /// Whether a program that does not attach is a reason to leave all as it was, whichever it is.
    strict: bool,
    /// The programs that others are to take the place of, and those that go, by their configs.
    lent: BTreeMap<String, Attached>,
    /// What runs in the place of others.
    replacing: Vec<(Arriving, Comparison)>,
    /// New configs that run.
    arrived: Vec<Arriving>,
    /// New configs that run once others have gone.
    coming: Vec<Ready>,
    /// What could not be replaced, and runs as before.
    back: Vec<(String, TakenBack)>,
}

/// What has come of it.
#[derive(Default)]
pub(super) struct Exchanged {
    /// The configs that are others now.
    pub(super) standing: Vec<Standing>,
    /// What who scrapes is to be told.
    pub(super) changes: Vec<Change>,
    /// What who makes spans is to be told.
    pub(super) spans: SpanChange,
    /// Names of configs, by what became of them.
    pub(super) added: Vec<String>,
    pub(super) changed: Vec<String>,
    pub(super) removed: Vec<String>,
    /// What does not run, a sentence for each.
    pub(super) failed: Vec<String>,
    /// What it has cost, a sentence for each program.
    pub(super) costs: Vec<String>,
}

/// A config whose object stays.
pub(super) struct Renewing {
    /// What it is from now on.
    pub(super) now: Standing,
    /// What changes for who scrapes.
    pub(super) renewal: Renewal,
    /// What changes for who makes spans.
    pub(super) spans: SpanChange,
}

impl<'a> Exchanging<'a> {
    pub(super) fn new(system: &'a System, strict: bool, lent: BTreeMap<String, Attached>) -> Self {
        let (replacing, arrived, coming, back) = Default::default();
        Self { system, strict, lent, replacing, arrived, coming, back }
    }

    /// Has these take the place of what was lent, until one cannot.
    ///
    /// # Errors
    ///
    /// Why one cannot.
    pub(super) fn replace(&mut self, replaced: Vec<(Ready, Comparison)>) -> Result<(), Advice> {
        for (ready, comparison) in replaced {
            let name = ready.name().to_owned();
            let old = self.lent.remove(&name);
            match ready.attach_in_place_of(old, self.strict) {
                Ok(arriving) => self.replacing.push((arriving, comparison)),
                Err(kept) => {
                    let NotSwapped { faults, back } = *kept;
                    let why = unattached(&name, &faults);
                    self.back.push((name, back));
                    return Err(why);
                }
            }
        }
        Ok(())
    }

    /// Has these run besides. If it does not matter whether their programs attach, they wait until others have gone: who
    /// comes may want the hook of one who goes.
    ///
    /// # Errors
    ///
    /// When a program does not attach and that matters.
    pub(super) fn come(&mut self, new: Vec<Ready>) -> Result<(), Advice> {
        if !self.strict {
            self.coming = new;
            return Ok(());
        }
        self.arrived = new.into_iter().map(|ready| ready.attach_strictly(self.system)).collect();
        let failed = |config: &&Arriving| config.failures().next().is_some();
        let Some(config) = self.arrived.iter().find(failed) else { return Ok(()) };
        let faults: Vec<_> = config.failures().cloned().collect();
        Err(unattached(config.name(), &faults))
    }

    /// Lets go of all that ran before and has been replaced, or is gone. There is no way back from it.
    pub(super) fn settle(mut self, gone: &[String]) -> Exchanged {
        let mut done = Exchanged::default();
        for (arriving, comparison) in mem::take(&mut self.replacing) {
            let (running, passages) = arriving.settle(self.system);
            done.replace(running, &comparison, &passages);
        }
        for name in gone {
            if let Some(attached) = self.lent.remove(name) {
                attached.detach();
            }
            done.changes.push(Change::Remove(name.clone()));
            done.removed.push(name.clone());
        }
        let arrived = mem::take(&mut self.arrived).into_iter();
        let mut running: Vec<_> = arrived.map(|config| config.settle(self.system).0).collect();
        let coming = mem::take(&mut self.coming).into_iter();
        running.extend(coming.map(|ready| ready.attach(self.system)));
        if !running.is_empty() {
            bpf::post_attach_mark();
        }
        running.into_iter().for_each(|config| done.add(config));
        done.changes.extend(self.lent.into_iter().map(|(name, old)| Change::Return(name, old)));
        done
    }

    /// Has all that ran before run again, and says why there is nothing else.
    pub(super) fn undo(mut self, why: Advice) -> (Exchanged, NotReloaded) {
        let (mut done, mut refused) = (Exchanged::default(), NotReloaded::from(why));
        // Those that only came have nothing to give back.
        mem::take(&mut self.arrived).into_iter().rev().for_each(|config| drop(config.undo()));
        for (arriving, _) in mem::take(&mut self.replacing).into_iter().rev() {
            self.back.push((arriving.name().to_owned(), arriving.undo()));
        }
        for (name, TakenBack { attached, lost, gaps }) in mem::take(&mut self.back) {
            refused.lose(&name, &lost);
            refused.note(gaps.iter().map(|(program, gap)| {
                format!("config `{name}`: program `{program}` runs again; it missed what came within {gap:.0?}")
            }));
            done.changes.extend(attached.map(|attached| Change::Return(name, attached)));
        }
        done.changes.extend(self.lent.into_iter().map(|(name, old)| Change::Return(name, old)));
        (done, refused)
    }
}

/// Why programs of a config do not attach.
fn unattached(config: &str, faults: &[AttachError]) -> Advice {
    let (first, more) = match faults {
        [] => return Advice::plain(format!("config `{config}`: its programs do not attach")),
        [first, more @ ..] => (first.advice(), more),
    };
    more.iter().for_each(|error| warn!(config, "{}", error.advice()));
    let problem = match more.len() {
        0 => format!("config `{config}`: {}", first.problem),
        n => format!("config `{config}`: {}; {n} more do not attach either", first.problem),
    };
    let said: Vec<_> =
        first.evidence.into_iter().chain(more.iter().map(|it| it.advice().to_string())).collect();
    let evidence = (!said.is_empty()).then(|| said.join("\n"));
    Advice { problem, remedy: first.remedy, evidence }
}

impl Exchanged {
    /// Has a config be another one whose object is another one too.
    fn replace(&mut self, mut running: Running, comparison: &Comparison, passages: &Passages) {
        self.tell(&running, passages);
        self.standing.push(Standing::of(&running));
        let (left, came) =
            (comparison.left_spans(&running.name).collect(), mem::take(&mut running.spans));
        self.spans.extend(SpanChange { left, came });
        self.changed.push(running.name.clone());
        let renewal = startup::renewal(running, &comparison.how());
        self.changes.push(Change::Renew(comparison.keep(renewal)));
    }

    /// Has a config come.
    fn add(&mut self, mut running: Running) {
        self.tell(&running, &Passages::new());
        self.standing.push(Standing::of(&running));
        let came = mem::take(&mut running.spans);
        self.spans.extend(SpanChange { left: Vec::new(), came });
        self.added.push(running.name.clone());
        self.changes.push(Change::Add(startup::unit(running)));
    }

    /// Says what runs now, and notes what was missed meanwhile and what does not run.
    fn tell(&mut self, running: &Running, passages: &Passages) {
        info!("{}", report::line(running));
        let config = &running.name;
        let costs = |(program, passage): &(String, Passage)| match passage {
            Passage::New | Passage::Kept | Passage::InPlace => None,
            Passage::After(_) | Passage::Left(_) => passage.told(program),
        };
        let costs = passages.iter().filter_map(costs);
        self.costs.extend(costs.map(|told| format!("config `{config}`: {told}")));
        let failures = running.attached.failures().iter();
        self.failed.extend(failures.map(|error| format!("config `{config}`: {error}")));
    }

    /// Has a config be another one whose object stays.
    pub(super) fn renew(&mut self, config: Renewing) {
        let Renewing { now, renewal, spans } = config;
        self.changed.push(now.name().to_owned());
        self.spans.extend(spans);
        self.standing.push(now);
        self.changes.push(Change::Renew(renewal));
    }

    /// What it comes to: `added a; changed b, c`.
    pub(super) fn told(&self) -> String {
        let Self { added, changed, removed, .. } = self;
        let parts = [("added", added), ("changed", changed), ("removed", removed)];
        let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
        let told: Vec<_> =
            parts.map(|(what, names)| format!("{what} {}", names.join(", "))).collect();
        if told.is_empty() { "nothing has changed".to_owned() } else { told.join("; ") }
    }
}

/// Why a map cannot be read.
pub(super) fn unread(error: ReadError) -> Advice {
    let why = advice::words(&error.source);
    Advice::plain(format!("map {} cannot be made ready for reading: {why}", error.map))
}
