//! Read → decode → series → exposition: the only place that joins them.
//!
//! One thread owns the [`Scraper`] and scrapes one at a time. A map that cannot be read, or a key
//! that cannot be decoded, costs its own series; never the scrape.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime};

use crate::bpf::stats::{Measuring, Programs, enabled};
use crate::escaping::Escaping;
use crate::exposition::gzip::Deflater;
use crate::exposition::kept::Kept;
use crate::exposition::{Body, Format, page, text};
use crate::logging::Lost;
use crate::plugin::{Budget, Gauges};
use crate::process::Myself;
use crate::push::PushStats;
use crate::series::Family;
use crate::serve::{self, Choice, MapSummary, Piece, Reloaded, Traffic};
use crate::spans::SpanStats;
use crate::status::Findings;
use crate::surveyor::HostWide;
use crate::system::{Cgroups, System};
use crate::telemetry::{Collect, Report};
use crate::workers::Staff;

mod cgroups;
mod change;
mod decide;
mod decode;
mod families;
mod feed;
mod findings;
mod last_names;
mod stats;
mod text_bound;
mod turns;
mod unit;

pub use change::{Change, Exchange, Renewal, Renewed};
pub use decide::PLUGIN_BUDGET;
pub use feed::Fed;
pub use unit::Unit;

use cgroups::Counted;
use decide::{Deciding, Guests};
use families::{Families, Filled};
use feed::Feed;
use stats::{Admissions, Configs, Events, Maps, Phases};
use unit::{Active, Ids};

/// Turns the maps of all configs into an exposition, again and again.
#[derive(Debug, Default)]
pub struct Scraper {
    units: Vec<Active>,
    ids: Ids,
    /// Those that maps feed.
    families: Families,
    guests: Guests,
    /// What the exporter says about itself, as of the last reading.
    report: Report,
    deflater: Deflater,
    phases: Phases,
    traffic: Traffic,
    cgroups: Cgroups,
    spans: SpanStats,
    pushes: PushStats,
    /// What has the kernel measure, if anything of ours does.
    measuring: Option<Measuring>,
    /// Whether anybody does, as of the last reading.
    measured: bool,
    host: HostWide,
    /// What is to change, if anybody may change anything.
    exchanges: Option<Receiver<Exchange>>,
    reloads: Reloaded,
    /// Which configs are read and written out.
    choice: Choice,
    /// Whether a call has begun and not ended: a panic has cut it short.
    unfinished: bool,
    /// When the last reading was, if there was one.
    last: Option<findings::Read>,
}

impl Scraper {
    /// A scraper of these configs. Metrics of the same name are one family.
    pub fn new(units: Vec<Unit>) -> Self {
        let mut scraper = Self::default();
        units.into_iter().for_each(|unit| scraper.add(unit));
        scraper
    }

    /// What is left for plugins in the scrape under way.
    pub fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.guests.budget)
    }

    /// Takes in another config, which is scraped from the next time on.
    pub fn add(&mut self, unit: Unit) {
        self.units.push(Active::new(unit, &mut self.ids, &self.guests.budget));
    }

    /// Lets go of a config: its programs are detached, and what only it has counted goes. Whether there is
    /// one of this name. All others go on.
    pub fn remove(&mut self, config: &str) -> bool {
        let Some(at) = self.units.iter().position(|unit| unit.name() == config) else {
            return false;
        };
        self.units.remove(at).leave(&mut self.families);
        self.forget_unfilled();
        true
    }

    /// The same, telling in each scrape what connections came to.
    pub fn telling(self, traffic: Traffic) -> Self {
        Self { traffic, ..self }
    }

    /// The same, keeping in step what the system keeps of cgroups for maps, and telling of it in each scrape.
    pub fn knowing(self, system: &System) -> Self {
        Self { cgroups: system.cgroups().clone(), ..self }
    }

    /// The same, telling in each scrape what has become of spans.
    pub fn tracing(self, spans: SpanStats) -> Self {
        Self { spans, ..self }
    }

    /// The same, telling in each scrape what has become of reloads.
    pub fn reloading(self, reloads: Reloaded) -> Self {
        Self { reloads, ..self }
    }

    /// The same, telling in each scrape what has become of pushes.
    pub fn pushing(self, pushes: PushStats) -> Self {
        Self { pushes, ..self }
    }

    /// The same, while the kernel measures what programs cost.
    pub fn measuring(self, measuring: Option<Measuring>) -> Self {
        Self { measuring, ..self }
    }

    /// The same, telling in each scrape of all BPF programs and maps of the host.
    pub fn surveying(self, host: HostWide) -> Self {
        Self { host, ..self }
    }

    /// The same scraper, whose plugins may run so long in a scrape, all together.
    pub fn with_plugin_budget(mut self, plugin_budget: Duration) -> Self {
        self.guests.most = plugin_budget;
        self
    }

    /// Reads every map once and returns the exposition as text, families sorted by name.
    pub fn scrape(&mut self) -> Body {
        self.read(None);
        self.render(Format::Text, Escaping::default())
    }

    /// Reads every map once.
    pub fn read_maps(&mut self) {
        self.read(None);
    }

    /// What the maps have become as text, families sorted by name, without what the exporter says about
    /// itself.
    pub fn maps_text(&self) -> Vec<u8> {
        let families = self.families.iter().map(|kept| &**kept.family());
        let mut text = Vec::new();
        text::encode(families, Escaping::default(), &mut text);
        text
    }

    /// The metrics of which there is no series, by their full names.
    pub fn empty_metrics(&self) -> BTreeSet<&str> {
        let feeds = self.units.iter().flat_map(|unit| &unit.feeds);
        let filled = feeds.map(|feed| &feed.filled);
        let empty = filled.filter(|it| self.families.get(it).is_none_or(Family::is_empty));
        empty.map(Filled::name).collect()
    }

    /// What was read, in this format.
    fn render(&mut self, format: Format, escaping: Escaping) -> Body {
        let start = Instant::now();
        let Self { families, report, units, choice, .. } = self;
        let families = chosen(families, report, units, choice);
        let body = page::render(families.into_iter(), format, escaping);
        self.phases.render += start.elapsed();
        body
    }

    /// What [`Scraper::render`] returned last, as one gzip member.
    fn compress(&mut self, page: &Body) -> Body {
        let start = Instant::now();
        let Self { families, report, units, choice, deflater, .. } = self;
        let families = chosen(families, report, units, choice);
        let body = page::compress(families.into_iter(), page, deflater);
        self.phases.compress += start.elapsed();
        body
    }

    /// Makes a call that, if a panic cuts it short, has the next reading begin anew.
    fn whole<T>(&mut self, call: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.unfinished, true);
        let result = call(self);
        self.unfinished = before;
        result
    }

    /// Reads every map. Guests may run for less than their budget if the client waits only for
    /// `patience`.
    fn read(&mut self, patience: Option<Duration>) {
        let (start, began) = (Instant::now(), SystemTime::now());
        if std::mem::replace(&mut self.unfinished, true) {
            self.begin_anew();
        }
        self.host.begin();
        self.cgroups.keep_up(start);
        let Self { units, families, phases, guests, choice, .. } = self;
        units.iter_mut().for_each(Active::follow_cpus);
        units.iter_mut().for_each(|unit| unit.chosen = choice.takes(unit.name()));
        for Active { feeds, stats, .. } in units.iter_mut().filter(|unit| unit.chosen) {
            stats.begin_scrape();
            for feed in feeds {
                feed.read(families.of(&feed.filled), stats, phases);
            }
            stats.end_reading(began);
        }
        Deciding { units, families, phases, guests }.all(start, patience);
        self.let_go();
        self.compact();
        self.tell();
        self.last = Some(findings::Read { began, took: start.elapsed() });
        self.unfinished = false;
    }

    /// Says what the exporter knows of itself.
    fn tell(&mut self) {
        self.spans.keep_errors_of(|config| self.units.iter().any(|unit| unit.name() == config));
        for Active { feeds, stats, .. } in &mut self.units {
            stats.span_errors = self.spans.errors(&stats.name);
            let series = |feed: &Feed| self.families.get(&feed.filled).map_or(0, Family::len);
            stats.series = feeds.iter().map(|feed| series(feed) as u64).sum();
        }
        self.measured = self.measuring.is_some() || enabled();
        self.units.iter_mut().for_each(|unit| unit.ask_costs(self.measured));
        self.host.end(self.units.iter().flat_map(Active::ours), self.measured);
        let mut report = std::mem::take(&mut self.report);
        report.begin();
        self.collect(&mut report);
        report.end();
        self.report = report;
    }

    /// Forgets all rows and series: a panic has cut short what was done with them.
    fn begin_anew(&mut self) {
        self.guests.budget.end();
        self.units.iter_mut().flat_map(|unit| &mut unit.feeds).for_each(Feed::forget);
        self.families.clear();
    }

    /// Lets go of series that no row is in and that none may be in that waits.
    fn let_go(&mut self) {
        let feeds = self.units.iter().flat_map(|unit| &unit.feeds);
        self.families.let_go(feeds.filter(|feed| feed.waits()).map(|feed| &feed.filled));
    }

    /// Gives back the memory of families that have lost many series.
    fn compact(&mut self) {
        for (filled, moves) in self.families.compact() {
            let feeds = self.units.iter_mut().flat_map(|unit| &mut unit.feeds);
            feeds.filter(|feed| feed.filled == filled).for_each(|feed| feed.follow(&moves));
        }
    }
}

impl Collect for Scraper {
    fn collect(&self, report: &mut Report) {
        let units = || self.units.iter();
        let programs = units().flat_map(Active::programs).collect();
        let plugins = units().flat_map(|unit| &unit.plugins).map(|plugin| &plugin.gauge).collect();
        let admitted = || units().filter_map(Active::admitted).collect();
        let all: [&dyn Collect; 16] = [
            &Configs(units().map(|unit| &unit.stats).collect()),
            &self.reloads,
            &Programs(programs),
            &self.host,
            &Maps(units().flat_map(Active::maps).collect()),
            &Events { streams: units().flat_map(Active::events).collect(), admitted: admitted() },
            &Admissions(admitted()),
            &self.phases,
            &Gauges(plugins),
            &Counted(self.cgroups.census()),
            &self.traffic,
            &self.spans,
            &self.pushes,
            &Staff,
            &Lost,
            &Myself,
        ];
        all.iter().for_each(|room| room.collect(report));
    }
}

/// The families that are written out: those that chosen units fill, and those of the exporter itself if they are
/// wanted.
fn chosen<'a>(
    families: &'a mut Families,
    report: &'a mut Report,
    units: &[Active],
    choice: &Choice,
) -> Vec<&'a mut Kept> {
    let own = report.families_mut().iter_mut().filter(|_| choice.takes_own());
    if *choice == Choice::All {
        return families.iter_mut().chain(own).collect();
    }
    let units = units.iter().filter(|unit| choice.takes(unit.name()));
    let names: BTreeSet<_> =
        units.flat_map(|unit| &unit.feeds).map(|feed| feed.filled.name()).collect();
    let filled = families.iter_mut().filter(|kept| names.contains(&*kept.family().name));
    filled.chain(own).collect()
}

/// Every family that the exporter can tell of itself, of an exporter that has done nothing yet.
pub fn own_families() -> Report {
    let mut report = Report::default();
    Scraper::default().collect(&mut report);
    report
}

/// What the series of these are called, and the families.
pub fn own_series() -> Vec<String> {
    own_families().families().iter().flat_map(|kept| kept.family().names()).collect()
}

impl serve::Gatherer for Scraper {
    fn read(&mut self, patience: Option<Duration>) {
        self.read(patience);
    }

    fn page(&mut self, page: serve::Page) -> Body {
        let serve::Page::Metrics(format, escaping) = page;
        self.whole(|scraper| scraper.render(format, escaping))
    }

    fn choose(&mut self, choice: &Choice) -> Result<(), String> {
        let is_there = |name: &&str| self.units.iter().any(|unit| unit.name() == *name);
        if let Some(missing) = choice.names().find(|name| !is_there(name)) {
            return Err(missing.to_owned());
        }
        self.choice = choice.clone();
        Ok(())
    }

    fn settle(&mut self) {
        self.whole(Self::settle);
    }

    fn families(&mut self) -> Vec<Arc<Family>> {
        let families = self.families.iter().chain(self.report.families());
        families.map(|kept| Arc::clone(kept.family())).collect()
    }

    fn maps(&mut self) -> Vec<MapSummary> {
        let of = |unit: &Active| -> Vec<_> {
            unit.feeds.iter().map(|feed| feed.summary(unit.name())).collect()
        };
        self.units.iter().flat_map(of).collect()
    }

    fn entries(&mut self, config: &str, map: &str, from: usize) -> Option<Piece> {
        let unit = self.units.iter().find(|unit| unit.name() == config)?;
        let feed = unit.feeds.iter().find(|feed| feed.map() == map)?;
        Some(feed.piece(config, self.families.get(&feed.filled), from))
    }

    fn findings(&mut self) -> Option<Arc<Findings>> {
        self.found().map(Arc::new)
    }

    fn gzip(&mut self, _: serve::Page, body: &Body) -> Body {
        self.whole(|scraper| scraper.compress(body))
    }
}

#[cfg(test)]
mod tests;
