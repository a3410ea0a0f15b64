//! The worker that reads ring buffers: waits until any has a record, and makes spans of all that it has.
//!
//! It costs nothing while no record comes, and none waits for its plugin. It never waits for who sends spans, so
//! a ring buffer is read as fast as its records are decoded.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::time::Timespec;
use tracing::error;

use super::clock::Clock;
use super::held::AGAIN;
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
    for feed in &mut feeds {
        feed.maker.hurry();
        feed.read(outbox);
    }
}

/// Waits for a record, the bell, or that a plugin can be asked again; whether it is the bell.
fn is_rung(feeds: &[SpanFeed], bell: &Bell) -> bool {
    let fds = feeds.iter().map(|feed| PollFd::new(&feed.ring, PollFlags::IN));
    let mut fds: Vec<_> = fds.chain([PollFd::new(bell, PollFlags::IN)]).collect();
    let waits = feeds.iter().any(|feed| feed.maker.waits());
    let again = Timespec::try_from(AGAIN).ok().filter(|_| waits);
    match poll(&mut fds, again.as_ref()) {
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
        maker.take_again(Clock::now());
        ring.drain(&mut |record| {
            maker.take(record);
            if maker.taken() >= BATCH {
                outbox.put(maker.make(Clock::now()));
            }
        });
        if maker.taken() > 0 {
            outbox.put(maker.make(Clock::now()));
        }
    }
}
