//! Who is connected, and who goes when there is no room for all.
//!
//! Nobody new waits for another to go. Of the connections that can go, one goes of the address that
//! has the most: so a host that takes much is the one to lose, and one that is alone can have it all.
//! Among them it is the one that waited longest for a request, then the one that stalled longest.
//! Never one that is being answered, unless there are far too many.

mod guest;

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{debug, warn};

use guest::{Guest, Phase, State};

use super::limits::ClientLimits;
use super::seldom::Seldom;
use super::socket::Peer;
use super::traffic::{CloseCause, Traffic};
use super::unsent::Unsent;
use crate::bpf;

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
        let guest = Arc::new(Guest::new(peer, company, now));
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
    /// Until when it may wait for what it waits for, and what it is if that is over.
    pub(super) fn deadline(&self) -> Option<(Instant, CloseCause)> {
        self.guest.until(self.room.limits())
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

    /// All connections of the server.
    pub(super) fn room(&self) -> &Room {
        &self.room
    }
}

impl Deref for Handle {
    type Target = Guest;

    fn deref(&self) -> &Guest {
        &self.guest
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
