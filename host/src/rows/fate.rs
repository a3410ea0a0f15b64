//! Which series each number of a row is added to, and how much of it a new series gets when that changes.
//!
//! Never adds anything twice to series that go on. Never loses what a row has counted while it had no series,
//! as long as the row lives. All numbers here are counters: a gauge's number goes with its row.

use std::collections::HashMap;

use crate::series::{Cell, Family, Life, Moves};

/// What is to be done with a number of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing was decided yet.
    Undecided,
    /// It is added nowhere, and never was: a decoder left the row out, or it is in no bucket. All that it
    /// has counted is still to be added once it has a series.
    Out,
    /// It is added nowhere any more.
    Parted(Parting),
    /// It is added here.
    Add(Cell),
}

/// Names one number that is added nowhere any more: the index of its [`Parted`] in [`Past`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parting(u32);

/// What numbers have counted outside of the series that they are added to now.
#[derive(Debug, Default)]
pub(super) struct Past {
    partings: Vec<Parted>,
    /// Indices of `partings` that no number has now.
    free: Vec<u32>,
    /// How much of a number its present series lacks, because earlier series have it. The key is the number's
    /// place. A number whose series has all of it is not here.
    elsewhere: HashMap<usize, u64>,
}

/// A number that was added to a series.
#[derive(Clone, Copy, Debug)]
struct Parted {
    from: Life,
    /// What it has counted in that series.
    there: u64,
    /// What it has counted since.
    since: u64,
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

impl Past {
    /// Turns the fate of the counter at a place, which is `number` now, from the first into the second. What
    /// its fate is then: it has joined a new series before, and leaves an old one.
    ///
    /// A number that was in no series brings all of it. One that was left out brings what it has counted since,
    /// and if the series that it left was let go of, what it had counted there. One that goes from series to
    /// series brings nothing.
    pub(super) fn turn(
        &mut self,
        at: usize,
        number: u64,
        (before, now): (Fate, Fate),
        family: &mut Family,
    ) -> Fate {
        let fate = match (before, now) {
            (Fate::Add(old), Fate::Add(new)) if old == new => now,
            (Fate::Add(_), Fate::Add(_)) => {
                self.has(at, number, 0);
                now
            }
            (Fate::Add(old), _) => Fate::Parted(self.part(at, number, family.life(old))),
            (Fate::Parted(parting), Fate::Add(cell)) => {
                let Parted { from, there, since } = self.end(parting);
                let goes_on = family.has_life(from);
                family.add(cell, if goes_on { since } else { since.saturating_add(there) });
                let is_back = !goes_on || from == family.life(cell);
                self.has(at, number, if is_back { since.saturating_add(there) } else { since });
                now
            }
            (Fate::Parted(_), _) => before,
            (Fate::Out | Fate::Undecided, Fate::Add(cell)) => {
                family.add(cell, number);
                now
            }
            (Fate::Out | Fate::Undecided, _) => now,
        };
        if let Fate::Add(old) = before {
            family.leave(old);
        }
        fate
    }

    /// Counts for a number that is added nowhere any more.
    #[inline]
    pub(super) fn count(&mut self, Parting(n): Parting, difference: u64) {
        let since = &mut self.partings[n as usize].since;
        *since = since.saturating_add(difference);
    }

    /// Forgets the number at a place, which has this fate: its key has gone.
    pub(super) fn forget(&mut self, at: usize, fate: Fate) {
        if let Fate::Parted(Parting(n)) = fate {
            self.free.push(n);
        }
        self.has(at, 0, 0);
    }

    /// Follows a family that has moved its series.
    pub(super) fn follow(&mut self, moves: &Moves) {
        self.partings.iter_mut().for_each(|parted| parted.from = moves.life(parted.from));
    }

    /// How many numbers are kept, with places that are free.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.partings.len() + self.elsewhere.len()
    }

    fn part(&mut self, at: usize, number: u64, from: Life) -> Parting {
        let elsewhere = self.elsewhere.remove(&at).unwrap_or(0);
        // One that is less is of a key that was evicted and inserted again: all of it is new.
        let there = number.checked_sub(elsewhere).unwrap_or(number);
        let parted = Parted { from, there, since: 0 };
        if let Some(n) = self.free.pop() {
            self.partings[n as usize] = parted;
            return Parting(n);
        }
        self.partings.push(parted);
        Parting(u32::try_from(self.partings.len() - 1).unwrap_or(u32::MAX))
    }

    /// Ends that a number is added nowhere.
    fn end(&mut self, Parting(n): Parting) -> Parted {
        self.free.push(n);
        self.partings[n as usize]
    }

    /// Notes that the series of the number at a place has so much of it.
    fn has(&mut self, at: usize, number: u64, there: u64) {
        let elsewhere = number.saturating_sub(there);
        if elsewhere > 0 {
            self.elsewhere.insert(at, elsewhere);
        } else if !self.elsewhere.is_empty() {
            self.elsewhere.remove(&at);
        }
    }
}
