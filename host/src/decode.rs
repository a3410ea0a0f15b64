//! Decoders: bytes of a map's key in, text of a label out, one step after another.
//!
//! This module never sees libbpf and never does the host's I/O itself: what a decoder has to
//! look up lives in [`crate::system`].

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

pub mod builtin;

/// One step of a [`Chain`].
///
/// A decoder belongs to one label of one config and is called from one thread at a time.
pub trait Decoder: Send {
    /// Decodes `input` and appends the answer to `out`, which is empty on entry.
    ///
    /// What is in `out` counts with all outcomes but those that [leave out](Outcome::leaves_out).
    ///
    /// # Errors
    ///
    /// When this input has no answer. The caller counts it and applies [`OnError`]; a decoder
    /// that has a conventional answer for such an input (`unknown:7`) gives that instead.
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError>;

    /// Decodes all of `inputs`: one answer for each, in their order, appended to `answers`.
    ///
    /// For decoders whose calls cost more than their work. Whatever is asked this way must be
    /// answered as [`Decoder::decode`] would.
    fn decode_batch(&mut self, inputs: &Batch, answers: &mut Answers) {
        for input in inputs.iter() {
            answers.push(|out| self.decode(input, out));
        }
    }
}

/// What a decoder made of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer is in the output buffer and holds as long as the key lives.
    Label,
    /// The answer is in the output buffer and holds for so long; then the input is asked again.
    LabelFor(Duration),
    /// The answer is in the output buffer and says that this input has no name. A row that had names for
    /// all of its key keeps them. The input is asked again after so long.
    NoName(Duration),
    /// The row that this input belongs to is to be left out.
    Drop,
    /// The same, and it holds for so long; then the input is asked again.
    DropFor(Duration),
}

/// Pieces of bytes, end to end: the inputs of a batch, or the texts of its answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each piece ends in `bytes`.
    ends: Vec<u32>,
}

impl Batch {
    /// Removes all pieces and keeps their memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Replaces all pieces by those of `other`.
    pub fn copy(&mut self, other: &Self) {
        self.bytes.clone_from(&other.bytes);
        self.ends.clone_from(&other.ends);
    }

    /// Adds a piece. All of a batch together must be less than 4 GiB.
    pub fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    /// How many pieces there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The `n`-th piece.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn get(&self, n: usize) -> &[u8] {
        let start = if n == 0 { 0 } else { self.ends[n - 1] as usize };
        &self.bytes[start..self.ends[n] as usize]
    }

    /// The pieces, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|n| self.get(n))
    }

    /// All pieces, end to end.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where each piece ends in [`Batch::bytes`].
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }
}

/// The answers to a batch.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    texts: Batch,
    outcomes: Vec<Result<Outcome, DecodeError>>,
    /// The answer in hand; kept for its memory.
    text: Vec<u8>,
}

impl Answers {
    /// Removes all answers and keeps their memory.
    pub fn clear(&mut self) {
        self.texts.clear();
        self.outcomes.clear();
    }

    /// Adds the answer that `answer` gives and writes.
    pub fn push(&mut self, answer: impl FnOnce(&mut Vec<u8>) -> Result<Outcome, DecodeError>) {
        self.text.clear();
        let outcome = answer(&mut self.text);
        self.texts.push(&self.text);
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

    /// The `n`-th answer: text and outcome.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn get(&self, n: usize) -> (&[u8], &Result<Outcome, DecodeError>) {
        (self.texts.get(n), &self.outcomes[n])
    }

    /// The answers, in order: text and outcome.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &Result<Outcome, DecodeError>)> {
        self.texts.iter().zip(&self.outcomes)
    }
}

/// Why one input could not be decoded: lowercase, no final period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{text}", whose(.plugin.as_deref()))]
pub struct DecodeError {
    /// The plugin that failed, if one did.
    plugin: Option<Arc<str>>,
    text: Cow<'static, str>,
    /// What is said instead where no part of an input may be shown, if `text` has any.
    bare: Option<&'static str>,
    retry: Option<Duration>,
    of: Of,
}

/// What an error tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// Its input has no answer.
    Input,
    /// The input was asked in vain: whether it has an answer is not known.
    Call,
    /// The input did not get its turn.
    Turn,
}

/// How long an error stands that does not say so itself.
pub const RETRY: Duration = Duration::from_secs(30);

impl DecodeError {
    /// An error with this text.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self { plugin: None, text: text.into(), bare: None, retry: None, of: Of::Input }
    }

    /// An error whose text shows of its input; `bare` says the same and shows nothing.
    pub fn showing(text: impl Into<Cow<'static, str>>, bare: &'static str) -> Self {
        Self { bare: Some(bare), ..Self::new(text) }
    }

    /// The same error, of the plugin that a config calls so.
    pub fn of_plugin(self, name: &Arc<str>) -> Self {
        Self { plugin: Some(Arc::clone(name)), ..self }
    }

    /// What happened, without the name of the plugin.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same error, and nothing of its input is in the text.
    pub fn redacted(self) -> Self {
        let Some(bare) = self.bare else { return self };
        let text = format!("{bare} (its input is not shown, as the metric has transforms)").into();
        Self { plugin: None, text, bare: None, ..self }
    }

    /// The same error, and that it stands for so long.
    pub fn again_in(self, retry: Duration) -> Self {
        Self { retry: Some(retry), ..self }
    }

    /// The same error, of an input that was asked in vain: what was answered before still holds, and it is
    /// to be asked again in so long.
    pub fn unanswered(self, retry: Duration) -> Self {
        Self { retry: Some(retry), of: Of::Call, ..self }
    }

    /// The same error, of an input that did not get its turn: what was answered before still holds, and
    /// it is to be asked first the next time.
    pub fn deferred(self) -> Self {
        Self { retry: Some(Duration::ZERO), of: Of::Turn, ..self }
    }

    /// Whether it says nothing of its input, which did not get its turn or was asked in vain.
    pub fn is_unanswered(&self) -> bool {
        self.of != Of::Input
    }

    /// Whether its input only did not get its turn.
    pub fn is_deferred(&self) -> bool {
        self.of == Of::Turn
    }

    /// How long it says that it stands.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// How long it stands before the input is asked again.
    pub fn holds(&self) -> Duration {
        self.retry.unwrap_or(RETRY)
    }
}

/// The beginning of an error of a plugin.
fn whose(plugin: Option<&str>) -> String {
    plugin.map(|name| format!("plugin `{name}`: ")).unwrap_or_default()
}

/// What becomes of a label whose chain failed: `on_error` of the failing step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The label gets this text (`on_error: {label: TEXT}`).
    Label(String),
    /// The row is left out (`on_error: drop`).
    Drop,
    /// The label gets the hex of the step's input (`on_error: raw`).
    Raw,
}

impl Default for OnError {
    /// The label `error`: sums over the other labels stay whole.
    fn default() -> Self {
        Self::Label("error".to_owned())
    }
}

/// The decoders of one label, in order: each takes the bytes that the one before it gave.
///
/// An empty chain passes its input on as it is.
#[derive(Default)]
pub struct Chain {
    steps: Vec<Step>,
    work: Work,
}

/// A decoder and what becomes of the label when it fails.
pub struct Step {
    /// The name it has in the config, for messages.
    pub name: &'static str,
    /// The decoder itself.
    pub decoder: Box<dyn Decoder>,
    /// What becomes of the label when it fails.
    pub on_error: OnError,
}

/// What a [`Chain`] made of a batch: one [`Decoded`] for each input.
#[derive(Debug, Default)]
pub struct Decodings {
    /// The texts of all labels, in no order.
    texts: Vec<u8>,
    of: Vec<Ended>,
}

/// What a [`Chain`] made of an input.
#[derive(Clone, Copy, Debug)]
pub struct Decoded<'a> {
    /// Whether the label is in `text`, and for how long, or the row is left out.
    pub outcome: Outcome,
    /// How soon to ask again if a step had no name for its input, whatever the other steps made of that.
    pub no_name: Option<Duration>,
    /// The label's bytes, not necessarily UTF-8.
    pub text: &'a [u8],
    /// The error behind it, if a step failed and its [`OnError`] was applied.
    pub error: Option<&'a DecodeError>,
}

#[derive(Debug)]
struct Ended {
    outcome: Outcome,
    no_name: Option<Duration>,
    text: Range<usize>,
    error: Option<DecodeError>,
}

/// What a chain works with; kept for its memory.
#[derive(Default)]
struct Work {
    /// The inputs of the step in hand.
    inputs: Batch,
    /// Which input of the chain each of them comes from.
    from: Vec<usize>,
    answers: Answers,
    next: Batch,
    next_from: Vec<usize>,
}

impl Decodings {
    /// The answer for the `n`-th input.
    ///
    /// # Panics
    ///
    /// If there were not so many.
    pub fn get(&self, n: usize) -> Decoded<'_> {
        let Ended { outcome, no_name, text, error } = &self.of[n];
        let text = &self.texts[text.clone()];
        Decoded { outcome: *outcome, no_name: *no_name, text, error: error.as_ref() }
    }

    /// One answer for each input, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Decoded<'_>> {
        (0..self.of.len()).map(|n| self.get(n))
    }

    /// What `chain` makes of these inputs.
    pub fn of<'a>(chain: &mut Chain, inputs: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut batch = Batch::default();
        for input in inputs {
            batch.push(input);
        }
        let mut decodings = Self::default();
        chain.decode(&batch, &mut decodings);
        decodings
    }

    fn reset(&mut self, inputs: usize) {
        self.texts.clear();
        self.of.clear();
        self.of.resize_with(inputs, || Ended {
            outcome: Outcome::Label,
            no_name: None,
            text: 0..0,
            error: None,
        });
    }

    fn end(&mut self, n: usize, text: &[u8]) {
        let start = self.texts.len();
        self.texts.extend_from_slice(text);
        self.of[n].text = start..self.texts.len();
    }
}

impl Chain {
    /// A chain of these steps.
    pub fn new(steps: Vec<Step>) -> Self {
        Self { steps, work: Work::default() }
    }

    /// Runs each of `inputs` through all steps, all of them through one step at a time. What was
    /// in `decodings` is replaced.
    pub fn decode(&mut self, inputs: &Batch, decodings: &mut Decodings) {
        let Self { steps, work } = self;
        decodings.reset(inputs.len());
        work.inputs.copy(inputs);
        work.from.clear();
        work.from.extend(0..inputs.len());
        for step in steps {
            step.run(work, decodings);
        }
        for (text, from) in work.inputs.iter().zip(&work.from) {
            decodings.end(*from, text);
        }
    }
}

impl Step {
    /// Takes the step for all inputs in `work`. Those that end here go to `decodings`, the others
    /// are the next step's.
    fn run(&mut self, work: &mut Work, decodings: &mut Decodings) {
        let Work { inputs, from, answers, next, next_from } = work;
        answers.clear();
        self.decoder.decode_batch(inputs, answers);
        next.clear();
        next_from.clear();
        for (input, (n, (text, outcome))) in inputs.iter().zip(from.iter().zip(answers.iter())) {
            match outcome {
                Ok(outcome) if outcome.leaves_out() => {
                    decodings.of[*n].outcome = decodings.of[*n].outcome.left_out(*outcome);
                }
                Ok(outcome) => {
                    decodings.of[*n].note(*outcome);
                    next.push(text);
                    next_from.push(*n);
                }
                Err(error) => {
                    decodings.of[*n].error = Some(error.clone());
                    self.on_error.apply(input, *n, decodings);
                }
            }
        }
        std::mem::swap(inputs, next);
        std::mem::swap(from, next_from);
    }
}

impl OnError {
    /// Ends the `n`-th input, whose step failed for `input`.
    fn apply(&self, input: &[u8], n: usize, decodings: &mut Decodings) {
        match self {
            Self::Drop => decodings.of[n].outcome = Outcome::Drop,
            Self::Label(text) => decodings.end(n, text.as_bytes()),
            Self::Raw => {
                let mut text = Vec::with_capacity(input.len() * 2);
                builtin::hex::write(input, &mut text);
                decodings.end(n, &text);
            }
        }
    }
}

impl Ended {
    /// Notes the outcome of a step that gave a label.
    fn note(&mut self, outcome: Outcome) {
        self.outcome = self.outcome.sooner(outcome);
        if let Outcome::NoName(again) = outcome {
            self.no_name = Some(self.no_name.map_or(again, |other| other.min(again)));
        }
    }
}

impl Outcome {
    /// How long it holds, if not for ever.
    pub fn holds(self) -> Option<Duration> {
        match self {
            Self::LabelFor(holds) | Self::NoName(holds) | Self::DropFor(holds) => Some(holds),
            Self::Label | Self::Drop => None,
        }
    }

    /// Whether the row is left out.
    pub fn leaves_out(self) -> bool {
        matches!(self, Self::Drop | Self::DropFor(_))
    }

    /// The outcome of a step that leaves out a row which the steps before it gave a label: it holds as long
    /// as all of them do.
    pub(crate) fn left_out(self, last: Self) -> Self {
        let holds = [self.holds(), last.holds()].into_iter().flatten().min();
        holds.map_or(Self::Drop, Self::DropFor)
    }

    /// The outcome of two steps in a row that both gave a label: it holds as long as both do.
    pub(crate) fn sooner(self, other: Self) -> Self {
        match (self.holds(), other.holds()) {
            (Some(one), Some(other)) => Self::LabelFor(one.min(other)),
            (Some(holds), None) | (None, Some(holds)) => Self::LabelFor(holds),
            (None, None) => other,
        }
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|step| step.name)).finish()
    }
}
