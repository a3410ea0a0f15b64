//! What was decided for each row of one map: where its numbers are added, and until when.
//!
//! Nothing here takes from a series what a counter has counted in it. A key that goes leaves it behind. What
//! a row that is decided anew brings to its next series is [`Past`]'s to say. A gauge's number goes with its row.

use std::time::Instant;

use super::ends::Ends;
use super::fate::{Fate, Past};
use super::{Column, Receiver, Row, Rows};
use crate::series::{Family, Moves};

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
    past: Past,
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
        match decided.fates.get(at) {
            Some(Fate::Add(cell)) => match decided.columns.get(column) {
                Some(Column::Gauge) => family.shift(*cell, difference),
                _ => family.add(*cell, difference),
            },
            Some(Fate::Parted(parting)) => decided.past.count(*parting, difference),
            Some(Fate::Out | Fate::Undecided) | None => {}
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

impl Decided {
    /// Nothing, of rows with these columns.
    pub fn new(columns: &[Column]) -> Self {
        Self {
            columns: columns.into(),
            fates: Vec::new(),
            past: Past::default(),
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
        self.forget_notes(row);
        rows.settle(row);
        let (place, width) = (row.0 as usize, self.columns.len());
        if place >= self.notes.len() {
            self.notes.resize(place + 1, Note::default());
            self.fates.resize((place + 1) * width, Fate::Undecided);
        }
        self.notes[place] = Note { errors, grounds };
        for (column, now) in fates.iter().enumerate() {
            let (at, number) = (place * width + column, rows.number(row, column));
            let turn = (self.fates[at], *now);
            self.fates[at] = match self.columns[column] {
                Column::Counter => self.past.turn(at, number, turn, family),
                Column::Gauge => turn_gauge(number, turn, family),
            };
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
                family.shift(cell, rows.number(row, column).wrapping_neg());
            }
        }
    }

    /// Takes a row out of its series, and makes it undecided again.
    fn leave(&mut self, row: Row, family: &mut Family) {
        self.forget_notes(row);
        let (place, width) = (row.0 as usize, self.columns.len());
        let fates = self.fates.get_mut(place * width..(place + 1) * width).unwrap_or_default();
        Fate::undo(fates, family);
        for (column, fate) in fates.iter_mut().enumerate() {
            self.past.forget(place * width + column, *fate);
            *fate = Fate::Undecided;
        }
    }

    /// Forgets what else was noted of a row than its fates.
    fn forget_notes(&mut self, row: Row) {
        self.ends.clear(row);
        if let Some(note) = self.notes.get_mut(row.0 as usize) {
            self.errors -= u64::from(std::mem::take(note).errors);
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

    /// How many numbers are kept that are not all in the series that they are added to.
    #[cfg(test)]
    pub(super) fn kept_past(&self) -> usize {
        self.past.kept()
    }

    /// Follows a family that has moved its cells.
    pub fn follow(&mut self, moves: &Moves) {
        for fate in &mut self.fates {
            if let Fate::Add(cell) = fate {
                *cell = moves.to(*cell);
            }
        }
        self.past.follow(moves);
    }
}

/// Turns the fate of a gauge: its number goes from series to series with it.
fn turn_gauge(number: u64, (before, now): (Fate, Fate), family: &mut Family) -> Fate {
    if let Fate::Add(cell) = now {
        family.shift(cell, number);
    }
    if let Fate::Add(cell) = before {
        family.shift(cell, number.wrapping_neg());
        family.leave(cell);
    }
    now
}
