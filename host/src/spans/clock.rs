//! From CLOCK_MONOTONIC, by which BPF programs tell when something was, to the time of day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Both clocks at one moment. The time of day may be set later: what happened before is told by the time
/// of day of then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Nanoseconds since 1970.
    wall: i128,
    /// Nanoseconds of CLOCK_MONOTONIC.
    monotonic: i128,
}

impl Clock {
    /// What both say now.
    pub(super) fn now() -> Self {
        let time = clock_gettime(ClockId::Monotonic);
        let monotonic = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = i128::try_from(since.as_nanos()).unwrap_or(i128::MAX);
        Self { wall, monotonic }
    }

    /// The time of day when CLOCK_MONOTONIC said so many nanoseconds; as near to it as OTLP can say.
    pub(super) fn at(self, nanos: u64) -> SystemTime {
        time(self.wall.saturating_sub(self.monotonic).saturating_add(i128::from(nanos)))
    }

    /// How long before this moment another one was.
    pub(super) fn since(self, earlier: Self) -> Duration {
        let nanos = self.monotonic.saturating_sub(earlier.monotonic).max(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The time of day now.
    pub(super) fn wall(self) -> SystemTime {
        time(self.wall)
    }
}

/// So long after, or as near to it as OTLP can say.
pub(super) fn later(start: SystemTime, nanos: u64) -> SystemTime {
    let since = start.duration_since(UNIX_EPOCH).unwrap_or_default();
    time(i128::try_from(since.as_nanos()).unwrap_or(i128::MAX).saturating_add(i128::from(nanos)))
}

/// So many nanoseconds after 1970, of which OTLP has 64 bits.
fn time(nanos: i128) -> SystemTime {
    let nanos = u64::try_from(nanos.max(0)).unwrap_or(u64::MAX);
    UNIX_EPOCH + Duration::from_nanos(nanos)
}

#[cfg(test)]
impl Clock {
    /// A moment of a test's choice.
    pub(super) fn of(wall: i128, monotonic: i128) -> Self {
        Self { wall, monotonic }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(time: SystemTime) -> u128 {
        time.duration_since(UNIX_EPOCH).unwrap().as_nanos()
    }

    #[test]
    fn what_was_before_and_after_is_told_by_the_time_of_day() {
        let clock = Clock::of(1_000_000, 400);
        assert_eq!(nanos(clock.wall()), 1_000_000);
        assert_eq!(nanos(clock.at(400)), 1_000_000);
        assert_eq!(nanos(clock.at(1)), 999_601);
        assert_eq!(nanos(clock.at(5000)), 1_004_600);
        assert_eq!(nanos(later(clock.at(1), 9)), 999_610);
    }

    #[test]
    fn nothing_is_before_1970_or_beyond_what_otlp_can_say() {
        let clock = Clock::of(1000, 1_000_000);
        assert_eq!(nanos(clock.at(5)), 0);
        assert_eq!(nanos(clock.at(u64::MAX)), u128::from(u64::MAX) - 999_000);
        assert_eq!(nanos(later(clock.at(u64::MAX), u64::MAX)), u128::from(u64::MAX));
    }

    #[test]
    fn now_lies_between_two_readings_of_the_time_of_day() {
        let before = SystemTime::now();
        let clock = Clock::now();
        let after = SystemTime::now();
        assert!((before..=after).contains(&clock.wall()));
    }
}
