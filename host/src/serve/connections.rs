//! Connections: accepted one by one, bounded in number, size and time, drained at the end.

use std::future::pending;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use axum::Router;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::client::{Client, House};
use super::limits::ClientLimits;
use super::room::Room;
use super::seldom::Seldom;
use super::socket::{Acceptors, Listener, Peer, Stream};
use super::traffic::Traffic;
use super::turns::Turns;
use super::web::Web;
use crate::advice::Advice;
use crate::descriptors;

/// How long to wait when no connection can be accepted and none can go.
const PAUSE: Duration = Duration::from_millis(500);

/// New connections that are accepted one behind the other, before those that there are do something.
const BATCH: usize = 32;

/// What one is told for whom there is no room.
const REFUSAL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 37\r\n\r\n\
    too many requests are being answered\n";

/// Listeners, with what clients may take and where it is counted what they do.
#[derive(Debug)]
pub struct Door {
    /// Where they come from.
    pub listeners: Vec<Listener>,
    /// What they may take.
    pub limits: ClientLimits,
    /// What they came to.
    pub traffic: Traffic,
    /// Who is let in, and with what TLS; without it everybody, with none.
    pub web: Option<Web>,
}

impl<L: Into<Listener>> From<L> for Door {
    fn from(listener: L) -> Self {
        let listeners = vec![listener.into()];
        let (limits, traffic) = (ClientLimits::default(), Traffic::default());
        Self { listeners, limits, traffic, web: None }
    }
}

/// Serves until `stop` first returns; then closes the listeners and waits for the requests under
/// way, until [`ClientLimits::drain_time`] is over or `stop` returns a second time. Says whether all
/// of them were answered. Those that were not are still being served by tasks of this runtime.
///
/// # Errors
///
/// When a listener is of no use to tokio.
pub async fn serve(door: Door, router: Router, mut stop: impl AsyncFnMut()) -> io::Result<bool> {
    let Door { listeners, limits, traffic, web } = door;
    let acceptors = Acceptors::new(listeners)?;
    let connections = GracefulShutdown::new();
    let (open, closing) = watch::channel(());
    let (room, turns) = (Room::new(limits, traffic), Turns::new(&limits));
    let house = House::new(router, turns.clone(), web, &limits);
    let reception = Reception { room, house, closing, turns, said_failed: Seldom::default() };
    tokio::select! {
        () = stop() => {}
        () = reception.accept_all(&acceptors, &connections) => {}
        () = reception.room.give_back() => {}
        () = reception.turns.look() => {}
    }
    drop(acceptors);
    drop(open);
    Ok(tokio::select! {
        () = connections.shutdown() => true,
        () = reception.turns.look() => false,
        () = sleep(limits.drain_time) => false,
        () = stop() => false,
    })
}

/// What new connections are given.
struct Reception {
    room: Room,
    house: House,
    /// Ends when no more connections are accepted.
    closing: watch::Receiver<()>,
    turns: Turns,
    said_failed: Seldom,
}

impl Reception {
    /// Never returns.
    async fn accept_all(&self, acceptors: &Acceptors, connections: &GracefulShutdown) {
        loop {
            let mut next = acceptors.accept().await;
            for newcomers in 1.. {
                match next {
                    Ok((stream, peer)) => self.receive(stream, peer, connections.watcher()),
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => self.recover(&error).await,
                }
                let more = async {
                    if newcomers < BATCH { acceptors.accept().await } else { pending().await }
                };
                next = tokio::select! {
                    biased;
                    next = more => next,
                    // What these ask is read before they have others make room. Else each would be one
                    // that waits, and make room for those that came in the same moment.
                    () = yield_now() => {
                        self.room.make_room();
                        break;
                    }
                };
            }
        }
    }

    fn receive(&self, stream: Stream, peer: Peer, watcher: Watcher) {
        let Some(seat) = self.room.seat(peer) else {
            // Whether it is heard is for the client to see. With TLS it would be nonsense.
            if !self.house.speaks_tls() {
                let _ = stream.try_write(REFUSAL);
            }
            return;
        };
        let client = Client { stream, seat, watcher, closing: self.closing.clone() };
        tokio::spawn(client.serve(self.house.clone()));
    }

    /// Waits until there may be what the system was short of, for which a connection goes.
    async fn recover(&self, error: &io::Error) {
        if self.said_failed.is_due(Instant::now()) {
            let explained = error.raw_os_error().and_then(descriptors::explain);
            let why = explained.unwrap_or_else(|| Advice::plain(error.to_string()));
            warn!("failed to accept a connection: {why}");
        }
        if self.room.give_way() {
            // If none leaves it is tried again all the same.
            let _ = timeout(PAUSE, self.room.one_left()).await;
        } else {
            sleep(PAUSE).await;
        }
    }
}

/// Whether only one connection is lost: accept(2) reports what its network had to say of it.
fn is_of_one_connection(error: &io::Error) -> bool {
    let network = [
        libc::ENETDOWN,
        libc::EPROTO,
        libc::ENOPROTOOPT,
        libc::EHOSTDOWN,
        libc::ENONET,
        libc::EHOSTUNREACH,
        libc::EOPNOTSUPP,
        libc::ENETUNREACH,
        libc::ETIMEDOUT,
        // A firewall's.
        libc::EPERM,
    ];
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
        || error.raw_os_error().is_some_and(|code| network.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_as_long_as_it_says() {
        let text = std::str::from_utf8(REFUSAL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{text:?}");
    }

    #[test]
    fn what_the_network_says_is_of_one_connection() {
        let error = io::Error::from_raw_os_error;
        assert!(is_of_one_connection(&error(libc::ECONNABORTED)));
        assert!(is_of_one_connection(&error(libc::EPERM)));
        assert!(!is_of_one_connection(&error(libc::EMFILE)));
        assert!(!is_of_one_connection(&error(libc::ENOMEM)));
    }
}
