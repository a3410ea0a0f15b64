//! A plugin as a [`Decoder`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::PluginError;
use super::answers::{AnswerCache, Moment, guests_own};
use super::bindings::decoder::{Batch as GuestBatch, Outcome as Got};
use super::instance::{Failure, Seat, Shared, Start, Unanswered};
use super::limits::{LONGEST_ERROR, LONGEST_HOLD, LONGEST_LABEL, Limits, MOST_BYTES, MOST_INPUTS};
use super::log::plain;
use super::stats::{Cause, OutcomeKind};
use super::versions::DecoderGuest;
use crate::decode::{Answers, Batch, DecodeError, Decoder, Outcome};

/// The instance of one plugin of one config and its answers, which all labels that name it share.
#[derive(Clone)]
pub(super) struct GuestDecoder(Arc<Mutex<Caller>>);

struct Caller {
    memory: AnswerCache,
    guest: Asked,
}

struct Asked {
    seat: Seat<Box<dyn DecoderGuest>>,
    /// Where the inputs of the call in hand end; kept for its memory.
    ends: Vec<u32>,
    /// What became of inputs since this was told.
    counts: [u64; OutcomeKind::ALL.len()],
}

impl GuestDecoder {
    /// An instance that is configured.
    pub(super) fn start(
        shared: Arc<Shared>,
        start: Start<Box<dyn DecoderGuest>>,
    ) -> Result<Self, PluginError> {
        let mut seat = Seat::new(shared, start);
        seat.start()?;
        let Limits { answers, hold, .. } = seat.shared().limits;
        let memory = AnswerCache::new(answers, hold).of_plugin(&seat.shared().plugin);
        let guest = Asked { seat, ends: Vec::new(), counts: [0; OutcomeKind::ALL.len()] };
        Ok(Self(Arc::new(Mutex::new(Caller { memory, guest }))))
    }
}

impl Decoder for GuestDecoder {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let (mut batch, mut answers) = (Batch::default(), Answers::default());
        batch.push(input);
        self.decode_batch(&batch, &mut answers);
        match answers.iter().next() {
            Some((text, outcome)) => {
                out.extend_from_slice(text);
                outcome.clone()
            }
            None => Err(DecodeError::new("the plugin gave no answer")),
        }
    }

    fn decode_batch(&mut self, inputs: &Batch, answers: &mut Answers) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).decode(inputs, answers);
    }
}

impl Caller {
    fn decode(&mut self, inputs: &Batch, answers: &mut Answers) {
        let Self { memory, guest } = self;
        let before = memory.counts();
        memory.follow(guest.seat.shared().given.data.changes());
        memory.answer(inputs, &Moment::default(), answers, |inputs, answers| {
            guest.decode(inputs, answers);
        });
        let counts = std::mem::take(&mut guest.counts);
        guest.seat.shared().count(counts, (before, memory.counts()));
    }
}

impl Asked {
    fn decode(&mut self, inputs: &Batch, answers: &mut Answers) {
        let mut first = 0;
        while first < inputs.len() {
            let (start, count) = (offset(inputs, first), call_size(inputs, first));
            let end = inputs.ends()[first + count - 1] as usize;
            self.ends.clear();
            #[allow(clippy::cast_possible_truncation, reason = "a batch is less than 4 GiB")]
            self.ends
                .extend(inputs.ends()[first..first + count].iter().map(|end| end - start as u32));
            match self.call(&inputs.bytes()[start..end]) {
                Ok(outcomes) => self.take(&outcomes, answers),
                Err(unanswered) => {
                    let error = unanswered.error(&self.seat.shared().plugin);
                    (0..count).for_each(|_| answers.push(|_| Err(error.clone())));
                }
            }
            first += count;
        }
    }

    /// One call, with as many outcomes as inputs.
    fn call(&mut self, bytes: &[u8]) -> Result<Vec<Got>, Unanswered> {
        let ends = &*self.ends;
        let output = self.seat.shared().limits.output;
        self.seat.ask(ends.len(), |store, guest| {
            let batch = GuestBatch { bytes, ends };
            let outcomes = guest.decode(store, batch)?;
            check(&outcomes, ends.len(), output)?;
            Ok(outcomes)
        })
    }

    /// Adds what a guest answered, its labels and errors within bounds.
    fn take(&mut self, outcomes: &[Got], answers: &mut Answers) {
        let Self { seat, counts, .. } = self;
        let shared = seat.shared();
        for outcome in outcomes {
            answers.push(|out| {
                let (kind, answer) = label(outcome, shared.limits.hold, out);
                counts[kind as usize] += 1;
                answer.map_err(|text| guests_own(text).of_plugin(&shared.plugin))
            });
        }
    }
}

/// Where the `n`-th input starts.
fn offset(inputs: &Batch, n: usize) -> usize {
    n.checked_sub(1).map_or(0, |before| inputs.ends()[before] as usize)
}

/// How many inputs from the `first` on make one call: at least one.
fn call_size(inputs: &Batch, first: usize) -> usize {
    let start = offset(inputs, first);
    let ends = inputs.ends()[first..].iter().take(MOST_INPUTS);
    ends.take_while(|end| **end as usize - start <= MOST_BYTES).count().max(1)
}

/// Whether results are as many and as large as they may be.
fn check(outcomes: &[Got], inputs: usize, output: usize) -> Result<(), Failure> {
    if outcomes.len() != inputs {
        let text = format!("it returned {} outcomes for {inputs} inputs", outcomes.len());
        return Err(Failure::new(Cause::Count, text));
    }
    let text = |outcome: &Got| match outcome {
        Got::Label(text) | Got::LabelFor((text, _)) | Got::Error(text) => text.len(),
        Got::Drop | Got::DropFor(_) => 0,
    };
    let total: usize = outcomes.iter().map(text).sum();
    if total > output {
        let text = format!("it returned {total} bytes, more than limits.output, {output}");
        return Err(Failure::new(Cause::Output, text));
    }
    Ok(())
}

/// The host's side of an outcome; the label goes to `out`, an error is text.
fn label(
    outcome: &Got,
    least: Duration,
    out: &mut Vec<u8>,
) -> (OutcomeKind, Result<Outcome, String>) {
    let (kind, text, held) = match outcome {
        Got::Label(text) => (OutcomeKind::Label, text, Outcome::Label),
        Got::LabelFor((text, seconds)) => {
            (OutcomeKind::LabelFor, text, Outcome::LabelFor(hold(*seconds, least)))
        }
        Got::Drop => return (OutcomeKind::Drop, Ok(Outcome::Drop)),
        Got::DropFor(seconds) => {
            return (OutcomeKind::DropFor, Ok(Outcome::DropFor(hold(*seconds, least))));
        }
        Got::Error(text) => return (OutcomeKind::Error, Err(plain(text, LONGEST_ERROR))),
    };
    if text.len() > LONGEST_LABEL {
        return (OutcomeKind::Error, Err(too_long(text.len())));
    }
    out.extend_from_slice(text.as_bytes());
    (kind, Ok(held))
}

/// How long an answer holds that is to hold for so many seconds: at least for `least`.
pub(super) fn hold(seconds: u32, least: Duration) -> Duration {
    Duration::from_secs(seconds.min(LONGEST_HOLD).into()).max(least)
}

pub(super) fn too_long(bytes: usize) -> String {
    format!("its label has {bytes} bytes, more than {LONGEST_LABEL}")
}

#[cfg(test)]
mod tests;
