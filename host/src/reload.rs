//! Configs read again while they are served: what has changed is made anew, and all else is not touched.
//!
//! All is read, checked and loaded before anything changes. Whatever fails until then leaves all as it was. Runs on a
//! worker of its own, which keeps what a start takes; the thread that scrapes only waits while programs change.

use std::collections::{BTreeMap, HashSet};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, OnceLock};

use tracing::{error, info, warn};

use crate::advice::{self, Advice, Advise as _};
use crate::bpf::{self, Addresses, Attached, KernelTypes, PinDir};
use crate::config::{Fault, Severity};
use crate::plugin::{Budget, DataWatch, Digest, Gauge, Loader};
use crate::privileges::{self, Needs};
use crate::scrape::{Change, Exchange};
use crate::serve::{Reloader, Scrapes};
use crate::settings::Settings;
use crate::source::Drains;
use crate::spans::{self, SpanChange, SpanDesk};
use crate::startup::{Checked, Checking, Ready, report};
use crate::system::System;

mod difference;
mod exchange;

pub use difference::Standing;

use difference::{Comparison, Difference};
use exchange::{Exchanged, Exchanging, Renewing, unread};

/// Says every fault, and whether none of them is fatal.
fn told(faults: &[Fault], settings: &Settings) -> Result<(), Advice> {
    for fault in faults {
        match fault.severity {
            Severity::Error => error!("{fault}"),
            Severity::Warning => warn!("{fault}"),
        }
    }
    let fatal: Vec<_> = faults.iter().filter(|fault| settings.is_fatal(fault)).collect();
    match fatal.iter().map(|fault| fault.count as usize).sum() {
        0 => Ok(()),
        n => {
            let problem = format!("{} in the configs", report::counted(n, "fault"));
            let lines: Vec<_> = fatal.iter().map(ToString::to_string).collect();
            Err(Advice::new(problem, CORRECT).said(lines.join("\n")))
        }
    }
}

/// What to do about faults, each of which has its line in the log, with what to do.
const CORRECT: &str = "correct each as the log says, then reload again";

/// What to do about what only a start can change.
const RESTART: &str = "restart the exporter to have it";

/// Why a config cannot have spans.
fn untraced(config: &str) -> Advice {
    Advice::new(
        format!(
            "config `{config}` has spans, and the sandbox of this exporter lets it send none, since there were none when it began"
        ),
        format!("{RESTART}; with OTEL_TRACES_EXPORTER=otlp they may come later too"),
    )
}

/// Why records of a ring buffer cannot be counted that became spans, or become spans if they were counted.
fn two_readers(config: &str, ring: &str) -> Advice {
    Advice::new(
        format!(
            "in config `{config}` the ring buffer `{ring}` goes from spans to a metric, or back, and two threads would read it at once"
        ),
        RESTART,
    )
}

/// Whether one thread alone would read each ring buffer of a config that has changed.
fn has_one_reader(config: &str, comparison: &Comparison) -> Result<(), Advice> {
    comparison.turned().map_or(Ok(()), |ring| Err(two_readers(config, ring)))
}

/// Why records of a ring buffer cannot be counted yet that were spans until a reload before this one.
fn still_read(config: &str, ring: &str) -> Advice {
    Advice::new(
        format!(
            "in config `{config}` a metric is to count the records of the ring buffer `{ring}`, and spans are still made of what stands in it"
        ),
        "reload again in a moment",
    )
}

/// What reads configs again.
pub struct ConfigReloader {
    /// What was decided for the process.
    pub settings: Arc<Settings>,
    /// The names of this host.
    pub system: System,
    /// What has loaded the plugins that are at work.
    pub loader: Loader,
    /// The configs at work.
    pub standing: Vec<Standing>,
    /// Where configs stay in the kernel, if anywhere.
    pub pins: Option<Arc<PinDir>>,
    /// Whom the thread that scrapes is told by what is to change.
    pub exchanges: Sender<Exchange>,
    /// That thread.
    pub scrapes: Scrapes,
    /// What is left for plugins in a scrape of it.
    pub budget: Arc<Budget>,
    /// What the process has kept for serving, once that is decided.
    pub kept: Arc<OnceLock<Needs>>,
    /// Who drains the buffers of units that come.
    pub drains: Option<Drains>,
    /// Who looks at the files of plugins that come.
    pub data: Option<DataWatch>,
    /// Who makes spans, if any are made.
    pub tracing: Option<SpanDesk>,
}

/// All that is loaded, and waits to take the place of what there is.
#[derive(Default)]
struct Prepared {
    gone: Vec<String>,
    new: Vec<Ready>,
    renewed: Vec<(Checked, Comparison)>,
    replaced: Vec<(Ready, Comparison)>,
}

impl Reloader for ConfigReloader {
    fn reload(&mut self) -> Result<String, Advice> {
        let types = KernelTypes::share();
        let done =
            self.anew().map_err(|advice| advice.about("failed to reload, the old configs go on"));
        drop(types);
        self.forget();
        done
    }
}

impl ConfigReloader {
    fn anew(&mut self) -> Result<String, Advice> {
        if !privileges::can_load() {
            // Nor may it start the process that compiles.
            self.loader.seal();
        }
        let checked = self.checked()?;
        let difference = Difference::of(&self.standing, checked);
        if difference.is_none() {
            return Ok("nothing has changed".to_owned());
        }
        self.allow(&difference)?;
        let prepared = self.loaded(difference)?;
        self.exchange(prepared)
    }

    /// Lets go of what only the configs of before needed.
    fn forget(&mut self) {
        let plugins = self.standing.iter().flat_map(|standing| &standing.made_of.plugins);
        self.loader.keep_only(&plugins.copied().collect::<HashSet<Digest>>());
        bpf::give_back_memory();
    }

    fn checked(&mut self) -> Result<Vec<Checked>, Advice> {
        let Self { settings, system, loader, .. } = self;
        let of = |symbols: &[&str]| system.kallsyms().addresses_of(symbols);
        let addresses = privileges::can_load().then_some(&of as Addresses<'_>);
        let checking = Checking { places: settings.places(), system, addresses, loader };
        let (checked, faults) = checking.check(&settings.selection);
        system.prepare();
        told(&faults, settings).map(|()| checked)
    }

    /// Whether the process may still do what it takes.
    fn allow(&mut self, difference: &Difference) -> Result<(), Advice> {
        if let Some(config) = difference.to_load().next()
            && !privileges::can_load()
        {
            let problem = format!(
                "loading the object of config `{}` takes CAP_BPF, which was given up",
                config.name()
            );
            return Err(Advice::new(
                problem,
                "restart the exporter, or have it keep what a start takes: --capabilities.keep",
            ));
        }
        if self.tracing.is_none()
            && self.settings.tracing.nowhere().is_none()
            && let Some(config) = difference.checked().find(|config| !config.spans().is_empty())
        {
            return Err(untraced(config.name()));
        }
        for (config, now) in &difference.renewed {
            has_one_reader(config.name(), now)?;
        }
        if let Some(tracing) = &mut self.tracing
            && let Some((config, ring)) =
                difference.newly_read().find(|(config, ring)| tracing.still_reads(config, ring))
        {
            return Err(still_read(config, ring));
        }
        let needs = Needs {
            readable: difference
                .checked()
                .flat_map(Checked::plugins)
                .flat_map(Gauge::readable)
                .collect(),
            changes_maps: difference.checked().any(|config| config.has_cgroup_map()),
            // Who may load may open them too, though not on CPUs that come.
            cpu_events: !privileges::can_load() && difference.opens_events(),
            ..Needs::default()
        };
        let lack =
            self.kept.get().and_then(|kept| kept.lack(&needs, self.settings.privileges.sandbox));
        match lack {
            Some(what) => Err(Advice::new(
                format!(
                    "a config {what}, which the sandbox of this exporter does not allow, since none did when it began"
                ),
                RESTART,
            )),
            None => Ok(()),
        }
    }

    /// Hands to the kernel what it is to have, and attaches what takes nobody's place.
    fn loaded(&self, difference: Difference) -> Result<Prepared, Advice> {
        let Difference { gone, new, renewed, replaced } = difference;
        let mut prepared = Prepared { gone, renewed, ..Prepared::default() };
        for (mut checked, comparison) in replaced {
            if let Some(pins) = &self.pins {
                checked.pin_in(pins);
            }
            let before = self.standing.iter().find(|standing| standing.name() == checked.name());
            let maps = before.map(|standing| &*standing.maps).unwrap_or_default();
            let taken =
                checked.take_over(maps).map_err(|error| Advice::plain(advice::words(&error)))?;
            let comparison = comparison.of_taken(&taken, &checked);
            has_one_reader(checked.name(), &comparison)?;
            let read = comparison.read(checked.layouts());
            let ready = checked.load(&read).map_err(|error| error.advice())?;
            prepared.replaced.push((ready, comparison));
        }
        for mut checked in new {
            if let Some(pins) = &self.pins {
                checked.pin_in(pins);
            }
            match checked.load(&[]) {
                Ok(ready) => prepared.new.push(ready),
                Err(error) if self.settings.may_skip() => warn!("{}; skipped", error.advice()),
                Err(error) => return Err(error.advice()),
            }
        }
        Ok(prepared)
    }

    /// Has all of it take the place of what there is, between two scrapes. What has changed.
    fn exchange(&mut self, prepared: Prepared) -> Result<String, Advice> {
        let Prepared { gone, new, renewed, replaced } = prepared;
        let renewed = renewed.into_iter().map(|(checked, now)| self.renewed(checked, &now));
        let renewed = renewed.collect::<Result<Vec<_>, _>>()?;
        let wanted =
            gone.iter().cloned().chain(replaced.iter().map(|(ready, _)| ready.name.clone()));
        let (lent, tell) = self.borrow(wanted.collect())?;
        let (reading, strict) = (self.settings.reading, self.settings.strict);
        let mut exchanging = Exchanging::new(&self.system, reading, strict, lent);
        let result = exchanging.replace(replaced).and_then(|()| exchanging.come_and_go(&gone, new));
        let mut done = exchanging.end();
        if result.is_ok() {
            renewed.into_iter().for_each(|config| done.renew(config));
        }
        let told = done.told();
        self.take_up(done, &tell);
        result.map(|()| told)
    }

    /// Tells all workers what has changed, and remembers which configs there are now.
    fn take_up(&mut self, done: Exchanged, tell: &Sender<Vec<Change>>) {
        let Exchanged { standing, changes, mut spans, removed, .. } = done;
        self.watch(&changes);
        // Who scrapes has waited for this.
        let _ = tell.send(changes);
        let gone =
            self.standing.iter().filter(|before| removed.iter().any(|it| it == before.name()));
        let left = gone.flat_map(Standing::rings).collect();
        spans.extend(SpanChange { left, came: Vec::new() });
        self.trace(spans);
        self.stand(standing, removed);
    }

    /// Has these stand in the place of what they were before, and of those that were removed.
    fn stand(&mut self, standing: Vec<Standing>, removed: Vec<String>) {
        let changed: HashSet<_> =
            removed.into_iter().chain(standing.iter().map(|it| it.name().to_owned())).collect();
        self.standing.retain(|before| !changed.contains(before.name()));
        self.standing.extend(standing);
    }

    /// A config whose object stays: what it is now, and what changes.
    fn renewed(&self, mut checked: Checked, comparison: &Comparison) -> Result<Renewing, Advice> {
        let before = self.standing.iter().find(|standing| standing.name() == checked.name());
        let maps = before.map(|standing| standing.maps.clone()).unwrap_or_default();
        let (made_of, layouts) = (checked.made_of(), checked.layouts().to_vec());
        let left = comparison.left_spans(checked.name()).collect();
        let came = checked.trace(comparison.kept_spans(), &maps).map_err(unread)?;
        let renewal = checked.renew(&comparison.how(), &maps, self.settings.reading);
        let renewal = comparison.keep(renewal.map_err(unread)?);
        let (now, spans) = (Standing { made_of, layouts, maps }, SpanChange { left, came });
        Ok(Renewing { now, renewal, spans })
    }

    /// Has the thread that scrapes wait, and lend the programs of these configs. What it is told then is what changes.
    fn borrow(&self, wanted: Vec<String>) -> Result<(Lent, Sender<Vec<Change>>), Advice> {
        let ((lend, lent), (tell, changes)) = (mpsc::channel(), mpsc::channel());
        let stopping = || Advice::plain("the exporter is stopping");
        let exchange = Exchange { wanted, lent: lend, changes };
        self.exchanges.send(exchange).map_err(|_| stopping())?;
        self.scrapes.settle();
        Ok((lent.recv().map_err(|_| stopping())?, tell))
    }

    /// Has spans be made of what comes.
    fn trace(&mut self, spans: SpanChange) {
        match (&mut self.tracing, self.settings.tracing.nowhere()) {
            _ if spans.is_none() => {}
            (Some(tracing), _) => tracing.change(spans),
            (None, Some(why)) if !spans.came.is_empty() => info!("{}", spans::unmade(why)),
            (None, _) => {}
        }
    }

    /// Has workers see to what comes. Plugins that come are bound by the time of a scrape from now on: spans may ask
    /// them before the thread that scrapes has them.
    fn watch(&self, changes: &[Change]) {
        for change in changes {
            if let Some(drains) = &self.drains {
                for drained in change.drained() {
                    if let Err(error) = drains.add(&drained) {
                        warn!("events are drained at scrapes only: {error}");
                    }
                }
            }
            change.plugins().iter().for_each(|plugin| plugin.join(&self.budget));
            if let Some(data) = &self.data {
                change.plugins().iter().for_each(|plugin| plugin.watched_by(data));
            }
        }
    }
}

/// Objects in the kernel, by their configs.
type Lent = BTreeMap<String, Attached>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_spans_want_a_restart() {
        insta::assert_snapshot!(untraced("a"), @"config `a` has spans, and the sandbox of this exporter lets it send none, since there were none when it began; restart the exporter to have it; with OTEL_TRACES_EXPORTER=otlp they may come later too");
        insta::assert_snapshot!(two_readers("a", "r"), @"in config `a` the ring buffer `r` goes from spans to a metric, or back, and two threads would read it at once; restart the exporter to have it");
        insta::assert_snapshot!(still_read("a", "r"), @"in config `a` a metric is to count the records of the ring buffer `r`, and spans are still made of what stands in it; reload again in a moment");
    }
}
