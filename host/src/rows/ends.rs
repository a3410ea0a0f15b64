//! When answers end that do not hold for ever, and which rows wait to be decided anew since then.
//!
//! Never looks at a clock: who asks says what time it is.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Instant;

use super::Row;

/// When the answers of rows end.
#[derive(Debug, Default)]
pub(super) struct Ends {
    until: HashMap<Row, Until>,
    /// When the answers of rows end that do not wait yet, soonest first. An entry that differs from `until` is
    /// out of date: the key has gone, or the row has got another answer since.
    due: BinaryHeap<Reverse<(Instant, Row)>>,
    /// Rows that wait to be decided anew, and since when, in the order in which they are taken. Entries may be out
    /// of date here too.
    waiting: VecDeque<(Instant, Row)>,
}

/// When an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Until {
    due: Instant,
    /// Whether it has ended, and the row waits to be decided anew.
    waits: bool,
}

impl Ends {
    /// Has a row be decided anew at `due`.
    pub(super) fn set(&mut self, row: Row, due: Instant) {
        self.until.insert(row, Until { due, waits: false });
        self.due.push(Reverse((due, row)));
        if self.due.len() > 2 * self.until.len() + 64 {
            let ends = self.until.iter().filter(|(_, until)| !until.waits);
            self.due = ends.map(|(row, until)| Reverse((until.due, *row))).collect();
        }
    }

    /// Has a row's answer hold for ever.
    pub(super) fn clear(&mut self, row: Row) {
        // Most maps have none, and a row is cleared each time it is decided.
        if !self.until.is_empty() {
            self.until.remove(&row);
        }
    }

    /// Has rows wait whose answers have ended by `now`.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.due.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            let Some(Reverse((due, row))) = self.due.pop() else { break };
            if let Some(until) = self.until.get_mut(&row)
                && *until == (Until { due, waits: false })
            {
                until.waits = true;
                self.waiting.push_back((due, row));
            }
        }
        if self.waiting.len() > 2 * self.until.len() + 64 {
            let Self { waiting, until, .. } = self;
            waiting.retain(|(due, row)| is_waiting(until, *row, *due));
        }
    }

    /// Takes rows that wait, at most so many, those first that have waited longest.
    pub(super) fn take_waiting(&mut self, most: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        while rows.len() < most
            && let Some((due, row)) = self.waiting.pop_front()
        {
            if is_waiting(&self.until, row, due) {
                rows.push(row);
            }
        }
        rows
    }

    /// Has rows wait: those that were taken out of the waiting ones before all others, in this order, and
    /// the others behind them, from `now` on.
    pub(super) fn wait(&mut self, rows: &[Row], now: Instant) {
        for row in rows.iter().rev() {
            if let Some(until) = self.until.get(row).filter(|until| until.waits) {
                self.waiting.push_front((until.due, *row));
            }
        }
        rows.iter().for_each(|row| self.end(*row, now));
    }

    /// Has a row's answer end now, if it has not ended yet.
    pub(super) fn end(&mut self, row: Row, now: Instant) {
        if !self.until.get(&row).is_some_and(|until| until.waits) {
            self.until.insert(row, Until { due: now, waits: true });
            self.waiting.push_back((now, row));
        }
    }

    /// How many rows wait, with some of keys that have gone.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many ends are kept, with some of keys that have gone.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.due.len()
    }
}

/// Whether a row waits that has been to be decided anew since `due`.
fn is_waiting(until: &HashMap<Row, Until>, row: Row, due: Instant) -> bool {
    until.get(&row) == Some(&Until { due, waits: true })
}
