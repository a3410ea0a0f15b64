//! One metric of one config: from the entries of its map to the numbers of its family.

use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::decode::KeyDecoder;
use super::memory::{Memory, Row};
use crate::bpf::read::{Chunk, ReadError, Way, Why};
use crate::series::{Family, Moves};
use crate::serve::MapSummary;
use crate::source::Source;
use crate::telemetry::{ConfigStats, Phases};

mod entries;

pub(super) use entries::Field;

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
    source: Box<dyn Source>,
    decoder: KeyDecoder,
    memory: Memory,
    /// Whether hardly any key came or went since the scrape before.
    calm: bool,
    /// How many entries the map had in the scrape before, if there was one.
    entries: Option<usize>,
    /// How the last scrape read the map, and why so.
    way: (Way, Why),
    /// When this scrape began to read the map.
    start: Instant,
    /// Rows that this scrape met for the first time and that are to be decided.
    new: Vec<Row>,
    /// Whether it was said that keys wait for their turn.
    told: bool,
    /// Whether it was said that plugins make too much text.
    told_of_text: bool,
    /// The parts of its keys.
    fields: Vec<Field>,
}

impl Feed {
    /// What feeds this family of this config from `source`, whose keys have these parts.
    pub(super) fn new(
        (config, family): (usize, usize),
        source: Box<dyn Source>,
        fields: Vec<Field>,
        decoder: KeyDecoder,
    ) -> Self {
        let memory = Memory::new(source.key_size(), decoder.width());
        let way = source.way();
        Self {
            config,
            family,
            source,
            decoder,
            memory,
            calm: false,
            entries: None,
            way,
            start: Instant::now(),
            new: Vec::new(),
            told: false,
            told_of_text: false,
            fields,
        }
    }

    /// The map's name.
    pub(super) fn map(&self) -> &str {
        self.source.name()
    }

    /// How the last scrape read the map, and why so.
    pub(super) fn way(&self) -> (Way, Why) {
        self.way
    }

    /// Reads the map and adds its values to the family. Which rows are to be decided is known then.
    pub(super) fn read(
        &mut self,
        family: &mut Family,
        stats: &mut ConfigStats,
        phases: &mut Phases,
    ) {
        self.start = Instant::now();
        let result = self.meet(family, phases);
        let Self { source, memory, start, .. } = self;
        stats.entries += memory.count() as u64;
        match result {
            Ok(()) => {
                stats.read_worked(source.name());
                memory.forget_missed(family);
            }
            // What was not met may only have been behind the error: it keeps its last values.
            Err(error) => {
                stats.read_failed(&error);
                if memory.len() > 2 * source.max_entries() {
                    memory.forget_missed(family);
                }
            }
        }
        // After the walk: a row that it did not meet but that stays is to be decoded again too.
        memory.expire(*start);
        self.new = memory.take_undecoded();
        stats.duration += start.elapsed();
    }

    /// Whether rows are to be decided.
    pub(super) fn has_work(&self) -> bool {
        !self.new.is_empty() || self.memory.waiting() > 0
    }

    /// Rows that this scrape met for the first time and that are to be decided.
    pub(super) fn new_rows(&self) -> usize {
        self.new.len()
    }

    /// Decides some rows, those first that have waited longest. Whether more is to be done that a plugin
    /// may be asked for.
    pub(super) fn step(
        &mut self,
        family: &mut Family,
        stats: &mut ConfigStats,
        phases: &mut Phases,
    ) -> bool {
        let begun = Instant::now();
        let Self { decoder, memory, new, start, .. } = self;
        let mut rows = memory.take_waiting(BATCH);
        if rows.is_empty() {
            rows = new.drain(..new.len().min(BATCH)).collect();
        }
        let all_had_their_turn = decoder.decide(&rows, memory, family, *start);
        let took = begun.elapsed();
        phases.decode += took;
        stats.duration += took;
        all_had_their_turn && self.has_work()
    }

    /// Decides all rows that are new: those for which a plugin has no time left get what `on_error` says.
    /// How many rows wait for the next scrape then.
    pub(super) fn finish(
        &mut self,
        family: &mut Family,
        stats: &mut ConfigStats,
        phases: &mut Phases,
    ) -> usize {
        let begun = Instant::now();
        let Self { source, decoder, memory, new, start, .. } = self;
        for rows in new.chunks(BATCH) {
            decoder.decide(rows, memory, family, *start);
        }
        new.clear();
        let took = begun.elapsed();
        phases.decode += took;
        stats.duration += took;
        stats.decoder_failed(source.name(), memory.errors(), decoder.take_first_error());
        if decoder.take_refused() && !std::mem::replace(&mut self.told_of_text, true) {
            warn!(
                config = stats.name,
                "the labels that a plugin makes in {} are more text than its `limits.text` allows; other rows \
                 get what `on_error` says; raise the limit, or have it make fewer or shorter labels; this is \
                 said once, ebpf_exporter_plugin_text_refused_total counts on",
                source.name()
            );
        }
        memory.waiting()
    }

    /// Whether it is said for the first time that keys wait for their turn.
    pub(super) fn tell(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }

    /// Reads the map into the memory: quickly as long as few keys are in doubt then, else exactly.
    fn meet(&mut self, family: &mut Family, phases: &mut Phases) -> Result<(), ReadError> {
        let Self { source, memory, calm, entries, .. } = self;
        let start = Instant::now();
        let mut matching = Duration::ZERO;
        let mut take = |memory: &mut Memory, family: &mut Family, chunk: Chunk<'_>| {
            let start = Instant::now();
            memory.take(chunk, family);
            matching += start.elapsed();
        };
        memory.begin();
        let quickly = (*calm || !source.needs_calm())
            && source.read_quickly(*entries, &mut |chunk| take(memory, family, chunk));
        let confirmed = quickly && memory.doubts() <= few(&**source, memory.len()) && {
            let lookup = |key: &[u8], values: &mut [u64]| source.lookup(key, values);
            memory.confirm(lookup, source.cpus(), family).is_ok()
        };
        let mut result = Ok(());
        if !confirmed {
            memory.begin();
            result = source.read(&mut |chunk| take(memory, family, chunk));
            *calm = !quickly && memory.doubts() <= few(&**source, memory.len());
        }
        *entries = Some(memory.count());
        phases.read += start.elapsed().saturating_sub(matching);
        phases.matching += matching;
        self.note_way();
        result
    }

    fn note_way(&mut self) {
        let (way, why) = self.source.way();
        if self.way != (way, why) {
            debug!(map = self.source.name(), "read by {way} from now on: {why}");
            self.way = (way, why);
        }
    }

    /// Forgets all that was decided: its family begins anew.
    pub(super) fn forget(&mut self) {
        self.memory = Memory::new(self.source.key_size(), self.decoder.width());
        self.new.clear();
        self.calm = false;
        self.entries = None;
    }

    /// Follows its family, which has moved its cells.
    pub(super) fn moved(&mut self, moves: &Moves) {
        self.memory.moved(|cell| moves.to(cell));
    }

    /// What `/maps` lists of it, which belongs to this config.
    pub(super) fn summary(&self, config: &str) -> MapSummary {
        MapSummary {
            config: config.to_owned(),
            name: self.source.name().to_owned(),
            kind: self.source.kind().to_owned(),
            capacity: self.source.max_entries(),
            entries: self.entries,
        }
    }
}

/// How many of so many keys may be in doubt: a lookup costs as much as a few entries of a batch, so
/// with these it is still the quick way that costs less.
fn few(source: &dyn Source, keys: usize) -> usize {
    64 + keys / if source.needs_calm() { 64 } else { 4 }
}
