//! Who is connected, and who goes when there is no room for all.
//!
//! Nobody new waits for another to go. Of the connections that can go, one goes of the address that
//! has the most: so a host that takes much is the one to lose, and one that is alone can have it all.
//! Among them it is the one that waited longest for a request, then the one that stalled longest.
//! Never one that is being answered, unless there are far too many.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::limits::ClientLimits;
use super::seldom::Seldom;
use super::socket::Peer;
use super::traffic::{CloseCause, Traffic};
use super::unsent::Unsent;
use crate::bpf;

/// After this, a client that takes nothing is not in the middle of taking it.
const MOMENT: Duration = Duration::from_millis(100);
/// How often to see whether a burst is over.
const LOOK: Duration = Duration::from_secs(10);
/// The looks at which the start's code is given back: the first one, and one by which most servers have
/// scraped once.
const STARTED: [u32; 2] = [1, 7];
/// Unsent bytes beyond those of two pages that make a burst.
const BURST: usize = 8 << 20;

/// All connections of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: ClientLimits,
    traffic: Traffic,
    seats: Mutex<Seats>,
    unsent: Mutex<Unsent>,
    /// Whether somebody was told to go for the bytes it holds, and has not yet.
    clearing: AtomicBool,
    /// Whether clients held so much lately that the memory is worth giving back.
    burst: AtomicBool,
    /// Told of each that has gone.
    left: Notify,
    said_crowded: Seldom,
    said_unsent: Seldom,
}

#[derive(Debug, Default)]
struct Seats {
    taken: HashMap<u64, Arc<Guest>>,
    peers: HashMap<Peer, Arc<AtomicUsize>>,
    next: u64,
    /// How many have come for whom others have not made room yet.
    owed: usize,
}

/// A connection.
#[derive(Debug)]
struct Guest {
    peer: Peer,
    /// How many connections its peer has.
    company: Arc<AtomicUsize>,
    state: Mutex<State>,
    told: Notify,
    /// Told when an answer in frames is over, by whichever task ends it.
    turned: Notify,
}

#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    /// When this phase began.
    since: Instant,
    /// When its client last took something, once it has made us wait.
    moved: Instant,
    /// Whether a request is being answered, or its answer not given to the connection whole.
    answering: bool,
    /// Whether requests come in frames: HTTP/2.
    framed: bool,
    /// Since when it has the last answer, if it had one.
    answered: Option<Instant>,
    /// Why it ends, once that is known.
    cause: Option<CloseCause>,
}

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waits for a request, behind one that was answered.
    Idle,
    /// Waits for the rest of a request; or for the first, since it came.
    Asking,
    /// Waits for its turn.
    Queued,
    /// Waits for us.
    Answering,
    /// Has made us wait for it to take its answer.
    Sending,
}

/// The place of one connection, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat(Handle);

/// A connection, for those who work for it. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    room: Room,
    id: u64,
    guest: Arc<Guest>,
}

impl Room {
    /// An empty one.
    pub(super) fn new(limits: ClientLimits, traffic: Traffic) -> Self {
        Self(Arc::new(Inner {
            limits,
            traffic,
            seats: Mutex::default(),
            unsent: Mutex::default(),
            clearing: AtomicBool::new(false),
            burst: AtomicBool::new(false),
            left: Notify::new(),
            said_crowded: Seldom::default(),
            said_unsent: Seldom::default(),
        }))
    }

    /// A place for one that has come, until [`Room::make_room`] says otherwise. If there are far too many
    /// it is that of another, and none if all are being answered.
    pub(super) fn seat(&self, peer: Peer) -> Option<Seat> {
        let Inner { limits, traffic, .. } = &*self.0;
        let (mut seats, now) = (lock(&self.0.seats), Instant::now());
        traffic.came();
        if seats.taken.len() >= limits.most {
            self.say_crowded(&seats, now);
            let gone = seats.evict(None, |state| state.gives_way(now, limits.stall_time));
            if gone.is_none() && !seats.yields_to(peer) {
                traffic.went(CloseCause::Refused);
                return None;
            }
        } else if seats.taken.len() >= limits.connections {
            seats.owed += 1;
        }
        let company = Arc::clone(seats.peers.entry(peer).or_default());
        company.fetch_add(1, Ordering::Relaxed);
        let state = Mutex::new(State::new(now));
        let (told, turned) = (Notify::new(), Notify::new());
        let guest = Arc::new(Guest { peer, company, state, told, turned });
        let id = seats.next;
        seats.next += 1;
        seats.taken.insert(id, Arc::clone(&guest));
        drop(seats);
        Some(Seat(Handle { room: self.clone(), id, guest }))
    }

    /// Has others make room for those that have come since this was last called, where there were too many.
    /// It is to be known by then what these have asked. The last of them stays in any case.
    pub(super) fn make_room(&self) {
        let mut seats = lock(&self.0.seats);
        let owed = std::mem::take(&mut seats.owed);
        if owed == 0 {
            return;
        }
        let (now, stall_time) = (Instant::now(), self.0.limits.stall_time);
        self.say_crowded(&seats, now);
        let last = seats.next.checked_sub(1);
        for _ in 0..owed {
            if seats.evict(last, |state| state.gives_way(now, stall_time)).is_none() {
                return;
            }
        }
    }

    /// Lets one go that can, to have its file descriptor. Whether there was any.
    pub(super) fn give_way(&self) -> bool {
        let (mut seats, now) = (lock(&self.0.seats), Instant::now());
        seats.evict(None, |state| state.gives_way(now, Duration::ZERO)).is_some()
    }

    /// Returns when the next connection has gone.
    pub(super) async fn one_left(&self) {
        self.0.left.notified().await;
    }

    /// What clients may take.
    pub(super) fn limits(&self) -> &ClientLimits {
        &self.0.limits
    }

    /// Gives memory back to the system: the code that only a start and a first scrape need, and after each
    /// burst of clients what the allocator would keep, because it lay between blocks that are still in
    /// use. Never returns.
    pub(super) async fn give_back(&self) {
        for look in 1u32.. {
            sleep(LOOK).await;
            if STARTED.contains(&look)
                && let Err(error) = bpf::give_back_code()
            {
                debug!("the start's code stays in memory: {error}");
            }
            let calm = lock(&self.0.unsent).bytes() < BURST
                && lock(&self.0.seats).taken.len() <= self.0.limits.answers;
            if calm && self.0.burst.swap(false, Ordering::Relaxed) {
                bpf::give_back_memory();
            }
        }
    }

    /// Notes that a client does not wait for this block any more.
    pub(super) fn release(&self, block: &Bytes) {
        let mut unsent = lock(&self.0.unsent);
        unsent.remove(block);
        self.0.traffic.holds(unsent.bytes());
    }

    /// Whether clients hold less than half of what they may.
    pub(super) fn is_half_empty(&self) -> bool {
        lock(&self.0.unsent).bytes() <= self.0.limits.unsent_bytes / 2
    }

    /// Lets the one go that has stalled longest if clients hold too much. The next one goes when it
    /// has gone, for what it held may be what others hold too.
    fn clear(&self) {
        let unsent = lock(&self.0.unsent).bytes();
        if unsent <= self.0.limits.unsent_bytes || self.0.clearing.load(Ordering::Relaxed) {
            return;
        }
        let mut seats = lock(&self.0.seats);
        let answers = seats.taken.values().filter(|guest| lock(&guest.state).is_served()).count();
        if answers < 2 {
            return;
        }
        let sending =
            |state: &State| (state.phase == Phase::Sending).then_some(CloseCause::UnsentBytes);
        if let Some(peer) = seats.evict(None, sending) {
            self.0.clearing.store(true, Ordering::Relaxed);
            if self.0.said_unsent.is_due(Instant::now()) {
                let most = self.0.limits.unsent_bytes;
                warn!(
                    "cut off {peer}, which does not take its answer: clients that are slow to read \
                     hold {unsent} bytes, and may {most}; raise --web.max-unsent if they are \
                     to have more; ebpf_exporter_http_connections_closed_total counts on"
                );
            }
        }
    }

    fn say_crowded(&self, seats: &Seats, now: Instant) {
        let most = seats.peers.iter().max_by_key(|(_, company)| company.load(Ordering::Relaxed));
        let Some((peer, company)) = most else { return };
        if self.0.said_crowded.is_due(now) {
            warn!(
                "{} connections are open, {} of them from {peer}: those that wait or stall make room \
                 for new ones; ebpf_exporter_http_connections_closed_total counts them",
                seats.taken.len(),
                company.load(Ordering::Relaxed),
            );
        }
    }
}

impl Seats {
    /// Tells one to go, of those that have a cause to and are not `spared`, and says whose it was. Its place
    /// is free.
    fn evict(
        &mut self,
        spared: Option<u64>,
        cause: impl Fn(&State) -> Option<CloseCause>,
    ) -> Option<Peer> {
        let all = self.taken.iter().filter(|(id, _)| Some(**id) != spared);
        let candidates = all.filter_map(|(id, guest)| {
            let state = *lock(&guest.state);
            let cause = cause(&state)?;
            let company = guest.company.load(Ordering::Relaxed);
            // Who waits for a request goes before who stalls: so their causes are declared.
            Some(((usize::MAX - company, cause as usize, state.since), *id, cause))
        });
        let (_, id, cause) = candidates.min_by_key(|(rank, ..)| *rank)?;
        let guest = self.remove(id)?;
        lock(&guest.state).cause = Some(cause);
        guest.told.notify_one();
        Some(guest.peer)
    }

    /// Makes room for one of `peer` although none waits for a request or stalls: of those that wait for
    /// their turn or are slow to take their answers, or of an address that has more than this one.
    fn yields_to(&mut self, peer: Peer) -> bool {
        let waits = |state: &State| (state.phase == Phase::Queued).then_some(CloseCause::Refused);
        let sends =
            |state: &State| (state.phase == Phase::Sending).then_some(CloseCause::EvictedStalled);
        if self.evict(None, waits).is_some() || self.evict(None, sends).is_some() {
            return true;
        }
        let count = |company: &Arc<AtomicUsize>| company.load(Ordering::Relaxed);
        let most = self.peers.values().map(count).max().unwrap_or(0);
        let own = self.peers.get(&peer).map_or(0, count);
        most > own + 1 && self.evict(None, |_| Some(CloseCause::Refused)).is_some()
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Guest>> {
        let guest = self.taken.remove(&id)?;
        if guest.company.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.peers.remove(&guest.peer);
        }
        Some(guest)
    }
}

impl State {
    /// That of one that has come just now.
    fn new(now: Instant) -> Self {
        let (phase, answering, framed) = (Phase::Asking, false, false);
        Self { phase, since: now, moved: now, answering, framed, answered: None, cause: None }
    }

    fn enter(&mut self, phase: Phase) {
        let now = Instant::now();
        (self.phase, self.since, self.moved) = (phase, now, now);
    }

    /// Whether it can make room for another, and what that is called.
    fn gives_way(&self, now: Instant, stall_time: Duration) -> Option<CloseCause> {
        match self.phase {
            Phase::Idle | Phase::Asking => Some(CloseCause::EvictedIdle),
            Phase::Sending if now.duration_since(self.moved) >= stall_time => {
                Some(CloseCause::EvictedStalled)
            }
            Phase::Sending | Phase::Answering | Phase::Queued => None,
        }
    }

    /// Whether it may hold some of an answer.
    fn is_served(&self) -> bool {
        self.answering && self.phase != Phase::Queued || self.phase == Phase::Sending
    }
}

impl Seat {
    /// For those who work for the connection.
    pub(super) fn handle(&self) -> Handle {
        self.0.clone()
    }

    /// Returns when the connection has to go.
    pub(super) async fn told(&self) {
        self.0.guest.told.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Handle { room, id, guest } = &self.0;
        lock(&room.0.seats).remove(*id);
        let cause = lock(&guest.state).cause.unwrap_or(CloseCause::Client);
        room.0.traffic.went(cause);
        room.0.left.notify_one();
        if cause == CloseCause::UnsentBytes {
            room.0.clearing.store(false, Ordering::Relaxed);
            room.clear();
        }
    }
}

impl Room {
    /// Where it is counted what connections come to.
    pub(super) fn traffic(&self) -> &Traffic {
        &self.0.traffic
    }
}

impl Handle {
    /// Notes that requests come in frames, between others: that bytes come does not say that a request does.
    pub(super) fn is_framed(&self) {
        lock(&self.guest.state).framed = true;
    }

    /// Notes that some of a request came.
    pub(super) fn asks(&self) {
        let mut state = lock(&self.guest.state);
        if state.phase == Phase::Idle && !state.framed {
            state.enter(Phase::Asking);
        }
    }

    /// Notes that a request is there whole. Says how long its client has rested since its last answer:
    /// `None` if it had none.
    pub(super) fn has_asked(&self) -> Option<Duration> {
        let mut state = lock(&self.guest.state);
        state.answering = true;
        state.enter(Phase::Queued);
        state.answered.map(|answered| state.since.duration_since(answered))
    }

    /// Returns when an answer in frames is over: what the connection waits for is another thing then.
    pub(super) async fn turns_over(&self) {
        self.guest.turned.notified().await;
    }

    /// Notes that it is its turn.
    pub(super) fn is_answered(&self) {
        lock(&self.guest.state).enter(Phase::Answering);
    }

    /// Notes that the connection has all of the answer. In frames it is written then, or its client has given it up.
    pub(super) fn has_answer(&self) {
        let mut state = lock(&self.guest.state);
        state.answering = false;
        if state.framed {
            state.enter(Phase::Idle);
            self.guest.turned.notify_one();
        }
        state.answered = Some(Instant::now());
    }

    /// Notes that the client made us wait.
    pub(super) fn stalls(&self) {
        let mut state = lock(&self.guest.state);
        if state.phase == Phase::Answering {
            state.enter(Phase::Sending);
        }
    }

    /// Notes that the client took something.
    pub(super) fn takes(&self) {
        let mut state = lock(&self.guest.state);
        if state.phase == Phase::Sending {
            state.moved = Instant::now();
        }
    }

    /// Notes that the client took all there was. Whether it idles now.
    pub(super) fn took_all(&self) -> bool {
        let mut state = lock(&self.guest.state);
        let idles = !state.answering && matches!(state.phase, Phase::Answering | Phase::Sending);
        if idles {
            state.enter(Phase::Idle);
            state.answered = Some(state.since);
        }
        idles
    }

    /// Until when it may wait for what it waits for, and what it is if that is over.
    pub(super) fn deadline(&self) -> Option<(Instant, CloseCause)> {
        let limits = self.room.limits();
        let state = lock(&self.guest.state);
        let (time, cause) = match state.phase {
            Phase::Idle => (limits.idle_time, CloseCause::Idle),
            Phase::Asking => (limits.header_time, CloseCause::RequestTimeout),
            Phase::Sending => (limits.response_time, CloseCause::ResponseTimeout),
            Phase::Queued | Phase::Answering => return None,
        };
        Some((state.since + time, cause))
    }

    /// Whether its client has not taken anything for a moment.
    pub(super) fn has_stalled(&self, now: Instant) -> bool {
        let state = lock(&self.guest.state);
        state.phase == Phase::Sending && now >= state.moved + MOMENT
    }

    /// Notes why it ends. The first cause counts, unless it is only that it may not stay.
    pub(super) fn ends(&self, cause: CloseCause) {
        let mut state = lock(&self.guest.state);
        if matches!(state.cause, None | Some(CloseCause::Crowded)) {
            state.cause = Some(cause);
        }
    }

    /// Whether what the kernel still has for the client is of no use any more.
    pub(super) fn is_cut_off(&self) -> bool {
        matches!(
            lock(&self.guest.state).cause,
            Some(
                CloseCause::ResponseTimeout | CloseCause::EvictedStalled | CloseCause::UnsentBytes
            )
        )
    }

    /// Whether there are more connections than are answered at once.
    fn is_in_company(&self) -> bool {
        lock(&self.room.0.seats).taken.len() > self.room.limits().answers
    }

    /// Whether all places are taken, so that connections should end with their answers.
    pub(super) fn is_crowded(&self) -> bool {
        lock(&self.room.0.seats).taken.len() >= self.room.limits().connections
    }

    /// Notes that the client waits for these blocks, and has others make room for them.
    pub(super) fn holds(&self, blocks: &[Bytes]) {
        let mut unsent = lock(&self.room.0.unsent);
        blocks.iter().for_each(|block| unsent.add(block));
        let bytes = unsent.bytes();
        drop(unsent);
        self.room.0.traffic.holds(bytes);
        let page: usize = blocks.iter().map(Bytes::len).sum();
        if bytes > 2 * page + BURST || self.is_in_company() {
            self.room.0.burst.store(true, Ordering::Relaxed);
        }
        self.room.clear();
    }

    /// Who it is from.
    pub(super) fn peer(&self) -> Peer {
        self.guest.peer
    }

    /// All connections of the server.
    pub(super) fn room(&self) -> &Room {
        &self.room
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
