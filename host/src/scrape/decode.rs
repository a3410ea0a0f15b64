//! New keys of one map, decoded in batches: from key bytes to the numbers their values add to.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::memory::{Fate, Memory, Row};
use crate::bpf::{Key, Layout};
use crate::config::buckets::{Buckets, Slot};
use crate::config::{Kind, Label, Metric};
use crate::decode::{Batch, Chain, DecodeError, Decodings, Outcome};
use crate::series::{Family, LabelSet};

/// How long a label that could not be decoded stands before it is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// Decodes the keys of one metric.
#[derive(Debug)]
pub(super) struct KeyDecoder {
    /// What the key's bytes are.
    key: Key,
    labels: Vec<Part>,
    /// The last part of a histogram's key.
    bucket: Option<(Part, Buckets)>,
    /// Decodes the CPU number, which per-CPU maps have beside the key.
    cpu: Option<Chain>,
    cpus: usize,
    inputs: Batch,
    decodings: Decodings,
    /// The keys in hand; kept for their memory.
    keys: Vec<Decoding>,
    /// Why the first label since this was last asked could not be decoded.
    first_error: Option<DecodeError>,
}

/// A part of a key and what decodes it.
#[derive(Debug)]
struct Part {
    bytes: Range<usize>,
    chain: Chain,
}

/// What has come of one key so far.
#[derive(Debug, Default)]
struct Decoding {
    labels: LabelSet,
    slot: Option<Slot>,
    /// Whether the row is left out.
    out: bool,
    errors: u16,
    /// How long the answers hold, if not for ever.
    holds: Option<Duration>,
}

impl KeyDecoder {
    /// Decodes keys of `metric`, whose map is laid out like this and has `cpus` values an entry.
    pub(super) fn new(metric: Metric, layout: &Layout, cpus: usize) -> Self {
        let at = metric.bucket();
        let (mut cpu, mut bucket, mut labels) = (None, None, Vec::new());
        let mut offset = 0;
        for (index, Label { size, padding, chain, .. }) in metric.labels.into_iter().enumerate() {
            if Some(index) == layout.cpu_label {
                cpu = Some(chain);
                continue;
            }
            let part = Part { bytes: offset..offset + size, chain };
            offset += size + padding;
            if Some(index) == at {
                bucket = Some(part);
            } else {
                labels.push(part);
            }
        }
        let buckets = match metric.kind {
            Kind::Counter => None,
            Kind::Histogram(buckets) => Some(buckets),
        };
        Self {
            key: layout.key,
            labels,
            bucket: bucket.zip(buckets),
            cpu,
            cpus,
            inputs: Batch::default(),
            decodings: Decodings::default(),
            keys: Vec::new(),
            first_error: None,
        }
    }

    /// How many numbers a row adds to: one, or one for each CPU.
    pub(super) fn width(&self) -> usize {
        if self.cpu.is_some() { self.cpus } else { 1 }
    }

    /// Decides the fates of these rows, whose keys the memory holds.
    pub(super) fn decide(
        &mut self,
        rows: &[Row],
        memory: &mut Memory,
        family: &mut Family,
        now: Instant,
    ) {
        self.begin(rows, memory);
        for part in 0..self.labels.len() {
            self.label(part, rows, memory);
        }
        self.bucket(rows, memory);
        let cpus = self.cpu_labels();
        for (row, key) in rows.iter().zip(&mut self.keys) {
            let (errors, due) = (key.errors, key.holds.map(|holds| now + holds));
            if key.out {
                memory.decide(*row, std::iter::repeat(Fate::Out), errors, due);
            } else if let Some(cpus) = &cpus {
                let fates = cpus.iter().map(|cpu| cpu_fate(key, cpu.as_deref(), family));
                memory.decide(*row, fates, errors, due);
            } else {
                let fate = Fate::Add(family.join(&key.labels, key.slot));
                memory.decide(*row, std::iter::once(fate), errors, due);
            }
        }
    }

    fn begin(&mut self, rows: &[Row], memory: &Memory) {
        self.keys.resize_with(rows.len().max(self.keys.len()), Decoding::default);
        for (row, key) in rows.iter().zip(&mut self.keys) {
            key.labels.truncate(0);
            let zero = || memory.key(*row).iter().all(|byte| *byte == 0);
            let out = self.key == Key::Zero && !zero();
            let labels = std::mem::take(&mut key.labels);
            *key = Decoding { labels, out, ..Decoding::default() };
        }
    }

    /// Decodes one label of all keys that are not left out yet.
    fn label(&mut self, part: usize, rows: &[Row], memory: &Memory) {
        let Self { labels, inputs, decodings, keys, first_error, .. } = self;
        let Part { bytes, chain } = &mut labels[part];
        run(chain, bytes, rows, keys, memory, inputs, decodings);
        for (key, text) in answers(keys, rows.len(), decodings, first_error) {
            key.labels.push(text);
        }
    }

    /// Decodes the bucket of all keys that are not left out yet.
    fn bucket(&mut self, rows: &[Row], memory: &Memory) {
        let Self { bucket, inputs, decodings, keys, first_error, .. } = self;
        let Some((Part { bytes, chain }, buckets)) = bucket else { return };
        run(chain, bytes, rows, keys, memory, inputs, decodings);
        for (key, text) in answers(keys, rows.len(), decodings, first_error) {
            key.slot = buckets.slot(text);
            key.out = key.slot.is_none();
        }
    }

    /// The label of each CPU, if CPUs are a label; `None` for one that is left out.
    fn cpu_labels(&mut self) -> Option<Vec<Option<Vec<u8>>>> {
        let chain = self.cpu.as_mut()?;
        self.inputs.clear();
        for cpu in 0..self.cpus as u16 {
            self.inputs.push(&cpu.to_ne_bytes());
        }
        chain.decode(&self.inputs, &mut self.decodings);
        let labels = self
            .decodings
            .iter()
            .map(|decoded| (decoded.outcome != Outcome::Drop).then(|| decoded.text.to_vec()));
        Some(labels.collect())
    }

    /// Why the first label since this was last asked could not be decoded.
    pub(super) fn take_first_error(&mut self) -> Option<DecodeError> {
        self.first_error.take()
    }
}

fn cpu_fate(key: &mut Decoding, cpu: Option<&[u8]>, family: &mut Family) -> Fate {
    let Some(cpu) = cpu else { return Fate::Out };
    let width = key.labels.len();
    key.labels.push(cpu);
    let cell = family.join(&key.labels, key.slot);
    key.labels.truncate(width);
    Fate::Add(cell)
}

/// Decodes the same bytes of all keys that are not left out yet.
fn run(
    chain: &mut Chain,
    bytes: &Range<usize>,
    rows: &[Row],
    keys: &[Decoding],
    memory: &Memory,
    inputs: &mut Batch,
    decodings: &mut Decodings,
) {
    inputs.clear();
    for (row, key) in rows.iter().zip(keys) {
        if !key.out {
            inputs.push(&memory.key(*row)[bytes.clone()]);
        }
    }
    chain.decode(inputs, decodings);
}

/// The keys that were decoded and stay in, each with its answer. Notes what else was answered.
fn answers<'a>(
    keys: &'a mut [Decoding],
    count: usize,
    decodings: &'a Decodings,
    first_error: &'a mut Option<DecodeError>,
) -> impl Iterator<Item = (&'a mut Decoding, &'a [u8])> {
    let keys = keys[..count].iter_mut().filter(|key| !key.out);
    keys.zip(decodings.iter()).filter_map(|(key, decoded)| {
        let mut holds = match decoded.outcome {
            Outcome::LabelFor(holds) => Some(holds),
            Outcome::Label | Outcome::Drop => None,
        };
        if let Some(error) = decoded.error {
            key.errors += 1;
            holds = Some(RETRY);
            first_error.get_or_insert_with(|| error.clone());
        }
        key.holds = [key.holds, holds].into_iter().flatten().min();
        key.out = decoded.outcome == Outcome::Drop;
        (!key.out).then_some((key, decoded.text))
    })
}
