//! How many requests are answered at once.
//!
//! Everybody has the same page, so with a thousand who ask at once it is not the reading that takes
//! long but the sending, and sent a piece to each in turn all would get theirs late. So some are
//! answered, and of those who wait the one that came last is next: it is the one whose client is
//! still there. Nobody is held up by a client that takes its answer slowly.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::room::Handle;

/// After this an answer counts as slow to be taken, and another one may be under way beside it.
const SLOW: Duration = Duration::from_millis(500);
/// How long those wait who are not called, before they look themselves.
const LOOK: Duration = Duration::from_millis(100);

/// Who is answered now. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Turns(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    /// Who is answered, by number, in the order in which they began.
    begun: Vec<(u64, Instant, Handle)>,
    /// Who waits, the last to come at the end.
    waiting: Vec<oneshot::Sender<()>>,
    next: u64,
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    number: u64,
}

impl Turns {
    /// At most so many at once.
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Inner { most, line: Mutex::default() }))
    }

    /// Returns when a request may be answered.
    pub(super) async fn next(&self, seat: &Handle) -> Turn {
        loop {
            let called = match self.begin(seat, Instant::now()) {
                Ok(turn) => return turn,
                Err(called) => called,
            };
            // Called or not, there may be a turn: those who have one may have become slow.
            let _ = timeout(LOOK, called).await;
        }
    }

    /// A turn, or to be called when there may be one.
    fn begin(&self, seat: &Handle, now: Instant) -> Result<Turn, oneshot::Receiver<()>> {
        let mut line = self.line();
        let young = line.begun.iter().rev().take_while(|(_, begun, _)| now < *begun + SLOW);
        let quick = young.filter(|(.., seat)| !seat.has_stalled(now)).count();
        if quick < self.0.most {
            let number = line.next;
            line.next += 1;
            line.begun.push((number, now, seat.clone()));
            return Ok(Turn { turns: self.clone(), number });
        }
        let (call, called) = oneshot::channel();
        line.waiting.retain(|call| !call.is_closed());
        line.waiting.push(call);
        Err(called)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut line = self.turns.line();
        if let Ok(at) = line.begun.binary_search_by_key(&self.number, |(number, ..)| *number) {
            line.begun.remove(at);
        }
        // Of those who have gone, none hears.
        while line.waiting.pop().is_some_and(|call| call.send(()).is_err()) {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::Limits;
    use super::super::room::{Room, Seat};
    use super::super::socket::Peer;
    use super::super::traffic::Traffic;
    use super::*;

    fn seat() -> Seat {
        Room::new(Limits::default(), Traffic::default()).seat(Peer::Local).unwrap()
    }

    #[test]
    fn who_came_last_is_next() {
        let (turns, now, seat) = (Turns::new(2), Instant::now(), seat());
        let begin = || turns.begin(&seat.handle(), now);
        let first = begin().unwrap();
        let _second = begin().unwrap();
        let mut waiting: Vec<_> = (0..3).map(|_| begin().unwrap_err()).collect();
        drop(waiting.pop());
        drop(first);
        assert!(waiting[1].try_recv().is_ok(), "the last of those who are still there");
        assert!(waiting[0].try_recv().is_err());
        let third = begin().unwrap();
        drop(third);
        assert!(waiting[0].try_recv().is_ok());
    }

    #[test]
    fn who_is_slow_holds_up_nobody() {
        let (turns, now, seat) = (Turns::new(1), Instant::now(), seat());
        let begin = |now| turns.begin(&seat.handle(), now);
        let slow = begin(now).unwrap();
        assert!(begin(now).is_err());
        let other = begin(now + SLOW).unwrap();
        assert!(begin(now + SLOW).is_err());
        drop(slow);
        assert!(begin(now + SLOW).is_err(), "the other one is not slow yet");
        drop(other);
        assert!(begin(now + SLOW).is_ok());
        assert!(turns.line().begun.is_empty());
    }

    #[test]
    fn who_takes_nothing_is_slow_before_long() {
        let (turns, now, seat) = (Turns::new(1), Instant::now(), seat());
        let handle = seat.handle();
        handle.has_asked();
        handle.is_answered();
        let _turn = turns.begin(&handle, now).unwrap();
        assert!(turns.begin(&handle, now + SLOW / 2).is_err(), "it waits for us");
        handle.stalls();
        assert!(turns.begin(&handle, now + SLOW / 2).is_ok());
    }
}
