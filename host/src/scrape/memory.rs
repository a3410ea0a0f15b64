//! What is known of the rows of one map: for every key, its values and where they are added.
//!
//! Maps hand out their entries in an order that stays while keys stay. So an entry is first held
//! against the key that stood at its position the last time, which in steady state is all there is
//! to do; only what differs is looked up by hash. Keys that the map no longer holds are forgotten
//! at the end of each scrape, so this is never larger than the map.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::BuildHasher;
use std::io;
use std::time::Instant;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::bpf::read::Chunk;
use crate::series::Cell;

/// The place of a key in the memory. It stays while the key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Row(u32);

/// Of a row without a key.
const FREE: u32 = 0;
/// Of a row whose key was no key of the map after all.
const NEVER: u32 = 1;

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
    /// The values of each row when it was last met, end to end: as many as it has fates.
    values: Vec<u64>,
    /// How many labels of each row could not be decoded.
    errors: Vec<u16>,
    /// The walk in which each row was last met, or [`FREE`], or [`NEVER`].
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
    /// Rows of keys that were unknown before this walk.
    inserted: Vec<Row>,
    /// Rows met in this walk whose fates are to be decided.
    undecoded: Vec<Row>,
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
            values: Vec::new(),
            errors: Vec::new(),
            met: Vec::new(),
            order: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::default(),
            free: Vec::new(),
            until: HashMap::new(),
            due: BinaryHeap::new(),
            walk: NEVER,
            position: 0,
            count: 0,
            inserted: Vec::new(),
            undecoded: Vec::new(),
            all_errors: 0,
        }
    }

    /// Undoes what was decided for rows whose answers have ended by `now`. Their cells go to `then`.
    pub(super) fn expire(&mut self, now: Instant, mut then: impl FnMut(Cell)) {
        while self.due.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            let Some(Reverse((due, row))) = self.due.pop() else { break };
            if self.until.get(&row) == Some(&due) {
                self.reset(row, &mut then);
                self.undecoded.push(row);
            }
        }
    }

    /// Begins a walk over the map.
    pub(super) fn begin(&mut self) {
        if self.walk == u32::MAX {
            self.met.iter_mut().filter(|met| **met != FREE).for_each(|met| *met = NEVER + 1);
            self.walk = NEVER + 1;
        }
        self.walk += 1;
        self.position = 0;
        self.count = 0;
        self.inserted.clear();
        self.undecoded.clear();
    }

    /// Takes the entries at the next positions.
    pub(super) fn take(&mut self, chunk: Chunk<'_>) {
        chunk.entries().for_each(|entry| self.meet(entry.key, entry.values));
    }

    /// Takes the entry at the next position. One whose key this walk has met before is passed over,
    /// as may happen while others delete and insert.
    #[inline]
    fn meet(&mut self, key: &[u8], values: &[u64]) {
        let row = match self.order.get(self.position) {
            Some(row) if self.key(*row) == key => *row,
            _ => self.seek(key),
        };
        let met = &mut self.met[row.0 as usize];
        if *met == self.walk {
            return;
        }
        *met = self.walk;
        self.count += 1;
        self.position += 1;
        self.put(row, values);
        if self.fates[row.0 as usize * self.width] == Fate::Undecoded {
            self.undecoded.push(row);
        }
    }

    /// Notes a row's values: one for each CPU, or their sum.
    #[inline]
    fn put(&mut self, row: Row, values: &[u64]) {
        let at = row.0 as usize * self.width;
        match (&mut self.values[at..at + self.width], values) {
            ([place], values) => {
                *place = values.iter().fold(0, |sum, value| sum.wrapping_add(*value));
            }
            (places, values) => places.copy_from_slice(values),
        }
    }

    /// The row of a key that is not where it was, or new; notes that it is here now.
    #[cold]
    fn seek(&mut self, key: &[u8]) -> Row {
        let row = self.find(key).unwrap_or_else(|| {
            let row = self.insert(key);
            self.inserted.push(row);
            row
        });
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
            self.values.resize(self.values.len() + self.width, 0);
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

    /// How many keys are known.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// How many keys this walk has met.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many keys this walk has met that were unknown before, or has not met that were known.
    pub(super) fn doubts(&self) -> usize {
        self.inserted.len() + self.index.len() - self.count
    }

    /// Asks `lookup` for every key that [`Memory::doubts`] counts. It fills in the values and says
    /// whether the key is there: one that is counts as met, with these values.
    ///
    /// # Errors
    ///
    /// The first of `lookup`. The walk is then to be made again, in a way that needs no asking.
    pub(super) fn confirm(
        &mut self,
        mut lookup: impl FnMut(&[u8], &mut [u64]) -> io::Result<bool>,
        cpus: usize,
    ) -> io::Result<()> {
        let mut values = vec![0; cpus];
        for row in std::mem::take(&mut self.inserted) {
            if lookup(self.key(row), &mut values)? {
                self.put(row, &values);
            } else {
                self.met[row.0 as usize] = NEVER;
                self.count -= 1;
            }
        }
        for row in self.missed() {
            if self.met[row.0 as usize] != NEVER && lookup(self.key(row), &mut values)? {
                self.put(row, &values);
                self.met[row.0 as usize] = self.walk;
                self.count += 1;
                if self.fates[row.0 as usize * self.width] == Fate::Undecoded {
                    self.undecoded.push(row);
                }
            }
        }
        let Self { met, walk, order, undecoded, position, .. } = self;
        order.truncate(*position);
        order.retain(|row| met[row.0 as usize] != NEVER);
        undecoded.retain(|row| met[row.0 as usize] == *walk);
        Ok(())
    }

    /// Forgets the keys that this walk has not met. Their cells go to `then`.
    pub(super) fn forget_missed(&mut self, mut then: impl FnMut(Cell)) {
        self.order.truncate(self.position);
        for row in self.missed() {
            self.reset(row, &mut then);
            let hash = self.hasher.hash_one(self.key(row));
            if let Ok(entry) = self.index.find_entry(hash, |known| *known == row) {
                entry.remove();
            }
            self.met[row.0 as usize] = FREE;
            self.free.push(row);
        }
    }

    /// The rows whose keys this walk has not met.
    fn missed(&self) -> Vec<Row> {
        if self.count == self.index.len() {
            return Vec::new();
        }
        let missed = |met: u32| met != self.walk && met != FREE;
        let rows = self.met.iter().zip(0..).filter(|(met, _)| missed(**met));
        rows.map(|(_, row)| Row(row)).collect()
    }

    /// The rows met in this walk whose fates are to be decided.
    pub(super) fn take_undecoded(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.undecoded)
    }

    /// Hands the values of all rows to `then`, with the cells they are to be added to.
    pub(super) fn sum(&self, mut then: impl FnMut(Cell, u64)) {
        for (fate, value) in self.fates.iter().zip(&self.values) {
            if let Fate::Add(cell) = fate {
                then(*cell, *value);
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
    pub(super) fn decide(&mut self, row: Row, fates: &[Fate], errors: u16, due: Option<Instant>) {
        let at = row.0 as usize * self.width;
        self.fates[at..at + self.width].copy_from_slice(fates);
        self.errors[row.0 as usize] = errors;
        self.all_errors += u64::from(errors);
        if let Some(due) = due {
            self.until.insert(row, due);
            self.due.push(Reverse((due, row)));
            if self.due.len() > 2 * self.until.len() + 64 {
                self.due = self.until.iter().map(|(row, due)| Reverse((*due, *row))).collect();
            }
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
