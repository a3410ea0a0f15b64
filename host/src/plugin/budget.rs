//! The time that all guests together may take in one scrape.
//!
//! Counts time in guests only, as it is told of it; never looks at a clock. Outside of scrapes, at the
//! exporter's start and in tools, it bounds nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Less than this is not worth a call: a running guest is looked at no more often.
const LEAST: Duration = Duration::from_millis(10);

/// What is left for the guests of the scrape under way. All plugins of a scraper share one.
#[derive(Debug, Default)]
pub struct Budget(Mutex<Option<Scrape>>);

#[derive(Clone, Copy, Debug)]
struct Scrape {
    /// What a scrape may have whose client is patient.
    whole: Duration,
    left: Duration,
}

/// How long a call may take, and whose bound that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) most: Duration,
    pub(super) by: Bound,
}

/// Why a call may not take longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// `limits.deadline`.
    Deadline,
    /// No call has more than half of a scrape's budget, whatever its deadline: two plugins that never
    /// return would be all that a scrape has time for.
    Half,
    /// What is left of the scrape's budget, which is less than the call could have had. To be cut then
    /// is no fault of the guest.
    Left,
}

impl Budget {
    /// Begins a scrape whose guests may take `time` of the `whole` that others have.
    pub fn begin(&self, whole: Duration, time: Duration) {
        *self.lock() = Some(Scrape { whole, left: time.min(whole) });
    }

    /// Ends it: what is asked from now on is not bounded.
    pub fn end(&self) {
        *self.lock() = None;
    }

    /// Whether the scrape under way has no time left for a call.
    pub fn is_spent(&self) -> bool {
        self.lock().is_some_and(|scrape| scrape.left < LEAST)
    }

    /// How long a call with this deadline may take now that `since` was spent and not told yet;
    /// nothing if there is no time left for it.
    pub(super) fn time(&self, deadline: Duration, since: Duration) -> Option<Time> {
        let Some(Scrape { whole, left }) = *self.lock() else {
            return Some(Time { most: deadline, by: Bound::Deadline });
        };
        let left = left.saturating_sub(since);
        if left < LEAST {
            return None;
        }
        let bounds = [(deadline, Bound::Deadline), (whole / 2, Bound::Half), (left, Bound::Left)];
        let (most, by) = bounds.into_iter().min_by_key(|(most, _)| *most)?;
        Some(Time { most, by })
    }

    /// Notes that a guest took so long.
    pub(super) fn spend(&self, took: Duration) {
        if let Some(scrape) = &mut *self.lock() {
            scrape.left = scrape.left.saturating_sub(took);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Scrape>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_call_has_its_deadline_half_of_the_whole_or_what_is_left() {
        let budget = Budget::default();
        let time = |deadline, since| budget.time(ms(deadline), ms(since));
        let some = |most, by| Some(Time { most: ms(most), by });
        assert_eq!(time(9999, 5000), some(9999, Bound::Deadline), "no scrape is under way");
        budget.begin(ms(2000), ms(2000));
        assert_eq!(time(100, 0), some(100, Bound::Deadline));
        assert_eq!(time(5000, 0), some(1000, Bound::Half));
        budget.spend(ms(1500));
        assert_eq!(time(100, 0), some(100, Bound::Deadline));
        assert_eq!(time(600, 0), some(500, Bound::Left));
        assert_eq!(time(600, 450), some(50, Bound::Left));
        assert_eq!(time(600, 491), None);
        assert!(!budget.is_spent());
        budget.spend(ms(491));
        assert_eq!((budget.is_spent(), time(1, 0)), (true, None));
        budget.spend(ms(5000));
        budget.end();
        assert!(!budget.is_spent());
    }

    #[test]
    fn an_impatient_client_has_less_and_never_more() {
        let budget = Budget::default();
        budget.begin(ms(2000), ms(50));
        let left = |deadline| budget.time(ms(deadline), Duration::ZERO);
        assert_eq!(left(100), Some(Time { most: ms(50), by: Bound::Left }));
        budget.begin(ms(2000), ms(9000));
        budget.spend(ms(1995));
        assert_eq!(left(100), None);
    }
}
