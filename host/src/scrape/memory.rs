//! What is known of the rows of one map: for every key, its values and where they are added.
//!
//! An entry is first held against the key that it should have, and its value against the one it had
//! (`memory/walk.rs`): in steady state that is all there is to do. Only what differs is looked up by
//! hash, and only by what a value has grown, its series changes. Keys that the map no longer holds are
//! forgotten at the end of each scrape, so this is never larger than the map.
//!
//! Nothing here takes from a series what was counted in it. A key that goes leaves it behind. A value
//! that fell belongs to a key that was evicted and inserted again: all of it is new. A row that is
//! decided anew brings to its next series only what it counts from then on.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::BuildHasher;
use std::io;
use std::time::Instant;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::series::{Cell, Family};

mod rows;
mod walk;

pub use rows::Grounds;
use rows::Rows;

/// The place of a key in the memory. It stays while the key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row(u32);

/// Of a row without a key.
const FREE: u32 = 0;
/// Of a row whose key was no key of the map after all.
const NEVER: u32 = 1;

/// What is to be done with a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The key's labels are to be decoded first.
    Undecoded,
    /// The value is added nowhere: a decoder left the row out, or it is in no bucket.
    Out,
    /// The value is added here.
    Add(Cell),
}

impl Fate {
    /// Takes back the places of fates that are not decided after all.
    pub(super) fn undo(fates: &[Self], family: &mut Family) {
        for fate in fates {
            if let Self::Add(cell) = *fate {
                family.leave(cell);
            }
        }
    }
}

/// What was decided for a row.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// What is to be done with its values: one fate, or one for each CPU.
    pub fates: &'a [Fate],
    /// How many of its labels were not decoded.
    pub errors: u16,
    /// When it is to be decided anew, if it is.
    pub due: Option<Instant>,
    /// What it was decided by.
    pub grounds: Grounds,
}

/// When an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Until {
    due: Instant,
    /// Whether it has ended, and the row waits to be decided anew.
    waits: bool,
}

/// The rows of one map.
#[derive(Debug)]
pub struct Memory {
    key_size: usize,
    /// Fates of a row: one, or one for each CPU.
    width: usize,
    /// The keys, with the values that each had when it was last met: as many as it has fates, and what
    /// is decided for a row has been done with these. And the walk in which each was last met, or
    /// [`FREE`], or [`NEVER`]: while the walk is straight, those that it has met are not noted yet.
    rows: Rows,
    /// The fates of each row, end to end.
    fates: Vec<Fate>,
    /// The rows of the last walk in the order in which they were met, and while this walk is not
    /// straight, of this one.
    order: Vec<Row>,
    /// Once this walk is not straight, what the last one met behind the place where they parted.
    ahead: Vec<Row>,
    /// How much of `ahead` lies behind.
    passed: usize,
    /// Whether this walk has met the rows of the last one in the same order so far.
    straight: bool,
    /// The row that was last met at each place of the map, if places are known.
    places: Vec<Row>,
    /// Rows that this walk has met more than once.
    doubles: Vec<Row>,
    /// All rows, by their keys.
    index: HashTable<Row>,
    hasher: RandomState,
    /// Rows without a key.
    free: Vec<Row>,
    /// When the answers of rows end that do not hold for ever.
    until: HashMap<Row, Until>,
    /// The same of rows that do not wait, soonest first. What `until` does not confirm is of a key that
    /// has gone.
    due: BinaryHeap<Reverse<(Instant, Row)>>,
    /// Rows that are to be decided anew, in the order in which they have been since then. Until it is
    /// their turn they stay as they are. As above, some have gone.
    waiting: VecDeque<(Instant, Row)>,
    /// The number of this walk.
    walk: u32,
    /// Rows met in this walk.
    count: usize,
    /// Rows of keys that were unknown before this walk.
    inserted: Vec<Row>,
    /// Rows met in this walk whose fates are to be decided.
    undecoded: Vec<Row>,
    /// Labels of all rows that could not be decoded.
    all_errors: u64,
}

impl Memory {
    /// An empty memory of keys of this size in bytes, each with `width` fates.
    pub fn new(key_size: usize, width: usize) -> Self {
        Self {
            key_size,
            width,
            rows: Rows::new(key_size, width),
            fates: Vec::new(),
            order: Vec::new(),
            ahead: Vec::new(),
            passed: 0,
            straight: true,
            places: Vec::new(),
            doubles: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::default(),
            free: Vec::new(),
            until: HashMap::new(),
            due: BinaryHeap::new(),
            waiting: VecDeque::new(),
            walk: NEVER,
            count: 0,
            inserted: Vec::new(),
            undecoded: Vec::new(),
            all_errors: 0,
        }
    }

    /// Has rows wait to be decided anew whose answers have ended by `now`.
    pub fn expire(&mut self, now: Instant) {
        while self.due.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            let Some(Reverse((due, row))) = self.due.pop() else { break };
            if let Some(until) = self.until.get_mut(&row)
                && *until == (Until { due, waits: false })
            {
                until.waits = true;
                self.waiting.push_back((due, row));
            }
        }
        if self.waiting.len() > 2 * self.until.len() + 64 {
            let Self { waiting, until, .. } = self;
            waiting.retain(|(due, row)| is_waiting(until, *row, *due));
        }
    }

    /// Takes rows that wait, at most so many, those first that have waited longest. What was decided for
    /// them stands until they are decided, or wait on.
    pub fn take_waiting(&mut self, most: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        while rows.len() < most
            && let Some((due, row)) = self.waiting.pop_front()
        {
            if is_waiting(&self.until, row, due) {
                rows.push(row);
            }
        }
        rows
    }

    /// Has decided rows wait to be decided anew: those that were taken out of the waiting ones before
    /// all others, in this order, and the others behind them, from `now` on.
    pub fn wait(&mut self, rows: &[Row], now: Instant) {
        for row in rows.iter().rev() {
            if let Some(until) = self.until.get(row).filter(|until| until.waits) {
                self.waiting.push_front((until.due, *row));
            }
        }
        for row in rows {
            if !self.until.get(row).is_some_and(|until| until.waits) {
                self.until.insert(*row, Until { due: now, waits: true });
                self.waiting.push_back((now, *row));
            }
        }
    }

    /// How many rows wait, with some of keys that have gone.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether it was decided what is done with a row's values.
    pub fn is_decided(&self, row: Row) -> bool {
        !self.rows.is_undecoded(row)
    }

    /// The row of this key.
    pub fn find(&self, key: &[u8]) -> Option<Row> {
        let hash = self.hasher.hash_one(key);
        self.index.find(hash, |row| self.key(*row) == key).copied()
    }

    fn insert(&mut self, key: &[u8]) -> Row {
        let row = self.free.pop().unwrap_or_else(|| {
            self.fates.resize(self.fates.len() + self.width, Fate::Undecoded);
            self.rows.push()
        });
        self.rows.set_key(row, key);
        let Self { index, hasher, rows, .. } = self;
        index.insert_unique(hasher.hash_one(key), row, |row| hasher.hash_one(rows.key(*row)));
        row
    }

    /// How many keys are known.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no key is known.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// How many keys this walk has met.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many keys this walk has not met that were known, or met twice, or that were unknown before.
    /// Of the last, those are sure that had places.
    pub fn doubts(&self) -> usize {
        self.inserted.len() + self.doubles.len() + self.index.len() - self.count
    }

    /// Asks `lookup` for every key that [`Memory::doubts`] counts. It fills in the values and says
    /// whether the key is there: one that is counts as met, with these values.
    ///
    /// # Errors
    ///
    /// The first of `lookup`. The walk is then to be made again, in a way that needs no asking.
    pub fn confirm(
        &mut self,
        mut lookup: impl FnMut(&[u8], &mut [u64]) -> io::Result<bool>,
        cpus: usize,
        family: &mut Family,
    ) -> io::Result<()> {
        let mut values = vec![0; cpus];
        let mut met = std::mem::take(&mut self.inserted);
        met.append(&mut self.doubles);
        for row in met {
            if self.rows.met(row) == NEVER {
                continue;
            }
            if lookup(self.key(row), &mut values)? {
                self.put(row, &values, family);
            } else {
                self.rows.set_met(row, NEVER);
                self.count -= 1;
            }
        }
        for row in self.missed() {
            if self.rows.met(row) != NEVER && lookup(self.key(row), &mut values)? {
                self.note(row, &values, family);
            }
        }
        if !self.straight {
            let Self { rows, walk, order, undecoded, .. } = self;
            order.retain(|row| rows.met(*row) != NEVER);
            undecoded.retain(|row| rows.met(*row) == *walk);
        }
        Ok(())
    }

    /// Forgets the keys that this walk has not met.
    pub fn forget_missed(&mut self, family: &mut Family) {
        for row in self.missed() {
            self.reset(row, family);
            let hash = self.hasher.hash_one(self.key(row));
            if let Ok(entry) = self.index.find_entry(hash, |known| *known == row) {
                entry.remove();
            }
            self.rows.set_met(row, FREE);
            self.free.push(row);
        }
    }

    /// The rows whose keys this walk has not met.
    fn missed(&mut self) -> Vec<Row> {
        if self.count == self.index.len() {
            return Vec::new();
        }
        if self.straight {
            self.part();
        }
        let missed = |met: u32| met != self.walk && met != FREE;
        self.rows.all().filter(|row| missed(self.rows.met(*row))).collect()
    }

    /// The rows met in this walk whose fates are to be decided.
    pub fn take_undecoded(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.undecoded)
    }

    /// A row's key.
    pub fn key(&self, row: Row) -> &[u8] {
        self.rows.key(row)
    }

    /// How many places for rows there are.
    pub fn places(&self) -> usize {
        self.rows.len()
    }

    /// The row at a place, if its key was met when the map was last read.
    pub fn row_at(&self, place: usize) -> Option<Row> {
        let row = u32::try_from(place).ok().map(Row)?;
        (self.rows.has_key(row) && self.rows.met(row) != NEVER).then_some(row)
    }

    /// A row's values, as many as it has fates.
    pub fn values(&self, row: Row) -> Vec<u64> {
        (0..self.width).map(|n| self.rows.value(row, n)).collect()
    }

    /// A row's fates: one, or one for each CPU.
    pub fn fates(&self, row: Row) -> &[Fate] {
        let at = row.0 as usize * self.width;
        &self.fates[at..at + self.width]
    }

    /// Whether all of a row's key had names when it was decided.
    pub fn is_known(&self, row: Row) -> bool {
        self.is_decided(row) && self.rows.grounds(row) == Grounds::Known
    }

    /// Decides a row's fates, for the first time or anew. The row has joined the series of its new fates,
    /// and leaves those of its old ones: a series that it stays in stays all the time.
    pub fn decide(&mut self, row: Row, decision: Decision<'_>, family: &mut Family) {
        let Decision { fates, errors, due, grounds } = decision;
        if !self.is_decided(row) || self.rows.grounds(row) == Grounds::Owing {
            for (n, fate) in fates.iter().enumerate() {
                if let Fate::Add(cell) = *fate {
                    family.add(cell, self.rows.value(row, n));
                }
            }
        }
        self.reset(row, family);
        let at = row.0 as usize * self.width;
        self.fates[at..at + self.width].copy_from_slice(fates);
        self.rows.set_undecoded(row, false);
        self.rows.set_grounds(row, grounds);
        self.rows.set_errors(row, errors);
        self.all_errors += u64::from(errors);
        if let Some(due) = due {
            self.keep_until(row, due);
        }
    }

    /// Has a row be decided anew at `due`. Until then it stays as it is.
    pub fn keep_until(&mut self, row: Row, due: Instant) {
        self.until.insert(row, Until { due, waits: false });
        self.due.push(Reverse((due, row)));
        if self.due.len() > 2 * self.until.len() + 64 {
            let ends = self.until.iter().filter(|(_, until)| !until.waits);
            self.due = ends.map(|(row, until)| Reverse((until.due, *row))).collect();
        }
    }

    /// Makes a row undecoded again.
    fn reset(&mut self, row: Row, family: &mut Family) {
        let at = row.0 as usize * self.width;
        for fate in &mut self.fates[at..at + self.width] {
            if let Fate::Add(cell) = *fate {
                family.leave(cell);
            }
            *fate = Fate::Undecoded;
        }
        self.until.remove(&row);
        self.all_errors -= u64::from(self.rows.errors(row));
        self.rows.set_errors(row, 0);
        self.rows.set_undecoded(row, true);
    }

    /// Labels, of all rows, that are not decoded.
    pub fn errors(&self) -> u64 {
        self.all_errors
    }

    /// Moves all fates to where their family has moved its cells.
    pub fn moved(&mut self, to: impl Fn(Cell) -> Cell) {
        for fate in &mut self.fates {
            if let Fate::Add(cell) = fate {
                *cell = to(*cell);
            }
        }
    }
}

/// Whether a row waits that has been to be decided anew since `due`.
fn is_waiting(until: &HashMap<Row, Until>, row: Row, due: Instant) -> bool {
    until.get(&row) == Some(&Until { due, waits: true })
}

#[cfg(test)]
mod tests;
