//! Read → decode → series → exposition: the only place that joins them.
//!
//! One thread owns the [`Scraper`] and scrapes one at a time. A map that cannot be read, or a key
//! that cannot be decoded, costs its own series; never the scrape.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::bpf::{Attached, Layout, stats};
use crate::config::{self, Metric};
use crate::escaping::Escaping;
use crate::exposition::gzip::{self, Deflater, Member};
use crate::exposition::kept::Kept;
use crate::exposition::{Body, Format, openmetrics, protobuf, text};
use crate::link::Linked;
use crate::plugin::{Budget, Gauge};
use crate::series::{Family, Kind};
use crate::serve::{self, MapSummary, Piece, Traffic};
use crate::source::Source;
use crate::telemetry::{self, ConfigStats, MapStats, Phases, ProgramStats, Report};

mod decode;
mod feed;
pub mod memory;
mod page;
mod text_bound;
mod turns;

use decode::KeyDecoder;
use feed::{Feed, Field};
use page::{Page, Part};
use text_bound::TextBound;
use turns::{Turns, time_for_guests};

/// How long all guests together may run in a scrape, if nothing else was said.
pub const PLUGIN_BUDGET: Duration = Duration::from_secs(2);
/// A config at work.
#[derive(Debug)]
pub struct Unit {
    /// The config's name.
    pub name: String,
    /// Its metrics.
    pub metrics: Vec<Fed>,
    /// Its object in the kernel; none if what it counted is replayed.
    pub attached: Option<Attached>,
    /// What its plugins cost.
    pub plugins: Vec<Gauge>,
}

/// A metric and what feeds it.
#[derive(Debug)]
pub struct Fed {
    /// The metric, and what decodes its keys.
    pub linked: Linked,
    /// What its keys are.
    pub layout: Layout,
    /// Where its entries come from.
    pub source: Box<dyn Source>,
}

/// Turns the maps of all configs into an exposition, again and again.
#[derive(Debug)]
pub struct Scraper {
    feeds: Vec<Feed>,
    /// Those that maps feed.
    families: Vec<Kept>,
    stats: Vec<ConfigStats>,
    objects: Vec<Option<Attached>>,
    plugins: Vec<Gauge>,
    /// How long guests may run in a scrape.
    plugin_budget: Duration,
    /// What is left of that in this one.
    budget: Arc<Budget>,
    /// Which feed has its plugins asked next.
    turns: Turns,
    /// What the exporter says about itself, as of the last reading.
    report: Report,
    /// The text of the last scrape.
    text: Vec<Part>,
    deflater: Deflater,
    phases: Phases,
    traffic: Traffic,
    /// Whether a call has begun and not ended: a panic has cut it short.
    unfinished: bool,
}

impl Scraper {
    /// A scraper of these configs. Metrics of the same name are one family.
    pub fn new(units: Vec<Unit>) -> Self {
        let mut scraper = Self {
            feeds: Vec::new(),
            families: Vec::new(),
            stats: Vec::new(),
            objects: Vec::new(),
            plugins: Vec::new(),
            plugin_budget: PLUGIN_BUDGET,
            budget: Arc::default(),
            turns: Turns::default(),
            report: Report::default(),
            text: Vec::new(),
            deflater: Deflater::default(),
            phases: Phases::default(),
            traffic: Traffic::default(),
            unfinished: false,
        };
        let (mut known, mut askers) = (BTreeMap::new(), Vec::new());
        for (config, Unit { name, metrics, attached, plugins }) in units.into_iter().enumerate() {
            for Fed { linked, layout, source } in metrics {
                let metric = &linked.metric;
                let next = scraper.families.len();
                let family = *known.entry(metric.name.clone()).or_insert(next);
                if family == next {
                    scraper.families.push(family_of(&linked).into());
                }
                askers.push(asked(metric, &plugins, scraper.plugins.len()));
                let bounds = TextBound::all(&linked, &plugins);
                if !bounds.is_empty() {
                    scraper.families[family].family_mut().measure();
                }
                let fields = Field::all(metric, &layout, source.key_size());
                let decoder = KeyDecoder::new(linked, &layout, source.cpus(), bounds);
                scraper.feeds.push(Feed::new((config, family), source, fields, decoder));
            }
            scraper.stats.push(ConfigStats::new(&name));
            scraper.objects.push(attached);
            plugins.iter().for_each(|plugin| plugin.join(&scraper.budget));
            scraper.plugins.extend(plugins);
        }
        scraper.turns = Turns::new(askers);
        scraper
    }

    /// The same, telling in each scrape what connections came to.
    pub fn telling(self, traffic: Traffic) -> Self {
        Self { traffic, ..self }
    }

    /// The same scraper, whose plugins may run so long in a scrape, all together.
    pub fn with_plugin_budget(self, plugin_budget: Duration) -> Self {
        Self { plugin_budget, ..self }
    }

    /// Reads every map once and returns the exposition as text, families sorted by name.
    pub fn scrape(&mut self) -> Body {
        self.read(None);
        self.text(Escaping::default())
    }

    /// Reads every map once.
    pub fn read_maps(&mut self) {
        self.read(None);
    }

    /// What the maps have become as text, families sorted by name, without what the exporter says about
    /// itself.
    pub fn maps_text(&self) -> Vec<u8> {
        let mut families: Vec<_> = self.families.iter().map(|kept| &**kept.family()).collect();
        families.sort_by(|one, other| one.name.cmp(&other.name));
        let mut text = Vec::new();
        text::encode(families, Escaping::default(), &mut text);
        text
    }

    /// What was read, as text: only what changed is written again.
    fn text(&mut self, escaping: Escaping) -> Body {
        let start = Instant::now();
        let fed = self.families.iter_mut().enumerate().map(|(n, kept)| (Some(n), kept));
        let own = self.report.families_mut().iter_mut().map(|kept| (None, kept));
        let mut order: Vec<_> = fed.chain(own).collect();
        order.sort_by(|(_, one), (_, other)| one.family().name.cmp(&other.family().name));
        let mut page = Page::default();
        for (number, kept) in order {
            kept.render(escaping, |text, block| page.push(text, number.zip(block)));
        }
        self.text = page.finish();
        self.phases.render += start.elapsed();
        self.text.iter().map(|part| part.text.clone()).collect()
    }

    /// What [`Scraper::text`] returned last, as one gzip member.
    fn gzip(&mut self) -> Body {
        let start = Instant::now();
        let mut member = Member::default();
        for Part { text, block } in &self.text {
            match *block {
                Some((family, block)) => {
                    member.push(self.families[family].deflated(block, &mut self.deflater));
                }
                None => member.push(&self.deflater.deflate(text)),
            }
        }
        self.phases.compress += start.elapsed();
        member.finish().into_iter().collect()
    }

    /// All families, sorted by name.
    fn sorted(&self) -> Vec<Arc<Family>> {
        let kept = self.families.iter().chain(self.report.families());
        let mut families: Vec<_> = kept.map(|kept| Arc::clone(kept.family())).collect();
        families.sort_by(|one, other| one.name.cmp(&other.name));
        families
    }

    fn make(&mut self, page: serve::Page) -> Body {
        match page {
            serve::Page::Metrics(Format::Text, escaping) => self.text(escaping),
            serve::Page::Metrics(Format::OpenMetrics, escaping) => {
                openmetrics::encode(&self.sorted(), escaping).into()
            }
            serve::Page::Metrics(Format::Protobuf, escaping) => {
                protobuf::encode(&self.sorted(), escaping)
            }
        }
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
        let start = Instant::now();
        // Blocks can be written over only when nobody else has them.
        self.text.clear();
        if std::mem::replace(&mut self.unfinished, true) {
            self.begin_anew();
        }
        for stats in &mut self.stats {
            stats.begin_scrape();
        }
        for feed in &mut self.feeds {
            let family = self.families[feed.family].family_mut();
            feed.read(family, &mut self.stats[feed.config], &mut self.phases);
        }
        self.decide(start, patience);
        self.families.iter_mut().for_each(|kept| kept.family_mut().let_go());
        for feed in &self.feeds {
            self.stats[feed.config].series += self.families[feed.family].family().len() as u64;
        }
        self.compact();
        self.tell();
        self.unfinished = false;
    }

    /// Says what the exporter knows of itself.
    fn tell(&mut self) {
        let mut report = std::mem::take(&mut self.report);
        report.begin();
        telemetry::tell_configs(&self.stats, &mut report);
        telemetry::tell_programs(&self.programs(), &mut report);
        telemetry::tell_maps(&self.map_stats(), &mut report);
        telemetry::tell_phases(&self.phases, &mut report);
        telemetry::tell_process(&mut report);
        telemetry::plugins::tell(&self.plugins, &mut report);
        telemetry::connections::tell(&self.traffic, &mut report);
        report.end();
        self.report = report;
    }

    /// Decides what becomes of all rows that are new or whose answers have ended: first those that no
    /// plugin is asked for, then the others, as long as there is time for guests in a scrape that began
    /// at `start`.
    fn decide(&mut self, start: Instant, patience: Option<Duration>) {
        let (asking, quick): (Vec<usize>, Vec<usize>) = (0..self.feeds.len()).partition(|feed| {
            !self.turns.plugins(*feed).is_empty() && self.feeds[*feed].has_work()
        });
        for feed in quick {
            while self.feeds[feed].has_work() && self.step(feed) {}
            self.finish(feed);
        }
        if asking.is_empty() {
            return;
        }
        let rows = asking.iter().map(|feed| self.feeds[*feed].new_rows()).sum();
        let time = time_for_guests(self.plugin_budget, patience, start.elapsed(), rows);
        self.budget.begin(self.plugin_budget, time);
        self.take_turns(&asking);
        for feed in asking {
            self.finish(feed);
        }
        self.budget.end();
    }

    /// Has the plugins of these feeds asked, until all is answered or no time is left.
    fn take_turns(&mut self, asking: &[usize]) {
        let mut waiting = asking.to_vec();
        self.turns.begin(&waiting, self.plugin_budget);
        while !self.budget.is_spent()
            && let Some(feed) = self.turns.next(&waiting)
        {
            let before: Vec<_> = self.times(feed).collect();
            let more = self.step(feed);
            let after: Vec<_> = self.times(feed).collect();
            for ((plugin, before), (_, after)) in before.into_iter().zip(after) {
                self.turns.note(plugin, after.saturating_sub(before));
            }
            if self.budget.is_spent() {
                self.turns.cut(feed);
            }
            if !more {
                waiting.retain(|other| *other != feed);
            }
        }
    }

    /// The time that the guests of a feed's plugins have taken so far.
    fn times(&self, feed: usize) -> impl Iterator<Item = (usize, Duration)> {
        self.turns.plugins(feed).iter().map(|plugin| (*plugin, self.plugins[*plugin].time()))
    }

    /// Decides some rows of a feed; whether it has more.
    fn step(&mut self, feed: usize) -> bool {
        let feed = &mut self.feeds[feed];
        let family = self.families[feed.family].family_mut();
        feed.step(family, &mut self.stats[feed.config], &mut self.phases)
    }

    /// Decides what is to be decided of a feed without waiting for guests.
    fn finish(&mut self, number: usize) {
        let feed = &mut self.feeds[number];
        let family = self.families[feed.family].family_mut();
        let stats = &mut self.stats[feed.config];
        let waiting = feed.finish(family, stats, &mut self.phases);
        if waiting == 0 {
            return;
        }
        let plugins = self.turns.plugins(number).iter().map(|plugin| &self.plugins[*plugin]);
        plugins.for_each(|plugin| plugin.defer(waiting));
        if feed.tell() {
            warn!(
                config = stats.name,
                "{waiting} keys of {} wait for their turn at a plugin: it, or all plugins of a scrape \
                 together (--plugins.scrape-budget), had used up their time; they keep the labels they \
                 have, or get those of `on_error`, and come first in the next scrape; this is said once, \
                 ebpf_exporter_plugin_deferred_total counts on",
                feed.map()
            );
        }
    }

    /// Forgets all rows and series: a panic has cut short what was done with them.
    fn begin_anew(&mut self) {
        self.budget.end();
        self.feeds.iter_mut().for_each(Feed::forget);
        self.families.iter_mut().for_each(Kept::clear);
    }

    /// Gives back the memory of families that have lost many series.
    fn compact(&mut self) {
        for (n, kept) in self.families.iter_mut().enumerate() {
            if let Some(moves) = kept.compact() {
                let feeds = self.feeds.iter_mut().filter(|feed| feed.family == n);
                feeds.for_each(|feed| feed.moved(&moves));
            }
        }
    }

    fn map_stats(&self) -> Vec<MapStats<'_>> {
        let maps = self.feeds.iter().map(|feed| MapStats {
            config: &self.stats[feed.config].name,
            map: feed.map(),
            way: feed.way(),
        });
        maps.collect()
    }

    fn programs(&self) -> Vec<ProgramStats<'_>> {
        let costs = stats::enabled();
        let mut all = Vec::new();
        for (config, object) in self.stats.iter().zip(&self.objects) {
            let Some(object) = object else { continue };
            let costs = if costs { object.stats().unwrap_or_default() } else { Vec::new() };
            let costs = costs.into_iter().chain(std::iter::repeat(None));
            all.extend(object.programs().iter().zip(costs).map(|(program, cost)| ProgramStats {
                config: &config.name,
                program,
                cost,
            }));
        }
        all
    }
}

/// The family of a metric, without series.
fn family_of(linked: &Linked) -> Family {
    let metric = &linked.metric;
    let kind = match &metric.kind {
        config::MetricKind::Counter => Kind::Counter,
        config::MetricKind::Histogram(buckets) => Kind::histogram(buckets),
    };
    let labels = linked.label_names().into_iter().map(|label| label.as_str().to_owned());
    Family::new(metric.name.exposed(), metric.help.clone(), labels.collect(), kind)
}

/// Which plugins of its config a metric asks; `first` is the number of the first of them all.
fn asked(metric: &Metric, plugins: &[Gauge], first: usize) -> Vec<usize> {
    let decoders = metric.decoder_plugins().map(|step| &step.plugin);
    let names: Vec<_> = decoders.chain(metric.transforms.iter().map(|step| &step.plugin)).collect();
    let is_asked = |plugin: &Gauge| names.iter().any(|name| *name == plugin.plugin());
    let asked = plugins.iter().enumerate().filter(|(_, plugin)| is_asked(plugin));
    asked.map(|(n, _)| first + n).collect()
}

impl serve::Scraper for Scraper {
    fn read(&mut self, patience: Option<Duration>) {
        self.read(patience);
    }

    fn page(&mut self, page: serve::Page) -> Body {
        self.whole(|scraper| scraper.make(page))
    }

    fn maps(&mut self) -> Vec<MapSummary> {
        let summary = |feed: &Feed| feed.summary(&self.stats[feed.config].name);
        self.feeds.iter().map(summary).collect()
    }

    fn entries(&mut self, config: &str, map: &str, from: usize) -> Option<Piece> {
        let is_it = |feed: &&Feed| feed.map() == map && self.stats[feed.config].name == config;
        let feed = self.feeds.iter().find(is_it)?;
        Some(feed.piece(config, self.families[feed.family].family(), from))
    }

    fn gzip(&mut self, page: serve::Page, body: &Body) -> Body {
        self.whole(|scraper| match page {
            serve::Page::Metrics(Format::Text, _) => scraper.gzip(),
            _ => gzip::compress(body),
        })
    }
}
