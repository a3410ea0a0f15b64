//! When series began to count: what tells a number that is new from one that has grown.
//!
//! Never asks a clock.

/// The time of a series that has not begun.
const NOT_YET: u64 = u64::MAX;
/// The time of a series of which it is not known: it may have counted before it was read.
const UNKNOWN: u64 = 0;
/// The time of a series that nobody told anything of: the exporter itself counts in it.
const UNSAID: u64 = u64::MAX - 1;

/// The times of a family's series, in milliseconds since 1970.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    times: Vec<u64>,
    /// What series get that begin.
    now: u64,
}

impl Default for Begun {
    fn default() -> Self {
        Self { times: Vec::new(), now: UNSAID }
    }
}

impl Begun {
    /// Has series that begin from now on have begun then.
    pub(super) fn at(&mut self, time: Option<u64>) {
        self.now = time.unwrap_or(UNKNOWN);
    }

    /// Whether it was ever said when series begin.
    pub(super) fn is_said(&self) -> bool {
        self.now != UNSAID
    }

    /// Makes room for one more.
    pub(super) fn push(&mut self) {
        self.times.push(NOT_YET);
    }

    /// The `id`-th counts; it has begun already if it has not ended since.
    pub(super) fn begin(&mut self, id: usize) {
        if self.times[id] == NOT_YET {
            self.times[id] = self.now;
        }
    }

    /// The `id`-th counts no more.
    pub(super) fn end(&mut self, id: usize) {
        self.times[id] = NOT_YET;
    }

    /// When the `id`-th began, if that is known.
    pub(super) fn of(&self, id: usize) -> Option<u64> {
        Some(self.times[id]).filter(|time| ![UNKNOWN, NOT_YET, UNSAID].contains(time))
    }

    /// Whether the `id`-th may have counted before it was read.
    pub(super) fn is_unknown(&self, id: usize) -> bool {
        self.times[id] == UNKNOWN
    }

    /// Those of these alone, in this order.
    pub(super) fn only(&self, ids: impl Iterator<Item = usize>) -> Self {
        Self { times: ids.map(|id| self.times[id]).collect(), now: self.now }
    }
}
