//! When a plugin is not asked: after repeated failures, and when it has used up its time.
//!
//! Decides by the clock that it is handed; never looks at one itself.

use std::collections::VecDeque;
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

impl BreakerState {
    /// The word for it in the status.
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// Why a plugin is not asked now, and how long that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// It failed too often.
    Broken(Duration),
    /// It has used up its time.
    Spent(Duration),
}

/// Counts failures and time in the guests of one plugin.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Since the last success.
    failures: u32,
    open: Option<Open>,
    spent: Spent,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    until: Instant,
    pause: Duration,
}

/// Time in guests, by when it ended: what came within [`GRAIN`] together, oldest first.
#[derive(Debug, Default)]
struct Spent(VecDeque<(Instant, Duration)>);

/// How exactly it is remembered when time was spent. It counts for so much longer than it has to.
const GRAIN: Duration = Duration::from_secs(1);

impl Breaker {
    /// Whether the plugin may be asked at `now`.
    pub(super) fn check(&self, now: Instant) -> Result<(), Pause> {
        if let Some(open) = self.open.filter(|open| now < open.until) {
            return Err(Pause::Broken(open.until - now));
        }
        match self.spent.until(now) {
            Some(until) => Err(Pause::Spent(until - now)),
            None => Ok(()),
        }
    }

    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self.open {
            None => BreakerState::Closed,
            Some(open) if now < open.until => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// Notes a call that was cut for no fault of its own: it took its time, and says nothing of whether
    /// the plugin works.
    pub(super) fn cut(&mut self, start: Instant, took: Duration) {
        self.spent.add(start + took, took);
    }

    /// Notes a call that began at `start`, took so long and went well or not.
    pub(super) fn called(&mut self, start: Instant, took: Duration, well: bool) {
        self.spent.add(start + took, took);
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

impl Spent {
    fn add(&mut self, end: Instant, took: Duration) {
        while self.0.front().is_some_and(|(since, _)| forgotten(*since) <= end) {
            self.0.pop_front();
        }
        match self.0.back_mut() {
            Some((since, spent)) if end < *since + GRAIN => *spent += took,
            _ => self.0.push_back((end, took)),
        }
    }

    /// When enough of it will be long ago, if that is after `now`.
    fn until(&self, now: Instant) -> Option<Instant> {
        let mut counts = Duration::ZERO;
        let recent = self.0.iter().rev().take_while(|(since, _)| now < forgotten(*since));
        for (since, spent) in recent {
            counts += *spent;
            if counts >= BUDGET {
                return Some(forgotten(*since));
            }
        }
        None
    }
}

/// When time no longer counts that was spent within [`GRAIN`] from `since` on.
fn forgotten(since: Instant) -> Instant {
    since + GRAIN + BUDGET_WINDOW
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
        assert_eq!(breaker.check(now + CALL), Err(Pause::Broken(FIRST_PAUSE)));
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
    fn time_is_bounded_in_any_window() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        breaker.called(now, BUDGET - CALL, true);
        let end = now + BUDGET - CALL;
        assert_eq!(breaker.check(end), Ok(()));
        breaker.called(end, CALL, true);
        let last = GRAIN + BUDGET_WINDOW;
        assert_eq!(breaker.check(end + CALL), Err(Pause::Spent(last - CALL)));
        assert_eq!(breaker.check(end + last - CALL), Err(Pause::Spent(CALL)));
        assert_eq!(breaker.check(end + last), Ok(()));
    }

    #[test]
    fn no_window_of_any_start_has_more_than_its_budget_and_a_call() {
        let (mut breaker, begin) = (Breaker::default(), Instant::now());
        let took = Duration::from_millis(70);
        let (mut now, mut ends) = (begin, Vec::new());
        while now < begin + BUDGET_WINDOW * 6 {
            match breaker.check(now) {
                Ok(()) => {
                    breaker.called(now, took, true);
                    now += took;
                    ends.push(now);
                }
                Err(Pause::Spent(left)) => now += left,
                Err(Pause::Broken(_)) => unreachable!("no call failed"),
            }
        }
        let within = |first: &Instant| {
            ends.iter().filter(|end| (*first..*first + BUDGET_WINDOW).contains(end)).count() as u32
        };
        let most = ends.iter().map(within).max().unwrap() * took;
        assert!((BUDGET..BUDGET + took).contains(&most), "{most:?}");
        // And it is asked again and again: about 2 s in each 11.
        let all = ends.len() as u32 * took;
        assert!(all > BUDGET * 5, "{all:?}");
        assert!(breaker.spent.0.len() <= 11, "{}", breaker.spent.0.len());
    }
}
