//! The checked plan: what is here can be relied on without looking again.

use super::buckets::Buckets;
use super::error::Source;
use super::name::{LabelName, MetricName};
use crate::decode::Chain;

/// One config: its metrics and what its object needs before it is loaded.
#[derive(Debug)]
pub struct Config {
    /// The name of its file without `.yaml`.
    pub name: String,
    /// Where it came from, for faults that are found later.
    pub source: Source,
    /// Its metrics, in the file's order, counters first.
    pub metrics: Vec<Metric>,
    /// Kernel symbols whose addresses the object wants in `kaddr_SYMBOL`.
    pub kaddrs: Vec<String>,
}

/// A metric and the map of the same name that feeds it.
#[derive(Debug)]
pub struct Metric {
    /// The map's name; the family's is `ebpf_exporter_` and this.
    pub name: MetricName,
    /// The help text.
    pub help: String,
    /// Its place in the file: `metrics.counters[2]`.
    pub path: String,
    /// Counter or histogram.
    pub kind: Kind,
    /// The parts of the key, in order. A histogram's last one is its bucket and no label.
    pub labels: Vec<Label>,
}

/// What a metric's rows become.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A series a label set.
    Counter,
    /// A histogram a label set, its buckets as the last part of the key says.
    Histogram(Buckets),
}

/// A part of a key that becomes a label.
#[derive(Debug)]
pub struct Label {
    /// The label's name.
    pub name: LabelName,
    /// How many bytes of the key it has; never 0.
    pub size: usize,
    /// How many bytes to pass over behind it.
    pub padding: usize,
    /// Its decoders.
    pub chain: Chain,
}

impl Metric {
    /// Whether its last label is a CPU number, which per-CPU maps have beside the key.
    pub fn has_cpu_label(&self) -> bool {
        self.labels.last().is_some_and(|label| label.name.as_str() == "cpu" && label.size == 2)
    }
}
