//! What is known of the entries of one map: the rows.
//!
//! A row has a key and columns: one number for each value field, or for each CPU. A walk over the map
//! ([`Rows::begin`]) finds the row of each entry and tells a [`Receiver`] by what its numbers have moved.
//! In steady state an entry costs one comparison with the key that it should have and one with the number
//! that it had. Keys that the map no longer holds are forgotten at the end of a walk, so this is never
//! larger than the map.
//!
//! Nothing here knows labels. What was decided for each row stands beside the rows, in [`Decided`].

mod decided;
mod ends;
mod fate;
mod table;
mod walk;

pub use decided::{Adding, Decided, Decision, Grounds};
pub use fate::{Fate, Parting};
pub use walk::{Met, Walk, Walked};

use table::Table;
use walk::{Ordered, Placed, Progress};

/// The place of a key among the rows. It stays while the key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row(u32);

/// How a number of a row moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Only up. One that fell is of a key that was evicted and inserted again: all of it is new. What it
    /// has counted stays counted when its key goes.
    Counter,
    /// Up and down. It is a signed number of 64 bits, whose differences wrap. It goes with its key.
    Gauge,
}

/// Is told what becomes of rows.
pub trait Receiver {
    /// A number of this row has moved by `difference`, which is signed if it is a gauge. Of a row that is
    /// new it is told too.
    fn moved(&mut self, row: Row, column: usize, difference: u64);

    /// Brings near what a move of this row needs. It is called for many rows before the first of them moves:
    /// memory gives many at once in the time in which it gives one.
    fn touch(&self, _row: Row) {}

    /// The row's key has gone. Its gauges have moved to 0 before.
    fn gone(&mut self, row: Row);
}

/// The rows of one map.
#[derive(Debug)]
pub struct Rows {
    columns: Box<[Column]>,
    table: Table,
    ordered: Ordered,
    placed: Placed,
    progress: Progress,
}

/// The rows of one map, and what was decided for each.
#[derive(Debug)]
pub struct Known {
    /// The rows.
    pub rows: Rows,
    /// What was decided for them.
    pub decided: Decided,
}

impl Known {
    /// No rows yet, of keys of this size in bytes, each with these columns.
    pub fn new(key_size: usize, columns: &[Column]) -> Self {
        Self { rows: Rows::new(key_size, columns), decided: Decided::new(columns) }
    }
}

impl Column {
    /// What is told of a number that was `before` and is `value` now.
    #[inline]
    fn difference(self, before: u64, value: u64) -> u64 {
        match self {
            Self::Counter => value.checked_sub(before).unwrap_or(value),
            Self::Gauge => value.wrapping_sub(before),
        }
    }
}

impl Rows {
    /// No rows yet, of keys of this size in bytes, each with these columns.
    pub fn new(key_size: usize, columns: &[Column]) -> Self {
        Self {
            columns: columns.into(),
            table: Table::new(key_size, columns.len()),
            ordered: Ordered::default(),
            placed: Placed::default(),
            progress: Progress::default(),
        }
    }

    /// Begins a walk over the map, and tells `receiver` what it comes upon. One that is dropped before its
    /// end was given up: the next one meets all entries anew.
    pub fn begin<'a, R: Receiver>(&'a mut self, receiver: &'a mut R) -> Walk<'a, R> {
        Walk::begin(self, receiver)
    }

    /// How many keys are known.
    pub fn len(&self) -> usize {
        self.table.known()
    }

    /// Whether no key is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys the last walk has met.
    pub fn met(&self) -> usize {
        self.progress.count
    }

    /// The row of this key.
    pub fn find(&self, key: &[u8]) -> Option<Row> {
        self.table.find(key)
    }

    /// A row's key.
    pub fn key(&self, row: Row) -> &[u8] {
        self.table.key(row)
    }

    /// A row's number in a column, as it was when it was last met.
    pub fn number(&self, row: Row, column: usize) -> u64 {
        self.table.number(row, column)
    }

    /// All of a row's numbers.
    pub fn numbers(&self, row: Row) -> Vec<u64> {
        (0..self.columns.len()).map(|column| self.number(row, column)).collect()
    }

    /// How many places for rows there are.
    pub fn places(&self) -> usize {
        self.table.len()
    }

    /// The row at a place, if its key was met when the map was last read.
    pub fn row_at(&self, place: usize) -> Option<Row> {
        self.table.row_at(place)
    }

    /// All rows that have a key.
    pub fn all(&self) -> impl Iterator<Item = Row> {
        self.table.all().filter(|row| self.table.has_key(*row))
    }

    /// Has no walk hand out this row as new any more.
    fn settle(&mut self, row: Row) {
        self.table.settle(row);
    }
}

#[cfg(test)]
mod tests;
