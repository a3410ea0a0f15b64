//! Reads the map of one metric: in a quick way as long as that leaves few keys in doubt, else in an exact way.
//!
//! Never decides what becomes of a row.

use std::time::{Duration, Instant};

use tracing::debug;

use crate::rows::{Met, Receiver, Row, Rows, Walk, Walked};
use crate::scrape::stats::Phases;
use crate::source::Source;
use crate::source::{Chunk, ReadError, Way, Why};

/// A map that is read again and again.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) source: Box<dyn Source>,
    /// Whether hardly any key came or went since the scrape before.
    calm: bool,
    /// How many entries the map had in the scrape before, if there was one.
    pub(super) entries: Option<usize>,
    /// How the last scrape read the map, and why so.
    pub(super) way: (Way, Why),
    /// Rows that have vanished from it since the start.
    pub(super) vanished: u64,
}

/// What has come of reading a map.
#[derive(Debug)]
pub(super) struct Found {
    /// Rows that were met and that nothing was decided for yet.
    pub(super) new: Vec<Row>,
    /// Whether all of the map could be read.
    pub(super) result: Result<(), ReadError>,
}

impl Reader {
    pub(super) fn new(source: Box<dyn Source>) -> Self {
        Self { way: source.way(), source, calm: false, entries: None, vanished: 0 }
    }

    /// Reads the map into `rows`.
    pub(super) fn read<R: Receiver>(
        &mut self,
        rows: &mut Rows,
        receiver: &mut R,
        phases: &mut Phases,
    ) -> Found {
        let start = Instant::now();
        let mut matching = Duration::ZERO;
        let (quick, met) = self.quickly(rows.begin(receiver), &mut matching);
        let (met, result) = match met {
            Some(met) => (met, Ok(())),
            None => {
                let (walked, result) = self.exactly(rows.begin(receiver), &mut matching);
                self.calm = !quick && self.is_sure(&walked);
                (walked.trust(), result)
            }
        };
        self.entries = Some(met.count());
        phases.read += start.elapsed().saturating_sub(matching);
        phases.matching += matching;
        // A row that was not met may lie behind the error. It keeps its last numbers.
        let behind = result.is_err() && met.known() <= 2 * self.source.max_entries();
        let new = if behind {
            met.keep_missed()
        } else {
            self.vanished += (met.known() - met.count()) as u64;
            met.forget_missed()
        };
        self.note_way();
        Found { new, result }
    }

    /// Walks over the map in a quick way, if there is one now, and then asks for each key that is in doubt. Whether
    /// there was such a way; and the rows that were met, unless too many keys are in doubt or one cannot be asked for.
    fn quickly<'a, R: Receiver>(
        &mut self,
        mut walk: Walk<'a, R>,
        matching: &mut Duration,
    ) -> (bool, Option<Met<'a, R>>) {
        let Self { source, calm, entries, .. } = self;
        let mut take = |chunk: Chunk<'_>| timed(&mut walk, chunk, matching);
        let quick = (*calm || !source.needs_calm()) && source.read_quickly(*entries, &mut take);
        let walked = walk.end();
        if !quick || !self.is_sure(&walked) {
            return (quick, None);
        }
        let lookup = |key: &[u8], values: &mut [u64]| self.source.lookup(key, values);
        (quick, walked.confirm(lookup, self.source.cpus()).ok())
    }

    /// A walk that meets every key that stays, if the map can be read.
    fn exactly<'a, R: Receiver>(
        &mut self,
        mut walk: Walk<'a, R>,
        matching: &mut Duration,
    ) -> (Walked<'a, R>, Result<(), ReadError>) {
        let result = self.source.read(&mut |chunk| timed(&mut walk, chunk, matching));
        (walk.end(), result)
    }

    /// Whether few keys are in doubt: a lookup costs as much as a few entries of a batch, so with these it
    /// is still the quick way that costs less.
    fn is_sure<R: Receiver>(&self, walked: &Walked<'_, R>) -> bool {
        let share = if self.source.needs_calm() { 64 } else { 4 };
        walked.doubts() <= 64 + walked.known() / share
    }

    /// Forgets how the map was read before.
    pub(super) fn forget(&mut self) {
        self.calm = false;
        self.entries = None;
    }

    fn note_way(&mut self) {
        let (way, why) = self.source.way();
        if self.way != (way, why) {
            debug!(map = self.source.name(), "read by {way} from now on: {why}");
            self.way = (way, why);
        }
    }
}

fn timed<R: Receiver>(walk: &mut Walk<'_, R>, chunk: Chunk<'_>, matching: &mut Duration) {
    let start = Instant::now();
    walk.take(chunk);
    *matching += start.elapsed();
}
