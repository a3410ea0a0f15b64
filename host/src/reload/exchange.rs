//! Programs that change places while the thread that scrapes waits, and what it is told to change.
//!
//! Programs that replace others come first, since they may fail and there is a way back. Never loads anything.

use std::collections::BTreeMap;
use std::mem;

use tracing::info;

use super::difference::{Comparison, Standing};
use crate::advice::{self, Advice, Advise as _};
use crate::bpf::{self, Attached, NotSwapped, Passage};
use crate::scrape::{Change, Renewal};
use crate::source::{ReadError, Reading};
use crate::spans::SpanChange;
use crate::startup::{self, Passages, Ready, Running, report};
use crate::system::System;

/// Programs that change places.
pub(super) struct Exchanging<'a> {
    system: &'a System,
    reading: Reading,
    /// Whether a program that does not attach is a reason to leave all as it was.
    strict: bool,
    /// The programs that others are to take the place of, and those that go, by their configs.
    lent: BTreeMap<String, Attached>,
    done: Exchanged,
}

/// What has come of it so far.
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
    pub(super) fn new(
        system: &'a System,
        reading: Reading,
        strict: bool,
        lent: BTreeMap<String, Attached>,
    ) -> Self {
        Self { system, reading, strict, lent, done: Exchanged::default() }
    }

    /// Has these take the place of what was lent, until one cannot.
    ///
    /// # Errors
    ///
    /// Why one cannot. Its old programs run again, and those before it have changed.
    pub(super) fn replace(&mut self, replaced: Vec<(Ready, Comparison)>) -> Result<(), Advice> {
        for (ready, comparison) in replaced {
            let name = ready.name.clone();
            let (mut running, passages) = match self.lent.remove(&name) {
                None => (ready.attach(self.system), Passages::new()),
                Some(old) => ready
                    .attach_in_place_of(old, self.system)
                    .map_err(|kept| self.refused(&name, *kept))?,
            };
            tell(&running, &passages);
            self.done.standing.push(Standing::of(&running));
            let (left, came) =
                (comparison.left_spans(&name).collect(), mem::take(&mut running.spans));
            self.done.spans.extend(SpanChange { left, came });
            let renewal = startup::renewal(running, &comparison.how(), self.reading);
            self.done.changes.push(Change::Renew(comparison.keep(renewal)));
            self.done.changed.push(name);
        }
        Ok(())
    }

    /// Gives back what was lent in vain, and says why.
    fn refused(&mut self, name: &str, kept: NotSwapped) -> Advice {
        let NotSwapped { attached, failures } = kept;
        self.done.changes.push(Change::Return(name.to_owned(), attached));
        let why = failures.first().map(|error| error.advice());
        let why = why.unwrap_or_else(|| Advice::plain("its programs do not attach"));
        let why = why.about(format_args!("config `{name}`"));
        match &*self.done.changed {
            [] => why,
            changed => {
                let changed = changed.join(", ");
                Advice { problem: format!("{}; {changed} had changed before", why.problem), ..why }
            }
        }
    }

    /// Detaches those that are gone and attaches those that are new.
    ///
    /// # Errors
    ///
    /// When a program of the new ones does not attach and that matters, or a map of theirs cannot be read. Those that
    /// are gone go on in the first case.
    pub(super) fn come_and_go(&mut self, gone: &[String], new: Vec<Ready>) -> Result<(), Advice> {
        // Who comes may want the hook of one who goes.
        if !self.strict {
            self.go(gone);
        }
        let mut running: Vec<_> = new.into_iter().map(|ready| ready.attach(self.system)).collect();
        if let Some(programs) = report::unattached(&running)
            && self.strict
        {
            running.into_iter().for_each(|config| config.attached.detach());
            return Err(Advice::plain(format!("{programs}; each has a line above")));
        }
        if self.strict {
            self.go(gone);
        }
        if !running.is_empty() {
            bpf::post_attach_mark();
        }
        running.iter().for_each(|config| info!("{}", report::line(config)));
        let standing: Vec<_> = running.iter().map(Standing::of).collect();
        let spans = running.iter_mut().flat_map(|config| mem::take(&mut config.spans));
        let came = SpanChange { left: Vec::new(), came: spans.collect() };
        let units = startup::units(running, self.reading).map_err(unread)?;
        self.done.spans.extend(came);
        self.done.added.extend(standing.iter().map(|config| config.name().to_owned()));
        self.done.standing.extend(standing);
        self.done.changes.extend(units.into_iter().map(Change::Add));
        Ok(())
    }

    fn go(&mut self, gone: &[String]) {
        for name in gone {
            if let Some(attached) = self.lent.remove(name) {
                attached.detach();
            }
            self.done.changes.push(Change::Remove(name.clone()));
            self.done.removed.push(name.clone());
        }
    }

    /// Gives back what nobody took the place of.
    pub(super) fn end(self) -> Exchanged {
        let Self { lent, mut done, .. } = self;
        done.changes.extend(lent.into_iter().map(|(name, old)| Change::Return(name, old)));
        done
    }
}

impl Exchanged {
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

/// Says what runs now, and what was missed meanwhile.
fn tell(running: &Running, passages: &Passages) {
    info!("{}", report::line(running));
    for (program, passage) in passages {
        if let Passage::After(gap) = passage {
            info!(
                config = running.name,
                "program {program} was not attached for {} µs",
                gap.as_micros()
            );
        }
    }
}

/// Why a map cannot be read.
pub(super) fn unread(error: ReadError) -> Advice {
    let why = advice::words(&error.source);
    Advice::plain(format!("map {} cannot be made ready for reading: {why}", error.map))
}
