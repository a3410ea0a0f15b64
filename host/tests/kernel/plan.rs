//! Configs made by hand.

use ebpf_wasm_exporter::config::buckets::{Buckets, Scale};
use ebpf_wasm_exporter::config::name::{LabelName, MetricName};
use ebpf_wasm_exporter::config::{Config, ConfigFile, Kaddr, Label, LineIndex, Metric, MetricKind};

/// A config of these metrics and symbols.
pub fn config(metrics: Vec<Metric>, kaddrs: &[&str]) -> Config {
    let kaddr = |symbol: &&str| Kaddr { symbol: (*symbol).to_owned(), path: "kaddrs".to_owned() };
    Config {
        name: "test".to_owned(),
        file: ConfigFile::new("test.yaml", ""),
        metrics,
        faulty: Vec::new(),
        spans: Vec::new(),
        cgroup_id_map: None,
        plugins: Vec::new(),
        lines: LineIndex::default(),
        kaddrs: kaddrs.iter().map(kaddr).collect(),
    }
}

/// A counter whose labels have these names, sizes and paddings.
pub fn counter(name: &str, labels: &[(&str, usize, usize)]) -> Metric {
    let label = |&(name, size, padding): &(&str, usize, usize)| Label {
        name: LabelName::new(name).unwrap(),
        size,
        padding,
        reuse: false,
        steps: Vec::new(),
    };
    Metric {
        name: MetricName::new(name).unwrap(),
        help: "help".to_owned(),
        path: "metrics.counters[0]".to_owned(),
        events: None,
        kind: MetricKind::Counter,
        labels: labels.iter().map(label).collect(),
        transforms: Vec::new(),
        max_series: None,
        dropped: Vec::new(),
    }
}

/// A histogram whose labels have these names, sizes and paddings.
pub fn histogram(name: &str, labels: &[(&str, usize, usize)]) -> Metric {
    let scale = Scale::Exp2 { min: 0, max: 4 };
    let kind = MetricKind::Histogram(Buckets { scale, multiplier: 1.0, native: None });
    Metric { kind, path: "metrics.histograms[0]".to_owned(), ..counter(name, labels) }
}
