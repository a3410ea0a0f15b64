//! What plugins have done and cost.

use super::family;
use crate::config::buckets::{Buckets, Scale, Slot};
use crate::config::family::OWN;
use crate::plugin::{BreakerState, Cause, Gauge, Kind, Stats};
use crate::series::{Family, Kind as Type, LabelSet};

/// The families of plugins; none if there are none.
pub(super) fn families(gauges: &[Gauge]) -> Vec<Family> {
    if gauges.is_empty() {
        return Vec::new();
    }
    let read: Vec<Read<'_>> = gauges.iter().map(Read::new).collect();
    vec![
        info(gauges),
        count("calls_total", "Calls of a plugin's guests", &read, |stats| stats.calls),
        count(
            "inputs_total",
            "Inputs of decoders and rows of transforms that a plugin was to answer",
            &read,
            |stats| stats.inputs,
        ),
        by_word(
            "outcomes_total",
            "What became of a plugin's inputs; on_error applies to error, failed and not_asked",
            "outcome",
            &read,
            |stats| Kind::ALL.map(|kind| (kind.word(), stats.outcomes[kind as usize])).to_vec(),
        ),
        by_word(
            "failures_total",
            "Calls that failed, each of which costs the plugin its instance, by cause",
            "cause",
            &read,
            |stats| Cause::ALL.map(|cause| (cause.word(), stats.failures[cause as usize])).to_vec(),
        ),
        count(
            "answers_changed_total",
            "Answers that were not what the same input had been answered before",
            &read,
            |stats| stats.remembered.changed,
        ),
        count(
            "deferred_total",
            "Keys that did not get their turn in a scrape: they keep their labels, or if new, have those \
             of on_error",
            &read,
            |stats| stats.deferred,
        ),
        count(
            "text_refused_total",
            "Rows whose labels would have made more text in a metric than a plugin may: on_error applies",
            &read,
            |stats| stats.refused,
        ),
        count(
            "cache_hits_total",
            "Inputs and rows whose answer was remembered, and which no guest was asked",
            &read,
            |stats| stats.remembered.hits,
        ),
        count(
            "cache_misses_total",
            "Inputs and rows whose answer was not remembered",
            &read,
            |stats| stats.remembered.misses,
        ),
        count(
            "cache_evictions_total",
            "Answers that were forgotten to make room for others",
            &read,
            |stats| stats.remembered.evictions,
        ),
        gauge("cache_entries", "Answers that are remembered", &read, |stats| {
            stats.remembered.entries as f64
        }),
        gauge("cache_bytes", "Memory of the answers that are remembered", &read, |stats| {
            stats.remembered.bytes as f64
        }),
        by_word(
            "log_lines_total",
            "Lines that a plugin's guests logged, and how many were dropped for being too many",
            "state",
            &read,
            |stats| vec![("written", stats.lines_written), ("dropped", stats.lines_dropped)],
        ),
        seconds(&read),
        gauge(
            "breaker_state",
            "Whether a plugin is asked: 0 yes, 1 the next call decides, 2 no, it failed repeatedly",
            &read,
            |stats| match stats.breaker {
                BreakerState::Closed => 0.0,
                BreakerState::HalfOpen => 1.0,
                BreakerState::Open => 2.0,
            },
        ),
        gauge(
            "memory_peak_bytes",
            "The most memory that an instance of a plugin took: linear memories, tables, globals and contexts",
            &read,
            |stats| stats.memory_peak as f64,
        ),
    ]
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
    debug_assert!(OWN.contains(&&*format!("plugin_{of}")), "{of} is kept from configs");
    format!("ebpf_exporter_plugin_{of}")
}

fn info(gauges: &[Gauge]) -> Family {
    let digests: Vec<_> = gauges.iter().map(|gauge| gauge.digest().to_string()).collect();
    let rows = gauges.iter().zip(&digests).map(|(gauge, digest)| {
        let world = gauge.world().word();
        ([gauge.config(), gauge.plugin(), digest, world, gauge.version()], 1.0)
    });
    let labels = ["config", "plugin", "digest", "world", "version"];
    let help = "The plugins that are loaded, with the SHA-256 of their files";
    family(&name("info"), help, &labels, Type::Gauge, rows)
}

fn count(of: &str, help: &str, read: &[Read<'_>], value: fn(&Stats) -> u64) -> Family {
    let rows = read.iter().map(|read| (read.labels, value(&read.stats) as f64));
    family(&name(of), help, &LABELS, Type::RealCounter, rows)
}

fn gauge(of: &str, help: &str, read: &[Read<'_>], value: fn(&Stats) -> f64) -> Family {
    let rows = read.iter().map(|read| (read.labels, value(&read.stats)));
    family(&name(of), help, &LABELS, Type::Gauge, rows)
}

/// A count for each of several words, which are the last label.
fn by_word(
    of: &str,
    help: &str,
    label: &str,
    read: &[Read<'_>],
    values: fn(&Stats) -> Vec<(&'static str, u64)>,
) -> Family {
    let rows = read.iter().flat_map(|read| {
        let [config, plugin] = read.labels;
        let values = values(&read.stats).into_iter();
        values.map(move |(word, value)| ([config, plugin, word], value as f64))
    });
    family(&name(of), help, &["config", "plugin", label], Type::RealCounter, rows)
}

fn seconds(read: &[Read<'_>]) -> Family {
    let last = u32::try_from(Stats::BUCKETS - 1).unwrap_or(u32::MAX);
    let scale = Scale::Exp2 { min: 0, max: last };
    let help = "How long calls of a plugin's guests took".to_owned();
    let kind = Type::histogram(&Buckets { scale, multiplier: 1e-6 });
    let labels = LABELS.map(str::to_owned).to_vec();
    let mut family = Family::new(name("call_seconds"), help, labels, kind);
    for Read { labels, stats } in read {
        let set = LabelSet::of(*labels);
        for (bucket, calls) in stats.times.iter().enumerate() {
            let cell = family.join(&set, Some(Slot::Bucket(bucket)));
            family.add(cell, *calls);
        }
        let cell = family.join(&set, Some(Slot::Sum));
        family.add(cell, u64::try_from(stats.time.as_micros()).unwrap_or(u64::MAX));
    }
    family
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::plugin::{Limits, Loader, Request, guests};

    #[test]
    fn names_are_kept_from_configs() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("echo.wasm"), guests::component("echo")).unwrap();
        let request = Request {
            config: "config",
            name: "zone",
            file: Path::new("echo.wasm"),
            places: &[dir.path()],
            pin: None,
            settings: "{}",
            limits: Limits::default(),
        };
        let gauge = Loader::default().load(&request).unwrap().gauge();
        let own = families(&[gauge]);
        let names = own.iter().filter_map(|family| family.name.strip_prefix("ebpf_exporter_"));
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        let expected = OWN.iter().filter(|name| name.starts_with("plugin_"));
        assert!(names.iter().eq(expected), "{names:?}");
        assert_eq!(families(&[]).len(), 0);
    }
}
