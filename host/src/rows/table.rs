//! The keys and numbers of rows, side by side: rows may be met in any order, and each costs one look into
//! memory.
//!
//! Knows nothing of the order in which rows are met.

use std::hash::Hasher as _;

use super::Row;
use crate::index::{Hash, Index};

/// The walk of a row without a key.
const FREE: u32 = 0;
/// The walk of a row whose key was no key of the map after all.
pub(super) const NEVER: u32 = 1;

/// Bytes before the key: the walk in which the row was last met, and whether it is new.
const HEAD: usize = 8;
const NEW: usize = 4;
const WORD: usize = size_of::<u64>();

/// The keys and numbers of rows, and when each was met.
#[derive(Debug)]
pub(super) struct Table {
    bytes: Vec<u8>,
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
        let numbers = HEAD + key_size.next_multiple_of(WORD);
        Self {
            bytes: Vec::new(),
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
        self.bytes.len() / self.size
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

    /// The row that is most likely this key's, if there is any: its own memory is not looked at.
    #[inline]
    pub(super) fn likely(&self, key: &[u8]) -> Option<Row> {
        self.index.find(self.hash(key), |_| true).map(Row)
    }

    fn hash(&self, key: &[u8]) -> Hash {
        self.index.hash(|hasher| hasher.write(key))
    }

    /// The row of this key, and whether it was made now: it is new then, and its numbers are 0.
    pub(super) fn find_or_insert(&mut self, key: &[u8]) -> (Row, bool) {
        let hash = self.hash(key);
        if let Some(row) = self.index.find(hash, |row| self.key(Row(row)) == key) {
            return (Row(row), false);
        }
        let row = self.free.pop().unwrap_or_else(|| {
            let row = Row(self.len() as u32);
            self.bytes.resize(self.bytes.len() + self.size, 0);
            row
        });
        let (key_size, numbers) = (self.key_size, self.numbers);
        let place = self.of_mut(row);
        place[HEAD..HEAD + key_size].copy_from_slice(key);
        place[numbers..].fill(0);
        self.set_new(row, true);
        self.index.insert(hash, row.0);
        (row, true)
    }

    /// Forgets the key of a row, which may be another key's then.
    pub(super) fn remove(&mut self, row: Row) {
        self.index.remove(self.hash(self.key(row)), row.0);
        self.set_met(row, FREE);
        self.free.push(row);
    }

    /// The row at a place, if it has a key that is one of the map's.
    pub(super) fn row_at(&self, place: usize) -> Option<Row> {
        let row = u32::try_from(place).ok().map(Row)?;
        (self.has_key(row) && self.met(row) != NEVER).then_some(row)
    }

    /// Its key.
    #[inline]
    pub(super) fn key(&self, row: Row) -> &[u8] {
        &self.of(row)[HEAD..HEAD + self.key_size]
    }

    /// Whether there is such a row, and it has a key.
    #[inline]
    pub(super) fn has_key(&self, row: Row) -> bool {
        let at = row.0 as usize * self.size;
        self.bytes.get(at..at + self.size).is_some_and(|row| met(row) != FREE)
    }

    /// The walk in which it was last met.
    #[inline]
    pub(super) fn met(&self, row: Row) -> u32 {
        met(self.of(row))
    }

    /// Notes that it was met in this walk.
    #[inline]
    pub(super) fn set_met(&mut self, row: Row, walk: u32) {
        self.of_mut(row)[..NEW].copy_from_slice(&walk.to_ne_bytes());
    }

    /// Has all that have a key been met in this walk.
    pub(super) fn meet_all(&mut self, walk: u32) {
        for row in self.all().filter(|row| self.has_key(*row)).collect::<Vec<_>>() {
            self.set_met(row, walk);
        }
    }

    /// Whether nothing was decided for it yet.
    #[inline]
    pub(super) fn is_new(&self, row: Row) -> bool {
        self.of(row)[NEW] != 0
    }

    /// Notes whether nothing was decided for it yet.
    pub(super) fn set_new(&mut self, row: Row, new: bool) {
        self.of_mut(row)[NEW] = new.into();
    }

    /// Looks at a row, if there is one, so that its memory is near when it is needed.
    #[inline]
    pub(super) fn touch(&self, row: Row) -> u8 {
        let at = row.0 as usize * self.size;
        let ends = self.bytes.get(at).zip(self.bytes.get(at + self.size - 1));
        ends.map_or(0, |(first, last)| first ^ last)
    }

    /// Notes that a row of one number was met in this walk, if all is as it was: there is such a row,
    /// it is not met yet, has this key and this number, and is not new.
    #[inline]
    pub(super) fn meet_again(
        &mut self,
        row: Row,
        walk: u32,
        is_key: impl FnOnce(&[u8]) -> bool,
        number: u64,
    ) -> bool {
        let at = row.0 as usize * self.size;
        let Some(row) = self.bytes.get_mut(at..at + self.size) else { return false };
        let met = met(row);
        let again = met != FREE
            && met != walk
            && row[NEW] == 0
            && is_key(&row[HEAD..HEAD + self.key_size])
            && u64::from_ne_bytes(chunk(&row[self.numbers..])) == number;
        if again {
            row[..NEW].copy_from_slice(&walk.to_ne_bytes());
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

#[inline]
fn met(row: &[u8]) -> u32 {
    u32::from_ne_bytes(chunk(row))
}

/// The first bytes; there are as many.
#[inline]
fn chunk<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}
