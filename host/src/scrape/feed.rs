//! One metric of one config: from the entries of its map to the numbers of its family.

use std::time::{Duration, Instant, SystemTime};

use tracing::warn;

use super::decode::KeyDecoder;
use super::families::Filled;
use super::stats::{ConfigStats, Fill, MapStats, Phases};
use super::text_bound::TextBound;
use super::turns::Asker;
use crate::advice;
use crate::bpf::Layout;
use crate::config;
use crate::link::Linked;
use crate::plugin::Gauge;
use crate::rows::{Known, Row};
use crate::series::{Family, Kind, Moves};
use crate::serve::MapSummary;
use crate::source::{EventCounts, Source, WhenFull};
use crate::status::{self, EventState, MapState, Moment};

mod entries;
mod reader;

use entries::KeyField;
use reader::{Found, Reader};

/// New keys to decode at a time: enough that a plugin's call costs little a key, few enough that
/// its answer is not long in coming.
const BATCH: usize = 1024;

/// The share of its entries from which on a map is nearly full.
const NEARLY_FULL: f64 = 0.95;

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

/// A plugin of a config at work.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Tells it from all others.
    pub(super) id: u64,
    /// What it costs.
    pub(super) gauge: Gauge,
}

/// A metric at work.
#[derive(Debug)]
pub(super) struct Feed {
    /// Which family it fills.
    pub(super) filled: Filled,
    /// Who takes turns for it at the plugins that it asks.
    pub(super) asker: Asker,
    /// The plugins that it asks.
    pub(super) asks: Vec<Asked>,
    /// How often the files that those read had changed when rows were last decided.
    data_changes: u64,
    reader: Reader,
    decoder: KeyDecoder,
    known: Known,
    /// When this scrape began to read the map.
    start: Instant,
    /// The same by the clock, in milliseconds since 1970. None if not all of the map was read.
    read_at: Option<u64>,
    /// When the scrape before began, if no row waited in it. A row that is new began to count after that.
    since: Option<u64>,
    /// Rows that this scrape met for the first time and that are to be decided.
    new: Vec<Row>,
    /// Whether it was said that keys wait for their turn.
    told: bool,
    /// Whether it was said that plugins make too much text.
    told_of_text: bool,
    /// Whether it was said that there are too many series.
    told_of_series: bool,
    /// Whether it was said that the map is nearly full.
    told_of_fill: bool,
    /// The parts of its keys.
    fields: Vec<KeyField>,
    /// What has come of reading the map.
    read: LastRead,
}

/// What has come of reading a map.
#[derive(Debug, Default)]
pub(super) struct LastRead {
    /// How long that took the last time.
    pub(super) took: Duration,
    /// When it was last read whole.
    pub(super) success: Option<SystemTime>,
    /// Why it was not the last time, if it was not.
    pub(super) error: Option<String>,
}

impl Feed {
    /// This metric at work, which has this number, of a config with these plugins.
    pub(super) fn new(fed: Fed, id: u64, plugins: &[Asked]) -> Self {
        let Fed { linked, layout, source } = fed;
        let asks = asked_by(&linked, plugins);
        let bounds =
            TextBound::all(&linked, &asks.iter().map(|plugin| &plugin.gauge).collect::<Vec<_>>());
        let family = family(&linked, !bounds.is_empty());
        let fields = KeyField::all(&linked.metric, &layout, source.key_size());
        let decoder = KeyDecoder::new(linked, &layout, source.cpus(), bounds);
        Self {
            filled: Filled::new(family),
            asker: Asker { metric: id, plugins: asks.iter().map(|plugin| plugin.id).collect() },
            data_changes: data_changes(&asks),
            asks,
            known: Known::new(source.key_size(), decoder.columns()),
            reader: Reader::new(source),
            decoder,
            start: Instant::now(),
            read_at: None,
            since: None,
            new: Vec::new(),
            told: false,
            told_of_text: false,
            told_of_series: false,
            told_of_fill: false,
            fields,
            read: LastRead::default(),
        }
    }

    /// The map's name.
    pub(super) fn map(&self) -> &str {
        self.reader.source.name()
    }

    /// What has come of the records that it counts, if it counts any.
    pub(super) fn events(&self) -> Option<EventCounts> {
        self.reader.source.events()
    }

    /// The map of a config, and how it was read.
    pub(super) fn map_stats<'a>(&'a self, config: &'a str) -> MapStats<'a> {
        let Reader { source, entries, way, vanished, .. } = &self.reader;
        let full = source.when_full();
        let fill = (full != WhenFull::Always)
            .then(|| Fill { entries: entries.unwrap_or_default(), most: source.max_entries() });
        let evicted = (full == WhenFull::Evicts).then_some(*vanished);
        let folded = self.decoder.folded();
        MapStats { config, map: source.name(), way: *way, fill, evicted, folded }
    }

    /// Says once that the map is about to be full, if that costs it new entries.
    fn tell_of_fill(&mut self, config: &str) {
        let Reader { source, entries, .. } = &self.reader;
        let (entries, most) = (entries.unwrap_or_default(), source.max_entries());
        let nearly = entries as f64 > NEARLY_FULL * most as f64;
        if source.when_full() != WhenFull::Refuses || !nearly || self.told_of_fill {
            return;
        }
        self.told_of_fill = true;
        warn!(
            config,
            "map {} has {entries} of {most} entries: once it is full nothing new is counted; raise its \
             max_entries, or make it an LRU hash; this is said once, ebpf_exporter_map_entries goes on",
            source.name()
        );
    }

    /// Reads the map and adds its numbers to the family. Which rows are to be decided is known then.
    pub(super) fn read(
        &mut self,
        family: &mut Family,
        stats: &mut ConfigStats,
        phases: &mut Phases,
    ) {
        self.start = Instant::now();
        let last = self.read_at.take();
        self.since = last.filter(|_| !self.waits());
        family.begin_at(self.since);
        let read_at = milliseconds();
        let Self {
            reader, known: Known { rows, decided }, start, asks, data_changes: before, ..
        } = self;
        let Found { new, result } = reader.read(rows, &mut decided.adding(family), phases);
        self.new = new;
        stats.entries += rows.met() as u64;
        self.read.error = result.as_ref().err().map(|error| advice::words(&error.source));
        match result {
            Ok(()) => {
                self.read.success = Some(SystemTime::now());
                stats.read_worked(reader.source.name());
                self.read_at = read_at;
            }
            Err(error) => stats.read_failed(&error),
        }
        // After the walk: a row that it did not meet but that stays is to be decided again too.
        decided.expire(*start);
        let changes = data_changes(asks);
        if std::mem::replace(before, changes) != changes {
            decided.ask_again(rows, *start);
        }
        self.tell_of_fill(&stats.name);
        self.read.took = self.start.elapsed();
        stats.duration += self.read.took;
    }

    /// Whether rows are to be decided.
    pub(super) fn has_work(&self) -> bool {
        !self.new.is_empty() || self.waits()
    }

    /// Whether rows wait that are to be decided anew, or have not had their turn.
    pub(super) fn waits(&self) -> bool {
        self.known.decided.waiting() > 0
    }

    /// Rows that this scrape met for the first time and that are to be decided.
    pub(super) fn new_rows(&self) -> usize {
        self.new.len()
    }

    /// Decides some rows, those first that have waited longest. True if there are more, and a plugin may be asked
    /// for them.
    pub(super) fn step(
        &mut self,
        family: &mut Family,
        stats: &mut ConfigStats,
        phases: &mut Phases,
    ) -> bool {
        let begun = Instant::now();
        let Self { decoder, known, new, start, since, .. } = self;
        let mut rows = known.decided.take_waiting(BATCH);
        // A row that has waited may have been left out, and then brings what it has counted long before.
        family.begin_at(since.filter(|_| rows.is_empty()));
        if rows.is_empty() {
            rows = new.drain(..new.len().min(BATCH)).collect();
        }
        let all_had_their_turn = decoder.decide(&rows, known, family, *start);
        let took = begun.elapsed();
        phases.decode += took;
        stats.duration += took;
        all_had_their_turn && self.has_work()
    }

    /// Decides all rows that are new: those for which a plugin has no time left get what `on_error` says.
    /// How many rows wait for the next scrape then.
    pub(super) fn finish(
        &mut self,
        family: &mut Family,
        stats: &mut ConfigStats,
        phases: &mut Phases,
    ) -> usize {
        let begun = Instant::now();
        family.begin_at(self.since);
        let Self { reader: Reader { source, .. }, decoder, known, new, start, .. } = self;
        for rows in new.chunks(BATCH) {
            decoder.decide(rows, known, family, *start);
        }
        new.clear();
        let took = begun.elapsed();
        phases.decode += took;
        stats.duration += took;
        stats.decoder_failed(source.name(), known.decided.errors(), decoder.take_first_error());
        if decoder.folded().is_some_and(|rows| rows > 0)
            && !std::mem::replace(&mut self.told_of_series, true)
        {
            warn!(
                config = stats.name,
                "{} has more series than its `max_series`: rows with other labels go into the series `other`; \
                 raise it, or have it make fewer labels; this is said once, ebpf_exporter_series_folded_total counts on",
                source.name()
            );
        }
        if decoder.take_refused() && !std::mem::replace(&mut self.told_of_text, true) {
            warn!(
                config = stats.name,
                "the labels that a plugin makes in {} are more text than its `limits.text` allows; other rows \
                 get what `on_error` says; raise the limit, or have it make fewer or shorter labels; this is \
                 said once, ebpf_exporter_plugin_text_refused_total counts on",
                source.name()
            );
        }
        known.decided.waiting()
    }

    /// Whether it is said for the first time that keys wait for their turn.
    pub(super) fn tell(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }

    /// Forgets all that was decided: its family begins anew.
    pub(super) fn forget(&mut self) {
        self.known = Known::new(self.reader.source.key_size(), self.decoder.columns());
        (self.read_at, self.since) = (None, None);
        self.new.clear();
        self.reader.forget();
    }

    /// Takes all that it has counted out of its family.
    pub(super) fn leave(&mut self, family: &mut Family) {
        self.known.decided.leave_all(&self.known.rows, family);
    }

    /// What fed it, for another metric.
    pub(super) fn into_source(self) -> Box<dyn Source> {
        self.reader.source
    }

    /// Follows its family, which has moved its cells.
    pub(super) fn follow(&mut self, moves: &Moves) {
        self.known.decided.follow(moves);
    }

    /// What the status page shows of it, of a family with so many series.
    pub(super) fn state(&self, series: usize) -> MapState {
        let Reader { source, entries, way: (way, why), vanished, .. } = &self.reader;
        let full = source.when_full();
        MapState {
            name: status::named(source.name()),
            metric: status::named(self.filled.name()),
            r#type: status::named(source.kind()),
            entries: entries.unwrap_or_default() as u64,
            max_entries: source.max_entries() as u64,
            when_full: full.as_str(),
            way: way.as_str(),
            why: why.as_str(),
            rows: self.known.rows.len() as u64,
            waiting: self.known.decided.waiting() as u64,
            series: series as u64,
            evicted: (full == WhenFull::Evicts).then_some(*vanished),
            seconds: self.read.took.as_secs_f64(),
            last_success: self.read.success.map(Moment),
            error: self.read.error.as_deref().map(status::said),
            events: source.events().map(event_state),
        }
    }

    /// What `/maps` lists of it, which belongs to this config.
    pub(super) fn summary(&self, config: &str) -> MapSummary {
        let Reader { source, entries, .. } = &self.reader;
        MapSummary {
            config: config.to_owned(),
            name: source.name().to_owned(),
            kind: source.kind().to_owned(),
            capacity: source.max_entries(),
            entries: *entries,
        }
    }
}

/// The clock; none if it is set to a time before 1970.
fn milliseconds() -> Option<u64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

fn event_state(EventCounts { received, short, beyond, lost }: EventCounts) -> EventState {
    EventState { received, lost: lost.map(|lost| lost.values().sum()), short, beyond }
}

/// How often the files have changed that these plugins read.
fn data_changes(plugins: &[Asked]) -> u64 {
    plugins.iter().map(|plugin| plugin.gauge.data_changes()).sum()
}

/// Which of these plugins a metric asks.
fn asked_by(Linked { metric, .. }: &Linked, plugins: &[Asked]) -> Vec<Asked> {
    let decoders = metric.decoder_plugins().map(|step| &step.plugin);
    let names: Vec<_> = decoders.chain(metric.transforms.iter().map(|step| &step.plugin)).collect();
    let is_asked = |plugin: &&Asked| names.iter().any(|name| *name == plugin.gauge.plugin());
    plugins.iter().filter(is_asked).cloned().collect()
}

/// The family of a metric, without series, whose text is counted if that is wanted.
fn family(linked: &Linked, measured: bool) -> Family {
    let metric = &linked.metric;
    let kind = match &metric.kind {
        config::MetricKind::Counter => Kind::Counter,
        config::MetricKind::Histogram(buckets) => Kind::histogram(buckets),
    };
    let labels = linked.label_names().into_iter().map(|label| label.as_str().to_owned());
    let mut family =
        Family::new(metric.name.exposed(), metric.help.clone(), labels.collect(), kind);
    if measured {
        family.measure();
    }
    family
}
