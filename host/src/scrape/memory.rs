//! What is known of the rows of one map: for every key, its values and where they are added.
//!
//! Maps hand out their entries in an order that stays while keys stay. So an entry is first held
//! against the key that stood at its position the last time, and its value against the one it had:
//! in steady state that is all there is to do. (A way of reading that knows the place of each entry in
//! the map has it held against the key that had that place.) Only what differs is looked up by hash,
//! and only by what a value differs, its series changes: a number of a family is at all times the sum of the
//! values here that are added to it. Keys that the map no longer holds are forgotten at the end of
//! each scrape, so this is never larger than the map.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::BuildHasher;
use std::io;
use std::time::Instant;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::bpf::read::{Chunk, Entry};
use crate::series::{Cell, Family};

mod rows;

use rows::Rows;

/// The place of a key in the memory. It stays while the key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row(u32);

/// Within how many places rows may change theirs in a walk that is still as the last one.
const NEARBY: usize = 8;
/// How many rows further on the next one is looked for in a walk that is not as the last one was.
const NEAR: usize = 256;
/// Of a row without a key.
const FREE: u32 = 0;
/// Of a row whose key was no key of the map after all.
const NEVER: u32 = 1;
/// At a place where no row was met yet.
const NOWHERE: Row = Row(u32::MAX);

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
    until: HashMap<Row, Instant>,
    /// The same, soonest first. What `until` does not confirm is of a key that has gone.
    due: BinaryHeap<Reverse<(Instant, Row)>>,
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
            walk: NEVER,
            count: 0,
            inserted: Vec::new(),
            undecoded: Vec::new(),
            all_errors: 0,
        }
    }

    /// Undoes what was decided for rows whose answers have ended by `now`.
    pub fn expire(&mut self, now: Instant, family: &mut Family) {
        while self.due.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            let Some(Reverse((due, row))) = self.due.pop() else { break };
            if self.until.get(&row) == Some(&due) {
                self.reset(row, family);
                self.undecoded.push(row);
            }
        }
    }

    /// Begins a walk over the map.
    pub fn begin(&mut self) {
        if self.walk == u32::MAX {
            let rows = &mut self.rows;
            let known = rows.all().filter(|row| rows.has_key(*row)).collect::<Vec<_>>();
            known.into_iter().for_each(|row| rows.set_met(row, NEVER + 1));
            self.walk = NEVER + 1;
        }
        self.walk += 1;
        self.straight = true;
        self.count = 0;
        self.inserted.clear();
        self.doubles.clear();
        // A walk that was given up has left rows whose fates are to be decided: look at each.
        if !self.undecoded.is_empty() {
            self.undecoded.clear();
            self.part();
        }
    }

    /// Takes the next entries. An entry whose key this walk has met before is passed over, as may
    /// come while others delete and insert, and is a doubt. All entries of a walk have places, or none
    /// has.
    pub fn take(&mut self, chunk: Chunk<'_>, family: &mut Family) {
        // Keys of a known size are compared word by word, without a call.
        match self.key_size {
            4 => self.take_by(chunk, family, same::<4>),
            8 => self.take_by(chunk, family, same::<8>),
            12 => self.take_by(chunk, family, same::<12>),
            16 => self.take_by(chunk, family, same::<16>),
            20 => self.take_by(chunk, family, same::<20>),
            24 => self.take_by(chunk, family, same::<24>),
            32 => self.take_by(chunk, family, same::<32>),
            40 => self.take_by(chunk, family, same::<40>),
            _ => self.take_by(chunk, family, |one, other| one == other),
        }
    }

    #[inline]
    fn take_by(
        &mut self,
        chunk: Chunk<'_>,
        family: &mut Family,
        same: impl Fn(&[u8], &[u8]) -> bool,
    ) {
        let mut entries = chunk.entries();
        if let Some(places) = chunk.places() {
            return self.take_placed(entries, places, family, same);
        }
        if self.straight {
            for entry in entries.by_ref() {
                let next = self.order.get(self.count);
                let row = match next {
                    Some(row) if same(self.key(*row), entry.key) => Some(*row),
                    _ => self.nearby(|key| same(key, entry.key)),
                };
                let Some(row) = row else {
                    self.part();
                    self.meet(entry, family);
                    break;
                };
                self.put(row, entry.values, family);
                self.count += 1;
            }
        }
        for entry in entries {
            self.meet(entry, family);
        }
    }

    /// Takes entries whose places are known. Which rows are met is noted at once, and not in what
    /// order.
    #[inline]
    fn take_placed<'a>(
        &mut self,
        entries: impl Iterator<Item = Entry<'a>>,
        places: &[u32],
        family: &mut Family,
        same: impl Fn(&[u8], &[u8]) -> bool,
    ) {
        if self.straight {
            self.straight = false;
            self.order.clear();
        }
        let row_at =
            |rows: &[Row], place: u32| rows.get(place as usize).map_or(NOWHERE, |row| *row);
        // Rows may lie anywhere: memory gives many at once in the time in which it gives one.
        let touched = places.iter().map(|place| self.rows.touch(row_at(&self.places, *place)));
        std::hint::black_box(touched.fold(0, |all, one| all ^ one));
        for (entry, place) in entries.zip(places) {
            let row = row_at(&self.places, *place);
            let is_key = |key: &[u8]| same(key, entry.key);
            if self.width == 1
                && let [value] = entry.values
                && self.rows.meet_again(row, self.walk, is_key, *value)
            {
                self.count += 1;
                continue;
            }
            let known = self.rows.has_key(row) && is_key(self.rows.key(row));
            let row = if known { row } else { self.replace(*place as usize, entry.key) };
            self.note(row, entry.values, family);
        }
    }

    /// The row of a key that is new at its place.
    #[cold]
    fn replace(&mut self, place: usize, key: &[u8]) -> Row {
        let row = self.find(key).unwrap_or_else(|| self.insert(key));
        if place >= self.places.len() {
            self.places.resize(place + 1, NOWHERE);
        }
        self.places[place] = row;
        row
    }

    /// Notes that the walk has met this row, and with which values; `false` if it had before.
    #[inline]
    fn note(&mut self, row: Row, values: &[u64], family: &mut Family) -> bool {
        if self.rows.met(row) == self.walk {
            self.doubles.push(row);
            return false;
        }
        self.rows.set_met(row, self.walk);
        self.count += 1;
        self.put(row, values, family);
        if self.rows.is_undecoded(row) {
            self.undecoded.push(row);
        }
        true
    }

    /// The row with this key if it is only a few places further on, and now the next one. So it is
    /// when an entry is written anew, which moves it within its bucket, or when one is gone: its row
    /// is passed on from place to place until the walk ends without it.
    #[cold]
    fn nearby(&mut self, is_key: impl Fn(&[u8]) -> bool) -> Option<Row> {
        let end = self.order.len().min(self.count + NEARBY);
        let further = (self.count..end).find(|at| is_key(self.key(self.order[*at])))?;
        self.order[self.count..=further].rotate_right(1);
        Some(self.order[self.count])
    }

    /// Ends the part of the walk that was as the last one.
    #[cold]
    fn part(&mut self) {
        let Self { rows, order, ahead, walk, count, .. } = self;
        ahead.clear();
        ahead.extend(order.drain(*count..));
        order.iter().for_each(|row| rows.set_met(*row, *walk));
        self.passed = 0;
        self.straight = false;
    }

    /// Takes the next entry of a walk that is not straight.
    fn meet(&mut self, Entry { key, values }: Entry<'_>, family: &mut Family) {
        let row = self.expected(key).unwrap_or_else(|| self.seek(key));
        if self.note(row, values, family) {
            self.order.push(row);
        }
    }

    /// The row that comes next if the walk is as the last one again, or that would if it were not
    /// for one that is gone.
    fn expected(&mut self, key: &[u8]) -> Option<Row> {
        let mut next = (self.passed..self.ahead.len()).take(2);
        let at = next.find(|at| self.key(self.ahead[*at]) == key)?;
        self.passed = at + 1;
        Some(self.ahead[at])
    }

    /// Notes a row's values, one for each CPU or their sum, and passes on by what they differ.
    #[inline]
    fn put(&mut self, row: Row, values: &[u64], family: &mut Family) {
        if self.width == 1 {
            let value = values.iter().fold(0u64, |sum, value| sum.wrapping_add(*value));
            return self.put_one(row, 0, value, family);
        }
        for (n, value) in values.iter().enumerate() {
            self.put_one(row, n, *value, family);
        }
    }

    /// Notes a value, and adds to its series by what it differs from the one before.
    #[inline]
    fn put_one(&mut self, row: Row, n: usize, value: u64, family: &mut Family) {
        let before = self.rows.replace_value(row, n, value);
        if value != before
            && let Fate::Add(cell) = self.fates[row.0 as usize * self.width + n]
        {
            family.add(cell, value.wrapping_sub(before));
        }
    }

    /// The row of a key that is not where it was, or new. Behind one that was further ahead, the
    /// walk is as the last one again.
    #[cold]
    fn seek(&mut self, key: &[u8]) -> Row {
        let Some(row) = self.find(key) else {
            let row = self.insert(key);
            self.inserted.push(row);
            return row;
        };
        let mut near = self.ahead[self.passed..].iter().take(NEAR);
        if let Some(skipped) = near.position(|ahead| *ahead == row) {
            self.passed += skipped + 1;
        }
        row
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

    /// A row's fates: one, or one for each CPU.
    pub fn fates(&self, row: Row) -> &[Fate] {
        let at = row.0 as usize * self.width;
        &self.fates[at..at + self.width]
    }

    /// Decides a row's fates: for ever, or until `due`. `errors` of its labels were not decoded.
    pub fn decide(
        &mut self,
        row: Row,
        fates: &[Fate],
        errors: u16,
        due: Option<Instant>,
        family: &mut Family,
    ) {
        let at = row.0 as usize * self.width;
        self.fates[at..at + self.width].copy_from_slice(fates);
        for (n, fate) in fates.iter().enumerate() {
            if let Fate::Add(cell) = *fate {
                family.add(cell, self.rows.value(row, n));
            }
        }
        self.rows.set_undecoded(row, false);
        self.rows.set_errors(row, errors);
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
    fn reset(&mut self, row: Row, family: &mut Family) {
        let at = row.0 as usize * self.width;
        for (n, fate) in self.fates[at..at + self.width].iter_mut().enumerate() {
            if let Fate::Add(cell) = *fate {
                family.leave(cell, self.rows.value(row, n));
            }
            *fate = Fate::Undecoded;
        }
        self.until.remove(&row);
        self.all_errors -= u64::from(self.rows.errors(row));
        self.rows.set_errors(row, 0);
        self.rows.set_undecoded(row, true);
    }

    /// Labels, of all rows, that could not be decoded.
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

/// Whether two keys of `N` bytes are equal.
#[inline]
fn same<const N: usize>(one: &[u8], other: &[u8]) -> bool {
    matches!((one.first_chunk::<N>(), other.first_chunk::<N>()), (Some(one), Some(other)) if one == other)
}

#[cfg(test)]
mod tests;
