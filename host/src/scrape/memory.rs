//! What is known of the rows of one map: for every key, where its value is added.
//!
//! Maps hand out their entries in an order that stays while keys stay. So an entry is first held
//! against the key that stood at its position the last time, which in steady state is all there is
//! to do; only what differs is looked up by hash. Keys that the map no longer holds are forgotten
//! at the end of each scrape, so this is never larger than the map.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::BuildHasher;
use std::time::Instant;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::series::Cell;

/// The place of a key in the memory. It stays while the key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Row(u32);

/// What is to be done with a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The key's labels are to be decoded first.
    Undecoded,
    /// The value is added nowhere: a decoder left the row out, or it is in no bucket.
    Out,
    /// The value is added here.
    Add(Cell),
}

/// The rows of one map.
#[derive(Debug)]
pub(super) struct Memory {
    key_size: usize,
    /// Fates of a row: one, or one for each CPU.
    width: usize,
    /// The key of each row, end to end.
    keys: Vec<u8>,
    /// The fates of each row, end to end.
    fates: Vec<Fate>,
    /// How many labels of each row could not be decoded.
    errors: Vec<u16>,
    /// The walk in which each row was last met; 0 for one that is free.
    met: Vec<u32>,
    /// The row at each position of the last walk.
    order: Vec<Row>,
    /// All rows, by their keys.
    index: HashTable<Row>,
    hasher: RandomState,
    /// Rows without a key.
    free: Vec<Row>,
    /// When the answers of rows end that do not hold for ever.
    until: HashMap<Row, Instant>,
    /// The same, soonest first. What `until` does not confirm is of a key that has gone.
    due: BinaryHeap<Reverse<(Instant, Row)>>,
    /// The number of this walk.
    walk: u32,
    position: usize,
    /// Rows met in this walk.
    count: usize,
    /// Labels of all rows that could not be decoded.
    all_errors: u64,
}

impl Memory {
    /// An empty memory of keys of this size in bytes, each with `width` fates.
    pub(super) fn new(key_size: usize, width: usize) -> Self {
        Self {
            key_size,
            width,
            keys: Vec::new(),
            fates: Vec::new(),
            errors: Vec::new(),
            met: Vec::new(),
            order: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::default(),
            free: Vec::new(),
            until: HashMap::new(),
            due: BinaryHeap::new(),
            walk: 0,
            position: 0,
            count: 0,
            all_errors: 0,
        }
    }

    /// Begins a walk over the map. Hands the fates of rows whose answers have ended by `now` to
    /// `then`; they are undecoded from here on.
    pub(super) fn begin(&mut self, now: Instant, mut then: impl FnMut(Cell)) {
        self.walk += 1;
        self.position = 0;
        self.count = 0;
        while self.due.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            let Some(Reverse((due, row))) = self.due.pop() else { break };
            if self.until.get(&row) == Some(&due) {
                self.reset(row, &mut then);
            }
        }
    }

    /// The row of the entry at the next position; `None` if this walk has met its key before, as
    /// may happen while others delete and insert.
    pub(super) fn meet(&mut self, key: &[u8]) -> Option<Row> {
        let row = match self.order.get(self.position) {
            Some(row) if self.key(*row) == key => *row,
            _ => self.seek(key),
        };
        let met = &mut self.met[row.0 as usize];
        if *met == self.walk {
            return None;
        }
        *met = self.walk;
        self.count += 1;
        self.position += 1;
        Some(row)
    }

    /// The row of a key that is not where it was, or new; notes that it is here now.
    #[cold]
    fn seek(&mut self, key: &[u8]) -> Row {
        let row = self.find(key).unwrap_or_else(|| self.insert(key));
        match self.order.get_mut(self.position) {
            Some(place) => *place = row,
            None => self.order.push(row),
        }
        row
    }

    /// The row of this key.
    pub(super) fn find(&self, key: &[u8]) -> Option<Row> {
        let hash = self.hasher.hash_one(key);
        self.index.find(hash, |row| self.key(*row) == key).copied()
    }

    fn insert(&mut self, key: &[u8]) -> Row {
        let row = self.free.pop().unwrap_or_else(|| {
            let row = Row(self.met.len() as u32);
            self.keys.resize(self.keys.len() + self.key_size, 0);
            self.fates.resize(self.fates.len() + self.width, Fate::Undecoded);
            self.errors.push(0);
            self.met.push(0);
            row
        });
        let at = row.0 as usize * self.key_size;
        self.keys[at..at + self.key_size].copy_from_slice(key);
        let Self { index, hasher, keys, key_size, .. } = self;
        index.insert_unique(hasher.hash_one(key), row, |row| {
            let at = row.0 as usize * *key_size;
            hasher.hash_one(&keys[at..at + *key_size])
        });
        row
    }

    /// Ends the walk: forgets the keys that it has not met, having handed their fates to `then`.
    pub(super) fn end(&mut self, mut then: impl FnMut(Cell)) {
        self.order.truncate(self.position);
        if self.count == self.index.len() {
            return;
        }
        for row in (0..self.met.len() as u32).map(Row) {
            let met = self.met[row.0 as usize];
            if met != self.walk && met != 0 {
                self.reset(row, &mut then);
                let hash = self.hasher.hash_one(self.key(row));
                if let Ok(entry) = self.index.find_entry(hash, |known| *known == row) {
                    entry.remove();
                }
                self.met[row.0 as usize] = 0;
                self.free.push(row);
            }
        }
    }

    /// A row's key.
    pub(super) fn key(&self, row: Row) -> &[u8] {
        let at = row.0 as usize * self.key_size;
        &self.keys[at..at + self.key_size]
    }

    /// A row's fates: one, or one for each CPU.
    pub(super) fn fates(&self, row: Row) -> &[Fate] {
        let at = row.0 as usize * self.width;
        &self.fates[at..at + self.width]
    }

    /// Decides a row's fates: for ever, or until `due`. `errors` of its labels were not decoded.
    pub(super) fn decide(
        &mut self,
        row: Row,
        fates: impl Iterator<Item = Fate>,
        errors: u16,
        due: Option<Instant>,
    ) {
        let at = row.0 as usize * self.width;
        for (place, fate) in self.fates[at..at + self.width].iter_mut().zip(fates) {
            *place = fate;
        }
        self.errors[row.0 as usize] = errors;
        self.all_errors += u64::from(errors);
        if let Some(due) = due {
            self.until.insert(row, due);
            self.due.push(Reverse((due, row)));
        }
    }

    /// Makes a row undecoded again.
    fn reset(&mut self, row: Row, then: &mut impl FnMut(Cell)) {
        let at = row.0 as usize * self.width;
        for fate in &mut self.fates[at..at + self.width] {
            if let Fate::Add(cell) = *fate {
                then(cell);
            }
            *fate = Fate::Undecoded;
        }
        self.until.remove(&row);
        self.all_errors -= u64::from(std::mem::take(&mut self.errors[row.0 as usize]));
    }

    /// Labels, of all rows, that could not be decoded.
    pub(super) fn errors(&self) -> u64 {
        self.all_errors
    }

    /// Moves all fates to where their family has moved its cells.
    pub(super) fn moved(&mut self, to: impl Fn(Cell) -> Cell) {
        for fate in &mut self.fates {
            if let Fate::Add(cell) = fate {
                *cell = to(*cell);
            }
        }
    }
}

#[cfg(test)]
mod tests;
