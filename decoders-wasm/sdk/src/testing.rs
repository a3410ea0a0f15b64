//! Run a plugin natively, as its component would run: through the same flat buffers.

mod schema;

use std::fmt::Write as _;

pub use schema::check_schema;
pub use serde_json::json;

use crate::transform::Agreed;
use crate::{Decoder, Kind, Metric, Outcome, RowOutcome, Transform};

/// Has the [`Data`](crate::Data) of this name hold these bytes from now on, in this thread.
#[cfg(not(target_arch = "wasm32"))]
pub fn set_data(name: &str, bytes: &[u8]) {
    crate::data::host::set(name, Some(bytes));
}

/// Has the [`Data`](crate::Data) of this name be one that cannot be read, in this thread.
#[cfg(not(target_arch = "wasm32"))]
pub fn set_unread_data(name: &str) {
    crate::data::host::set(name, None);
}

/// A decoder under test.
pub struct TestDecoder<D>(D);

impl<D: Decoder> TestDecoder<D> {
    /// A decoder with these settings (see [`json!`]), read as the component reads them.
    ///
    /// # Errors
    ///
    /// What the user of a config with these settings would see.
    pub fn new(settings: serde_json::Value) -> Result<Self, String> {
        D::configure(crate::decoder::settings(&settings.to_string())?).map(Self)
    }

    /// The answer for one input.
    ///
    /// # Errors
    ///
    /// The text of the decoder's error.
    pub fn decode(&mut self, input: &[u8]) -> Result<Outcome, String> {
        self.0.decode(input)
    }

    /// Decodes the inputs of a table as one batch and compares what a person would see of each: a
    /// label's text, `TEXT (for N s)`, `(drop)`, `(drop for N s)` or `(error: WHY)`.
    ///
    /// # Panics
    ///
    /// When an answer differs, with the input.
    #[track_caller]
    pub fn check(&mut self, table: &[(&[u8], &str)]) {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for (input, _) in table {
            bytes.extend_from_slice(input);
            ends.push(bytes.len() as u32);
        }
        for (input, (_, expected)) in crate::decoder::inputs(&bytes, &ends).zip(table) {
            let seen = match self.0.decode(input) {
                Ok(Outcome::Label(text)) => text,
                Ok(Outcome::LabelFor(text, seconds)) => format!("{text} (for {seconds} s)"),
                Ok(Outcome::Drop) => "(drop)".to_owned(),
                Ok(Outcome::DropFor(seconds)) => format!("(drop for {seconds} s)"),
                Err(why) => format!("(error: {why})"),
            };
            assert_eq!(seen, *expected, "input {:?}", input.escape_ascii().to_string());
        }
    }
}

/// A transform under test, of the rows of a counter named `ebpf_exporter_test_total`.
pub struct TestTransform<T> {
    agreed: Agreed<T>,
    names: Vec<String>,
    width: usize,
}

impl<T: Transform> TestTransform<T> {
    /// A transform with these settings for rows with these labels.
    ///
    /// # Errors
    ///
    /// What the user of a config with these settings would see.
    pub fn new(settings: serde_json::Value, labels: &[&str]) -> Result<Self, String> {
        let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        let width = labels.len();
        let metric =
            Metric { name: "ebpf_exporter_test_total".to_owned(), kind: Kind::Counter, labels };
        let (agreed, names) = Agreed::configure(&settings.to_string(), &metric)?;
        Ok(Self { agreed, names, width })
    }

    /// The names that rows leave with.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Transforms one row; what a person would see: `{name="value", …}` without empty values,
    /// with `(for N s)` behind it if it holds for a time, `(drop)`, `(drop for N s)` or `(error: WHY)`.
    ///
    /// # Panics
    ///
    /// When `row` has not as many values as there are labels.
    #[track_caller]
    pub fn row(&mut self, row: &[&str]) -> String {
        assert_eq!(row.len(), self.width, "values in the row {row:?}");
        let (mut text, mut ends) = (String::new(), Vec::new());
        for value in row {
            text.push_str(value);
            ends.push(text.len() as u32);
        }
        let mut answer = Ok(RowOutcome::Drop);
        let out = self.agreed.rows(1, &text, &ends, |it| answer = it);
        let (text, ends) = out.into_parts();
        match answer {
            Ok(RowOutcome::Labels) => show(&self.names, &text, &ends),
            Ok(RowOutcome::LabelsFor(seconds)) => {
                format!("{} (for {seconds} s)", show(&self.names, &text, &ends))
            }
            Ok(RowOutcome::Drop) => "(drop)".to_owned(),
            Ok(RowOutcome::DropFor(seconds)) => format!("(drop for {seconds} s)"),
            Err(why) => format!("(error: {why})"),
        }
    }

    /// Compares each row of a table with what [`Self::row`] shows of it.
    ///
    /// # Panics
    ///
    /// When one differs.
    #[track_caller]
    pub fn check(&mut self, table: &[(&[&str], &str)]) {
        for (row, expected) in table {
            assert_eq!(self.row(row), *expected, "row {row:?}");
        }
    }
}

fn show(names: &[String], text: &str, ends: &[u32]) -> String {
    let mut shown = String::from("{");
    let mut start = 0;
    for (name, &end) in names.iter().zip(ends) {
        let value = &text[std::mem::replace(&mut start, end as usize)..end as usize];
        if !value.is_empty() {
            let comma = if shown.len() > 1 { ", " } else { "" };
            let _ = write!(shown, "{comma}{name}={value:?}");
        }
    }
    shown + "}"
}
