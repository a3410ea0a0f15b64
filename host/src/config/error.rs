//! A fault of a config: where it is, what is wrong, what to do.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// The file that a config was read from, kept to say where a fault is.
#[derive(Clone, Debug)]
pub struct Source {
    /// The path as the user gave it, or `<built-in>/NAME.yaml`.
    pub file: PathBuf,
    /// Its text.
    pub text: Arc<str>,
}

/// Whether a fault stops the exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Said and passed over; fatal under `--config.strict`.
    Warning,
    /// The exporter does not start.
    Error,
}

/// One fault of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whether it stops the exporter.
    pub severity: Severity,
    /// The file it is in: a YAML file or a BPF object.
    pub file: PathBuf,
    /// The line of the YAML file, from 1, where it can be had.
    pub line: Option<usize>,
    /// The place in the document: `metrics.counters[2].labels[0].size`; empty for the whole file.
    pub path: String,
    /// What is wrong: lowercase, no final period.
    pub problem: String,
    /// What to do: imperative, no final period.
    pub remedy: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}; {}", self.problem, self.remedy)
    }
}
