//! A fault of a config: where it is, what is wrong, what to do.

use std::fmt::{self, Write as _};
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

impl Source {
    /// The config's name: the file's without `.yaml`.
    pub fn name(&self) -> String {
        self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }
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
    /// One line: `FILE:LINE: PATH: PROBLEM; REMEDY`, warnings marked as such.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Plain(&self.file.to_string_lossy()))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if self.severity == Severity::Warning {
            f.write_str(": warning")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", Plain(&self.path))?;
        }
        write!(f, ": {}; {}", Plain(&self.problem), Plain(&self.remedy))
    }
}

/// Text of a file in a message: what does not print is escaped, so that a fault stays one line, no
/// terminal obeys it, and it reads in the order in which it stands.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char {
                '"' | '\'' | '\\' => f.write_char(char)?,
                _ => write!(f, "{}", char.escape_debug())?,
            }
        }
        Ok(())
    }
}

/// A text of the file as a message shows it: in backticks, and no longer than it helps.
pub(crate) fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}
