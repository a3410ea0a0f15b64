//! What was decided for each row of one map: where its numbers are added, and until when.
//!
//! Nothing here takes from a series what a counter has counted in it. A key that goes leaves it behind. A
//! row that is decided anew brings to its next series only what it counts from then on, but all of it if it
//! was in none yet. A gauge's number goes with its row.

use std::time::Instant;

use super::ends::Ends;
use super::{Column, Receiver, Row, Rows};
use crate::series::{Cell, Family, Moves};

/// What is to be done with a number of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing was decided yet.
    Undecided,
    /// It is added nowhere, and never was: a decoder left the row out, or it is in no bucket. All that it
    /// has counted is still to be added once it has a series.
    Out,
    /// It is added nowhere any more. What it had counted before stays where it was added.
    Parted,
    /// It is added here.
    Add(Cell),
}

/// What the fates of a row were decided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grounds {
    /// Something of its key had no name.
    #[default]
    Unknown,
    /// All of its key had names.
    Known,
}

/// What is decided for a row.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// What is to be done with its numbers: a fate for each column, [`Fate::Out`] or [`Fate::Add`].
    pub fates: &'a [Fate],
    /// How many of its labels were not decoded.
    pub errors: u16,
    /// When it is to be decided anew, if it is.
    pub due: Option<Instant>,
    /// What it is decided by.
    pub grounds: Grounds,
}

/// What was decided for rows.
#[derive(Debug)]
pub struct Decided {
    columns: Box<[Column]>,
    /// The fates of each row, end to end.
    fates: Vec<Fate>,
    /// What else is known of each row.
    notes: Vec<Note>,
    ends: Ends,
    /// Labels of all rows that could not be decoded.
    errors: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Note {
    errors: u16,
    grounds: Grounds,
}

/// Adds to a family by what rows move.
#[derive(Debug)]
pub struct Adding<'a> {
    decided: &'a mut Decided,
    family: &'a mut Family,
}

impl Receiver for Adding<'_> {
    #[inline]
    fn moved(&mut self, row: Row, column: usize, difference: u64) {
        let Self { decided, family } = self;
        let at = row.0 as usize * decided.columns.len() + column;
        if let Some(Fate::Add(cell)) = decided.fates.get(at) {
            family.add(*cell, difference);
        }
    }

    #[inline]
    fn touch(&self, row: Row) {
        if let Some(Fate::Add(cell)) = self.decided.fates(row).first() {
            std::hint::black_box(self.family.number(*cell));
        }
    }

    fn gone(&mut self, row: Row) {
        self.decided.leave(row, self.family);
    }
}

impl Fate {
    /// Takes back the places of fates that are not decided after all.
    pub fn undo(fates: &[Self], family: &mut Family) {
        for fate in fates {
            if let Self::Add(cell) = *fate {
                family.leave(cell);
            }
        }
    }
}

impl Decided {
    /// Nothing, of rows with these columns.
    pub fn new(columns: &[Column]) -> Self {
        Self {
            columns: columns.into(),
            fates: Vec::new(),
            notes: Vec::new(),
            ends: Ends::default(),
            errors: 0,
        }
    }

    /// What a walk is to tell, so that this family has what its rows count.
    pub fn adding<'a>(&'a mut self, family: &'a mut Family) -> Adding<'a> {
        Adding { decided: self, family }
    }

    /// A row's fates, one for each column; none if the row was never decided.
    pub fn fates(&self, row: Row) -> &[Fate] {
        let at = row.0 as usize * self.columns.len();
        self.fates.get(at..at + self.columns.len()).unwrap_or_default()
    }

    /// Whether it was decided what is done with a row's numbers.
    pub fn is_decided(&self, row: Row) -> bool {
        self.fates(row).first().is_some_and(|fate| *fate != Fate::Undecided)
    }

    /// Whether all of a row's key had names when it was decided.
    pub fn is_known(&self, row: Row) -> bool {
        self.is_decided(row) && self.note(row).grounds == Grounds::Known
    }

    /// Decides a row, for the first time or anew. The row has joined the series of its new fates, and leaves
    /// those of its old ones: a series that it stays in stays all the time.
    pub fn decide(
        &mut self,
        row: Row,
        decision: Decision<'_>,
        rows: &mut Rows,
        family: &mut Family,
    ) {
        let Decision { fates, errors, due, grounds } = decision;
        for (column, fate) in fates.iter().enumerate() {
            if let Fate::Add(cell) = *fate
                && (self.owes(row, column) || self.columns[column] == Column::Gauge)
            {
                family.add(cell, rows.number(row, column));
            }
        }
        self.take_back(row, rows, family);
        self.part(row, family);
        rows.settle(row);
        let at = row.0 as usize;
        let width = self.columns.len();
        if at >= self.notes.len() {
            self.notes.resize(at + 1, Note::default());
            self.fates.resize((at + 1) * width, Fate::Undecided);
        }
        self.notes[at] = Note { errors, grounds };
        for (is, fate) in self.fates[at * width..(at + 1) * width].iter_mut().zip(fates) {
            *is = if (*is, *fate) == (Fate::Parted, Fate::Out) { Fate::Parted } else { *fate };
        }
        self.errors += u64::from(errors);
        if let Some(due) = due {
            self.keep_until(row, due);
        }
    }

    /// Takes all rows out of this family.
    pub fn leave_all(&mut self, rows: &Rows, family: &mut Family) {
        for row in rows.all() {
            self.take_back(row, rows, family);
            self.leave(row, family);
        }
    }

    /// Takes a row's gauges out of its series.
    fn take_back(&self, row: Row, rows: &Rows, family: &mut Family) {
        for (column, (fate, kind)) in self.fates(row).iter().zip(&self.columns).enumerate() {
            if let Fate::Add(cell) = *fate
                && *kind == Column::Gauge
            {
                family.add(cell, rows.number(row, column).wrapping_neg());
            }
        }
    }

    /// Whether all that a number has counted is still to be added.
    fn owes(&self, row: Row, column: usize) -> bool {
        !matches!(self.fates(row).get(column), Some(Fate::Add(_) | Fate::Parted))
    }

    /// Takes a row out of its series, and makes it undecided again.
    fn leave(&mut self, row: Row, family: &mut Family) {
        self.part(row, family);
        let (at, width) = (row.0 as usize, self.columns.len());
        let fates = self.fates.get_mut(at * width..(at + 1) * width).unwrap_or_default();
        fates.fill(Fate::Undecided);
    }

    /// Takes a row out of its series, and forgets what else was noted of it.
    fn part(&mut self, row: Row, family: &mut Family) {
        self.ends.clear(row);
        let at = row.0 as usize;
        let Some(note) = self.notes.get_mut(at) else { return };
        self.errors -= u64::from(std::mem::take(note).errors);
        let width = self.columns.len();
        for fate in &mut self.fates[at * width..(at + 1) * width] {
            if let Fate::Add(cell) = *fate {
                family.leave(cell);
                *fate = Fate::Parted;
            }
        }
    }

    fn note(&self, row: Row) -> Note {
        self.notes.get(row.0 as usize).copied().unwrap_or_default()
    }

    /// Labels, of all rows, that are not decoded.
    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// Has a row be decided anew at `due`. Until then it stays as it is.
    pub fn keep_until(&mut self, row: Row, due: Instant) {
        self.ends.set(row, due);
    }

    /// Has rows wait to be decided anew whose answers have ended by `now`.
    pub fn expire(&mut self, now: Instant) {
        self.ends.expire(now);
    }

    /// Takes rows that wait, at most so many, those first that have waited longest. What was decided for
    /// them stands until they are decided, or wait on.
    pub fn take_waiting(&mut self, most: usize) -> Vec<Row> {
        self.ends.take_waiting(most)
    }

    /// Has decided rows wait to be decided anew: those that were taken out of the waiting ones before
    /// all others, in this order, and the others behind them, from `now` on.
    pub fn wait(&mut self, rows: &[Row], now: Instant) {
        self.ends.wait(rows, now);
    }

    /// Has all rows that were decided wait to be decided anew, from `now` on: what they were decided by may
    /// have changed.
    pub fn ask_again(&mut self, rows: &Rows, now: Instant) {
        for row in rows.all() {
            if self.is_decided(row) {
                self.ends.end(row, now);
            }
        }
    }

    /// How many rows wait, with some of keys that have gone.
    pub fn waiting(&self) -> usize {
        self.ends.waiting()
    }

    /// How many ends of answers are kept, with some of keys that have gone.
    #[cfg(test)]
    pub(super) fn ends(&self) -> usize {
        self.ends.kept()
    }

    /// Follows a family that has moved its cells.
    pub fn follow(&mut self, moves: &Moves) {
        for fate in &mut self.fates {
            if let Fate::Add(cell) = fate {
                *cell = moves.to(*cell);
            }
        }
    }
}
