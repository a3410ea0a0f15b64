//! One connection: what it does, what is noted of that, and when it can go.
//!
//! Knows nothing of other connections: who goes of all is the room's to say.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::lock;
use crate::serve::limits::ClientLimits;
use crate::serve::socket::Peer;
use crate::serve::traffic::CloseCause;

/// After this, a client that takes nothing is not in the middle of taking it.
const MOMENT: Duration = Duration::from_millis(100);

/// A connection.
#[derive(Debug)]
pub(in crate::serve) struct Guest {
    pub(super) peer: Peer,
    /// How many connections its peer has.
    pub(super) company: Arc<AtomicUsize>,
    pub(super) state: Mutex<State>,
    pub(super) told: Notify,
    /// Told when an answer in frames is over, by whichever task ends it.
    turned: Notify,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) phase: Phase,
    /// When this phase began.
    pub(super) since: Instant,
    /// When its client last took something, once it has made us wait.
    moved: Instant,
    /// Whether a request is being answered, or its answer not given to the connection whole.
    answering: bool,
    /// Whether requests come in frames: HTTP/2.
    framed: bool,
    /// Since when it has the last answer, if it had one.
    answered: Option<Instant>,
    /// Why it ends, once that is known.
    pub(super) cause: Option<CloseCause>,
}

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
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

impl Guest {
    /// One of this peer, which has come at `now`.
    pub(super) fn new(peer: Peer, company: Arc<AtomicUsize>, now: Instant) -> Self {
        let state = Mutex::new(State::new(now));
        Self { peer, company, state, told: Notify::new(), turned: Notify::new() }
    }

    /// Notes that requests come in frames, between others: that bytes come does not say that a request does.
    pub(in crate::serve) fn is_framed(&self) {
        lock(&self.state).framed = true;
    }

    /// Notes that some of a request came.
    pub(in crate::serve) fn asks(&self) {
        let mut state = lock(&self.state);
        if state.phase == Phase::Idle && !state.framed {
            state.enter(Phase::Asking);
        }
    }

    /// Notes that a request is there whole. Says how long its client has rested since its last answer:
    /// `None` if it had none.
    pub(in crate::serve) fn has_asked(&self) -> Option<Duration> {
        let mut state = lock(&self.state);
        state.answering = true;
        state.enter(Phase::Queued);
        state.answered.map(|answered| state.since.duration_since(answered))
    }

    /// Returns when an answer in frames is over: what the connection waits for is another thing then.
    pub(in crate::serve) async fn turns_over(&self) {
        self.turned.notified().await;
    }

    /// Notes that it is its turn.
    pub(in crate::serve) fn is_answered(&self) {
        lock(&self.state).enter(Phase::Answering);
    }

    /// Notes that the connection has all of the answer. In frames it is written then, or its client has given it up.
    pub(in crate::serve) fn has_answer(&self) {
        let mut state = lock(&self.state);
        state.answering = false;
        if state.framed {
            state.enter(Phase::Idle);
            self.turned.notify_one();
        }
        state.answered = Some(Instant::now());
    }

    /// Notes that the client made us wait.
    pub(in crate::serve) fn stalls(&self) {
        let mut state = lock(&self.state);
        if state.phase == Phase::Answering {
            state.enter(Phase::Sending);
        }
    }

    /// Notes that the client took something.
    pub(in crate::serve) fn takes(&self) {
        let mut state = lock(&self.state);
        if state.phase == Phase::Sending {
            state.moved = Instant::now();
        }
    }

    /// Notes that the client took all there was. Whether it idles now.
    pub(in crate::serve) fn took_all(&self) -> bool {
        let mut state = lock(&self.state);
        let idles = !state.answering && matches!(state.phase, Phase::Answering | Phase::Sending);
        if idles {
            state.enter(Phase::Idle);
            state.answered = Some(state.since);
        }
        idles
    }

    /// Until when it may wait for what it waits for, and what it is if that is over.
    pub(super) fn until(&self, limits: &ClientLimits) -> Option<(Instant, CloseCause)> {
        let state = lock(&self.state);
        let (time, cause) = match state.phase {
            Phase::Idle => (limits.idle_time, CloseCause::Idle),
            Phase::Asking => (limits.header_time, CloseCause::RequestTimeout),
            Phase::Sending => (limits.response_time, CloseCause::ResponseTimeout),
            Phase::Queued | Phase::Answering => return None,
        };
        Some((state.since + time, cause))
    }

    /// Whether its client has not taken anything for a moment.
    pub(in crate::serve) fn has_stalled(&self, now: Instant) -> bool {
        let state = lock(&self.state);
        state.phase == Phase::Sending && now >= state.moved + MOMENT
    }

    /// Notes why it ends. The first cause counts, unless it is only that it may not stay.
    pub(in crate::serve) fn ends(&self, cause: CloseCause) {
        let mut state = lock(&self.state);
        if matches!(state.cause, None | Some(CloseCause::Crowded)) {
            state.cause = Some(cause);
        }
    }

    /// Whether what the kernel still has for the client is of no use any more.
    pub(in crate::serve) fn is_cut_off(&self) -> bool {
        matches!(
            lock(&self.state).cause,
            Some(
                CloseCause::ResponseTimeout | CloseCause::EvictedStalled | CloseCause::UnsentBytes
            )
        )
    }

    /// Who it is from.
    pub(in crate::serve) fn peer(&self) -> Peer {
        self.peer
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
    pub(super) fn gives_way(&self, now: Instant, stall_time: Duration) -> Option<CloseCause> {
        match self.phase {
            Phase::Idle | Phase::Asking => Some(CloseCause::EvictedIdle),
            Phase::Sending if now.duration_since(self.moved) >= stall_time => {
                Some(CloseCause::EvictedStalled)
            }
            Phase::Sending | Phase::Answering | Phase::Queued => None,
        }
    }

    /// Whether it may hold some of an answer.
    pub(super) fn is_served(&self) -> bool {
        self.answering && self.phase != Phase::Queued || self.phase == Phase::Sending
    }
}
