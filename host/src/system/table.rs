//! A table that is read when first asked, and again when what it says may be out of date.
//!
//! It must never read twice within [`Source::RETRY`], however many names are not found: looking
//! up is part of a scrape.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The rows of a table and how they are read from the host.
pub(super) trait Source {
    /// The shortest time between two readings that names not found may cause.
    const RETRY: Duration;
    /// The age from which rows are read again before anything is looked up in them, for tables
    /// whose numbers are reused or whose names change.
    const MAX_AGE: Duration;

    /// Reads the rows anew.
    ///
    /// # Errors
    ///
    /// Says for the log what failed, what follows from it and what to do. The rows are then
    /// those of the reading before.
    fn read(&mut self, now: Instant) -> Result<(), String>;
}

/// A [`Source`] that many threads ask.
pub(super) struct Table<S>(Mutex<State<S>>);

struct State<S> {
    source: S,
    read_at: Option<Instant>,
    complained: bool,
}

impl<S: Source> Table<S> {
    /// A table of these rows, not read yet.
    pub(super) fn new(source: S) -> Self {
        Self(Mutex::new(State { source, read_at: None, complained: false }))
    }

    /// What `look` finds in the rows; they are read first if they are old, and once more if it
    /// finds nothing.
    pub(super) fn find<A>(&self, now: Instant, mut look: impl FnMut(&S) -> Option<A>) -> Option<A> {
        let mut state = self.lock();
        let fresh = state.read_if_older_than(S::MAX_AGE, now);
        let found = look(&state.source);
        if found.is_some() || fresh || !state.read_if_older_than(S::RETRY, now) {
            return found;
        }
        look(&state.source)
    }

    /// Does not complain from now on.
    pub(super) fn hush(&self) {
        self.lock().complained = true;
    }

    /// Reads the rows if they never were.
    pub(super) fn prepare(&self, now: Instant) {
        self.lock().read_if_older_than(Duration::MAX, now);
    }

    /// The rows and where they are read from, for as long as it takes to look.
    pub(super) fn source(&self) -> impl Deref<Target = S> {
        Locked(self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        // Rows that a panic left half read are read again when they are old.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Locked<'a, S>(MutexGuard<'a, State<S>>);

impl<S> Deref for Locked<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0.source
    }
}

impl<S: Source> State<S> {
    /// Says whether it read.
    fn read_if_older_than(&mut self, limit: Duration, now: Instant) -> bool {
        if self.read_at.is_some_and(|at| now.saturating_duration_since(at) < limit) {
            return false;
        }
        self.read_at = Some(now);
        if let Err(complaint) = self.source.read(now)
            && !self.complained
        {
            tracing::warn!("{complaint}");
            self.complained = true;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts how often it was read; its only row is that count.
    #[derive(Default)]
    struct Readings(u32);

    impl Source for Readings {
        const RETRY: Duration = Duration::from_secs(1);
        const MAX_AGE: Duration = Duration::from_secs(5);

        fn read(&mut self, _: Instant) -> Result<(), String> {
            self.0 += 1;
            Ok(())
        }
    }

    #[test]
    fn a_name_found_is_not_looked_for_again_until_it_is_old() {
        let table = Table::new(Readings::default());
        let start = Instant::now();
        for (seconds, readings) in [(0, 1), (1, 1), (4, 1), (5, 2), (9, 2), (10, 3)] {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(table.find(now, |rows| Some(rows.0)), Some(readings), "after {seconds} s");
        }
    }

    #[test]
    fn a_name_not_found_is_looked_for_again_once_a_retry_interval() {
        let table = Table::new(Readings::default());
        let start = Instant::now();
        for (millis, readings) in [(0, 1), (1, 1), (999, 1), (1000, 2), (1001, 2), (2000, 3)] {
            let now = start + Duration::from_millis(millis);
            assert_eq!(table.find(now, |_| None::<()>), None);
            assert_eq!(table.lock().source.0, readings, "after {millis} ms");
        }
    }

    #[test]
    fn a_name_that_the_second_reading_brings_is_found() {
        let table = Table::new(Readings::default());
        let start = Instant::now();
        let look = |rows: &Readings| (rows.0 == 2).then_some(());
        assert_eq!(table.find(start, look), None);
        assert_eq!(table.find(start + Duration::from_secs(2), look), Some(()));
    }
}
