//! The worker that reads ring buffers: waits until any has a record, and makes spans of all that it has.
//!
//! It costs nothing while no record comes, and none waits for its plugin. It never waits for who sends spans, so
//! a ring buffer is read as fast as its records are decoded.

use std::sync::mpsc::{Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

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
/// How long a ring buffer that nobody reads from then on is read until it is empty: programs that were detached may
/// still write a record that they have begun.
const LAST_WRITES: Duration = Duration::from_millis(20);
/// How long between two looks at it.
const LOOK: Duration = Duration::from_millis(1);

/// A ring buffer and what makes spans of its records.
#[derive(Debug)]
pub(super) struct SpanFeed {
    /// The config whose it is.
    pub(super) config: String,
    /// The name of the ring buffer.
    pub(super) map: String,
    pub(super) ring: Ring,
    pub(super) maker: SpanMaker,
}

/// Other ring buffers to read: see [`super::SpanChange`].
#[derive(Debug)]
pub(super) struct Order {
    pub(super) left: Vec<(String, String)>,
    pub(super) came: Vec<SpanFeed>,
    /// Told once those that are left are read no more.
    pub(super) done: Sender<()>,
}

/// Who tells the worker what.
#[derive(Debug)]
pub(super) struct Orders {
    pub(super) ordered: Receiver<Order>,
    /// Rung when there is an order.
    pub(super) news: Bell,
    /// Rung when it is to end.
    pub(super) end: Bell,
}

/// Reads ring buffers until it is to end, then once more: programs that are detached leave records.
pub(super) fn work(mut feeds: Vec<SpanFeed>, outbox: &Outbox, orders: &Orders) {
    while !is_over(&feeds, orders) {
        orders.news.hush();
        obey_all(orders, &mut feeds, outbox);
        feeds.iter_mut().for_each(|feed| feed.read(outbox));
    }
    // What came with the end has records too.
    obey_all(orders, &mut feeds, outbox);
    feeds.iter_mut().for_each(|feed| feed.finish(outbox));
}

fn obey_all(orders: &Orders, feeds: &mut Vec<SpanFeed>, outbox: &Outbox) {
    orders.ordered.try_iter().for_each(|order| obey(order, feeds, outbox));
}

/// What stands in the buffers that are left becomes spans before others read them.
fn obey(Order { left, came, done }: Order, feeds: &mut Vec<SpanFeed>, outbox: &Outbox) {
    let is_left = |feed: &SpanFeed| {
        left.iter().any(|(config, map)| *config == feed.config && *map == feed.map)
    };
    let mut leaving: Vec<_> = feeds.extract_if(.., |feed| is_left(feed)).collect();
    leaving.iter_mut().for_each(|feed| feed.finish(outbox));
    let goes_on = |feed: &SpanFeed| came.iter().any(|next| next.ring.reads_same(&feed.ring));
    let end = Instant::now() + LAST_WRITES;
    for feed in leaving.iter_mut().filter(|feed| !goes_on(feed)) {
        feed.empty(outbox, end);
    }
    drop(leaving);
    feeds.extend(came);
    // Who has told it may have ended.
    let _ = done.send(());
}

/// Waits for a record, an order, or that a plugin can be asked again; whether it is to end.
fn is_over(feeds: &[SpanFeed], orders: &Orders) -> bool {
    let bells = [&orders.news, &orders.end].map(|bell| PollFd::new(bell, PollFlags::IN));
    let fds = feeds.iter().map(|feed| PollFd::new(&feed.ring, PollFlags::IN));
    let mut fds: Vec<_> = fds.chain(bells).collect();
    let waits = feeds.iter().any(|feed| feed.maker.waits());
    let again = Timespec::try_from(AGAIN).ok().filter(|_| waits);
    match poll(&mut fds, again.as_ref()) {
        Ok(_) => fds.last().is_none_or(|end| !end.revents().is_empty()),
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
        let Self { ring, maker, .. } = self;
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

    /// The same for the last time: no record waits for a plugin any more.
    fn finish(&mut self, outbox: &Outbox) {
        self.maker.hurry();
        self.read(outbox);
    }

    /// Reads on until nothing stands in the ring buffer, or until `end`.
    fn empty(&mut self, outbox: &Outbox, end: Instant) {
        loop {
            self.read(outbox);
            if self.ring.is_empty() || Instant::now() >= end {
                return;
            }
            thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::stats::SpanStats;
    use super::super::variables::Batches;
    use super::*;

    #[test]
    fn what_is_ordered_with_the_end_is_obeyed() {
        let batches = Batches { queue: 1, batch: 1, delay: LOOK, patience: LOOK };
        let outbox = Outbox::new(batches, SpanStats::default());
        let (tell, ordered) = mpsc::channel();
        let (done, answer) = mpsc::channel();
        let [news, end] = [Bell::new().unwrap(), Bell::new().unwrap()];
        end.ring();
        tell.send(Order { left: Vec::new(), came: Vec::new(), done }).unwrap();
        work(Vec::new(), &outbox, &Orders { ordered, news, end });
        assert_eq!(answer.recv(), Ok(()));
    }
}
