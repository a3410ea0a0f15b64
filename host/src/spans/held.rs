//! Records of which a plugin got no turn at a label: kept for a moment, and then asked about again. Never
//! many, and none for long.

use std::time::Duration;

use super::clock::Clock;
use crate::decode::Batch;

/// How long a record waits for its plugins: as a rule longer than guests have time in a scrape after which
/// there is none left.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long until they are asked again.
pub(super) const AGAIN: Duration = Duration::from_millis(50);
/// How many records of one kind wait at the most.
const MOST: usize = 1024;

/// The records of one kind of spans that wait.
#[derive(Debug, Default)]
pub(super) struct Held {
    records: Batch,
    /// When each of them was read.
    read: Vec<Clock>,
    /// When they were asked about.
    asked: Option<Clock>,
    /// Whether nobody waits any more.
    closed: bool,
}

impl Held {
    /// Keeps a record of which plugins were asked now; `false` if it is not to wait any more.
    pub(super) fn keep(&mut self, record: &[u8], read: Clock, now: Clock) -> bool {
        let waits = !self.closed && self.read.len() < MOST && now.since(read) < PATIENCE;
        if waits {
            self.records.push(record);
            self.read.push(read);
            self.asked = Some(now);
        }
        waits
    }

    /// Whether any record waits.
    pub(super) fn is_empty(&self) -> bool {
        self.read.is_empty()
    }

    /// The records, and when each was read, if it is time to ask again.
    pub(super) fn due(&mut self, now: Clock) -> Option<(Batch, Vec<Clock>)> {
        self.asked.take_if(|asked| self.closed || now.since(*asked) >= AGAIN)?;
        Some((std::mem::take(&mut self.records), std::mem::take(&mut self.read)))
    }

    /// Has none wait from now on.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }
}
