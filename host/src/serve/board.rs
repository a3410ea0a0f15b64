//! How the thread that scrapes does, and what its last reading found: put up by that thread, read by whoever
//! asks. So a question that needs no reading neither waits for one nor keeps one waiting.
//!
//! Nobody holds the lock longer than it takes to copy a few words.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::status::Findings;

/// A call that takes longer than this does not end any more. It is twice the time that all plugins of a scrape
/// may have (`--plugins.scrape-budget`).
const STUCK: Duration = Duration::from_secs(120);

/// What is put up. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Board(Arc<Mutex<Notes>>);

/// What stands on a board at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    /// When the call began that is under way.
    pub(super) busy: Option<Instant>,
    /// Readings that were finished, since the start.
    pub(super) readings: u64,
    /// Readings that a panic has cut short, since the start.
    pub(super) failed: u64,
    /// What the last reading found.
    pub(super) findings: Option<Arc<Findings>>,
}

/// Why the exporter is not healthy, or not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ailment {
    /// The exporter ends, or the thread has died, which ends it.
    #[error("the exporter is stopping")]
    Stopping,
    /// The thread has not come back from a call.
    #[error("the thread that scrapes has been at one call for {} s", .0.as_secs())]
    Stuck(Duration),
    /// No reading is finished yet.
    #[error("the maps were not read yet")]
    Unread,
    /// No reading is finished, and one was cut short.
    #[error("the maps could not be read yet: the log has the reason")]
    Unreadable,
}

impl Board {
    /// Notes that a call begins.
    pub(super) fn begin(&self) {
        self.lock().busy = Some(Instant::now());
    }

    /// Notes that it has ended.
    pub(super) fn end(&self) {
        self.lock().busy = None;
    }

    /// Notes that a reading has ended, by a panic or not.
    pub(super) fn count(&self, finished: bool) {
        let mut notes = self.lock();
        match finished {
            true => notes.readings += 1,
            false => notes.failed += 1,
        }
    }

    /// Puts up what it found.
    pub(super) fn put_up(&self, findings: Arc<Findings>) {
        let before = self.lock().findings.replace(findings);
        // Dropped without the lock: it may be large.
        drop(before);
    }

    /// What stands there now.
    pub(super) fn look(&self) -> Notes {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    /// Why it is not healthy at `now`, if it is not.
    pub(super) fn ailment(&self, now: Instant) -> Option<Ailment> {
        let since = now.saturating_duration_since(self.busy?);
        (since > STUCK).then_some(Ailment::Stuck(since))
    }

    /// Why it is not ready at `now`, if it is not.
    pub(super) fn unready(&self, now: Instant) -> Option<Ailment> {
        self.ailment(now).or(match (self.readings, self.failed) {
            (0, 0) => Some(Ailment::Unread),
            (0, _) => Some(Ailment::Unreadable),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_without_end_is_an_ailment() {
        let board = Board::default();
        board.count(true);
        board.begin();
        let notes = board.look();
        let (begun, second) = (notes.busy.unwrap(), Duration::from_secs(1));
        assert_eq!(notes.ailment(begun + STUCK), None);
        let stuck = notes.ailment(begun + STUCK + second);
        assert_eq!((stuck, notes.unready(begun + STUCK + second)), (stuck, stuck));
        insta::assert_snapshot!(stuck.unwrap(), @"the thread that scrapes has been at one call for 121 s");
        board.end();
        assert_eq!(board.look().unready(begun + 2 * STUCK), None);
    }

    #[test]
    fn it_is_ready_once_a_reading_was_finished() {
        let (board, now) = (Board::default(), Instant::now());
        let unready = || board.look().unready(now);
        assert_eq!(unready(), Some(Ailment::Unread));
        board.count(false);
        assert_eq!(unready(), Some(Ailment::Unreadable));
        board.count(true);
        board.count(false);
        assert_eq!(unready(), None);
        insta::assert_snapshot!(Ailment::Unread, @"the maps were not read yet");
        insta::assert_snapshot!(Ailment::Unreadable, @"the maps could not be read yet: the log has the reason");
        insta::assert_snapshot!(Ailment::Stopping, @"the exporter is stopping");
    }
}
