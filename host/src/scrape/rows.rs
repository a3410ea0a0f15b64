//! One metric's entries, decoded and added to its family's series.

use std::ops::Range;

use crate::bpf::read::Entry;
use crate::bpf::{Key, Layout};
use crate::config::buckets::{Buckets, Slot};
use crate::config::{Kind, Label, Metric};
use crate::decode::{Batch, Chain, DecodeError, Decodings, Outcome};
use crate::series::{LabelSet, Series};

/// Decodes the entries of one metric. Keeps its buffers, so that no row allocates.
#[derive(Debug)]
pub(super) struct Rows {
    /// What the key's bytes are.
    key: Key,
    labels: Vec<Part>,
    /// The last part of a histogram's key.
    bucket: Option<(Part, Buckets)>,
    /// Decodes the CPU number, which per-CPU maps have beside the key.
    cpu: Option<Chain>,
    /// The labels of the row in hand.
    set: LabelSet,
    decoding: Decoding,
}

/// A part of a key and what decodes it.
#[derive(Debug)]
struct Part {
    bytes: Range<usize>,
    chain: Chain,
}

impl Rows {
    /// Decodes rows of `metric`, whose map is laid out like this. The names of its labels as they
    /// are exposed come along.
    pub(super) fn new(metric: Metric, layout: &Layout) -> (Self, Vec<String>) {
        let mut labels = metric.labels;
        let cpu = layout.cpu_label.map(|index| labels.remove(index));
        let mut names = Vec::new();
        let mut parts = Vec::new();
        let mut offset = 0;
        for Label { name, size, padding, chain } in labels {
            names.push(name.as_str().to_owned());
            parts.push(Part { bytes: offset..offset + size, chain });
            offset += size + padding;
        }
        let bucket = match metric.kind {
            Kind::Counter => None,
            Kind::Histogram(buckets) => {
                names.pop();
                parts.pop().map(|part| (part, buckets))
            }
        };
        names.extend(cpu.iter().map(|label| label.name.as_str().to_owned()));
        let rows = Self {
            key: layout.key,
            labels: parts,
            bucket,
            cpu: cpu.map(|label| label.chain),
            set: LabelSet::default(),
            decoding: Decoding::default(),
        };
        (rows, names)
    }

    /// Adds an entry to `series`, unless a decoder leaves it out or it is in no bucket.
    pub(super) fn add(&mut self, entry: Entry<'_>, series: &mut Series) {
        self.each(entry, |labels, slot, value| match (&mut *series, slot) {
            (Series::Counters(counters), _) => counters.add(labels, value),
            (Series::Histograms(histograms), Some(slot)) => histograms.add(labels, slot, value),
            _ => {}
        });
    }

    /// Hands `then` what an entry adds to: the labels, the slot if it is part of a histogram, and
    /// the value; once for each CPU if the CPU is a label.
    pub(super) fn each(
        &mut self,
        entry: Entry<'_>,
        mut then: impl FnMut(&LabelSet, Option<Slot>, u64),
    ) {
        let Some(slot) = self.key(entry.key) else { return };
        let Self { labels, cpu, set, decoding, .. } = self;
        let Some(cpu) = cpu else {
            let sum = entry.values.iter().fold(0, |sum: u64, value| sum.wrapping_add(*value));
            return then(set, slot, sum);
        };
        for (number, value) in (0u16..).zip(entry.values) {
            set.truncate(labels.len());
            if let Some(text) = decoding.run(cpu, &number.to_ne_bytes()) {
                set.push(text);
                then(set, slot, *value);
            }
        }
    }

    /// Decodes a key to the row's labels and its slot; `None` if the row is to be left out.
    fn key(&mut self, key: &[u8]) -> Option<Option<Slot>> {
        self.set.truncate(0);
        if self.key == Key::Zero && key.iter().any(|byte| *byte != 0) {
            return None;
        }
        for Part { bytes, chain } in &mut self.labels {
            self.set.push(self.decoding.run(chain, &key[bytes.clone()])?);
        }
        let Some((Part { bytes, chain }, buckets)) = &mut self.bucket else { return Some(None) };
        let text = self.decoding.run(chain, &key[bytes.clone()])?;
        buckets.slot(text).map(Some)
    }

    /// How many labels could not be decoded since this was last asked, and why the first.
    pub(super) fn take_errors(&mut self) -> (u64, Option<DecodeError>) {
        (std::mem::take(&mut self.decoding.errors), self.decoding.first_error.take())
    }
}

/// Runs chains, and keeps what all of a metric's have in common.
#[derive(Debug, Default)]
struct Decoding {
    input: Batch,
    decodings: Decodings,
    errors: u64,
    first_error: Option<DecodeError>,
}

impl Decoding {
    /// The label that `chain` makes of `input`; `None` if the row is to be left out.
    fn run(&mut self, chain: &mut Chain, input: &[u8]) -> Option<&[u8]> {
        self.input.clear();
        self.input.push(input);
        chain.decode(&self.input, &mut self.decodings);
        let decoded = self.decodings.get(0);
        if let Some(error) = decoded.error {
            self.errors += 1;
            self.first_error.get_or_insert_with(|| error.clone());
        }
        (decoded.outcome != Outcome::Drop).then_some(decoded.text)
    }
}
