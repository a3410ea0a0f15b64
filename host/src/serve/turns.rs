//! How many requests are answered at once, and who of those that wait is next.
//!
//! Everybody has the same page, so with a thousand who ask at once it is not the reading that takes
//! long but the sending, and sent a piece to each in turn all would get theirs late. So some are
//! answered, and the others wait.
//!
//! A client that asks again as soon as it has its answer is **busy**; one that asks once in a while is
//! not, nor is a new one. The busy have a quarter of the turns, and none while clients hold half of the
//! bytes that they may. So a scraper finds a turn whatever the busy do.
//!
//! Those who wait are called in this order: the address with the fewest turns first, of these the client
//! that has rested longest, of these the one that came last, whose client is most likely still there. A
//! new client counts as one that has hardly rested. A client that takes its answer slowly holds up nobody.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

use super::limits::ClientLimits;
use super::room::Handle;
use super::socket::Peer;

/// After this an answer counts as slow to be taken, and another one may be under way beside it.
const SLOW: Duration = Duration::from_millis(500);
/// How often to see, while somebody waits, whether those who have a turn have become slow.
const LOOK: Duration = Duration::from_millis(50);
/// Who asks sooner than this behind an answer is busy.
const REST: Duration = Duration::from_millis(250);
/// Rests that differ by less are alike, and so are those that are longer than ten of these.
const STEP: Duration = Duration::from_millis(100);
/// What a client has rested that was not answered before: as little as anyone who is not busy, or
/// those who come anew each time would be before a scraper each time.
const NEW: Duration = REST;

/// Who is answered now. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Turns(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    busy: usize,
    line: Mutex<Line>,
    /// Told when somebody has to wait.
    waits: Notify,
}

#[derive(Debug, Default)]
struct Line {
    /// Who is answered, by number, in the order in which they began.
    begun: Vec<Begun>,
    /// Who waits and is not busy, the last to come at the end.
    rested: Vec<Waiting>,
    /// Who waits and is busy, likewise.
    busy: Vec<Waiting>,
    next: u64,
}

#[derive(Debug)]
struct Begun {
    number: u64,
    at: Instant,
    seat: Handle,
    is_busy: bool,
}

#[derive(Debug)]
struct Waiting {
    call: oneshot::Sender<Turn>,
    seat: Handle,
    /// Since its last answer.
    rest: Duration,
}

/// Those who are answered and not slow.
struct Quick {
    /// How many there are of each address.
    peers: Vec<(Peer, usize)>,
    busy: usize,
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    number: u64,
}

impl Turns {
    /// As many at once as the limits say.
    pub(super) fn new(limits: &ClientLimits) -> Self {
        let (line, waits) = (Mutex::default(), Notify::new());
        Self(Arc::new(Inner { most: limits.answers, busy: limits.busy, line, waits }))
    }

    /// Returns when a request may be answered, whose client has rested so long since its last answer, if
    /// it had one.
    pub(super) async fn next(&self, seat: &Handle, rest: Option<Duration>) -> Turn {
        let rest = rest.unwrap_or(NEW);
        loop {
            // It is called in any case, for nobody is forgotten who still listens.
            if let Ok(turn) = self.ask(seat, rest, Instant::now()).await {
                return turn;
            }
        }
    }

    /// Gives turns to those who wait when others have become slow. Never returns.
    pub(super) async fn look(&self) {
        loop {
            if self.are_waited_for() {
                sleep(LOOK).await;
                self.give(Instant::now());
            } else {
                self.0.waits.notified().await;
            }
        }
    }

    /// Whether somebody waits.
    pub(super) fn are_waited_for(&self) -> bool {
        let line = self.line();
        !(line.rested.is_empty() && line.busy.is_empty())
    }

    /// Has a request wait for its turn, which may come at once.
    fn ask(&self, seat: &Handle, rest: Duration, now: Instant) -> oneshot::Receiver<Turn> {
        let (call, called) = oneshot::channel();
        let waiting = Waiting { call, seat: seat.clone(), rest };
        let mut line = self.line();
        if rest < REST {
            line.busy.push(waiting)
        } else {
            line.rested.push(waiting)
        }
        drop(line);
        self.give(now);
        if self.are_waited_for() {
            self.0.waits.notify_one();
        }
        called
    }

    /// Gives a turn to each of those who wait that may have one.
    fn give(&self, now: Instant) {
        while let Some((call, number)) = self.begin(now) {
            // One that has gone in this moment gives its turn back.
            let _ = call.send(Turn { turns: self.clone(), number });
        }
    }

    fn begin(&self, now: Instant) -> Option<(oneshot::Sender<Turn>, u64)> {
        self.line().begin(self.0.most, self.0.busy, now)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Whose turn it is now, if there is one: whom to call, and its number.
    fn begin(
        &mut self,
        most: usize,
        busy: usize,
        now: Instant,
    ) -> Option<(oneshot::Sender<Turn>, u64)> {
        let quick = self.quick(now);
        let all = quick.all();
        if all >= most {
            return None;
        }
        let rested = best(&mut self.rested, &quick);
        let is_busy = rested.is_none();
        let Waiting { call, seat, .. } = match rested {
            Some(rested) => rested,
            None if quick.busy < busy && (all == 0 || self.has_bytes_for_busy()) => {
                best(&mut self.busy, &quick)?
            }
            None => return None,
        };
        let number = self.next;
        self.next += 1;
        self.begun.push(Begun { number, at: now, seat, is_busy });
        Some((call, number))
    }

    fn quick(&self, now: Instant) -> Quick {
        let young = self.begun.iter().rev().take_while(|begun| now < begun.at + SLOW);
        let mut quick = Quick { peers: Vec::new(), busy: 0 };
        for begun in young.filter(|begun| !begun.seat.has_stalled(now)) {
            quick.busy += usize::from(begun.is_busy);
            let peer = begun.seat.peer();
            match quick.peers.iter_mut().find(|(other, _)| *other == peer) {
                Some((_, count)) => *count += 1,
                None => quick.peers.push((peer, 1)),
            }
        }
        quick
    }

    fn has_bytes_for_busy(&self) -> bool {
        self.busy.last().is_some_and(|waiting| waiting.seat.room().is_half_empty())
    }
}

impl Quick {
    fn all(&self) -> usize {
        self.peers.iter().map(|(_, count)| count).sum()
    }

    fn of(&self, peer: Peer) -> usize {
        self.peers.iter().find(|(other, _)| *other == peer).map_or(0, |(_, count)| *count)
    }
}

/// Takes out the one who is next. Those who have gone are forgotten.
fn best(waiting: &mut Vec<Waiting>, quick: &Quick) -> Option<Waiting> {
    waiting.retain(|waiting| !waiting.call.is_closed());
    let rank = |(at, waiting): &(usize, &Waiting)| {
        let rest = waiting.rest.min(10 * STEP).as_millis() / STEP.as_millis();
        (quick.of(waiting.seat.peer()), Reverse(rest), Reverse(*at))
    };
    let (at, _) = waiting.iter().enumerate().min_by_key(rank)?;
    Some(waiting.remove(at))
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut line = self.turns.line();
        if let Ok(at) = line.begun.binary_search_by_key(&self.number, |begun| begun.number) {
            line.begun.remove(at);
        }
        drop(line);
        self.turns.give(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::room::{Room, Seat};
    use super::super::traffic::Traffic;
    use super::*;

    const BUSY: Duration = Duration::ZERO;

    struct Fixture {
        turns: Turns,
        room: Room,
        seat: Seat,
        now: Instant,
    }

    /// `answers` at once, `busy` of them of busy clients.
    fn fixture(answers: usize, busy: usize) -> Fixture {
        let limits = ClientLimits { answers, busy, ..ClientLimits::default() };
        let room = Room::new(limits, Traffic::default());
        let seat = room.seat(Peer::Local).unwrap();
        // So late that nobody becomes slow of itself, however long a test takes.
        let now = Instant::now() + Duration::from_secs(3600);
        Fixture { turns: Turns::new(&limits), room, seat, now }
    }

    impl Fixture {
        fn ask(&self, rest: Duration) -> oneshot::Receiver<Turn> {
            self.turns.ask(&self.seat.handle(), rest, self.now)
        }
    }

    fn turn(called: &mut oneshot::Receiver<Turn>) -> Option<Turn> {
        called.try_recv().ok()
    }

    #[test]
    fn who_came_last_is_next() {
        let f = fixture(2, 2);
        let first = turn(&mut f.ask(NEW)).unwrap();
        let _second = turn(&mut f.ask(NEW)).unwrap();
        let mut waiting: Vec<_> = (0..3).map(|_| f.ask(NEW)).collect();
        assert!(waiting.iter_mut().all(|called| turn(called).is_none()));
        drop(waiting.pop());
        drop(first);
        let third = turn(&mut waiting[1]).expect("the last of those who are still there");
        assert!(turn(&mut waiting[0]).is_none());
        drop(third);
        assert!(turn(&mut waiting[0]).is_some());
    }

    #[test]
    fn who_has_rested_longest_is_next() {
        let f = fixture(1, 1);
        let first = turn(&mut f.ask(NEW)).unwrap();
        let rests = [300, 900, 400, 0, 60].map(Duration::from_millis);
        let mut waiting = rests.map(|rest| f.ask(rest));
        let mut order = Vec::new();
        let mut last = Some(first);
        while last.take().is_some() {
            let called = waiting.iter_mut().enumerate().find_map(|(n, c)| Some((n, turn(c)?)));
            last = called.map(|(n, turn)| {
                order.push(n);
                turn
            });
        }
        // Of the last two, whose rests are alike, it is the one that came last.
        assert_eq!(order, [1, 2, 0, 4, 3]);
    }

    #[test]
    fn who_comes_back_is_before_who_is_new() {
        let f = fixture(1, 1);
        let first = turn(&mut f.ask(NEW)).unwrap();
        // A second less what its last scrape took.
        let mut scraper = f.ask(Duration::from_millis(950));
        let mut others: Vec<_> = (0..9).map(|_| f.ask(NEW)).collect();
        drop(first);
        assert!(others.iter_mut().all(|called| turn(called).is_none()));
        assert!(turn(&mut scraper).is_some());
    }

    #[test]
    fn there_is_a_turn_for_who_is_not_busy() {
        let f = fixture(3, 2);
        let busy: Vec<_> = (0..2).map(|_| turn(&mut f.ask(BUSY)).unwrap()).collect();
        let mut more = f.ask(BUSY);
        assert!(turn(&mut more).is_none());
        let scraper = turn(&mut f.ask(Duration::from_secs(1))).unwrap();
        let mut other = f.ask(NEW);
        assert!(turn(&mut other).is_none());
        drop(busy);
        assert!(turn(&mut other).is_some() && turn(&mut more).is_some());
        drop(scraper);
        assert!(f.turns.line().begun.is_empty());
    }

    #[test]
    fn the_address_with_the_fewest_turns_is_next() {
        let f = fixture(2, 2);
        let [here, there] = [1, 2].map(|n| f.room.seat(Peer::V4(Ipv4Addr::from([127, 0, 0, n]))));
        let (here, there) = (here.unwrap().handle(), there.unwrap().handle());
        let ask = |seat, rest| f.turns.ask(seat, rest, f.now);
        let _first = turn(&mut ask(&here, NEW)).unwrap();
        let second = turn(&mut ask(&here, NEW)).unwrap();
        let (mut one, mut other) = (ask(&there, Duration::from_secs(1)), ask(&here, NEW));
        drop(second);
        assert!(turn(&mut other).is_none() && turn(&mut one).is_some());
    }

    #[test]
    fn who_is_busy_waits_while_clients_hold_much() {
        let f = fixture(8, 8);
        let holder = f.room.seat(Peer::Local).unwrap().handle();
        let first = turn(&mut f.ask(NEW)).unwrap();
        let page = bytes::Bytes::from(vec![0; f.room.limits().unsent_bytes / 2 + 1]);
        holder.holds(std::slice::from_ref(&page));
        let mut busy = f.ask(BUSY);
        assert!(turn(&mut busy).is_none());
        assert!(turn(&mut f.ask(NEW)).is_some());
        drop(first);
        assert!(turn(&mut busy).is_some(), "one may always be under way");
        let _other = turn(&mut f.ask(NEW)).unwrap();
        f.room.release(&page);
        assert!(turn(&mut f.ask(BUSY)).is_some());
    }

    #[test]
    fn who_is_slow_holds_up_nobody() {
        let f = fixture(1, 1);
        let ask = |now| f.turns.ask(&f.seat.handle(), NEW, now);
        let slow = turn(&mut ask(f.now)).unwrap();
        let mut next = ask(f.now);
        assert!(turn(&mut next).is_none());
        f.turns.give(f.now + SLOW);
        let other = turn(&mut next).unwrap();
        let mut next = ask(f.now + SLOW);
        assert!(turn(&mut next).is_none());
        drop(slow);
        f.turns.give(f.now + SLOW);
        assert!(turn(&mut next).is_none(), "the other one is not slow yet");
        drop(other);
        assert!(turn(&mut next).is_some());
    }

    #[test]
    fn who_takes_nothing_is_slow_before_long() {
        let f = fixture(1, 1);
        let handle = f.seat.handle();
        handle.has_asked();
        handle.is_answered();
        let _turn = turn(&mut f.ask(NEW)).unwrap();
        let mut next = f.ask(NEW);
        f.turns.give(f.now + SLOW / 2);
        assert!(turn(&mut next).is_none(), "it waits for us");
        handle.stalls();
        f.turns.give(f.now + SLOW / 2);
        assert!(turn(&mut next).is_some());
    }
}
