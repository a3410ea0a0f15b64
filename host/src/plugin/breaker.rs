//! When a plugin is not asked: after repeated failures, and when it has used up its time.
//!
//! Decides by the clock that it is handed; never looks at one itself.

use std::time::{Duration, Instant};

use super::limits::{BUDGET, BUDGET_WINDOW};

/// Failures in a row that open the breaker.
pub(super) const FAILURES: u32 = 3;
/// How long it stays open the first time. It doubles with every failed attempt.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest that it stays open.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Whether a plugin is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// It is.
    Closed,
    /// The next call decides: the pause is over.
    HalfOpen,
    /// It is not: it failed too often.
    Open,
}

/// Why a plugin is not asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// It failed too often.
    Broken,
    /// It has used up its time.
    Spent,
}

/// Counts failures and time in the guests of one plugin.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Since the last success.
    failures: u32,
    open: Option<Open>,
    window: Option<Window>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    until: Instant,
    pause: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    start: Instant,
    spent: Duration,
}

impl Breaker {
    /// Whether the plugin may be asked at `now`.
    pub(super) fn check(&self, now: Instant) -> Result<(), Pause> {
        if self.state(now) == BreakerState::Open {
            return Err(Pause::Broken);
        }
        match self.window {
            Some(window) if window.holds(now) && window.spent >= BUDGET => Err(Pause::Spent),
            _ => Ok(()),
        }
    }

    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self.open {
            None => BreakerState::Closed,
            Some(open) if now < open.until => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// Notes a call that began at `start`, took so long and went well or not.
    pub(super) fn called(&mut self, start: Instant, took: Duration, well: bool) {
        match &mut self.window {
            Some(window) if window.holds(start) => window.spent += took,
            window => *window = Some(Window { start, spent: took }),
        }
        if well {
            (self.failures, self.open) = (0, None);
            return;
        }
        self.failures += 1;
        if let Some(open) = self.open {
            let pause = (open.pause * 2).min(LONGEST_PAUSE);
            self.open = Some(Open { until: start + took + pause, pause });
        } else if self.failures >= FAILURES {
            self.open = Some(Open { until: start + took + FIRST_PAUSE, pause: FIRST_PAUSE });
        }
    }
}

impl Window {
    fn holds(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.start) < BUDGET_WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Duration = Duration::from_millis(1);

    fn fail(breaker: &mut Breaker, now: Instant) {
        breaker.called(now, CALL, false);
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..10 {
            fail(&mut breaker, now);
            fail(&mut breaker, now);
            breaker.called(now, CALL, true);
        }
        assert_eq!(breaker.check(now), Ok(()));
        for _ in 0..FAILURES {
            assert_eq!(breaker.state(now), BreakerState::Closed);
            fail(&mut breaker, now);
        }
        assert_eq!(breaker.check(now + CALL), Err(Pause::Broken));
    }

    #[test]
    fn pauses_longer_each_time_until_one_call_goes_well() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES {
            fail(&mut breaker, now);
        }
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let until = breaker.open.unwrap().until;
            assert_eq!(breaker.state(until - CALL), BreakerState::Open);
            assert_eq!(breaker.state(until), BreakerState::HalfOpen);
            pauses.push((until - now - CALL).as_secs());
            now = until;
            fail(&mut breaker, now);
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300]);
        breaker.called(now + LONGEST_PAUSE + CALL, CALL, true);
        assert_eq!(breaker.state(now), BreakerState::Closed);
        fail(&mut breaker, now);
        assert_eq!(breaker.state(now), BreakerState::Closed, "it counts from nothing again");
    }

    #[test]
    fn time_is_bounded_in_each_window() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        breaker.called(now, BUDGET - CALL, true);
        assert_eq!(breaker.check(now + CALL), Ok(()));
        breaker.called(now + CALL, CALL, true);
        assert_eq!(breaker.check(now + CALL), Err(Pause::Spent));
        assert_eq!(breaker.check(now + BUDGET_WINDOW), Ok(()));
        breaker.called(now + BUDGET_WINDOW, CALL, true);
        assert_eq!(breaker.check(now + BUDGET_WINDOW + CALL), Ok(()));
    }
}
