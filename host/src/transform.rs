//! Transforms: a row's label values in, other label values out, after all decoders.
//!
//! Names of labels are agreed when a transform is made; rows carry values by position. What rows
//! count, and that equal ones are summed, is not known here.

mod without;

pub use without::Without;

use std::fmt;
use std::ops::Range;

use crate::config::OnRowError;
use crate::config::name::LabelName;
use crate::decode::{Batch, DecodeError, Outcome};

/// One step of [`Transforms`].
///
/// It belongs to one metric of one config and is called from one thread at a time.
pub trait Transform: Send {
    /// Transforms all of `rows`: one answer for each, in their order, appended to `answers`.
    ///
    /// Rows have as many values as the transform was made for; answers as many as it agreed to.
    fn transform(&mut self, rows: &LabelRows, answers: &mut RowAnswers);
}

/// Rows of label values: the same number of values each, end to end.
#[derive(Clone, Debug, Default)]
pub struct LabelRows {
    values: Batch,
    len: usize,
    width: usize,
}

impl LabelRows {
    /// Removes all rows; those to come have `width` values.
    pub fn reset(&mut self, width: usize) {
        self.values.clear();
        self.len = 0;
        self.width = width;
    }

    /// Adds a row. Values beyond the width are left out, and missing ones are empty.
    pub fn push<'a>(&mut self, values: impl IntoIterator<Item = &'a [u8]>) {
        self.len += 1;
        for value in values.into_iter().take(self.missing()) {
            self.values.push(value);
        }
        for _ in 0..self.missing() {
            self.values.push(b"");
        }
    }

    /// How many values the last row still wants.
    fn missing(&self) -> usize {
        self.len * self.width - self.values.len()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many values a row has.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The values of the `n`-th row.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn get(&self, n: usize) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        (n * self.width..(n + 1) * self.width).map(|value| self.values.get(value))
    }

    /// The rows, in order.
    pub fn iter(
        &self,
    ) -> impl ExactSizeIterator<Item = impl ExactSizeIterator<Item = &[u8]> + Clone> {
        (0..self.len).map(|n| self.get(n))
    }
}

/// The answers to [`LabelRows`].
#[derive(Debug, Default)]
pub struct RowAnswers {
    /// One for each outcome; empty values where it is no label.
    rows: LabelRows,
    outcomes: Vec<Result<Outcome, DecodeError>>,
}

impl RowAnswers {
    /// Removes all answers; those to come have `width` values.
    pub fn reset(&mut self, width: usize) {
        self.rows.reset(width);
        self.outcomes.clear();
    }

    /// Adds an answer. The values count only with [`Outcome::Label`] and [`Outcome::LabelFor`].
    pub fn push<'a>(
        &mut self,
        outcome: Result<Outcome, DecodeError>,
        values: impl IntoIterator<Item = &'a [u8]>,
    ) {
        self.rows.push(values);
        self.outcomes.push(outcome);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }

    /// The `n`-th outcome and its values.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn get(
        &self,
        n: usize,
    ) -> (&Result<Outcome, DecodeError>, impl ExactSizeIterator<Item = &[u8]> + Clone) {
        (&self.outcomes[n], self.rows.get(n))
    }
}

/// A transform, the labels it agreed to, and what becomes of a row when it fails.
pub struct TransformStep {
    /// The name of its plugin, for messages.
    pub name: String,
    /// The transform itself.
    pub transform: Box<dyn Transform>,
    /// The names of the labels that rows leave it with, in the order of their values.
    pub labels: Vec<LabelName>,
    /// What becomes of a row when it fails.
    pub on_error: OnRowError,
}

/// The transforms of one metric, in order. None of them passes rows on as they are.
#[derive(Default)]
pub struct Transforms {
    steps: Vec<TransformStep>,
    work: Work,
}

#[derive(Default)]
struct Work {
    /// The rows of the step in hand, and which of the first rows each of them comes from.
    rows: LabelRows,
    from: Vec<usize>,
    answers: RowAnswers,
    next: LabelRows,
    next_from: Vec<usize>,
}

/// What [`Transforms`] made of rows: one [`TransformedRow`] for each.
#[derive(Debug, Default)]
pub struct Transformed {
    /// The values of all rows that are left, in no order of rows.
    values: Batch,
    of: Vec<Ended>,
}

#[derive(Debug)]
struct Ended {
    outcome: Outcome,
    values: Range<usize>,
    error: Option<DecodeError>,
}

/// What became of a row.
#[derive(Clone, Copy, Debug)]
pub struct TransformedRow<'a> {
    /// Whether its labels are in `values`, and for how long, or it is left out.
    pub outcome: Outcome,
    /// The error behind it, if a step failed and its [`OnRowError`] was applied.
    pub error: Option<&'a DecodeError>,
    values: &'a Batch,
    range: (usize, usize),
}

impl<'a> TransformedRow<'a> {
    /// Its values, in the order of [`Transforms::labels`]; none if it is left out.
    pub fn values(self) -> impl ExactSizeIterator<Item = &'a [u8]> {
        (self.range.0..self.range.1).map(move |value| self.values.get(value))
    }
}

impl Transformed {
    /// How many rows there were.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// What became of the `n`-th row.
    ///
    /// # Panics
    ///
    /// If there were not so many.
    pub fn get(&self, n: usize) -> TransformedRow<'_> {
        let Ended { outcome, values, error } = &self.of[n];
        let (error, range) = (error.as_ref(), (values.start, values.end));
        TransformedRow { outcome: *outcome, error, values: &self.values, range }
    }

    /// What became of each row, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = TransformedRow<'_>> {
        (0..self.len()).map(|n| self.get(n))
    }

    fn reset(&mut self, rows: usize) {
        self.values.clear();
        self.of.clear();
        self.of.resize_with(rows, || Ended { outcome: Outcome::Label, values: 0..0, error: None });
    }

    fn end<'v>(&mut self, n: usize, values: impl IntoIterator<Item = &'v [u8]>) {
        let start = self.values.len();
        for value in values {
            self.values.push(value);
        }
        self.of[n].values = start..self.values.len();
    }

    /// Ends the `n`-th row, one of whose steps failed; it would have left with `width` labels.
    fn fail(&mut self, n: usize, error: &DecodeError, on_error: &OnRowError, width: usize) {
        self.of[n].error = Some(error.clone());
        match on_error {
            OnRowError::Drop => self.of[n].outcome = Outcome::Drop,
            OnRowError::Label(text) => self.end(n, std::iter::repeat_n(text.as_bytes(), width)),
        }
    }
}

impl Transforms {
    /// These steps.
    pub fn new(steps: Vec<TransformStep>) -> Self {
        Self { steps, work: Work::default() }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The names of the labels that rows leave with, in the order of their values; nothing if
    /// there are no transforms.
    pub fn labels(&self) -> Option<&[LabelName]> {
        self.steps.last().map(|step| &*step.labels)
    }

    /// Runs all of `rows` through each step. What was in `out` is replaced.
    ///
    /// A row whose step fails ends there: `on_error` gives all of its last labels.
    pub fn apply(&mut self, rows: &LabelRows, out: &mut Transformed) {
        let width = self.labels().map_or(rows.width(), <[LabelName]>::len);
        let Self { steps, work } = self;
        out.reset(rows.len());
        work.rows.clone_from(rows);
        work.from.clear();
        work.from.extend(0..rows.len());
        for step in steps {
            step.run(work, width, out);
        }
        for (row, from) in work.rows.iter().zip(&work.from) {
            out.end(*from, row);
        }
    }
}

impl TransformStep {
    /// Takes the step for all rows in `work`. Those that end here go to `out` with `width` labels,
    /// the others are the next step's.
    fn run(&mut self, work: &mut Work, width: usize, out: &mut Transformed) {
        let Work { rows, from, answers, next, next_from } = work;
        answers.reset(self.labels.len());
        if !rows.is_empty() {
            self.transform.transform(rows, answers);
        }
        next.reset(self.labels.len());
        next_from.clear();
        for (index, n) in from.iter().enumerate() {
            let (outcome, values) = answers.get(index);
            match outcome {
                Ok(outcome) if outcome.leaves_out() => {
                    out.of[*n].outcome = out.of[*n].outcome.left_out(*outcome);
                }
                Ok(outcome) => {
                    out.of[*n].outcome = out.of[*n].outcome.sooner(*outcome);
                    next.push(values);
                    next_from.push(*n);
                }
                Err(error) => out.fail(*n, error, &self.on_error, width),
            }
        }
        std::mem::swap(rows, next);
        std::mem::swap(from, next_from);
    }
}

impl fmt::Debug for Transforms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|step| &step.name)).finish()
    }
}

#[cfg(test)]
mod tests;
