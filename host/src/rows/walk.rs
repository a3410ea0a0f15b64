//! A walk over a map: which row each entry is, and by what its numbers have moved.
//!
//! The phases of a walk are types, so that a wrong order does not compile: [`Walk`] takes entries,
//! [`Walked`] says how far it is to be trusted, [`Met`] forgets what was not met. Nothing is decided here.

use std::io;

use super::table::Table;
use super::{Column, Receiver, Row, Rows};
use crate::source::Chunk;

mod ordered;
mod placed;

pub(super) use ordered::Ordered;
pub(super) use placed::Placed;

/// How far a walk has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Rows met in it.
    pub(super) count: usize,
    /// Rows of keys that were unknown before it.
    inserted: Vec<Row>,
    /// Rows that it has met more than once.
    doubles: Vec<Row>,
    /// New rows that it has met.
    new: Vec<Row>,
}

/// A walk that takes entries.
#[derive(Debug)]
pub struct Walk<'a, R> {
    rows: &'a mut Rows,
    receiver: &'a mut R,
}

/// A walk that has taken all entries.
#[derive(Debug)]
pub struct Walked<'a, R>(Walk<'a, R>);

/// A walk whose rows are those of the map.
#[derive(Debug)]
pub struct Met<'a, R>(Walk<'a, R>);

/// What becomes of a row that is met.
struct Meeting<'a, R> {
    table: &'a mut Table,
    columns: &'a [Column],
    progress: &'a mut Progress,
    receiver: &'a mut R,
}

impl<'a, R: Receiver> Walk<'a, R> {
    pub(super) fn begin(rows: &'a mut Rows, receiver: &'a mut R) -> Self {
        let Rows { table, ordered, progress, .. } = rows;
        table.begin();
        progress.count = 0;
        progress.inserted.clear();
        progress.doubles.clear();
        ordered.begin();
        // New rows that nothing was decided for: look at each.
        if !progress.new.is_empty() {
            progress.new.clear();
            ordered.part(table, progress);
        }
        Self { rows, receiver }
    }

    /// Takes the next entries. An entry whose key this walk has met before is passed over, as may
    /// come while others delete and insert, and is a doubt. All entries of a walk have places, or none
    /// has.
    pub fn take(&mut self, chunk: Chunk<'_>) {
        // Keys of a known size are compared word by word, without a call.
        match self.rows.table.key_size() {
            4 => self.take_by(chunk, same::<4>),
            8 => self.take_by(chunk, same::<8>),
            12 => self.take_by(chunk, same::<12>),
            16 => self.take_by(chunk, same::<16>),
            20 => self.take_by(chunk, same::<20>),
            24 => self.take_by(chunk, same::<24>),
            32 => self.take_by(chunk, same::<32>),
            40 => self.take_by(chunk, same::<40>),
            _ => self.take_by(chunk, |one, other| one == other),
        }
    }

    #[inline]
    fn take_by(&mut self, chunk: Chunk<'_>, same: impl Fn(&[u8], &[u8]) -> bool) {
        let Rows { columns, table, ordered, placed, progress } = &mut *self.rows;
        let mut meeting = Meeting { table, columns, progress, receiver: &mut *self.receiver };
        match chunk.places() {
            Some(places) => {
                ordered.give_up();
                placed.take(chunk.all(), places, &mut meeting, same);
            }
            None => ordered.take(chunk.all(), &mut meeting, same),
        }
    }

    /// Ends the walk: the map has no more entries, or they cannot be read.
    pub fn end(self) -> Walked<'a, R> {
        Walked(self)
    }

    /// The rows whose keys this walk has not met.
    fn missed(&mut self) -> Vec<Row> {
        let Rows { table, ordered, progress, .. } = &mut *self.rows;
        if progress.count == table.known() {
            return Vec::new();
        }
        if ordered.is_straight() {
            ordered.part(table, progress);
        }
        let missed = |row: &Row| table.has_key(*row) && !table.is_met(*row);
        table.all().filter(missed).collect()
    }

    fn meeting(&mut self) -> Meeting<'_, R> {
        let Rows { columns, table, progress, .. } = &mut *self.rows;
        Meeting { table, columns, progress, receiver: &mut *self.receiver }
    }
}

impl<'a, R: Receiver> Walked<'a, R> {
    /// How many keys are known, met or not.
    pub fn known(&self) -> usize {
        self.0.rows.len()
    }

    /// How many keys it has not met that were known, or met twice, or that were unknown before. Of the
    /// last, those are sure that had places.
    pub fn doubts(&self) -> usize {
        let Progress { inserted, doubles, count, .. } = &self.0.rows.progress;
        inserted.len() + doubles.len() + self.0.rows.len() - count
    }

    /// Takes it as it is: it was made in a way that needs no asking.
    pub fn trust(self) -> Met<'a, R> {
        Met(self.0)
    }

    /// Asks `lookup` for every key that [`Walked::doubts`] counts. It fills in the numbers of all `cpus`
    /// and says whether the key is there: one that is counts as met, with these numbers.
    ///
    /// # Errors
    ///
    /// The first of `lookup`. The walk is then to be made again, in a way that needs no asking.
    pub fn confirm(
        self,
        mut lookup: impl FnMut(&[u8], &mut [u64]) -> io::Result<bool>,
        cpus: usize,
    ) -> io::Result<Met<'a, R>> {
        let Self(mut walk) = self;
        let mut numbers = vec![0; cpus];
        let mut met = std::mem::take(&mut walk.rows.progress.inserted);
        met.append(&mut walk.rows.progress.doubles);
        for row in met {
            let Meeting { table, progress, .. } = walk.meeting();
            if table.is_lost(row) {
                continue;
            }
            if lookup(table.key(row), &mut numbers)? {
                walk.meeting().put(row, &numbers);
            } else {
                table.lose(row);
                progress.count -= 1;
            }
        }
        for row in walk.missed() {
            let mut meeting = walk.meeting();
            if !meeting.table.is_lost(row) && lookup(meeting.table.key(row), &mut numbers)? {
                meeting.note(row, &numbers);
            }
        }
        let Rows { table, ordered, progress, .. } = &mut *walk.rows;
        ordered.keep(|row| !table.is_lost(row));
        progress.new.retain(|row| table.is_met(*row));
        Ok(Met(walk))
    }
}

impl<R: Receiver> Met<'_, R> {
    /// How many keys the walk has met.
    pub fn count(&self) -> usize {
        self.0.rows.met()
    }

    /// How many keys are known, met or not.
    pub fn known(&self) -> usize {
        self.0.rows.len()
    }

    /// Forgets the keys that the walk has not met. The new rows that it has.
    pub fn forget_missed(mut self) -> Vec<Row> {
        for row in self.0.missed() {
            let Meeting { table, columns, receiver, .. } = self.0.meeting();
            for (column, kind) in columns.iter().enumerate() {
                let number = table.number(row, column);
                if *kind == Column::Gauge && number != 0 {
                    receiver.moved(row, column, number.wrapping_neg());
                }
            }
            receiver.gone(row);
            table.remove(row);
        }
        self.keep_missed()
    }

    /// Keeps them, as they were: they may be behind what could not be read. The new rows that it has met.
    pub fn keep_missed(self) -> Vec<Row> {
        std::mem::take(&mut self.0.rows.progress.new)
    }
}

impl<R: Receiver> Meeting<'_, R> {
    /// Notes that the walk has met this row, and with which numbers; `false` if it had before.
    #[inline]
    fn note(&mut self, row: Row, numbers: &[u64]) -> bool {
        if self.table.is_met(row) {
            self.progress.doubles.push(row);
            return false;
        }
        self.table.meet(row);
        self.progress.count += 1;
        self.put(row, numbers);
        if self.table.is_new(row) {
            self.progress.new.push(row);
        }
        true
    }

    /// Takes over a row's numbers, one for each CPU or their sum, and tells by what they have moved.
    #[inline]
    fn put(&mut self, row: Row, numbers: &[u64]) {
        if self.table.columns() == 1 {
            return self.put_one(row, 0, sum(numbers));
        }
        if self.has_fallen(row, numbers) {
            self.begin_anew(row);
        }
        for (column, number) in numbers.iter().enumerate() {
            self.put_one(row, column, *number);
        }
    }

    /// Whether a counter among the row's numbers is less than it was: then the row was inserted again, and all of
    /// its numbers are new.
    fn has_fallen(&self, row: Row, numbers: &[u64]) -> bool {
        let numbers = self.columns.iter().zip(numbers).enumerate();
        numbers.into_iter().any(|(column, (kind, number))| {
            *kind == Column::Counter && *number < self.table.number(row, column)
        })
    }

    /// Has the row's counters be 0, as nothing of what they are then is in any series.
    fn begin_anew(&mut self, row: Row) {
        for (column, kind) in self.columns.iter().enumerate() {
            if *kind == Column::Counter {
                self.table.replace(row, column, 0);
            }
        }
    }

    #[inline]
    fn put_one(&mut self, row: Row, column: usize, number: u64) {
        let before = self.table.replace(row, column, number);
        if number != before {
            let difference = self.columns[column].difference(before, number);
            self.receiver.moved(row, column, difference);
        }
    }
}

/// The sum of a row's numbers, of which there is one in most maps.
#[inline]
fn sum(numbers: &[u64]) -> u64 {
    match numbers {
        [number] => *number,
        numbers => numbers.iter().fold(0, |sum, number| sum.wrapping_add(*number)),
    }
}

/// Whether two keys of `N` bytes are equal.
#[inline]
fn same<const N: usize>(one: &[u8], other: &[u8]) -> bool {
    matches!((one.first_chunk::<N>(), other.first_chunk::<N>()), (Some(one), Some(other)) if one == other)
}
