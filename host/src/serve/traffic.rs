//! What connections came to since the start: counted where it happens, read by each scrape.
//!
//! Counting never waits: a number is one atomic addition.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCause {
    /// The client closed or broke it, or asked for it to be closed behind an answer.
    Client,
    /// No request came for [`super::ClientLimits::idle_time`].
    Idle,
    /// A request did not arrive in [`super::ClientLimits::header_time`].
    RequestTimeout,
    /// An answer was not taken in [`super::ClientLimits::response_time`].
    ResponseTimeout,
    /// No TLS was agreed upon: see the log at `--log.level=debug`.
    Handshake,
    /// What came was not HTTP, or a head beyond [`super::ClientLimits::header_bytes`], or frames beyond reason.
    Malformed,
    /// An answer was its last, for all places were taken.
    Crowded,
    /// It waited for a request, and made room.
    EvictedIdle,
    /// Its client did not take the answer, and it made room.
    EvictedStalled,
    /// Its client did not take the answer, and all answers together were too many bytes.
    UnsentBytes,
    /// There was no room that any other could make.
    Refused,
}

impl CloseCause {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Self; 11] = [
        Self::Client,
        Self::Idle,
        Self::RequestTimeout,
        Self::ResponseTimeout,
        Self::Handshake,
        Self::Malformed,
        Self::Crowded,
        Self::EvictedIdle,
        Self::EvictedStalled,
        Self::UnsentBytes,
        Self::Refused,
    ];

    /// The value of the label `cause`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Idle => "idle",
            Self::RequestTimeout => "request_timeout",
            Self::ResponseTimeout => "response_timeout",
            Self::Handshake => "handshake",
            Self::Malformed => "malformed",
            Self::Crowded => "crowded",
            Self::EvictedIdle => "evicted_idle",
            Self::EvictedStalled => "evicted_stalled",
            Self::UnsentBytes => "unsent_bytes",
            Self::Refused => "refused",
        }
    }
}

/// The numbers of one server. Cheap to clone; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    accepted: AtomicU64,
    open: AtomicU64,
    closed: [AtomicU64; CloseCause::ALL.len()],
    refused: AtomicU64,
    unsent: AtomicU64,
}

impl Traffic {
    /// Connections accepted since the start.
    pub fn accepted(&self) -> u64 {
        self.0.accepted.load(Ordering::Relaxed)
    }

    /// Connections that are open now.
    pub fn open(&self) -> u64 {
        self.0.open.load(Ordering::Relaxed)
    }

    /// Connections closed since the start, for each cause.
    pub fn closed(&self) -> [(CloseCause, u64); CloseCause::ALL.len()] {
        CloseCause::ALL.map(|cause| (cause, self.0.closed[cause as usize].load(Ordering::Relaxed)))
    }

    /// Scrapes since the start whose client did not get all of the answer, because the server was
    /// short of room.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Bytes of answers that clients have not taken yet; those that several wait for count once.
    pub fn unsent(&self) -> u64 {
        self.0.unsent.load(Ordering::Relaxed)
    }

    /// Counts a connection that has come.
    pub(super) fn came(&self) {
        self.0.accepted.fetch_add(1, Ordering::Relaxed);
        self.0.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one that is gone.
    pub(super) fn went(&self, cause: CloseCause) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.closed[cause as usize].fetch_add(1, Ordering::Relaxed);
        if matches!(
            cause,
            CloseCause::EvictedStalled | CloseCause::UnsentBytes | CloseCause::Refused
        ) {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes how many bytes are unsent now.
    pub(super) fn holds(&self, unsent: usize) {
        self.0.unsent.store(unsent as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_in_order_and_named_once() {
        assert!(CloseCause::ALL.iter().enumerate().all(|(n, cause)| *cause as usize == n));
        let mut names = CloseCause::ALL.map(CloseCause::as_str);
        names.sort_unstable();
        assert!(names.windows(2).all(|two| two[0] != two[1]));
    }

    #[test]
    fn who_was_short_of_room_was_refused() {
        let traffic = Traffic::default();
        for cause in CloseCause::ALL {
            traffic.came();
            traffic.went(cause);
        }
        assert_eq!((traffic.accepted(), traffic.open(), traffic.refused()), (11, 0, 3));
        assert!(traffic.closed().iter().all(|(_, count)| *count == 1));
    }
}
