//! Decoders: bytes of a map's key in, text of a label out, one step after another.
//!
//! This module never sees libbpf and never does the host's I/O itself: what a decoder has to
//! look up lives in [`crate::system`].

use std::borrow::Cow;
use std::fmt;

pub mod builtin;

/// One step of a [`Chain`].
///
/// A decoder belongs to one label of one config and is called from one thread at a time.
pub trait Decoder: Send {
    /// Decodes `input` and appends the answer to `out`, which is empty on entry.
    ///
    /// What is in `out` counts only with [`Outcome::Label`].
    ///
    /// # Errors
    ///
    /// When this input has no answer. The caller counts it and applies [`OnError`]; a decoder
    /// that has a conventional answer for such an input (`unknown:7`) gives that instead.
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError>;
}

/// What a decoder made of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer is in the output buffer.
    Label,
    /// The row that this input belongs to is to be left out.
    Drop,
}

/// Why one input could not be decoded: lowercase, no final period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(Cow<'static, str>);

impl DecodeError {
    /// An error with this text.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(text.into())
    }
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
    /// The input of the step after the first; kept so that no row allocates.
    between: Vec<u8>,
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

/// What a [`Chain`] made of an input.
#[derive(Debug)]
pub struct Decoded {
    /// Whether the label stands in the output buffer or the row is left out.
    pub outcome: Outcome,
    /// The error behind it, if a step failed and its [`OnError`] was applied.
    pub error: Option<DecodeError>,
}

impl Chain {
    /// A chain of these steps.
    pub fn new(steps: Vec<Step>) -> Self {
        Self { steps, between: Vec::new() }
    }

    /// Runs `input` through all steps. `out` is cleared first and holds the label's bytes (not
    /// necessarily UTF-8) if the outcome is [`Outcome::Label`].
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Decoded {
        out.clear();
        let Some((first, rest)) = self.steps.split_first_mut() else {
            out.extend_from_slice(input);
            return Decoded { outcome: Outcome::Label, error: None };
        };
        let mut decoded = first.run(input, out);
        for step in rest {
            if decoded.outcome == Outcome::Drop || decoded.error.is_some() {
                break;
            }
            std::mem::swap(out, &mut self.between);
            out.clear();
            decoded = step.run(&self.between, out);
        }
        decoded
    }
}

impl Step {
    fn run(&mut self, input: &[u8], out: &mut Vec<u8>) -> Decoded {
        let error = match self.decoder.decode(input, out) {
            Ok(outcome) => {
                return Decoded { outcome, error: None };
            }
            Err(error) => error,
        };
        out.clear();
        let outcome = match &self.on_error {
            OnError::Drop => Outcome::Drop,
            OnError::Label(text) => {
                out.extend_from_slice(text.as_bytes());
                Outcome::Label
            }
            OnError::Raw => {
                builtin::hex::write(input, out);
                Outcome::Label
            }
        };
        Decoded { outcome, error: Some(error) }
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|step| step.name)).finish()
    }
}
