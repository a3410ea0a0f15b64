//! The labels of a series in a text format, and its lines: what stands around their numbers.
//!
//! Never knows how a number is written, nor which lines a type has.

use super::names::quote;
use crate::escaping::is_plain_metric;
use crate::series::LabelValues;

/// Writes the labels of a family's series.
#[derive(Debug)]
pub(super) struct Labels {
    /// What stands before the value of each label, in their order.
    names: Vec<String>,
    /// Those of the series in hand, quoted and escaped.
    written: Vec<u8>,
}

impl Labels {
    /// Labels with these names, which are quoted if they have to be.
    pub(super) fn new(names: &[String]) -> Self {
        let comma = [""].into_iter().chain(std::iter::repeat(","));
        let names = names.iter().zip(comma).map(|(name, comma)| format!("{comma}{name}=\""));
        Self { names: names.collect(), written: Vec::new() }
    }

    /// Begins a series with these labels.
    pub(super) fn begin(&mut self, values: LabelValues<'_>) {
        self.written.clear();
        for (name, value) in self.names.iter().zip(values) {
            self.written.extend_from_slice(name.as_bytes());
            escape(value, true, &mut self.written);
            self.written.push(b'"');
        }
    }

    /// Those of the series in hand, one behind the other.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.written
    }
}

/// Writes the lines of a family's series.
#[derive(Debug)]
pub(super) struct Lines {
    /// What stands before the labels in each line of a series, and behind them.
    around: Vec<(String, String)>,
    labels: Labels,
}

impl Lines {
    /// Lines with these labels; what stands before and behind the labels in each.
    pub(super) fn new(labels: &[String], around: Vec<(String, String)>) -> Self {
        Self { around, labels: Labels::new(labels) }
    }

    /// How many lines a series has; each has one number.
    pub(super) fn len(&self) -> usize {
        self.around.len()
    }

    /// Begins a series with these labels.
    pub(super) fn begin(&mut self, values: LabelValues<'_>) {
        self.labels.begin(values);
    }

    /// Appends a line of the series in hand to `out`; where in `out` the number stands.
    pub(super) fn put(&self, line: usize, number: &[u8], out: &mut Vec<u8>) -> usize {
        let (before, behind) = &self.around[line];
        out.extend_from_slice(before.as_bytes());
        out.extend_from_slice(self.labels.bytes());
        out.extend_from_slice(behind.as_bytes());
        let at = out.len();
        out.extend_from_slice(number);
        out.push(b'\n');
        at
    }
}

/// What stands around the labels of a line, if it has any.
pub(super) fn braced(name: &str, has_labels: bool) -> (String, String) {
    let (before, behind) = match (is_plain_metric(name), has_labels) {
        (true, true) => (format!("{name}{{"), "} "),
        (true, false) => (name.to_owned(), " "),
        (false, true) => (format!("{{{},", quote(name)), "} "),
        (false, false) => (format!("{{{}", quote(name)), "} "),
    };
    (before, behind.to_owned())
}

/// Appends `text` with backslash and newline escaped, and quotes where it stands in them.
pub(super) fn escape(text: &str, quoted: bool, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    let quote = if quoted { b'"' } else { b'\n' };
    while let Some(at) = memchr::memchr3(b'\\', b'\n', quote, rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\n' => b"\\n",
            b'"' => b"\\\"",
            _ => b"\\\\",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}
