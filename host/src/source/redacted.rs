//! A source whose keys show no text of the host: each text is another one that says nothing, always the
//! same for the same text.
//!
//! Never lets a byte of a text through. Numbers in keys stay as they are.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::Source;
use crate::bpf::Layout;
use crate::config::{DecoderStep, Label, Metric};
use crate::source::{Chunk, Entry, ReadError, Way, Why};

/// What text there is in a part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// One that ends with its first NUL, if it has one.
    Terminated,
    /// A DNS name as it is on the wire.
    Domain,
    /// Bytes that a plugin, or nobody, makes a text of.
    Bytes,
}

/// A source that hides the texts of another.
#[derive(Debug)]
pub struct Redacted<'s> {
    inner: &'s mut dyn Source,
    texts: Vec<(Range<usize>, Text)>,
    secret: [u8; 32],
}

/// Which parts of a metric's keys are text: what the first decoder takes for one, and what only a plugin
/// understands.
pub fn texts(metric: &Metric, layout: &Layout) -> Vec<(Range<usize>, Text)> {
    let fields =
        metric.labels.iter().zip(&layout.fields).filter(|(_, field)| !field.bytes.is_empty());
    fields.filter_map(|(label, field)| Some((field.bytes.clone(), text_of(label)?))).collect()
}

fn text_of(label: &Label) -> Option<Text> {
    match label.steps.first() {
        Some(DecoderStep::Builtin(spec, _)) => match spec.name() {
            "string" | "regexp" | "static_map" => Some(Text::Terminated),
            "dname" => Some(Text::Domain),
            "hex" => Some(Text::Bytes),
            _ => None,
        },
        Some(DecoderStep::Plugin(_)) | None => Some(Text::Bytes),
    }
}

impl<'s> Redacted<'s> {
    /// The source, with these parts of its keys hidden. Whoever has the secret can find out which text it
    /// was by trying.
    pub fn new(
        inner: &'s mut dyn Source,
        texts: Vec<(Range<usize>, Text)>,
        secret: [u8; 32],
    ) -> Self {
        Self { inner, texts, secret }
    }
}

/// Writes over a text. An empty one stays empty.
fn hide(field: &mut [u8], text: Text, secret: &[u8; 32]) {
    let end = match text {
        Text::Terminated => field.iter().position(|byte| *byte == 0).unwrap_or(field.len()),
        Text::Domain | Text::Bytes => field.len(),
    };
    if field[..end].iter().all(|byte| *byte == 0) {
        return;
    }
    let digest = Sha256::new().chain_update(secret).chain_update(&field[..end]).finalize();
    let hex = |n: usize| b"0123456789abcdef"[usize::from(digest[n / 2] >> (4 * (n % 2)) & 15)];
    let size = field.len();
    match text {
        // As long as the field allows, and one NUL behind it.
        Text::Terminated => {
            let most = (size - 1).clamp(1, 16);
            for (n, byte) in field.iter_mut().enumerate() {
                *byte = if n < most { hex(n) } else { 0 };
            }
        }
        Text::Domain => {
            let most = size.saturating_sub(2).min(16);
            field.fill(0);
            field[0] = most as u8;
            (0..most).for_each(|n| field[n + 1] = hex(n));
        }
        Text::Bytes => {
            field.iter_mut().zip(digest.iter().cycle()).for_each(|(to, from)| *to = *from)
        }
    }
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
        let Self { inner, texts, secret } = self;
        let (mut keys, mut sums) = (Vec::new(), Vec::<u64>::new());
        let mut index: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut add = |Entry { key, values }: Entry<'_>| {
            let mut key = key.to_vec();
            for (bytes, text) in &*texts {
                hide(&mut key[bytes.clone()], *text, secret);
            }
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
mod tests {
    use super::*;

    fn hidden(field: &[u8], text: Text) -> Vec<u8> {
        let mut field = field.to_vec();
        hide(&mut field, text, &[7; 32]);
        field
    }

    #[test]
    fn a_text_becomes_another_that_is_always_the_same() {
        let one = hidden(b"nginx\0\0\0\0\0\0\0\0\0\0\0", Text::Terminated);
        assert_eq!(
            one,
            hidden(b"nginx\0old\0\0\0\0\0\0\0", Text::Terminated),
            "what is behind it too"
        );
        assert!(one[..15].iter().all(u8::is_ascii_hexdigit) && one[15] == 0, "{one:?}");
        assert_ne!(one, hidden(b"nginy\0\0\0\0\0\0\0\0\0\0\0", Text::Terminated));
        let mut other = b"nginx\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        hide(&mut other, Text::Terminated, &[8; 32]);
        assert_ne!(one, other, "another secret");
        assert_eq!(hidden(&[0; 16], Text::Terminated), [0; 16]);
    }

    #[test]
    fn a_domain_stays_one() {
        let domain = hidden(b"\x03www\x07example\x03com\0\0\0\0", Text::Domain);
        assert_eq!((domain.len(), domain[0], domain[17]), (20, 16, 0));
        assert!(domain[1..17].iter().all(u8::is_ascii_hexdigit));
    }

    #[test]
    fn small_fields_are_hidden_too() {
        for size in 1..4 {
            for text in [Text::Terminated, Text::Domain, Text::Bytes] {
                let field = hidden(&vec![b'x'; size], text);
                assert!(field.len() == size && field != vec![b'x'; size], "{text:?} {field:?}");
            }
        }
    }
}
