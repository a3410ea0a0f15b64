//! The checked plan: what is here can be relied on without looking again.

use super::buckets::Buckets;
use super::error::{Fault, Severity, Source};
use super::name::{LabelName, MetricName};
use super::node;
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
    /// The parts of the key, in order. One of a histogram's is no label: see [`Metric::bucket`].
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

impl Config {
    /// A fault at `path` that stops the exporter, with the line that the path has.
    pub fn fault(
        &self,
        path: &str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Fault {
        let line = self.line(path);
        let file = self.source.file.clone();
        let (path, problem, remedy) = (path.to_owned(), problem.into(), remedy.into());
        Fault { severity: Severity::Error, file, line, path, problem, remedy }
    }

    /// As [`Config::fault`], for what is only told.
    pub fn warning(
        &self,
        path: &str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Fault {
        Fault { severity: Severity::Warning, ..self.fault(path, problem, remedy) }
    }

    /// The line of `path` in the file, from 1, or of what it would stand in; none for the whole
    /// file (the empty path).
    pub fn line(&self, path: &str) -> Option<usize> {
        if path.is_empty() {
            return None;
        }
        // Read again, because faults are rare and plans live as long as the exporter.
        node::parse(&self.source.text).ok().map(|document| document.root.line_of(path))
    }
}

impl Metric {
    /// Whether its last label is a CPU number, which per-CPU maps have beside the key.
    pub fn has_cpu_label(&self) -> bool {
        self.labels.last().is_some_and(Label::is_cpu)
    }

    /// Which of a histogram's labels is its bucket: the last, or the one before the CPU number.
    /// None for a counter.
    pub fn bucket(&self) -> Option<usize> {
        match self.kind {
            Kind::Counter => None,
            Kind::Histogram(_) => {
                self.labels.len().checked_sub(1 + usize::from(self.has_cpu_label()))
            }
        }
    }

    /// The names of the labels that its series have, in order: all but the bucket.
    pub fn label_names(&self) -> impl Iterator<Item = &LabelName> {
        let bucket = self.bucket();
        let label = move |&(index, _): &(usize, &Label)| Some(index) != bucket;
        self.labels.iter().enumerate().filter(label).map(|(_, label)| &label.name)
    }
}

impl Label {
    /// Whether it is called and sized as a CPU number is.
    pub fn is_cpu(&self) -> bool {
        self.name.as_str() == "cpu" && self.size == 2
    }
}
