//! Who tells the thread that reads ring buffers of configs that were read again, and knows which ones it may still
//! read.
//!
//! Never reads one.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::reader::Order;
use super::{KindMaker, TracedRing};
use crate::bell::Bell;

/// How long the reader is waited for until it has changed. As a rule that takes no longer than the records that stand in
/// what is left.
const CHANGES: Duration = Duration::from_secs(1);

/// What becomes of spans when configs are read again.
#[derive(Debug, Default)]
pub struct SpanChange {
    /// The ring buffers that spans are no longer made of as before, by their configs. What stands in them becomes
    /// spans as before.
    pub left: Vec<(String, String)>,
    /// Those that spans are made of from then on. One of those that were left may be among them.
    pub came: Vec<TracedRing>,
}

impl SpanChange {
    /// Whether nothing changes.
    pub fn is_none(&self) -> bool {
        self.left.is_empty() && self.came.is_empty()
    }

    /// Has all of another change happen with this one.
    pub fn extend(&mut self, Self { left, came }: Self) {
        self.left.extend(left);
        self.came.extend(came);
    }
}

/// Tells who reads ring buffers of configs that were read again.
#[derive(Debug)]
pub struct SpanDesk {
    pub(super) kinds: KindMaker,
    pub(super) orders: Sender<Order>,
    pub(super) news: Bell,
    /// What the reader had not let go of when this was last looked at.
    pub(super) left: Vec<Left>,
}

/// Ring buffers that were left by one change.
#[derive(Debug)]
pub(super) struct Left {
    rings: Vec<(String, String)>,
    /// Where the reader says that it has let go of them.
    answer: Receiver<()>,
}

impl SpanDesk {
    /// Has spans be made of other ring buffers from now on. Waits until that is so, for a second at the most: a plugin may
    /// take longer for what stands in a ring buffer.
    pub fn change(&mut self, change: SpanChange) {
        self.change_until(change, Instant::now() + CHANGES);
    }

    fn change_until(&mut self, SpanChange { left, came }: SpanChange, end: Instant) {
        let came = came.into_iter().map(|ring| self.kinds.feed(ring)).collect();
        let (done, answer) = mpsc::channel();
        let leaving = Left { rings: left.clone(), answer };
        // If who reads has died, that was said, and it reads nothing.
        let _ = self.orders.send(Order { left, came, done });
        self.news.ring();
        if leaving.is_read_until(end) {
            self.left.push(leaving);
        }
    }

    /// Whether a ring buffer that spans were made of may still be read, by its config and its name.
    pub fn still_reads(&mut self, config: &str, ring: &str) -> bool {
        self.left.retain(|left| left.is_read_until(Instant::now()));
        self.left.iter().any(|left| left.has(config, ring))
    }
}

impl Left {
    fn has(&self, config: &str, ring: &str) -> bool {
        self.rings.iter().any(|(of, name)| of == config && name == ring)
    }

    /// Whether they may be read at `end`. Waits no longer than until it is known that they are not.
    fn is_read_until(&self, end: Instant) -> bool {
        let answer = self.answer.recv_timeout(end.saturating_duration_since(Instant::now()));
        // Who is not there to answer reads nothing.
        answer == Err(RecvTimeoutError::Timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::OtlpResource;

    fn left(ring: &str) -> SpanChange {
        SpanChange { left: vec![("a".to_owned(), ring.to_owned())], came: Vec::new() }
    }

    #[test]
    fn a_ring_buffer_that_was_left_is_read_until_the_reader_says_that_it_is_not() {
        let (orders, ordered) = mpsc::channel();
        let (kinds, news) = (KindMaker::new(OtlpResource::default()), Bell::new().unwrap());
        let mut desk = SpanDesk { kinds, orders, news, left: Vec::new() };
        assert!(!desk.still_reads("a", "r"));
        desk.change_until(left("r"), Instant::now());
        desk.change_until(left("s"), Instant::now());
        assert_eq!(["r", "s", "t"].map(|ring| desk.still_reads("a", ring)), [true, true, false]);
        assert!(!desk.still_reads("b", "r"), "another config's");
        let (first, second) = (ordered.recv().unwrap(), ordered.recv().unwrap());
        first.done.send(()).unwrap();
        assert_eq!(["r", "s"].map(|ring| desk.still_reads("a", ring)), [false, true]);
        // As when it ends before it has obeyed.
        drop(second);
        assert!(!desk.still_reads("a", "s"));
        drop(ordered);
        desk.change(left("r"));
        assert!(!desk.still_reads("a", "r"), "who has died reads none");
    }

    #[test]
    fn a_change_is_over_when_the_reader_says_so() {
        let (orders, ordered) = mpsc::channel::<Order>();
        let (kinds, news) = (KindMaker::new(OtlpResource::default()), Bell::new().unwrap());
        let mut desk = SpanDesk { kinds, orders, news, left: Vec::new() };
        std::thread::scope(|scope| {
            scope.spawn(move || ordered.recv().unwrap().done.send(()).unwrap());
            desk.change_until(left("r"), Instant::now() + Duration::from_secs(60));
        });
        assert_eq!(desk.left.len(), 0);
    }
}
