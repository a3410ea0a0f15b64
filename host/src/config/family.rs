//! Metrics of the same name in several configs: one family if they agree, a fault if not.

use std::collections::{HashMap, HashSet};

use super::error::Fault;
use super::name::APART;
use super::plan::{Config, Metric, MetricKind};
use crate::advice::{Advice, near, quote};
use crate::escaping::{Escaping, is_plain_metric};

/// What the names of a histogram's series end in.
const SERIES: [&str; 3] = ["_bucket", "_count", "_sum"];

/// Every disagreement between metrics of different configs, told of the later one, and every metric that
/// is called as one of the exporter's `own` series.
pub(super) fn check(configs: &[Config], own: &[String]) -> Vec<Fault> {
    let mut first: HashMap<&str, (&Config, &Metric)> = HashMap::new();
    let mut faults = Vec::new();
    for (config, metric) in metrics(configs) {
        if own.contains(&metric.name.exposed()) {
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
    for (owner, histogram) in metrics(configs).filter(|(_, m)| m.kind != MetricKind::Counter) {
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
    faults.extend(meetings(configs, own));
    faults
}

/// Series of one metric that would be called as those of another, by clients that do not take all names.
fn meetings(configs: &[Config], own: &[String]) -> Vec<Fault> {
    if metrics(configs).all(|(_, metric)| is_plain_metric(&metric.name.exposed())) {
        return Vec::new();
    }
    let (mut told, mut faults) = (HashSet::new(), Vec::new());
    for escaping in Escaping::ALL {
        let mut taken: HashMap<_, Owner<'_>> =
            own.iter().map(|name| (name.clone(), (name.clone(), None))).collect();
        for (config, metric) in metrics(configs) {
            let met = take(metric, (config, escaping), &mut taken);
            if let Some((name, other)) = met
                && told.insert((&config.name, &metric.path))
            {
                let advice = one_name(metric, escaping, &name, other);
                faults.push(config.refuse(&format!("{}.name", metric.path), advice));
            }
        }
    }
    faults
}

/// Whose a series is: its name before it is escaped, and the metric, if not the exporter's own.
type Owner<'a> = (String, Option<(&'a Config, &'a Metric)>);

/// Takes what the metric calls its series; the first of these names that is another's already, although it
/// is called otherwise where names are not escaped, and whose.
fn take<'a>(
    metric: &'a Metric,
    (config, escaping): (&'a Config, Escaping),
    taken: &mut HashMap<String, Owner<'a>>,
) -> Option<(String, Option<(&'a Config, &'a Metric)>)> {
    let exposed = metric.name.exposed();
    let parts: &[&str] = if metric.kind == MetricKind::Counter { &[] } else { &SERIES };
    let mut met = None;
    for suffix in [""].iter().chain(parts) {
        let name = format!("{}{suffix}", escaping.metric(&exposed));
        let whole = format!("{exposed}{suffix}");
        let owner = (whole.clone(), Some((config, metric)));
        let (earlier, other) = taken.entry(name.clone()).or_insert(owner);
        if *earlier != whole {
            met.get_or_insert((name, *other));
        }
    }
    met
}

fn one_name(
    metric: &Metric,
    escaping: Escaping,
    name: &str,
    other: Option<(&Config, &Metric)>,
) -> Advice {
    let (here, scheme) = (metric.name.as_str(), escaping.as_str());
    let here = format!("`{here}` has series `{name}` with escaping={scheme}");
    match other {
        None => Advice::new(
            format!("{here}, which the exporter tells of itself"),
            "rename it and its map",
        ),
        Some((config, other)) => {
            let (place, other) = (place(config, other), other.name.as_str());
            Advice::new(format!("{here}, and so has `{other}` in {place}"), APART)
        }
    }
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
        (MetricKind::Counter, MetricKind::Counter) => {}
        (MetricKind::Histogram(a), MetricKind::Histogram(b)) if a == b => {}
        (MetricKind::Histogram(a), MetricKind::Histogram(b))
            if a.scale == b.scale && a.multiplier == b.multiplier =>
        {
            let shown = b.native.as_ref().map_or("is not native", |native| match native.classic {
                true => "is native and classic",
                false => "is native alone",
            });
            return Some((".native", format!("`{name}` {shown} in {}", place())));
        }
        (MetricKind::Histogram(_), MetricKind::Histogram(_)) => {
            return Some((".bucket_type", format!("`{name}` has other buckets in {}", place())));
        }
        (MetricKind::Counter, MetricKind::Histogram(_)) => {
            return Some((
                "",
                format!("`{name}` is a counter here and a histogram in {}", place()),
            ));
        }
        (MetricKind::Histogram(_), MetricKind::Counter) => {
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
    let transformed = |metric: &Metric| !metric.transforms.is_empty();
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
    if names.is_empty() { "none".to_owned() } else { format!("`{}`", near::listed(&names)) }
}

fn place(config: &Config, metric: &Metric) -> String {
    let file = config.file.path.display();
    match config.line(&metric.path) {
        Some(line) => format!("{file}:{line} ({})", metric.path),
        None => format!("{file} ({})", metric.path),
    }
}
