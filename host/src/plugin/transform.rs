//! A plugin as a [`Transform`].

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::PluginError;
use super::answers::{AnswerCache, Moment, guests_own};
use super::bindings::transform::{
    Answers as Got, Kind as GuestKind, Metric as GuestMetric, RowOutcome, Rows as GuestRows,
    ValuesParam,
};
use super::decoder::{hold, too_long};
use super::instance::{Failure, Seat, Shared, Start, Unanswered};
use super::limits::{
    LONGEST_ERROR, LONGEST_LABEL, LONGEST_NAME, Limits, MOST_BYTES, MOST_INPUTS, MOST_LABELS,
};
use super::log::plain;
use super::stats::{Cause, OutcomeKind};
use super::versions::{TransformGuest, TransformStart};
use crate::config::name::{LabelName, labels_that_meet};
use crate::decode::{Answers, Batch, Outcome};
use crate::transform::{LabelRows, RowAnswers, Transform};

/// The metric that a transform is made for.
#[derive(Clone, Debug)]
pub struct MetricShape {
    /// Its name as exposed: `ebpf_exporter_packets_total`.
    pub name: String,
    /// Whether its rows are histograms.
    pub histogram: bool,
    /// The names of the labels that rows come with.
    pub labels: Vec<LabelName>,
}

/// An instance for one metric, and its answers.
///
/// They are remembered because rows come again that have other keys: all buckets of a histogram
/// have the same labels, and each is a key.
pub(super) struct GuestTransform {
    memory: AnswerCache,
    guest: Asked,
    /// The rows in hand and their answers, as the memory has them; kept for their memory.
    inputs: Batch,
    answers: Answers,
    rows: LabelRows,
    row_answers: RowAnswers,
    row: Vec<u8>,
}

struct Asked {
    seat: Seat<Box<dyn TransformGuest>>,
    /// How many labels it agreed to.
    width: usize,
    /// The rows of the call in hand; kept for their memory.
    text: String,
    ends: Vec<u32>,
    /// What became of rows since this was told.
    counts: [u64; OutcomeKind::ALL.len()],
}

impl GuestTransform {
    /// An instance that is configured, and the labels it agreed to.
    pub(super) fn start(
        shared: Arc<Shared>,
        make: TransformStart,
        metric: MetricShape,
    ) -> Result<(Self, Vec<LabelName>), PluginError> {
        let agreed: Arc<Mutex<Option<Vec<String>>>> = Arc::default();
        let first = Arc::clone(&agreed);
        let shape = metric.clone();
        let start: Start<_> = Box::new(move |store, settings| {
            let labels: Vec<&str> = shape.labels.iter().map(LabelName::as_str).collect();
            let kind = if shape.histogram { GuestKind::Histogram } else { GuestKind::Counter };
            let metric = GuestMetric { name: &shape.name, kind, labels: &labels };
            let answer = make(store, settings, metric)?;
            let mut agreed = first.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(answer.and_then(|(guest, names)| match &*agreed {
                Some(before) if *before != names => {
                    Err("it agrees to other labels than before".to_owned())
                }
                _ => {
                    *agreed = Some(names);
                    Ok(guest)
                }
            }))
        });
        let mut seat = Seat::new(shared, start);
        seat.start()?;
        let names = agreed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let names = names.unwrap_or_default();
        let labels = checked(&names, metric.histogram)
            .map_err(|text| Failure::new(Cause::Configure, text))?;
        *agreed.lock().unwrap_or_else(PoisonError::into_inner) = Some(names);
        let width = labels.len();
        let Limits { answers, hold, .. } = seat.shared().limits;
        let memory = AnswerCache::new(answers, hold).of_plugin(&seat.shared().plugin);
        let guest = Asked {
            seat,
            width,
            text: String::new(),
            ends: Vec::new(),
            counts: [0; OutcomeKind::ALL.len()],
        };
        Ok((Self::new(memory, guest), labels))
    }

    fn new(memory: AnswerCache, guest: Asked) -> Self {
        let (inputs, answers) = (Batch::default(), Answers::default());
        let (rows, row_answers) = (LabelRows::default(), RowAnswers::default());
        Self { memory, guest, inputs, answers, rows, row_answers, row: Vec::new() }
    }
}

impl Transform for GuestTransform {
    fn transform(&mut self, rows: &LabelRows, answers: &mut RowAnswers) {
        self.inputs.clear();
        self.answers.clear();
        for row in rows.iter() {
            self.row.clear();
            flat::write(row, &mut self.row);
            self.inputs.push(&self.row);
        }
        let before = self.memory.counts();
        let Self { memory, guest, inputs, row_answers, .. } = self;
        memory.follow(guest.seat.shared().given.data.changes());
        let asked = &mut self.rows;
        memory.answer(inputs, &Moment::default(), &mut self.answers, |inputs, out| {
            asked.reset(rows.width());
            inputs.iter().for_each(|row| asked.push(flat::read(row)));
            row_answers.reset(guest.width);
            guest.transform(asked, row_answers);
            for n in 0..row_answers.len() {
                let (outcome, values) = row_answers.get(n);
                out.push(|out| {
                    flat::write(values, out);
                    outcome.clone()
                });
            }
        });
        let counts = std::mem::take(&mut guest.counts);
        guest.seat.shared().count(counts, (before, memory.counts()));
        for (values, outcome) in self.answers.iter() {
            answers.push(outcome.clone(), flat::read(values));
        }
    }
}

/// Values in one piece of bytes, each behind its length.
mod flat {
    pub(super) fn write<'a>(values: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
        for value in values {
            out.extend_from_slice(&(value.len() as u64).to_ne_bytes());
            out.extend_from_slice(value);
        }
    }

    pub(super) fn read(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        std::iter::from_fn(move || {
            let (len, rest) = bytes.split_first_chunk()?;
            let len = usize::try_from(u64::from_ne_bytes(*len)).ok()?;
            let (value, rest) = rest.split_at_checked(len)?;
            bytes = rest;
            Some(value)
        })
    }
}

impl Asked {
    /// Copies rows from the `first` on, as many as make one call, at least one.
    fn copy(&mut self, rows: &LabelRows, first: usize) -> usize {
        self.text.clear();
        self.ends.clear();
        let last = rows.len().min(first + MOST_INPUTS);
        for n in first..last {
            let (text, ends) = (self.text.len(), self.ends.len());
            for value in rows.get(n) {
                self.text.push_str(&String::from_utf8_lossy(value));
                self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
            }
            if self.text.len() > MOST_BYTES && n > first {
                self.text.truncate(text);
                self.ends.truncate(ends);
                return n - first;
            }
        }
        last - first
    }

    fn call(&mut self, count: usize) -> Result<Got, Unanswered> {
        let Self { seat, width, text, ends, .. } = self;
        let output = seat.shared().limits.output;
        seat.ask(count, |store, guest| {
            #[allow(clippy::cast_possible_truncation, reason = "there are at most 1,024")]
            let rows = GuestRows { count: count as u32, values: ValuesParam { text, ends } };
            let got = guest.transform(store, rows)?;
            check(&got, count, *width, output)?;
            Ok(got)
        })
    }

    /// Adds what a guest answered, its values and errors within bounds.
    fn take(&mut self, got: &Got, answers: &mut RowAnswers) {
        let Self { seat, width, counts, .. } = self;
        let (shared, width) = (seat.shared(), *width);
        let mut ends = got.values.ends.iter().map(|end| *end as usize);
        let mut start = 0;
        let mut values = Vec::with_capacity(width);
        for outcome in &got.outcomes {
            let (mut kind, mut answer) = meaning(outcome, shared.limits.hold);
            values.clear();
            if matches!(kind, OutcomeKind::Label | OutcomeKind::LabelFor) {
                for end in ends.by_ref().take(width) {
                    values.push(&got.values.text.as_bytes()[start..end]);
                    start = end;
                }
            }
            if let Some(long) = values.iter().find(|value| value.len() > LONGEST_LABEL) {
                (kind, answer) = (OutcomeKind::Error, Err(too_long(long.len())));
            }
            counts[kind as usize] += 1;
            let error = |text| guests_own(text).of_plugin(&shared.plugin);
            answers.push(answer.map_err(error), values.iter().copied());
        }
    }

    fn transform(&mut self, rows: &LabelRows, answers: &mut RowAnswers) {
        let mut first = 0;
        while first < rows.len() {
            let count = self.copy(rows, first);
            match self.call(count) {
                Ok(got) => self.take(&got, answers),
                Err(unanswered) => {
                    let error = unanswered.error(&self.seat.shared().plugin);
                    (0..count).for_each(|_| answers.push(Err(error.clone()), []));
                }
            }
            first += count;
        }
    }
}

fn meaning(outcome: &RowOutcome, least: Duration) -> (OutcomeKind, Result<Outcome, String>) {
    match outcome {
        RowOutcome::Labels => (OutcomeKind::Label, Ok(Outcome::Label)),
        RowOutcome::LabelsFor(seconds) => {
            (OutcomeKind::LabelFor, Ok(Outcome::LabelFor(hold(*seconds, least))))
        }
        RowOutcome::Drop => (OutcomeKind::Drop, Ok(Outcome::Drop)),
        RowOutcome::DropFor(seconds) => {
            (OutcomeKind::DropFor, Ok(Outcome::DropFor(hold(*seconds, least))))
        }
        RowOutcome::Error(text) => (OutcomeKind::Error, Err(plain(text, LONGEST_ERROR))),
    }
}

/// Characters of two names of [`LONGEST_NAME`] bytes, and of what one becomes, with the words between them.
const LONGEST_MEETING: usize = 12 * LONGEST_NAME;

/// The names that a transform agreed to, if they can be a metric's labels.
fn checked(names: &[String], histogram: bool) -> Result<Vec<LabelName>, String> {
    if names.len() > MOST_LABELS {
        return Err(format!("it returns {} labels, more than {MOST_LABELS}", names.len()));
    }
    let mut seen = HashSet::new();
    let mut labels = Vec::with_capacity(names.len());
    for name in names {
        if name.len() > LONGEST_NAME {
            let (bytes, shown) = (name.len(), plain(name, 32));
            return Err(format!(
                "it returns a label's name of {bytes} bytes, `{shown}`, more than {LONGEST_NAME}"
            ));
        }
        let shown = plain(name, LONGEST_NAME);
        if histogram && name == "le" {
            return Err("it returns the label `le`, as a histogram's buckets are called".to_owned());
        }
        if !seen.insert(name) {
            return Err(format!("it returns the label `{shown}` twice"));
        }
        match LabelName::new(name) {
            Ok(label) => labels.push(label),
            Err(error) => {
                return Err(format!(
                    "it returns `{shown}`, which cannot be a label's name: {error}"
                ));
            }
        }
    }
    match labels_that_meet(labels.iter()) {
        None => Ok(labels),
        Some(meeting) => {
            let meeting = plain(&meeting.to_string(), LONGEST_MEETING);
            Err(format!("it returns labels that meet: {meeting}"))
        }
    }
}

/// Whether results are as many and as large as they may be, and can be cut where they say.
fn check(got: &Got, rows: usize, width: usize, output: usize) -> Result<(), Failure> {
    let fail = |cause, text| Err(Failure::new(cause, text));
    let Got { outcomes, values } = got;
    if outcomes.len() != rows {
        let text = format!("it returned {} outcomes for {rows} rows", outcomes.len());
        return fail(Cause::Count, text);
    }
    let kept =
        |outcome: &&RowOutcome| matches!(outcome, RowOutcome::Labels | RowOutcome::LabelsFor(_));
    let wanted = outcomes.iter().filter(kept).count() * width;
    if values.ends.len() != wanted {
        let text = format!("it returned {} values, not {wanted}", values.ends.len());
        return fail(Cause::Count, text);
    }
    let ascending = values.ends.is_sorted();
    let cut = |end: &u32| values.text.is_char_boundary(*end as usize);
    let whole = values.ends.last().map_or(0, |end| *end as usize) == values.text.len();
    if !ascending || !whole || !values.ends.iter().all(cut) {
        return fail(Cause::Count, "it returned values that end where none can".to_owned());
    }
    let errors = outcomes.iter().map(|outcome| match outcome {
        RowOutcome::Error(text) => text.len(),
        _ => 0,
    });
    let total = values.text.len() + errors.sum::<usize>();
    if total > output {
        let text = format!("it returned {total} bytes, more than limits.output, {output}");
        return fail(Cause::Output, text);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
