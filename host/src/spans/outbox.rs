//! Spans that wait to be sent: a bounded queue. Who makes spans never waits for who sends them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::record::Made;
use super::stats::{Cause, SpanStats};
use super::variables::Batches;

/// The queue.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: Mutex<VecDeque<Made>>,
    batches: Batches,
    stats: SpanStats,
    /// Tells that there is a span where none was.
    some: Notify,
    /// Tells that there is a batch.
    whole: Notify,
}

impl Outbox {
    pub(super) fn new(batches: Batches, stats: SpanStats) -> Self {
        let (some, whole) = (Notify::new(), Notify::new());
        Self { waiting: Mutex::default(), batches, stats, some, whole }
    }

    /// Adds spans. Those that there is no room for are dropped, and counted.
    pub(super) fn put(&self, spans: Vec<Made>) {
        let mut waiting = self.lock();
        let before = waiting.len();
        for made in spans {
            match waiting.len() < self.batches.queue {
                true => waiting.push_back(made),
                false => made.kind.stats.count_dropped(Cause::QueueFull),
            }
        }
        let now = waiting.len();
        drop(waiting);
        self.stats.waiting(now);
        if before == 0 && now > 0 {
            self.some.notify_one();
        }
        if now >= self.batches.batch {
            self.whole.notify_one();
        }
    }

    /// Takes as many as make a batch, or all.
    pub(super) fn take(&self) -> Vec<Made> {
        let mut waiting = self.lock();
        let count = waiting.len().min(self.batches.batch);
        let taken = waiting.drain(..count).collect();
        self.stats.waiting(waiting.len());
        taken
    }

    /// Waits until there is a batch, or until spans have waited for long enough.
    pub(super) async fn ready(&self) {
        while self.lock().is_empty() {
            self.some.notified().await;
        }
        let whole = async {
            while self.lock().len() < self.batches.batch {
                self.whole.notified().await;
            }
        };
        // Too few of them go then.
        let _ = tokio::time::timeout(self.batches.delay, whole).await;
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Made>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::otlp::OtlpResource;
    use crate::spans::kind::TracedKind;
    use crate::spans::start::{StartTimes, spans};
    use crate::spans::stats::told;

    fn outbox(queue: usize, batch: usize, delay: Duration) -> (Outbox, SpanStats) {
        let stats = SpanStats::default();
        let batches = Batches { queue, batch, delay, patience: delay };
        (Outbox::new(batches, stats.clone()), stats)
    }

    /// Two spans.
    fn two(stats: &SpanStats) -> Vec<Made> {
        let now = std::time::Instant::now();
        let kind =
            Arc::new(TracedKind::new(Some("s"), &OtlpResource::default(), stats.kind("a", "x")));
        spans(&StartTimes { began: now, read: now, configs: Vec::new() }, &kind)
    }

    #[test]
    fn what_finds_no_room_is_counted_and_waits_for_nobody() {
        let (outbox, stats) = outbox(5, 4, Duration::ZERO);
        // Told of as long as anybody has it.
        let _kind = stats.kind("a", "x");
        (0..4).for_each(|_| outbox.put(two(&stats)));
        insta::assert_snapshot!(told(&stats), @r#"
        dropped_total{config="a",span="x",cause="queue_full"} 3
        waiting 5
        "#);
        assert_eq!((outbox.take().len(), outbox.take().len(), outbox.take().len()), (4, 1, 0));
        outbox.put(two(&stats));
        insta::assert_snapshot!(told(&stats), @r#"
        dropped_total{config="a",span="x",cause="queue_full"} 3
        waiting 2
        "#);
    }

    #[tokio::test]
    async fn a_batch_is_ready_at_once_and_less_after_a_while() {
        // Nobody would wait for so long.
        let (whole, stats) = outbox(9, 2, Duration::from_secs(86_400));
        whole.put(two(&stats));
        whole.ready().await;
        assert_eq!(whole.take().len(), 2);
        let (few, stats) = outbox(9, 3, Duration::from_millis(1));
        few.put(two(&stats));
        few.ready().await;
        assert_eq!(few.take().len(), 2);
    }
}
