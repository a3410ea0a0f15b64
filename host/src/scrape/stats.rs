//! The exporter's own metrics about configs and scrapes.
//!
//! Never fails a scrape.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::warn;

use crate::bpf::Admitted;
use crate::decode::DecodeError;
use crate::files::BundleId;
use crate::series::Kind;
use crate::source::{EventCounts, ReadError, Way, Why};
use crate::telemetry::{Collect, Report, about};

/// What is known of one config since the start.
#[derive(Clone, Debug)]
pub(super) struct ConfigStats {
    /// The config's name.
    pub(super) name: String,
    /// The bundle that it is of, if it is of one.
    pub(super) bundle: Option<BundleId>,
    /// Keys that could not be decoded, since the start.
    pub(super) decoder_errors: u64,
    /// Labels of its spans that could not be decoded, and records that were too short.
    pub(super) span_errors: u64,
    /// Entries read from its maps in the last scrape.
    pub(super) entries: u64,
    /// Series that they became.
    pub(super) series: u64,
    /// How long reading and decoding took.
    pub(super) duration: Duration,
    /// Whether all of its maps could be read in the last scrape.
    pub(super) success: bool,
    /// When the last scrape began in which they could.
    pub(super) last_success: Option<SystemTime>,
    /// The maps that could not be read the last time, which has been logged.
    unreadable: HashSet<String>,
    /// The metrics of which a label could not be decoded, which has been logged.
    undecoded: HashSet<String>,
}

impl ConfigStats {
    /// A config that was not scraped yet.
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            bundle: None,
            decoder_errors: 0,
            span_errors: 0,
            entries: 0,
            series: 0,
            duration: Duration::ZERO,
            success: true,
            last_success: None,
            unreadable: HashSet::new(),
            undecoded: HashSet::new(),
        }
    }

    /// Forgets what belongs to one scrape only.
    pub(super) fn begin_scrape(&mut self) {
        self.entries = 0;
        self.series = 0;
        self.duration = Duration::ZERO;
        self.success = true;
    }

    /// Notes that a scrape has read all of its maps that it could, which began then.
    pub(super) fn end_reading(&mut self, began: SystemTime) {
        if self.success {
            self.last_success = Some(began);
        }
    }

    /// Notes that a map could not be read.
    pub(super) fn read_failed(&mut self, error: &ReadError) {
        self.success = false;
        if self.unreadable.insert(error.map.clone()) {
            warn!(config = self.name, "{error}: {}; its metric is not complete", error.source);
        }
    }

    /// Notes that a map could be read.
    pub(super) fn read_worked(&mut self, map: &str) {
        if self.unreadable.remove(map) {
            warn!(config = self.name, "map {map} can be read again");
        }
    }

    /// Notes that `errors` labels of a metric could not be decoded, the first one for this reason.
    pub(super) fn decoder_failed(&mut self, metric: &str, errors: u64, first: Option<DecodeError>) {
        self.decoder_errors += errors;
        if let Some(error) = first
            && self.undecoded.insert(metric.to_owned())
        {
            // The reason may quote the key.
            warn!(
                target: concat!(module_path!(), "::private"),
                config = self.name,
                "failed to decode a label of {metric}: {error}; this is said once, \
                 ebpf_exporter_decoder_errors_total counts on"
            );
        }
    }
}

/// A map and how the last scrape read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct MapStats<'a> {
    /// The config it belongs to.
    pub(super) config: &'a str,
    /// Its name.
    pub(super) map: &'a str,
    /// How it was read, and why so.
    pub(super) way: (Way, Why),
    /// How full it is; none if it always is.
    pub(super) fill: Option<Fill>,
    /// Rows that have vanished, of a map that evicts some for others.
    pub(super) evicted: Option<u64>,
    /// Rows that found no room for a series of their own, of a metric whose series are bounded.
    pub(super) folded: Option<u64>,
}

/// How full a map is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    /// Entries that it has.
    pub(super) entries: usize,
    /// Entries that it can have.
    pub(super) most: usize,
}

/// A map whose records are counted, and what has come of them.
#[derive(Clone, Debug)]
pub(super) struct EventStats<'a> {
    /// The config it belongs to.
    pub(super) config: &'a str,
    /// Its name.
    pub(super) map: &'a str,
    /// What has come of its records.
    pub(super) counts: EventCounts,
}

/// What scrapes have spent their time on since the start. Those that share a reading or a page
/// spend it once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Phases {
    /// Reading maps.
    pub(super) read: Duration,
    /// Holding what was read against the rows that are known, and adding what changed.
    pub(super) matching: Duration,
    /// Decoding and transforming what is new, and what has to be asked again.
    pub(super) decode: Duration,
    /// Writing the page.
    pub(super) render: Duration,
    /// Compressing it.
    pub(super) compress: Duration,
}

/// What is known of all configs.
pub(super) struct Configs<'a>(pub(super) Vec<&'a ConfigStats>);

/// How all maps were read.
pub(super) struct Maps<'a>(pub(super) Vec<MapStats<'a>>);

/// What the programs of each config say themselves that they could not count.
pub(super) struct Admissions<'a>(pub(super) Vec<(&'a str, &'a Admitted)>);

/// What has come of all records that are counted.
pub(super) struct Events<'a> {
    /// Of each map.
    pub(super) streams: Vec<EventStats<'a>>,
    /// What the programs of each config say themselves.
    pub(super) admitted: Vec<(&'a str, &'a Admitted)>,
}

impl Collect for Configs<'_> {
    fn collect(&self, report: &mut Report) {
        let rows = |value: fn(&ConfigStats) -> f64| {
            self.0.iter().map(move |config| ([config.name.as_str()], value(config)))
        };
        report.family(
            about("ebpf_exporter_enabled_configs", "The set of enabled configs", ["name"]),
            Kind::Gauge,
            rows(|_| 1.0),
        );
        self.bundles(report);
        self.successes(report);
        report.family(
            about(
                "ebpf_exporter_decoder_errors_total",
                "Labels that could not be decoded, each scrape anew; on_error says what became of them",
                ["config"],
            ),
            Kind::RealCounter,
            rows(|config| (config.decoder_errors + config.span_errors) as f64),
        );
        let mut gauge = |name, help, value| {
            report.family(about(name, help, ["config"]), Kind::Gauge, rows(value));
        };
        gauge(
            "ebpf_exporter_scrape_duration_seconds",
            "How long this scrape took to read and decode the config's maps",
            |config| config.duration.as_secs_f64(),
        );
        gauge(
            "ebpf_exporter_scrape_entries",
            "Entries that this scrape read from the config's maps",
            |config| config.entries as f64,
        );
        gauge(
            "ebpf_exporter_scrape_series",
            "Series of the families that the config's maps feed; one that another feeds too counts for both",
            |config| config.series as f64,
        );
        gauge(
            "ebpf_exporter_scrape_success",
            "Whether this scrape could read all of the config's maps",
            |config| f64::from(u8::from(config.success)),
        );
    }
}

impl Configs<'_> {
    /// When all of their maps could last be read.
    fn successes(&self, report: &mut Report) {
        let of = |config: &&ConfigStats| {
            let since = config.last_success?.duration_since(UNIX_EPOCH).ok()?;
            Some((config.name.clone(), since.as_secs_f64()))
        };
        let known: Vec<_> = self.0.iter().filter_map(of).collect();
        let rows = known.iter().map(|(config, seconds)| ([config.as_str()], *seconds));
        report.family(
            about(
                "ebpf_exporter_scrape_last_success_timestamp_seconds",
                "When the last scrape began that could read all of the config's maps; absent if none could",
                ["config"],
            ),
            Kind::Gauge,
            rows,
        );
    }

    /// Which bundles they are of.
    fn bundles(&self, report: &mut Report) {
        let of = |config: &&ConfigStats| {
            let BundleId { digest, version, .. } = config.bundle.as_ref()?;
            Some((config.name.clone(), digest.tagged(), version.clone()))
        };
        let known: Vec<_> = self.0.iter().filter_map(of).collect();
        let rows = known.iter().map(|(config, digest, version)| {
            ([config.as_str(), digest.as_str(), version.as_str()], 1.0)
        });
        report.family(
            about(
                "ebpf_exporter_bundle_info",
                "The bundle that a config is of, by the digest of its manifest, and the version that it says it has",
                ["config", "digest", "version"],
            ),
            Kind::Gauge,
            rows,
        );
    }
}

impl Collect for Maps<'_> {
    fn collect(&self, report: &mut Report) {
        let rows = self.0.iter().map(|MapStats { config, map, way: (way, why), .. }| {
            ([*config, *map, way.as_str(), why.as_str()], 1.0)
        });
        report.family(
            about(
                "ebpf_exporter_map_read_info",
                "How this scrape read a map, and why so; always 1",
                ["config", "map", "way", "why"],
            ),
            Kind::Gauge,
            rows,
        );
        self.fill(report);
    }
}

impl Maps<'_> {
    /// How full maps are whose entries come and go, and how many rows they have lost.
    fn fill(&self, report: &mut Report) {
        let of = |value: fn(&MapStats<'_>) -> Option<f64>| {
            self.0.iter().filter_map(move |map| Some(([map.config, map.map], value(map)?)))
        };
        let mut family = |name, help, kind, value| {
            report.family(about(name, help, ["config", "map"]), kind, of(value));
        };
        family(
            "ebpf_exporter_map_entries",
            "Entries of a map that this scrape read, where entries come and go",
            Kind::Gauge,
            |map| Some(map.fill?.entries as f64),
        );
        family(
            "ebpf_exporter_map_max_entries",
            "Entries that the map can have",
            Kind::Gauge,
            |map| Some(map.fill?.most as f64),
        );
        family(
            "ebpf_exporter_map_evictions_estimated_total",
            "Rows of an LRU map that were gone at the next scrape: an estimate, as a row may be deleted by its \
             program, or come back before it is missed",
            Kind::RealCounter,
            |map| Some(map.evicted? as f64),
        );
        family(
            "ebpf_exporter_series_folded_total",
            "Rows whose labels were beyond the metric's max_series, so that they are in the series `other`",
            Kind::RealCounter,
            |map| Some(map.folded? as f64),
        );
    }
}

impl Collect for Admissions<'_> {
    fn collect(&self, report: &mut Report) {
        let failures = self
            .0
            .iter()
            .filter_map(|(config, admitted)| Some(([*config], admitted.insert_failures()? as f64)));
        report.family(
            about(
                "ebpf_exporter_map_insert_failures_total",
                "New entries that maps of the config had no room for, as its programs count them",
                ["config"],
            ),
            Kind::RealCounter,
            failures,
        );
    }
}

impl Collect for Events<'_> {
    fn collect(&self, report: &mut Report) {
        let received = self
            .streams
            .iter()
            .map(|EventStats { config, map, counts }| ([*config, *map], counts.received as f64));
        report.family(
            about(
                "ebpf_exporter_events_total",
                "Records of a perf event array or ring buffer that were received",
                ["config", "map"],
            ),
            Kind::RealCounter,
            received,
        );
        let admitted = self.admitted.iter().filter_map(|(config, admitted)| {
            Some(Loss {
                config,
                map: "",
                cause: "program",
                cpu: String::new(),
                count: admitted.lost_events()?,
            })
        });
        let lost: Vec<_> = self.streams.iter().flat_map(EventStats::lost).chain(admitted).collect();
        let lost = lost.iter().map(|Loss { config, map, cause, cpu, count }| {
            ([*config, *map, *cause, cpu.as_str()], *count as f64)
        });
        report.family(
            about(
                "ebpf_exporter_events_lost_total",
                "Records that were not counted: the buffer of a CPU was full (buffer), the program says so of a ring \
                 buffer (program), there were too many keys (keys), or they were shorter than the labels (short)",
                ["config", "map", "cause", "cpu"],
            ),
            Kind::RealCounter,
            lost,
        );
    }
}

/// Records that were not counted.
struct Loss<'a> {
    config: &'a str,
    map: &'a str,
    cause: &'static str,
    /// The CPU's number, if it is of one.
    cpu: String,
    count: u64,
}

impl<'a> EventStats<'a> {
    /// How many of its records were not counted, by cause and CPU.
    fn lost(&self) -> Vec<Loss<'a>> {
        let Self { config, map, counts: EventCounts { short, beyond, lost, .. } } = self;
        let of = |cause, cpu, count: &u64| Loss { config, map, cause, cpu, count: *count };
        let buffers =
            lost.iter().flatten().map(|(cpu, count)| of("buffer", cpu.to_string(), count));
        let others = [("keys", beyond), ("short", short)];
        buffers.chain(others.map(|(cause, count)| of(cause, String::new(), count))).collect()
    }
}

impl Phases {
    /// Each by its word.
    pub(super) fn all(&self) -> [(&'static str, Duration); 5] {
        let Phases { read, matching, decode, render, compress } = *self;
        [
            ("read", read),
            ("match", matching),
            ("decode", decode),
            ("render", render),
            ("compress", compress),
        ]
    }
}

impl Collect for Phases {
    fn collect(&self, report: &mut Report) {
        let rows = self.all();
        report.family(
            about(
                "ebpf_exporter_scrape_phase_seconds_total",
                "Time that scrapes have spent, by phase; the last two of this one count with the next",
                ["phase"],
            ),
            Kind::RealCounter,
            rows.map(|(phase, time)| ([phase], time.as_secs_f64())),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_that_fails_again_is_told_again() {
        let mut stats = ConfigStats::new("a");
        let source = std::io::Error::from_raw_os_error(libc::EPERM);
        let way = Way::Batch;
        let error = ReadError { map: "m".to_owned(), way, source };
        stats.decoder_failed("m", 1, Some(DecodeError::new("x")));
        stats.read_failed(&error);
        assert!(stats.unreadable.contains("m"), "whatever was said of its labels");
        stats.read_worked("m");
        assert!(stats.unreadable.is_empty() && stats.undecoded.contains("m"));
    }
}
