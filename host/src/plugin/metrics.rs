//! What plugins have done and cost.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{BreakerState, Cause, DataStats, Gauge, OutcomeKind, Stats};
use crate::config::buckets::{Buckets, Scale};
use crate::series::Kind as Type;
use crate::telemetry::{Collect, Report, about};

/// What these plugins have done and cost.
#[derive(Debug)]
pub struct Gauges<'a>(pub Vec<&'a Gauge>);

impl Collect for Gauges<'_> {
    fn collect(&self, report: &mut Report) {
        tell(&self.0, report);
    }
}

fn tell(gauges: &[&Gauge], report: &mut Report) {
    let read: Vec<Read<'_>> = gauges.iter().copied().map(Read::new).collect();
    info(gauges, report);
    let mut told = Told { read: &read, report };
    told.count("calls_total", "Calls of a plugin's guests", |stats| stats.calls);
    told.count(
        "inputs_total",
        "Inputs of decoders and rows of transforms that a plugin was to answer",
        |stats| stats.inputs,
    );
    told.by_word(
        "outcomes_total",
        "What became of a plugin's inputs; on_error applies to error, failed and not_asked",
        "outcome",
        |stats| OutcomeKind::ALL.map(|kind| (kind.word(), stats.outcomes[kind as usize])).to_vec(),
    );
    told.by_word(
        "failures_total",
        "Calls that failed, each of which costs the plugin its instance, by cause",
        "cause",
        |stats| Cause::ALL.map(|cause| (cause.word(), stats.failures[cause as usize])).to_vec(),
    );
    told.count(
        "answers_changed_total",
        "Answers that were not what the same input had been answered before",
        |stats| stats.remembered.changed,
    );
    told.count(
            "deferred_total",
            "Keys that did not get their turn in a scrape: they keep their labels, or if new, have those \
             of on_error",
            |stats| stats.deferred,
    );
    told.count(
            "text_refused_total",
            "Rows whose labels would have made more text in a metric than a plugin may: on_error applies",
            |stats| stats.refused,
    );
    told.count(
        "cache_hits_total",
        "Inputs and rows whose answer was remembered, and which no guest was asked",
        |stats| stats.remembered.hits,
    );
    told.count("cache_misses_total", "Inputs and rows whose answer was not remembered", |stats| {
        stats.remembered.misses
    });
    told.count(
        "cache_evictions_total",
        "Answers that were forgotten to make room for others",
        |stats| stats.remembered.evictions,
    );
    told.gauge("cache_entries", "Answers that are remembered", |stats| {
        stats.remembered.entries as f64
    });
    told.gauge("cache_bytes", "Memory of the answers that are remembered", |stats| {
        stats.remembered.bytes as f64
    });
    told.by_word(
        "log_lines_total",
        "Lines that a plugin's guests logged, and how many were dropped for being too many",
        "state",
        |stats| vec![("written", stats.lines_written), ("dropped", stats.lines_dropped)],
    );
    told.seconds();
    told.gauge(
        "breaker_state",
        "Whether a plugin is asked: 0 yes, 1 the next call decides, 2 no, it failed repeatedly",
        |stats| match stats.breaker {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open => 2.0,
        },
    );
    told.gauge(
            "memory_peak_bytes",
            "The most memory that an instance of a plugin took: linear memories, tables, globals and contexts",
            |stats| stats.memory_peak as f64,
    );
    data(&data_of(gauges), report);
}

/// A file that a plugin reads, at one moment.
struct DataRead<'a> {
    labels: [&'a str; 3],
    stats: DataStats,
}

fn data_of<'a>(gauges: &[&'a Gauge]) -> Vec<DataRead<'a>> {
    let of = |gauge: &&'a Gauge| {
        let [config, plugin] = [gauge.config(), gauge.plugin()];
        gauge.data().map(move |(name, stats)| DataRead { labels: [config, plugin, name], stats })
    };
    gauges.iter().flat_map(of).collect()
}

fn data(read: &[DataRead<'_>], report: &mut Report) {
    let labels = ["config", "plugin", "data"];
    let mut tell = |of: &str, help: &str, kind: Type, value: fn(&DataStats) -> Option<f64>| {
        let rows = read.iter().filter_map(|read| Some((read.labels, value(&read.stats)?)));
        report.family(about(&name(of), help, labels), kind, rows);
    };
    tell(
        "data_read_timestamp_seconds",
        "When a file that a plugin reads was last found to be readable; absent if it never was",
        Type::Gauge,
        |stats| seconds(stats.read),
    );
    tell(
        "data_modified_timestamp_seconds",
        "When the content that a plugin is given of a file was written, or last marked as still right, by the file's own time",
        Type::Gauge,
        |stats| seconds(stats.modified),
    );
    tell("data_bytes", "What a plugin is given of a file that it reads", Type::Gauge, |stats| {
        Some(stats.bytes as f64)
    });
    tell(
        "data_changes_total",
        "How often a file that a plugin reads had another content, the first included",
        Type::RealCounter,
        |stats| Some(stats.changes as f64),
    );
    tell(
        "data_failures_total",
        "How often a file that a plugin reads could not be read: the plugin keeps the last content",
        Type::RealCounter,
        |stats| Some(stats.failures as f64),
    );
}

/// Seconds since 1970.
fn seconds(time: Option<SystemTime>) -> Option<f64> {
    Some(time?.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
}

/// A plugin's numbers at one moment.
struct Read<'a> {
    labels: [&'a str; 2],
    stats: Stats,
}

impl<'a> Read<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        Self { labels: [gauge.config(), gauge.plugin()], stats: gauge.read() }
    }
}

const LABELS: [&str; 2] = ["config", "plugin"];

fn name(of: &str) -> String {
    format!("ebpf_exporter_plugin_{of}")
}

fn info(gauges: &[&Gauge], report: &mut Report) {
    let digests: Vec<_> = gauges.iter().map(|gauge| gauge.digest().to_string()).collect();
    let rows = gauges.iter().zip(&digests).map(|(gauge, digest)| {
        let world = gauge.world().word();
        let (contract, [name, version, authors, licenses, source]) =
            (gauge.contract(), gauge.said());
        let (config, plugin) = (gauge.config(), gauge.plugin());
        let told =
            [config, plugin, digest, world, contract, name, version, authors, licenses, source];
        (told, 1.0)
    });
    let labels = [
        "config", "plugin", "digest", "world", "contract", "name", "version", "authors",
        "licenses", "source",
    ];
    let help = "The plugins that are loaded, with the SHA-256 of their files, and what they say of \
                themselves";
    report.family(about(&name("info"), help, labels), Type::Gauge, rows);
}

/// All plugins, about to be told of.
struct Told<'a> {
    read: &'a [Read<'a>],
    report: &'a mut Report,
}

impl Told<'_> {
    fn count(&mut self, of: &str, help: &str, value: fn(&Stats) -> u64) {
        let rows = self.read.iter().map(|read| (read.labels, value(&read.stats) as f64));
        self.report.family(about(&name(of), help, LABELS), Type::RealCounter, rows);
    }

    fn gauge(&mut self, of: &str, help: &str, value: fn(&Stats) -> f64) {
        let rows = self.read.iter().map(|read| (read.labels, value(&read.stats)));
        self.report.family(about(&name(of), help, LABELS), Type::Gauge, rows);
    }

    /// A count for each of several words, which are the last label.
    fn by_word(
        &mut self,
        of: &str,
        help: &str,
        label: &str,
        values: fn(&Stats) -> Vec<(&'static str, u64)>,
    ) {
        let rows = self.read.iter().flat_map(|read| {
            let [config, plugin] = read.labels;
            let values = values(&read.stats).into_iter();
            values.map(move |(word, value)| ([config, plugin, word], value as f64))
        });
        let name = name(of);
        let about = about(&name, help, ["config", "plugin", label]);
        self.report.family(about, Type::RealCounter, rows);
    }

    fn seconds(&mut self) {
        let last = u32::try_from(Stats::BUCKETS - 1).unwrap_or(u32::MAX);
        let scale = Scale::Exp2 { min: 0, max: last };
        let kind = Type::histogram(&Buckets { scale, multiplier: 1e-6, native: None });
        let sum = |stats: &Stats| u64::try_from(stats.time.as_micros()).unwrap_or(u64::MAX);
        let rows = self
            .read
            .iter()
            .map(|Read { labels, stats }| (*labels, [&stats.times[..], &[sum(stats)]].concat()));
        let name = name("call_seconds");
        let about = about(&name, "How long calls of a plugin's guests took", LABELS);
        self.report.numbers(about, kind, &rows.collect::<Vec<_>>());
    }
}
