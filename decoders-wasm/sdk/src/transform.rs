//! What a transform is, and how the rows of a call become calls of it.

use std::fmt::{self, Write as _};

use serde::de::DeserializeOwned;

/// A transform: a row's labels become other labels.
pub trait Transform: Sized {
    /// The mapping under `settings` in the config. A config without settings gives an empty one.
    type Settings: DeserializeOwned;

    /// A transform with these settings, for the rows of this metric. Called once at start, and
    /// again with the same arguments when the host replaces an instance that panicked.
    ///
    /// # Errors
    ///
    /// What is wrong and what to write instead, lowercase, no final period. The exporter shows it
    /// and does not start.
    fn configure(settings: Self::Settings, metric: &Metric) -> Result<Self, String>;

    /// The names of the labels that rows leave with, in the order in which [`Self::transform`]
    /// pushes their values: at most 64, no two equal. Asked once, after `configure`.
    fn names(&self) -> Vec<String>;

    /// Transforms one row. `row` has one value for each of the metric's labels; for a labels
    /// outcome `out` must be given one value for each of [`Self::names`]. What was pushed for
    /// another outcome is forgotten.
    ///
    /// # Errors
    ///
    /// Why this row has no answer. The host counts it and applies the config's `on_error`, by
    /// default the text `error` for every label. No part of the text reaches a metric.
    fn transform(&mut self, row: &[&str], out: &mut Labels) -> Result<RowOutcome, String>;
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOutcome {
    /// The row has the labels that were pushed, as long as it lives.
    Labels,
    /// The row has the labels that were pushed for so many seconds, at least those of
    /// `limits.hold` in the config (5 unless it says otherwise).
    LabelsFor(u32),
    /// The row is left out of the metric.
    Drop,
    /// The row is left out of the metric for so many seconds, at least those of `limits.hold`. If it was
    /// in no series before, it brings all that it has counted once it has labels.
    DropFor(u32),
}

/// The metric whose rows a transform sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name as exposed: `ebpf_exporter_packets_total`.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
    /// The names of the labels that rows come with. No two are equal; a histogram's bucket label
    /// is not among them.
    pub labels: Vec<String>,
}

/// What the values of a metric are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One number a row, which only grows.
    Counter,
    /// One number a row, which may fall. Exporters of today have none.
    Gauge,
    /// Buckets; a row is a whole histogram.
    Histogram,
}

impl Metric {
    /// Where in a row the label of this name stands.
    ///
    /// # Errors
    ///
    /// When the metric has no such label: a text for `configure` to return, with the names that
    /// there are.
    pub fn position(&self, label: &str) -> Result<usize, String> {
        self.labels.iter().position(|name| name == label).ok_or_else(|| {
            let labels = self.labels.join(", ");
            format!("metric {} has no label {label:?}; name one of: {labels}", self.name)
        })
    }
}

/// The labels that a transform returns, written value by value.
#[derive(Debug, Default)]
pub struct Labels {
    text: String,
    ends: Vec<u32>,
}

impl Labels {
    /// Adds a value. An empty one is to Prometheus a label that is absent.
    pub fn push(&mut self, value: &str) {
        self.text.push_str(value);
        self.end();
    }

    /// Adds a value made of parts: `out.push_fmt(format_args!("{a}/{b}"))`.
    pub fn push_fmt(&mut self, value: fmt::Arguments<'_>) {
        // Writing to a string fails only if a `Display` of the caller says so; then the value is
        // what it had written.
        let _ = self.text.write_fmt(value);
        self.end();
    }

    fn end(&mut self) {
        // A 32-bit guest cannot hold more text than that.
        self.ends.push(self.text.len() as u32);
    }

    /// Forgets all but the first `count` values.
    fn truncate(&mut self, count: usize) {
        self.ends.truncate(count);
        self.text.truncate(self.ends.last().map_or(0, |&end| end as usize));
    }

    /// All text and where the values in it end.
    pub(crate) fn into_parts(self) -> (String, Vec<u32>) {
        (self.text, self.ends)
    }
}

/// A transform with the widths that were agreed for it.
pub struct Agreed<T> {
    transform: T,
    width_in: usize,
    width_out: usize,
}

impl<T: Transform> Agreed<T> {
    /// Configures a transform; also the names that its rows leave with.
    pub(crate) fn configure(json: &str, metric: &Metric) -> Result<(Self, Vec<String>), String> {
        let transform = T::configure(crate::decoder::settings(json)?, metric)?;
        let names = transform.names();
        let (width_in, width_out) = (metric.labels.len(), names.len());
        Ok((Self { transform, width_in, width_out }, names))
    }

    /// Transforms `count` rows whose values are `text` cut at `ends`; calls `answer` for each.
    pub(crate) fn rows(
        &mut self,
        count: usize,
        text: &str,
        ends: &[u32],
        mut answer: impl FnMut(Result<RowOutcome, String>),
    ) -> Labels {
        let mut out = Labels::default();
        let mut row = Vec::with_capacity(self.width_in);
        let mut start = 0;
        for i in 0..count {
            row.clear();
            row.extend(ends[i * self.width_in..][..self.width_in].iter().map(|&end| {
                let end = end as usize;
                &text[std::mem::replace(&mut start, end)..end]
            }));
            answer(self.row(&row, &mut out));
        }
        out
    }

    fn row(&mut self, row: &[&str], out: &mut Labels) -> Result<RowOutcome, String> {
        let before = out.ends.len();
        let result = self.transform.transform(row, out);
        let pushed = out.ends.len() - before;
        let result = match result {
            Ok(RowOutcome::Labels | RowOutcome::LabelsFor(_)) if pushed != self.width_out => {
                Err(format!("{pushed} values were pushed where {} are agreed", self.width_out))
            }
            other => other,
        };
        if !matches!(result, Ok(RowOutcome::Labels | RowOutcome::LabelsFor(_))) {
            out.truncate(before);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does what the row's first value says.
    struct Obey;

    impl Transform for Obey {
        type Settings = serde_json::Value;

        fn configure(_: Self::Settings, metric: &Metric) -> Result<Self, String> {
            metric.position("do").map(|_| Self)
        }

        fn names(&self) -> Vec<String> {
            vec!["did".to_owned(), "to".to_owned()]
        }

        fn transform(&mut self, row: &[&str], out: &mut Labels) -> Result<RowOutcome, String> {
            out.push(row[0]);
            match row[0] {
                "few" => return Ok(RowOutcome::Labels),
                "fail" => return Err("as told".to_owned()),
                "drop" => return Ok(RowOutcome::Drop),
                _ => out.push_fmt(format_args!("<{}>", row[1])),
            }
            Ok(RowOutcome::LabelsFor(7))
        }
    }

    fn metric(labels: &[&str]) -> Metric {
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        Metric { name: "m".to_owned(), kind: Kind::Counter, labels }
    }

    #[test]
    fn only_labels_of_good_rows_are_returned() {
        let (mut obey, names) = Agreed::<Obey>::configure("{}", &metric(&["do", "x"])).unwrap();
        assert_eq!(names, ["did", "to"]);
        let values = ["say", "é", "few", "b", "fail", "c", "drop", "d", "", ""];
        let mut ends = Vec::new();
        let mut text = String::new();
        for value in values {
            text.push_str(value);
            ends.push(text.len() as u32);
        }
        let mut answers = Vec::new();
        let out = obey.rows(5, &text, &ends, |answer| answers.push(answer));
        assert_eq!(out.into_parts(), ("say<é><>".to_owned(), vec![3, 7, 7, 9]));
        assert_eq!(
            answers,
            [
                Ok(RowOutcome::LabelsFor(7)),
                Err("1 values were pushed where 2 are agreed".to_owned()),
                Err("as told".to_owned()),
                Ok(RowOutcome::Drop),
                Ok(RowOutcome::LabelsFor(7)),
            ]
        );
    }

    #[test]
    fn a_label_that_is_not_there_is_named() {
        let refused = Agreed::<Obey>::configure("{}", &metric(&["a", "b"])).err();
        assert_eq!(refused.unwrap(), "metric m has no label \"do\"; name one of: a, b");
    }
}
