//! How many requests are answered: so many at once, and then one after each interval.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::config::web::RatePlan;

/// How many more may come.
#[derive(Debug)]
pub(super) struct Pace {
    plan: RatePlan,
    left: Mutex<Left>,
}

#[derive(Debug)]
struct Left {
    /// Requests, with the part of one that the time since the last has brought.
    requests: f64,
    at: Option<Instant>,
}

impl Pace {
    /// As many at once as the plan says.
    pub(super) fn new(plan: RatePlan) -> Self {
        Self { plan, left: Mutex::new(Left { requests: f64::from(plan.burst), at: None }) }
    }

    /// Whether one that comes now is answered, which is counted then.
    pub(super) fn allows(&self, now: Instant) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let since = left.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        let more = since / self.plan.interval.as_secs_f64();
        left.requests = (left.requests + more).min(f64::from(self.plan.burst));
        left.at = Some(now);
        let allows = left.requests >= 1.0;
        if allows {
            left.requests -= 1.0;
        }
        allows
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_and_then_one_after_each_interval() {
        let interval = Duration::from_millis(250);
        let (pace, start) = (Pace::new(RatePlan { interval, burst: 2 }), Instant::now());
        let allowed = [0, 0, 0, 1, 4, 5, 7, 8, 400, 400, 400, 399]
            .map(|parts| pace.allows(start + interval / 4 * parts));
        let wanted = [true, true, false, false, true, false, false, true, true, true, false, false];
        assert_eq!(allowed, wanted);
    }
}
