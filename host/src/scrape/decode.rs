//! New keys of one map, decoded and transformed in batches: from key bytes to the numbers that
//! their values add to.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::last_names::LastNames;
use super::text_bound::TextBound;
use crate::bpf::{Field, Key, Layout, Role};
use crate::config::MetricKind;
use crate::config::buckets::{Buckets, Slot};
use crate::decode::{Batch, Chain, DecodeError, Decodings, Outcome, RETRY};
use crate::link::Linked;
use crate::rows::{Column, Decision, Fate, Grounds, Known, Row, Rows};
use crate::series::{Cell, Family, LabelSet};
use crate::transform::{LabelRows, Transformed, TransformedRow, Transforms};

/// Decodes the keys of one metric.
#[derive(Debug)]
pub(super) struct KeyDecoder {
    /// What the key's bytes are.
    key: Key,
    labels: Vec<Slice>,
    /// The last part of a histogram's key.
    bucket: Option<(Slice, Buckets)>,
    /// Each decodes the CPU number, which per-CPU maps have beside the key; none if CPUs are summed.
    cpu: Vec<Chain>,
    cpus: usize,
    /// The numbers of a row: one, or one for each CPU.
    columns: Vec<Column>,
    transforms: Transforms,
    /// What rows were called last, if transforms are asked.
    names: LastNames,
    inputs: Batch,
    decodings: Decodings,
    /// The keys in hand; kept for their memory.
    keys: Vec<Decoding>,
    /// The label sets of the keys in hand, and what the transforms made of them.
    sets: LabelRows,
    transformed: Transformed,
    /// Why the first label since this was last asked could not be decoded.
    first_error: Option<DecodeError>,
    /// How much text plugins may make.
    bounds: Vec<TextBound>,
    /// Whether a row was beyond that since this was last asked.
    refused: bool,
    /// How many series there may be, if that is bounded, and how many rows went beyond.
    most: Option<usize>,
    folded: u64,
}

/// What fates are decided with.
struct Joining<'a> {
    family: &'a mut Family,
    first_error: &'a mut Option<DecodeError>,
    bounds: &'a [TextBound],
    refused: &'a mut bool,
    most: Option<usize>,
    /// Where the row's number is now, if it has one number and is no part of a histogram.
    leaves: Option<Cell>,
    /// Whether the row is not in the series that its labels name.
    folded: bool,
    /// The key in hand, and what it is made of.
    key: &'a [u8],
    parts: &'a [Slice],
}

/// Bytes of a key and what decodes them.
#[derive(Debug)]
struct Slice {
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
    /// Whether a plugin did not get to it.
    deferred: bool,
    /// Whether a plugin gave no answer, for the same reason or as its call failed.
    unanswered: bool,
    /// Whether a part of it has no name now.
    nameless: bool,
    /// Whether it is not looked at further: it was decided before, and that stands.
    stands: bool,
}

impl KeyDecoder {
    /// Decodes keys of a metric whose map is laid out like this and has `cpus` values an entry.
    pub(super) fn new(
        Linked { metric, chains, transforms }: Linked,
        layout: &Layout,
        cpus: usize,
        bounds: Vec<TextBound>,
    ) -> Self {
        let (mut cpu, mut bucket, mut labels) = (Vec::new(), None, Vec::new());
        for (chain, Field { role, bytes }) in chains.into_iter().zip(&layout.fields) {
            let part = Slice { bytes: bytes.clone(), chain };
            match role {
                Role::Label => labels.push(part),
                Role::Bucket => bucket = Some(part),
                Role::Cpu => cpu.push(part.chain),
            }
        }
        let buckets = match metric.kind {
            MetricKind::Counter => None,
            MetricKind::Histogram(buckets) => Some(buckets),
        };
        Self {
            key: layout.key,
            labels,
            bucket: bucket.zip(buckets),
            columns: columns(layout, if cpu.is_empty() { 1 } else { cpus }),
            cpu,
            cpus,
            transforms,
            names: LastNames::default(),
            inputs: Batch::default(),
            decodings: Decodings::default(),
            keys: Vec::new(),
            sets: LabelRows::default(),
            transformed: Transformed::default(),
            first_error: None,
            bounds,
            refused: false,
            most: metric.max_series.map(|most| most as usize),
            folded: 0,
        }
    }

    /// The numbers of a row: one, or one for each CPU.
    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Decides the fates of these rows, which are `known`. Those that a plugin did not get to
    /// keep what they had, or if they are new get what `on_error` says, and wait. Whether there are none
    /// such. Those whose calls failed do the same, and are asked again later. Those that had names for all
    /// of their keys keep them when a name is gone: what it named is still what was counted. Transforms are
    /// asked with those names.
    pub(super) fn decide(
        &mut self,
        rows: &[Row],
        known: &mut Known,
        family: &mut Family,
        now: Instant,
    ) -> bool {
        self.begin(rows, &known.rows);
        for part in 0..self.labels.len() {
            self.label(part, rows, &known.rows);
        }
        self.bucket(rows, &known.rows);
        let Known { rows: all, decided } = known;
        let cpus = self.cpu_labels(rows.len());
        for (row, key) in rows.iter().zip(&mut self.keys) {
            key.stands = key.unanswered && decided.is_decided(*row)
                || key.nameless && decided.is_known(*row) && !key.recall(self.names.get(*row));
        }
        self.transform(rows.len(), &cpus);
        let Self {
            keys, cpu, transforms, names, transformed, first_error, bounds, refused, ..
        } = self;
        let (most, folded) = (self.most, &mut self.folded);
        let parts = &*self.labels;
        let asks_transforms = !transforms.is_empty();
        let mut transformed = asks_transforms.then(|| transformed.iter());
        // Label sets that are whole now: no transform changes them, and no CPU's labels come behind them.
        if transformed.is_none() && cpu.is_empty() {
            keys[..rows.len()].iter().for_each(|key| family.touch(&key.labels));
        }
        let (mut waiting, mut fates) = (Vec::new(), Vec::new());
        for (row, key) in rows.iter().zip(keys) {
            fates.clear();
            for cpu in &cpus {
                let (family, key_bytes) = (&mut *family, all.key(*row));
                let (key_bytes, is_new) = (key_bytes, !decided.is_decided(*row));
                let leaves = match decided.fates(*row) {
                    [Fate::Add(cell)] if key.slot.is_none() => Some(*cell),
                    _ => None,
                };
                let mut joining = Joining {
                    family,
                    first_error,
                    bounds,
                    refused,
                    most,
                    leaves,
                    folded: false,
                    key: key_bytes,
                    parts,
                };
                fates.push(key.fate(cpu, transformed.as_mut(), &mut joining));
                *folded += u64::from(joining.folded && is_new);
            }
            if key.deferred {
                waiting.push(*row);
            }
            let due = key.holds.filter(|_| !key.deferred).map(|holds| now + holds);
            if key.stands || key.unanswered && decided.is_decided(*row) {
                Fate::undo(&fates, family);
                due.into_iter().for_each(|due| decided.keep_until(*row, due));
                continue;
            }
            let grounds = key.grounds();
            let decision = Decision { fates: &fates, errors: key.errors, due, grounds };
            decided.decide(*row, decision, all, family);
            if asks_transforms {
                let is_named = grounds == Grounds::Known && !key.out;
                names.note(*row, is_named.then_some(&key.labels));
            }
        }
        decided.wait(&waiting, now);
        names.prune(known);
        waiting.is_empty()
    }

    /// Has the label sets of all keys transformed that are not left out, if there are transforms.
    fn transform(&mut self, count: usize, cpus: &[Cpu]) {
        let Self { transforms, keys, sets, transformed, labels, cpu, .. } = self;
        if transforms.is_empty() {
            return;
        }
        sets.reset(labels.len() + cpu.len());
        for key in &keys[..count] {
            for cpu in cpus.iter().filter(|cpu| key.goes_on() && !cpu.is_out()) {
                sets.push(key.labels.values().map(str::as_bytes).chain(cpu.labels()));
            }
        }
        transforms.apply(sets, transformed);
    }

    fn begin(&mut self, rows: &[Row], known: &Rows) {
        self.keys.resize_with(rows.len().max(self.keys.len()), Decoding::default);
        for (row, key) in rows.iter().zip(&mut self.keys) {
            key.labels.truncate(0);
            let zero = || known.key(*row).iter().all(|byte| *byte == 0);
            let out = self.key == Key::Zero && !zero();
            let labels = std::mem::take(&mut key.labels);
            *key = Decoding { labels, out, ..Decoding::default() };
        }
    }

    /// Decodes one label of all keys that are not left out yet.
    fn label(&mut self, part: usize, rows: &[Row], known: &Rows) {
        let Self { labels, inputs, decodings, keys, first_error, .. } = self;
        let Slice { bytes, chain } = &mut labels[part];
        gather(inputs, rows, keys, |row| &known.key(row)[bytes.clone()]);
        chain.decode(inputs, decodings);
        for (key, text) in answers(keys, rows.len(), decodings, first_error) {
            key.labels.push(text);
        }
    }

    /// Decodes the bucket of all keys that are not left out yet.
    fn bucket(&mut self, rows: &[Row], known: &Rows) {
        let Self { bucket, inputs, decodings, keys, first_error, .. } = self;
        let Some((Slice { bytes, chain }, buckets)) = bucket else { return };
        gather(inputs, rows, keys, |row| &known.key(row)[bytes.clone()]);
        chain.decode(inputs, decodings);
        for (key, text) in answers(keys, rows.len(), decodings, first_error) {
            key.slot = buckets.slot(text);
            key.out = key.slot.is_none();
        }
    }

    /// The labels of each CPU if CPUs are told apart, else that there are none. What is to be said
    /// of them is said of each of the first `count` keys.
    fn cpu_labels(&mut self, count: usize) -> Vec<Cpu> {
        if self.cpu.is_empty() {
            return vec![Cpu::Labels(Batch::default())];
        }
        self.inputs.clear();
        for cpu in 0..self.cpus as u16 {
            self.inputs.push(&cpu.to_ne_bytes());
        }
        let mut labels = vec![Cpu::Labels(Batch::default()); self.cpus];
        let mut all = Decoding::default();
        for chain in &mut self.cpu {
            chain.decode(&self.inputs, &mut self.decodings);
            for (cpu, decoded) in labels.iter_mut().zip(self.decodings.iter()) {
                let Cpu::Labels(texts) = cpu else { continue };
                all.note(decoded.outcome, decoded.error, &mut self.first_error);
                if decoded.outcome.leaves_out() {
                    *cpu = Cpu::Out;
                } else {
                    texts.push(decoded.text);
                }
            }
        }
        for key in self.keys[..count].iter_mut().filter(|key| !key.out) {
            key.deferred |= all.deferred;
            key.unanswered |= all.unanswered;
            key.errors = key.errors.saturating_add(all.errors);
            key.holds = [key.holds, all.holds].into_iter().flatten().min();
        }
        labels
    }

    /// Rows that found no room for a series of their own, since the start, if series are bounded.
    pub(super) fn folded(&self) -> Option<u64> {
        self.most.map(|_| self.folded)
    }

    /// Whether a row was beyond the bounds of text since this was last asked.
    pub(super) fn take_refused(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }

    /// Why the first label since this was last asked could not be decoded. Shows no input if there
    /// are transforms: they may be there to hide it.
    pub(super) fn take_first_error(&mut self) -> Option<DecodeError> {
        let error = self.first_error.take()?;
        Some(if self.transforms.is_empty() { error } else { error.redacted() })
    }
}

/// The columns of rows: one for each value field, or for each of its numbers of `cpus`.
fn columns(layout: &Layout, cpus: usize) -> Vec<Column> {
    let column = |falls| if falls { Column::Gauge } else { Column::Counter };
    layout.values.iter().flat_map(|value| vec![column(value.falls); cpus]).collect()
}

/// What a CPU adds to a label set.
#[derive(Clone, Debug)]
enum Cpu {
    /// These labels; none if CPUs are summed.
    Labels(Batch),
    /// Its values are left out.
    Out,
}

impl Cpu {
    fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let labels = match self {
            Self::Labels(labels) => Some(labels.iter()),
            Self::Out => None,
        };
        labels.into_iter().flatten()
    }

    fn is_out(&self) -> bool {
        matches!(self, Self::Out)
    }
}

impl Decoding {
    /// Whether it has labels that are to be transformed and joined.
    fn goes_on(&self) -> bool {
        !self.out && !self.stands
    }

    /// Takes the labels that it had when all of its key had names, if they are remembered, so that transforms
    /// are asked with those; whether they are.
    fn recall(&mut self, last: Option<&LabelSet>) -> bool {
        let Some(last) = last.filter(|_| !self.out) else { return false };
        self.labels.clone_from(last);
        self.nameless = false;
        self.errors = 0;
        true
    }

    /// What its fates are decided by.
    fn grounds(&self) -> Grounds {
        if self.nameless || self.errors > 0 { Grounds::Unknown } else { Grounds::Known }
    }

    /// Where the key's value of this CPU is added. `transformed` gives the label sets of all that
    /// are not left out, in order, if there are transforms.
    fn fate<'a>(
        &mut self,
        cpu: &Cpu,
        transformed: Option<&mut impl Iterator<Item = TransformedRow<'a>>>,
        joining: &mut Joining<'_>,
    ) -> Fate {
        if !self.goes_on() || cpu.is_out() {
            return Fate::Out;
        }
        let Some(transformed) = transformed else {
            let width = self.labels.len();
            cpu.labels().for_each(|label| self.labels.push(label));
            let labels = std::mem::take(&mut self.labels);
            let fate = self.join(&labels, joining);
            self.labels = labels;
            self.labels.truncate(width);
            return fate;
        };
        let Some(row) = transformed.next() else { return Fate::Out };
        self.note(row.outcome, row.error, joining.first_error);
        if row.outcome.leaves_out() {
            return Fate::Out;
        }
        let mut set = LabelSet::default();
        row.values().for_each(|value| set.push(value));
        self.join(&set, joining)
    }

    /// Joins the series of these labels, or if they would be too much text, that of what `on_error` makes
    /// of them.
    fn join(&mut self, set: &LabelSet, joining: &mut Joining<'_>) -> Fate {
        let Joining { family, bounds, refused, key, parts, most, leaves, folded, .. } = joining;
        let raw = |label: usize| parts.get(label).map_or(&b""[..], |part| &key[part.bytes.clone()]);
        let mut instead: Option<LabelSet> = None;
        for bound in *bounds {
            let set = instead.as_ref().unwrap_or(set);
            if bound.admits(set, family) {
                continue;
            }
            **refused = true;
            self.errors = self.errors.saturating_add(1);
            self.holds = Some(self.holds.map_or(RETRY, |holds| holds.min(RETRY)));
            let Some(other) = bound.refuse(set, raw) else { return Fate::Out };
            instead = Some(other);
        }
        let set = instead.as_ref().unwrap_or(set);
        let other = most.and_then(|most| beyond(set, family, most, *leaves));
        *folded = other.is_some();
        Fate::Add(family.join(other.as_ref().unwrap_or(set), self.slot))
    }

    /// Notes how long an answer holds, and the error behind it.
    fn note(
        &mut self,
        outcome: Outcome,
        error: Option<&DecodeError>,
        first_error: &mut Option<DecodeError>,
    ) {
        let mut holds = outcome.holds();
        if let Some(error) = error {
            self.errors = self.errors.saturating_add(1);
            self.deferred |= error.is_deferred();
            self.unanswered |= error.is_unanswered();
            holds = Some(error.holds());
            if !error.is_deferred() {
                first_error.get_or_insert_with(|| error.clone());
            }
        }
        self.holds = [self.holds, holds].into_iter().flatten().min();
    }
}

/// What all labels of the series are in which the rows are that found no room for one of their own.
const OTHER: &str = "other";

/// The labels of that series, if one with these labels would be one too many. A row that is alone in its series takes
/// the place of that series along; rows that share one have none to take.
fn beyond(set: &LabelSet, family: &Family, most: usize, leaves: Option<Cell>) -> Option<LabelSet> {
    if family.len() < most || set.is_empty() || family.has(set) {
        return None;
    }
    let other = LabelSet::of(set.values().map(|_| OTHER));
    let own = family.len() - usize::from(family.has(&other));
    let freed = leaves.is_some_and(|cell| family.is_alone(cell, &other));
    (own >= most + usize::from(freed)).then_some(other)
}

/// Fills `inputs` with the bytes that are decoded of each row whose key is not left out yet.
fn gather<'k>(
    inputs: &mut Batch,
    rows: &[Row],
    keys: &[Decoding],
    bytes_of: impl Fn(Row) -> &'k [u8],
) {
    inputs.clear();
    for (row, key) in rows.iter().zip(keys) {
        if !key.out {
            inputs.push(bytes_of(*row));
        }
    }
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
        key.note(decoded.outcome, decoded.error, first_error);
        key.nameless |= decoded.no_name.is_some();
        key.holds = [key.holds, decoded.no_name].into_iter().flatten().min();
        key.out = decoded.outcome.leaves_out();
        (!key.out).then_some((key, decoded.text))
    })
}

#[cfg(test)]
mod tests;
