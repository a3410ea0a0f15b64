//! The worker that reads ring buffers: waits until any has a record, and makes spans of all that it has.
//!
//! It costs nothing while no record comes. It never waits for who sends spans, so a ring buffer is read
//! as fast as its records are decoded.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tracing::error;

use super::clock::Clock;
use super::outbox::Outbox;
use super::record::SpanMaker;
use crate::bell::Bell;
use crate::bpf::Ring;

/// Records that are decoded at a time.
const BATCH: usize = 512;

/// A ring buffer and what makes spans of its records.
#[derive(Debug)]
pub(super) struct SpanFeed {
    pub(super) ring: Ring,
    pub(super) maker: SpanMaker,
}

/// Reads ring buffers until the bell rings, then once more: programs that are detached leave records.
pub(super) fn work(mut feeds: Vec<SpanFeed>, outbox: &Outbox, bell: &Bell) {
    while !is_rung(&feeds, bell) {
        feeds.iter_mut().for_each(|feed| feed.read(outbox));
    }
    feeds.iter_mut().for_each(|feed| feed.read(outbox));
}

/// Waits for a record or the bell; whether it is the bell.
fn is_rung(feeds: &[SpanFeed], bell: &Bell) -> bool {
    let fds = feeds.iter().map(|feed| PollFd::new(&feed.ring, PollFlags::IN));
    let mut fds: Vec<_> = fds.chain([PollFd::new(bell, PollFlags::IN)]).collect();
    match poll(&mut fds, None) {
        Ok(_) => fds.last().is_none_or(|bell| !bell.revents().is_empty()),
        Err(Errno::INTR) => false,
        Err(error) => {
            error!("cannot wait for records of ring buffers: {error}; no spans are made any more");
            true
        }
    }
}

impl SpanFeed {
    /// Makes spans of all records that stand in the ring buffer.
    fn read(&mut self, outbox: &Outbox) {
        let Self { ring, maker } = self;
        ring.drain(&mut |record| {
            maker.take(record);
            if maker.taken() == BATCH {
                outbox.put(maker.make(Clock::now()));
            }
        });
        if maker.taken() > 0 {
            outbox.put(maker.make(Clock::now()));
        }
    }
}
