//! Metrics of the same name in several configs: one family if they agree, a fault if not.

use std::collections::HashMap;

use super::error::{Fault, quote};
use super::plan::{Config, Kind, Metric};

/// The names, without their prefix, of what the exporter says about itself. A test of
/// [`crate::telemetry`] keeps the list whole.
pub(crate) const OWN: [&str; 33] = [
    "build_info",
    "decoder_errors_total",
    "ebpf_program_attached",
    "ebpf_program_info",
    "ebpf_program_run_count_total",
    "ebpf_program_run_time_seconds",
    "enabled_configs",
    "http_connections",
    "http_connections_accepted_total",
    "http_connections_closed_total",
    "http_unsent_bytes",
    "map_read_info",
    "plugin_breaker_state",
    "plugin_cache_bytes",
    "plugin_cache_entries",
    "plugin_cache_evictions_total",
    "plugin_cache_hits_total",
    "plugin_cache_misses_total",
    OWN_HISTOGRAM,
    "plugin_calls_total",
    "plugin_deferred_total",
    "plugin_failures_total",
    "plugin_info",
    "plugin_inputs_total",
    "plugin_log_lines_total",
    "plugin_memory_peak_bytes",
    "plugin_outcomes_total",
    "scrape_duration_seconds",
    "scrape_entries",
    "scrape_phase_seconds_total",
    "scrape_series",
    "scrape_success",
    "scrapes_refused_total",
];

/// The one among them that is a histogram: its series have names of their own.
const OWN_HISTOGRAM: &str = "plugin_call_seconds";
/// What the names of a histogram's series end in.
const SERIES: [&str; 3] = ["_bucket", "_count", "_sum"];

/// Whether the exporter has series of this name.
fn is_own(name: &str) -> bool {
    let of_histogram = |suffix: &&str| name.strip_suffix(*suffix) == Some(OWN_HISTOGRAM);
    OWN.contains(&name) || SERIES.iter().any(of_histogram)
}

/// Every disagreement between metrics of different configs, told of the later one.
pub(super) fn check(configs: &[Config]) -> Vec<Fault> {
    let mut first: HashMap<&str, (&Config, &Metric)> = HashMap::new();
    let mut faults = Vec::new();
    for (config, metric) in metrics(configs) {
        if is_own(metric.name.as_str()) {
            let problem =
                format!("`{}` is what the exporter tells of itself", metric.name.as_str());
            let path = format!("{}.name", metric.path);
            faults.push(config.fault(&path, problem, "rename it and its map"));
        }
        let (owner, earlier) = *first.entry(metric.name.as_str()).or_insert((config, metric));
        if let Some((key, problem)) = difference(metric, earlier, || place(owner, earlier)) {
            let path = format!("{}{key}", metric.path);
            let remedy = "make them equal, or rename one and its map";
            faults.push(config.fault(&path, problem, remedy));
        }
    }
    for (owner, histogram) in metrics(configs).filter(|(_, m)| m.kind != Kind::Counter) {
        for suffix in SERIES {
            let series = format!("{}{suffix}", histogram.name.as_str());
            if let Some((config, metric)) = first.get(series.as_str()) {
                let place = place(owner, histogram);
                faults.push(config.fault(
                    &format!("{}.name", metric.path),
                    format!("`{series}` is what the histogram in {place} calls its series"),
                    "rename one of them and its map",
                ));
            }
        }
    }
    faults
}

fn metrics(configs: &[Config]) -> impl Iterator<Item = (&Config, &Metric)> {
    configs.iter().flat_map(|config| config.metrics.iter().map(move |metric| (config, metric)))
}

/// What differs: the key below the metric that shows it, and the problem.
fn difference(
    here: &Metric,
    there: &Metric,
    place: impl Fn() -> String,
) -> Option<(&'static str, String)> {
    let name = here.name.as_str();
    match (&here.kind, &there.kind) {
        (Kind::Counter, Kind::Counter) => {}
        (Kind::Histogram(a), Kind::Histogram(b)) if a == b => {}
        (Kind::Histogram(_), Kind::Histogram(_)) => {
            return Some((".bucket_type", format!("`{name}` has other buckets in {}", place())));
        }
        (Kind::Counter, Kind::Histogram(_)) => {
            return Some((
                "",
                format!("`{name}` is a counter here and a histogram in {}", place()),
            ));
        }
        (Kind::Histogram(_), Kind::Counter) => {
            return Some((
                "",
                format!("`{name}` is a histogram here and a counter in {}", place()),
            ));
        }
    }
    if here.help != there.help {
        let help = quote(&there.help);
        return Some((".help", format!("the help of `{name}` is {help} in {}", place())));
    }
    // What transforms return is known, and compared, when plugins are loaded.
    let transformed = |metric: &Metric| !metric.transform_steps.is_empty();
    if transformed(here) || transformed(there) {
        return None;
    }
    if !here.label_names().eq(there.label_names()) {
        let names = labels(there);
        return Some((".labels", format!("the labels of `{name}` are {names} in {}", place())));
    }
    None
}

fn labels(metric: &Metric) -> String {
    let names: Vec<_> = metric.label_names().map(|name| name.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { format!("`{}`", names.join(", ")) }
}

fn place(config: &Config, metric: &Metric) -> String {
    let file = config.source.file.display();
    match config.line(&metric.path) {
        Some(line) => format!("{file}:{line} ({})", metric.path),
        None => format!("{file} ({})", metric.path),
    }
}
