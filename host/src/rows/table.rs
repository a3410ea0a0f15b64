//! The keys and numbers of rows, side by side: rows may be met in any order, and each costs one look into
//! memory.
//!
//! Knows nothing of the order in which rows are met.

use std::hash::Hasher as _;

use super::Row;
use crate::index::{Hash, Index};

/// It has a key. Without this there is nothing else.
const KEY: u8 = 1;
/// Nothing was decided for it yet.
const NEW: u8 = 2;
/// The walk has met it.
const MET: u8 = 4;
/// Its key was no key of the map after all.
const LOST: u8 = 8;

const WORD: usize = size_of::<u64>();

/// The keys and numbers of rows, and what has become of each.
#[derive(Debug)]
pub(super) struct Table {
    /// The key of each row, and its numbers behind it.
    bytes: Vec<u8>,
    /// What has become of each row, apart from the rest: a row that is as it was is only read.
    states: Vec<u8>,
    key_size: usize,
    /// Where the numbers of a row begin.
    numbers: usize,
    /// Bytes of a row.
    size: usize,
    columns: usize,
    /// All rows that have a key, by it.
    index: Index,
    /// Rows without a key.
    free: Vec<Row>,
}

impl Table {
    /// No rows yet, of keys of this size in bytes, each with so many numbers.
    pub(super) fn new(key_size: usize, columns: usize) -> Self {
        let numbers = key_size.next_multiple_of(WORD);
        Self {
            bytes: Vec::new(),
            states: Vec::new(),
            key_size,
            numbers,
            size: numbers + columns * WORD,
            columns,
            index: Index::default(),
            free: Vec::new(),
        }
    }

    /// Bytes of a key.
    pub(super) fn key_size(&self) -> usize {
        self.key_size
    }

    /// Numbers of a row.
    #[inline]
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// How many rows there are, with and without a key.
    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    /// How many of them have a key.
    pub(super) fn known(&self) -> usize {
        self.index.len()
    }

    /// All of them, with and without a key.
    pub(super) fn all(&self) -> impl Iterator<Item = Row> + use<> {
        (0..self.len() as u32).map(Row)
    }

    /// The row of this key.
    pub(super) fn find(&self, key: &[u8]) -> Option<Row> {
        self.index.find(self.hash(key), |row| self.key(Row(row)) == key).map(Row)
    }

    /// A key's hash, and the row that is most likely the key's, if there is any: its own memory is not looked at.
    #[inline]
    pub(super) fn likely(&self, key: &[u8]) -> (Hash, Option<Row>) {
        let hash = self.hash(key);
        (hash, self.index.find(hash, |_| true).map(Row))
    }

    pub(super) fn hash(&self, key: &[u8]) -> Hash {
        self.index.hash(|hasher| hasher.write(key))
    }

    /// The row of this key, which has this hash, and whether it was made now: it is new then, and its
    /// numbers are 0.
    pub(super) fn find_or_insert(&mut self, hash: Hash, key: &[u8]) -> (Row, bool) {
        if let Some(row) = self.index.find(hash, |row| self.key(Row(row)) == key) {
            return (Row(row), false);
        }
        let row = self.free.pop().unwrap_or_else(|| {
            let row = Row(self.len() as u32);
            self.bytes.resize(self.bytes.len() + self.size, 0);
            self.states.push(0);
            row
        });
        let (key_size, numbers) = (self.key_size, self.numbers);
        let place = self.of_mut(row);
        place[..key_size].copy_from_slice(key);
        place[numbers..].fill(0);
        self.states[row.0 as usize] = KEY | NEW;
        self.index.insert(hash, row.0);
        (row, true)
    }

    /// Forgets the key of a row, which may be another key's then.
    pub(super) fn remove(&mut self, row: Row) {
        self.index.remove(self.hash(self.key(row)), row.0);
        self.states[row.0 as usize] = 0;
        self.free.push(row);
    }

    /// The row at a place, if it has a key that is one of the map's.
    pub(super) fn row_at(&self, place: usize) -> Option<Row> {
        let row = u32::try_from(place).ok().map(Row)?;
        (self.has_key(row) && !self.is_lost(row)).then_some(row)
    }

    /// Its key.
    #[inline]
    pub(super) fn key(&self, row: Row) -> &[u8] {
        &self.of(row)[..self.key_size]
    }

    /// Whether there is such a row, and it has a key.
    #[inline]
    pub(super) fn has_key(&self, row: Row) -> bool {
        self.states.get(row.0 as usize).is_some_and(|state| state & KEY != 0)
    }

    /// Begins a walk, which has met no row.
    pub(super) fn begin(&mut self) {
        self.states.iter_mut().for_each(|state| *state &= !MET);
    }

    /// Whether this walk has met a row.
    #[inline]
    pub(super) fn is_met(&self, row: Row) -> bool {
        self.is(row, MET)
    }

    /// Notes that this walk has met a row.
    #[inline]
    pub(super) fn meet(&mut self, row: Row) {
        let state = &mut self.states[row.0 as usize];
        *state = (*state | MET) & !LOST;
    }

    /// Whether a row's key was no key of the map after all.
    pub(super) fn is_lost(&self, row: Row) -> bool {
        self.is(row, LOST)
    }

    /// Notes that a row's key is no key of the map after all: this walk has not met it.
    pub(super) fn lose(&mut self, row: Row) {
        let state = &mut self.states[row.0 as usize];
        *state = (*state | LOST) & !MET;
    }

    /// Whether nothing was decided for it yet.
    #[inline]
    pub(super) fn is_new(&self, row: Row) -> bool {
        self.is(row, NEW)
    }

    /// Notes that something was decided for it.
    pub(super) fn settle(&mut self, row: Row) {
        self.states[row.0 as usize] &= !NEW;
    }

    #[inline]
    fn is(&self, row: Row, what: u8) -> bool {
        self.states[row.0 as usize] & what != 0
    }

    /// Looks at a row, if there is one, so that its memory is near when it is needed.
    #[inline]
    pub(super) fn touch(&self, row: Row) -> u8 {
        let at = row.0 as usize * self.size;
        let ends = self.bytes.get(at).zip(self.bytes.get(at + self.size - 1));
        ends.map_or(0, |(first, last)| first ^ last)
    }

    /// Notes that this walk has met a row of one number, if all is as it was: there is such a row, it is not
    /// met yet, has this key and this number, and is not new.
    #[inline]
    pub(super) fn meet_again(
        &mut self,
        row: Row,
        is_key: impl FnOnce(&[u8]) -> bool,
        number: u64,
    ) -> bool {
        let at = row.0 as usize * self.size;
        let Some(state) = self.states.get_mut(row.0 as usize) else { return false };
        let Some(row) = self.bytes.get(at..at + self.size) else { return false };
        let again = *state == KEY
            && is_key(&row[..self.key_size])
            && u64::from_ne_bytes(chunk(&row[self.numbers..])) == number;
        if again {
            *state = KEY | MET;
        }
        again
    }

    /// Its number in this column.
    #[inline]
    pub(super) fn number(&self, row: Row, column: usize) -> u64 {
        let at = self.numbers + column * WORD;
        u64::from_ne_bytes(chunk(&self.of(row)[at..]))
    }

    /// Gives it another number in this column, and says which it had.
    #[inline]
    pub(super) fn replace(&mut self, row: Row, column: usize, number: u64) -> u64 {
        let at = self.numbers + column * WORD;
        let place = &mut self.of_mut(row)[at..at + WORD];
        let before = u64::from_ne_bytes(chunk(place));
        if before != number {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        before
    }

    #[inline]
    fn of(&self, row: Row) -> &[u8] {
        let at = row.0 as usize * self.size;
        &self.bytes[at..at + self.size]
    }

    #[inline]
    fn of_mut(&mut self, row: Row) -> &mut [u8] {
        let at = row.0 as usize * self.size;
        &mut self.bytes[at..at + self.size]
    }
}

/// The first bytes; there are as many.
#[inline]
fn chunk<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}
