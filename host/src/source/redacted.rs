//! A source whose keys show no text of the host: each text is another one that says nothing, always the
//! same for the same text.
//!
//! Never lets a byte through that is not known to be of a number. Numbers in keys stay as they are.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use super::Source;
use crate::bpf::{Key, Layout, Role};
use crate::config::{DecoderStep, Label, Metric};
use crate::decode::builtin::Sizes;
use crate::source::{Chunk, Entry, ReadError, Way, Why};

mod disguise;

pub use disguise::Disguise;

/// What a part of a key is. Of two that are said of the same bytes the later one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyContent {
    /// Bytes that a plugin, or nobody, makes a text of.
    Bytes,
    /// A number, of as many bytes as there are or as are said. What stands behind them means nothing.
    Number(Option<usize>),
    /// A number in decimal digits, or else a text that ends with its first NUL.
    Digits,
    /// A text that ends with its first NUL, if it has one.
    Terminated,
    /// A DNS name as it is on the wire.
    Domain,
}

/// A source that hides the texts of another.
#[derive(Debug)]
pub struct Redacted<'s> {
    inner: &'s mut dyn Source,
    /// What is known of its keys.
    parts: Vec<(Range<usize>, KeyContent)>,
    disguise: &'s Disguise,
}

/// What the parts of a metric's keys are, as its first decoders take them. What is in none of them means nothing.
pub fn parts(metric: &Metric, layout: &Layout) -> Vec<(Range<usize>, KeyContent)> {
    match layout.key {
        Key::Labels => {}
        // Only the key that is all 0 counts, which stays as it is.
        Key::Zero => return vec![(0..usize::MAX, KeyContent::Bytes)],
        // All keys are one.
        Key::Ignored => return Vec::new(),
    }
    let mut parts: Vec<(Range<usize>, KeyContent)> = Vec::new();
    for (label, field) in metric.labels.iter().zip(&layout.fields) {
        let content = content_of(label, field.role);
        match parts.iter_mut().find(|(bytes, _)| *bytes == field.bytes) {
            Some((_, known)) => *known = content.max(*known),
            None => parts.push((field.bytes.clone(), content)),
        }
    }
    parts.retain(|(bytes, _)| !bytes.is_empty());
    parts
}

fn content_of(label: &Label, role: Role) -> KeyContent {
    let Some(DecoderStep::Builtin(spec, _)) = label.steps.first() else { return KeyContent::Bytes };
    match (spec.name(), spec.sizes()) {
        ("string", _) if role == Role::Bucket => KeyContent::Digits,
        ("string" | "regexp" | "static_map", _) => KeyContent::Terminated,
        ("dname", _) => KeyContent::Domain,
        ("inet_ip", _) if [4, 16].contains(&label.size) => KeyContent::Number(None),
        (_, Sizes::OneOf(_) | Sizes::MultipleOf(_)) => KeyContent::Number(None),
        (_, Sizes::AtLeast(bytes)) => KeyContent::Number(Some(bytes)),
        ("hex", _) => KeyContent::Bytes,
        // Those that take decimal digits, or show what they do not know.
        (_, Sizes::Any) => KeyContent::Digits,
    }
}

/// Which labels of a metric are made of texts that are hidden, by what may leave out rows then: it gets other texts than
/// there were.
pub fn blinded(metric: &Metric, layout: &Layout) -> Vec<String> {
    let parts = parts(metric, layout);
    let picks = |step: &DecoderStep| match step {
        DecoderStep::Builtin(spec, _) => matches!(spec.name(), "regexp" | "static_map"),
        DecoderStep::Plugin(_) => true,
    };
    let labels = metric.labels.iter().zip(&layout.fields).filter(|(label, field)| {
        let is_number = |(bytes, content): &(Range<usize>, KeyContent)| {
            *bytes == field.bytes && matches!(content, KeyContent::Number(_))
        };
        let is_text = !field.bytes.is_empty() && !parts.iter().any(is_number);
        // A transform sees all of them.
        is_text && (!metric.transforms.is_empty() || label.steps.iter().any(picks))
    });
    labels.map(|(label, _)| label.name.as_str().to_owned()).collect()
}

impl<'s> Redacted<'s> {
    /// The source, with the texts in these parts of its keys hidden, and without what is in none of them.
    pub fn new(
        inner: &'s mut dyn Source,
        parts: Vec<(Range<usize>, KeyContent)>,
        disguise: &'s Disguise,
    ) -> Self {
        Self { inner, parts, disguise }
    }
}

/// A key that shows no text.
fn hidden(key: &[u8], parts: &[(Range<usize>, KeyContent)], disguise: &Disguise) -> Vec<u8> {
    let mut hidden = vec![0; key.len()];
    for (bytes, content) in parts {
        let bytes = bytes.start..bytes.end.min(key.len());
        hide(&key[bytes.clone()], *content, disguise, &mut hidden[bytes]);
    }
    hidden
}

/// Writes what stands for a part of a key. An empty text stays empty.
fn hide(part: &[u8], content: KeyContent, disguise: &Disguise, out: &mut [u8]) {
    let text = match content {
        KeyContent::Number(size) => {
            let size = size.unwrap_or(part.len()).min(part.len());
            return out[..size].copy_from_slice(&part[..size]);
        }
        KeyContent::Digits | KeyContent::Terminated => {
            part.split(|byte| *byte == 0).next().unwrap_or_default()
        }
        KeyContent::Domain => &part[..end_of_domain(part)],
        KeyContent::Bytes => {
            &part[..part.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)]
        }
    };
    match content {
        _ if text.is_empty() => {}
        KeyContent::Digits if text.iter().all(u8::is_ascii_digit) => {
            out[..text.len()].copy_from_slice(text);
        }
        // A label in front of which its size stands, and the end behind it.
        KeyContent::Domain => {
            let room = out.len().saturating_sub(2).min(Disguise::LETTERS);
            out[0] = room as u8;
            out[1..=room].copy_from_slice(&disguise.letters(text, room));
        }
        _ => {
            let room = out.len().min(Disguise::LETTERS);
            out[..room].copy_from_slice(&disguise.letters(text, room));
        }
    }
}

/// Where a DNS name ends, before its last, empty label.
fn end_of_domain(part: &[u8]) -> usize {
    let mut at = 0;
    while let Some(size) = part.get(at).filter(|size| **size > 0) {
        at += 1 + usize::from(*size);
    }
    at.min(part.len())
}

impl Source for Redacted<'_> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn kind(&self) -> &str {
        self.inner.kind()
    }

    fn key_size(&self) -> usize {
        self.inner.key_size()
    }

    fn cpus(&self) -> usize {
        self.inner.cpus()
    }

    fn max_entries(&self) -> usize {
        self.inner.max_entries()
    }

    fn way(&self) -> (Way, Why) {
        self.inner.way()
    }

    /// Entries whose keys are equal once they show nothing are one, with the sum of their values.
    fn read(&mut self, visit: &mut dyn FnMut(Chunk<'_>)) -> Result<(), ReadError> {
        let (key_size, cpus) = (self.key_size(), self.cpus());
        let Self { inner, parts, disguise } = self;
        let (mut keys, mut sums) = (Vec::new(), Vec::<u64>::new());
        let mut index: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut add = |Entry { key, values }: Entry<'_>| {
            let key = hidden(key, parts, disguise);
            if let Some(at) = index.get(&key) {
                let sums = &mut sums[at * cpus..(at + 1) * cpus];
                let both = sums.iter_mut().zip(values);
                return both.for_each(|(sum, value)| *sum = sum.wrapping_add(*value));
            }
            keys.extend_from_slice(&key);
            sums.extend_from_slice(values);
            index.insert(key, index.len());
        };
        inner.read(&mut |chunk| chunk.entries().for_each(&mut add))?;
        if !sums.is_empty() {
            visit(Chunk::new(&keys, key_size, &sums, cpus));
        }
        Ok(())
    }

    fn lookup(&self, _: &[u8], _: &mut [u64]) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests;
