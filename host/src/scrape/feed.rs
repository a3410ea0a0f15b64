//! One metric of one config: from the entries of its map to the numbers of its family.

use std::fmt::Write as _;
use std::time::Instant;

use super::decode::KeyDecoder;
use super::memory::{Fate, Memory, Row};
use crate::bpf::read::{Chunk, Entry, MapReader, ReadError};
use crate::decode::builtin::hex;
use crate::series::{Family, Moves};
use crate::telemetry::ConfigStats;

/// New keys to decode at a time: enough that a plugin's call costs little a key, few enough that
/// its answer is not long in coming.
const BATCH: usize = 1024;

/// Where the rows of a family come from.
#[derive(Debug)]
pub(super) struct Feed {
    /// Which config it belongs to.
    pub(super) config: usize,
    /// Which family it feeds.
    pub(super) family: usize,
    reader: MapReader,
    decoder: KeyDecoder,
    memory: Memory,
    new: NewRows,
}

/// Rows whose keys were not decoded yet, with their values.
#[derive(Debug, Default)]
struct NewRows {
    rows: Vec<Row>,
    /// The values of each row, end to end: one, or one for each CPU.
    values: Vec<u64>,
}

impl Feed {
    pub(super) fn new(
        config: usize,
        family: usize,
        reader: MapReader,
        decoder: KeyDecoder,
    ) -> Self {
        let memory = Memory::new(reader.key_size(), decoder.width());
        Self { config, family, reader, decoder, memory, new: NewRows::default() }
    }

    /// Reads the map and adds its values to the family.
    pub(super) fn read(&mut self, family: &mut Family, stats: &mut ConfigStats) {
        let start = Instant::now();
        let Self { reader, decoder, memory, new, .. } = self;
        memory.begin(start, |cell| family.leave(cell));
        let result = reader.read(|chunk| {
            stats.entries += chunk.len() as u64;
            add(chunk, memory, family, new);
            if new.rows.len() >= BATCH {
                new.settle(decoder, memory, family, start);
            }
        });
        new.settle(decoder, memory, family, start);
        match result {
            // Rows that were not met may only have been behind the error.
            Err(error) => stats.read_failed(&error),
            Ok(()) => memory.end(|cell| family.leave(cell)),
        }
        stats.decoder_failed(reader.name(), memory.errors(), decoder.take_first_error());
        stats.duration += start.elapsed();
    }

    /// Follows its family, which has moved its cells.
    pub(super) fn moved(&mut self, moves: &Moves) {
        self.memory.moved(|cell| moves.to(cell));
    }

    /// Every entry of the map as it is, and what the last scrape made of it.
    pub(super) fn describe(&mut self, config: &str, family: &Family, out: &mut String) {
        let Self { reader, memory, .. } = self;
        let mut entries = Vec::new();
        let result = reader.read(|chunk| {
            entries.extend(chunk.entries().map(|entry| describe(entry, memory, family)));
        });
        entries.sort();
        let (name, way, count) = (reader.name(), reader.way(), entries.len());
        let _ = writeln!(out, "# map {name} of config {config}, {count} entries by {way}");
        out.extend(entries);
        if let Err(ReadError { source, .. }) = &result {
            let _ = writeln!(out, "# failed to read on: {source}");
        }
        out.push('\n');
    }
}

/// Adds the values of the chunk's entries where their keys say; new keys are put by.
fn add(chunk: Chunk<'_>, memory: &mut Memory, family: &mut Family, new: &mut NewRows) {
    for Entry { key, values } in chunk.entries() {
        let Some(row) = memory.meet(key) else { continue };
        match memory.fates(row) {
            [Fate::Undecoded, ..] => new.push(row, values),
            fates => add_values(fates, values, family),
        }
    }
}

#[inline]
fn add_values(fates: &[Fate], values: &[u64], family: &mut Family) {
    if let [fate] = fates {
        let sum = values.iter().fold(0, |sum: u64, value| sum.wrapping_add(*value));
        if let Fate::Add(cell) = fate {
            family.add(*cell, sum);
        }
        return;
    }
    for (fate, value) in fates.iter().zip(values) {
        if let Fate::Add(cell) = fate {
            family.add(*cell, *value);
        }
    }
}

impl NewRows {
    fn push(&mut self, row: Row, values: &[u64]) {
        self.rows.push(row);
        self.values.extend_from_slice(values);
    }

    /// Decodes the keys and adds the values.
    fn settle(
        &mut self,
        decoder: &mut KeyDecoder,
        memory: &mut Memory,
        family: &mut Family,
        now: Instant,
    ) {
        if self.rows.is_empty() {
            return;
        }
        let cpus = self.values.len() / self.rows.len();
        for (rows, values) in self.rows.chunks(BATCH).zip(self.values.chunks(BATCH * cpus)) {
            decoder.decide(rows, memory, family, now);
            for (row, values) in rows.iter().zip(values.chunks(cpus)) {
                add_values(memory.fates(*row), values, family);
            }
        }
        self.rows.clear();
        self.values.clear();
    }
}

/// An entry as a person reads it: key and values, then a line for each series it adds to.
fn describe(entry: Entry<'_>, memory: &Memory, family: &Family) -> String {
    let mut key = Vec::new();
    hex::write(entry.key, &mut key);
    let mut text = format!("{} {:?}\n", String::from_utf8_lossy(&key), entry.values);
    let Some(row) = memory.find(entry.key) else {
        text.push_str("    new since the last scrape\n");
        return text;
    };
    for fate in memory.fates(row) {
        let Fate::Add(cell) = fate else {
            text.push_str("    left out\n");
            continue;
        };
        let (values, number) = family.place(*cell);
        let labels = family.labels.iter().zip(values);
        let labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value:?}")).collect();
        let bucket =
            if family.kind.cells() > 1 { format!(" cell {number}") } else { String::new() };
        let _ = writeln!(text, "    {}{{{}}}{bucket}", family.name, labels.join(","));
    }
    text
}
