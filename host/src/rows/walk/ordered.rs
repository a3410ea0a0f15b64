//! A walk whose entries have no places: each is held against the key that stood at its position the last
//! time.
//!
//! Maps hand out their entries in an order that stays while keys stay. Only what differs is looked up by
//! hash.

use super::{Meeting, Progress};
use crate::rows::table::Table;
use crate::rows::{Receiver, Row};
use crate::source::Entry;

/// Within how many places rows may change theirs in a walk that is still as the last one.
const NEARBY: usize = 8;
/// How many rows further on the next one is looked for in a walk that is not as the last one was.
const NEAR: usize = 256;

/// The order in which rows are met.
#[derive(Debug)]
pub(in crate::rows) struct Ordered {
    /// The rows of the last walk in the order in which they were met, and once this walk is not straight,
    /// of this one.
    order: Vec<Row>,
    /// Once this walk is not straight, what the last one met behind the place where they parted.
    ahead: Vec<Row>,
    /// How much of `ahead` lies behind.
    passed: usize,
    /// Whether this walk has met the rows of the last one in the same order so far. That it has met them
    /// is not noted in each until it parts.
    straight: bool,
}

impl Default for Ordered {
    fn default() -> Self {
        Self { order: Vec::new(), ahead: Vec::new(), passed: 0, straight: true }
    }
}

impl Ordered {
    /// Begins a walk, which is straight.
    pub(super) fn begin(&mut self) {
        self.straight = true;
    }

    pub(super) fn is_straight(&self) -> bool {
        self.straight
    }

    /// Forgets the order: this walk's entries have places.
    pub(super) fn give_up(&mut self) {
        if self.straight {
            self.straight = false;
            self.order.clear();
        }
    }

    /// Keeps those rows in the order that this walk has met, if they are noted.
    pub(super) fn keep(&mut self, is_met: impl Fn(Row) -> bool) {
        if !self.straight {
            self.order.retain(|row| is_met(*row));
        }
    }

    #[inline]
    pub(super) fn take<'e, R: Receiver>(
        &mut self,
        mut entries: impl Iterator<Item = Entry<'e>>,
        meeting: &mut Meeting<'_, R>,
        same: impl Fn(&[u8], &[u8]) -> bool,
    ) {
        if self.straight {
            for entry in entries.by_ref() {
                let count = meeting.progress.count;
                let table = &*meeting.table;
                let row = match self.order.get(count) {
                    Some(row) if same(table.key(*row), entry.key) => Some(*row),
                    _ => self.nearby(count, |row| same(table.key(row), entry.key)),
                };
                let Some(row) = row else {
                    self.part(meeting.table, meeting.progress);
                    self.meet(entry, meeting);
                    break;
                };
                meeting.put(row, entry.values);
                meeting.progress.count += 1;
            }
        }
        for entry in entries {
            self.meet(entry, meeting);
        }
    }

    /// The row that is wanted if it is only a few places further on than `at`, and now the next one. So
    /// it is when an entry is written anew, which moves it within its bucket, or when one is gone: its row
    /// is passed on from place to place until the walk ends without it.
    #[cold]
    fn nearby(&mut self, at: usize, is_it: impl Fn(Row) -> bool) -> Option<Row> {
        let end = self.order.len().min(at + NEARBY);
        let further = (at..end).find(|at| is_it(self.order[*at]))?;
        self.order[at..=further].rotate_right(1);
        Some(self.order[at])
    }

    /// Ends the part of the walk that was as the last one.
    #[cold]
    pub(super) fn part(&mut self, table: &mut Table, progress: &Progress) {
        let Self { order, ahead, .. } = self;
        ahead.clear();
        ahead.extend(order.drain(progress.count..));
        order.iter().for_each(|row| table.meet(*row));
        self.passed = 0;
        self.straight = false;
    }

    /// Takes the next entry of a walk that is not straight.
    fn meet<R: Receiver>(&mut self, entry: Entry<'_>, meeting: &mut Meeting<'_, R>) {
        let row = self.expected(entry.key, meeting.table);
        let row = row.unwrap_or_else(|| self.seek(entry.key, meeting));
        if meeting.note(row, entry.values) {
            self.order.push(row);
        }
    }

    /// The row that comes next if the walk is as the last one again, or that would if it were not
    /// for one that is gone.
    fn expected(&mut self, key: &[u8], table: &Table) -> Option<Row> {
        let mut next = (self.passed..self.ahead.len()).take(2);
        let at = next.find(|at| table.key(self.ahead[*at]) == key)?;
        self.passed = at + 1;
        Some(self.ahead[at])
    }

    /// The row of a key that is not where it was, or new. Behind one that was further ahead, the
    /// walk is as the last one again.
    #[cold]
    fn seek<R>(&mut self, key: &[u8], meeting: &mut Meeting<'_, R>) -> Row {
        let hash = meeting.table.hash(key);
        let (row, is_new) = meeting.table.find_or_insert(hash, key);
        if is_new {
            meeting.progress.inserted.push(row);
            return row;
        }
        let mut near = self.ahead[self.passed..].iter().take(NEAR);
        if let Some(skipped) = near.position(|ahead| *ahead == row) {
            self.passed += skipped + 1;
        }
        row
    }
}
