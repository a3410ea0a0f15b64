//! Connections: accepted one by one, bounded in number, size and time, drained at the end.

use std::convert::Infallible;
use std::future::pending;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::limits::ClientLimits;
use super::patience::Patient;
use super::room::{Handle, Room, Seat};
use super::seldom::Seldom;
use super::socket::{Acceptor, Listener, Peer, Stream};
use super::traffic::{CloseCause, Traffic};
use super::turns::{Turn, Turns};
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

/// A listener, with what clients may take and where it is counted what they do.
#[derive(Debug)]
pub struct Door {
    /// Where they come from.
    pub listener: Listener,
    /// What they may take.
    pub limits: ClientLimits,
    /// What they came to.
    pub traffic: Traffic,
}

impl<L: Into<Listener>> From<L> for Door {
    fn from(listener: L) -> Self {
        let listener = listener.into();
        Self { listener, limits: ClientLimits::default(), traffic: Traffic::default() }
    }
}

/// Serves until `stop` first returns; then closes the listener and waits for the requests under
/// way, until [`ClientLimits::drain_time`] is over or `stop` returns a second time. Says whether all
/// of them were answered. Those that were not are still being served by tasks of this runtime.
///
/// # Errors
///
/// When the listener is of no use to tokio.
pub async fn serve(door: Door, router: Router, mut stop: impl AsyncFnMut()) -> io::Result<bool> {
    let Door { listener, limits, traffic } = door;
    let acceptor = listener.into_acceptor()?;
    let connections = GracefulShutdown::new();
    let reception = Reception::new(router, limits, traffic);
    tokio::select! {
        () = stop() => {}
        () = reception.accept_all(&acceptor, &connections) => {}
        () = reception.room.give_back() => {}
        () = reception.turns.look() => {}
    }
    drop(acceptor);
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
    router: Router,
    http: http1::Builder,
    turns: Turns,
    said_failed: Seldom,
}

impl Reception {
    fn new(router: Router, limits: ClientLimits, traffic: Traffic) -> Self {
        let mut http = http1::Builder::new();
        // The time for a head is the stream's, which knows an idle connection from a slow one.
        http.header_read_timeout(None)
            .max_header_size(limits.header_bytes)
            .max_buf_size(limits.buffer_bytes)
            .half_close(true);
        let (room, turns) = (Room::new(limits, traffic), Turns::new(&limits));
        Self { room, router, http, turns, said_failed: Seldom::default() }
    }

    /// Never returns.
    async fn accept_all(&self, acceptor: &Acceptor, connections: &GracefulShutdown) {
        loop {
            let mut next = acceptor.accept().await;
            for newcomers in 1.. {
                match next {
                    Ok((stream, peer)) => self.receive(stream, peer, connections.watcher()),
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => self.recover(&error).await,
                }
                let more = async {
                    if newcomers < BATCH { acceptor.accept().await } else { pending().await }
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
            // Whether it is heard is for the client to see.
            return drop(stream.try_write(REFUSAL));
        };
        let client = Client { stream, seat, watcher, turns: self.turns.clone() };
        tokio::spawn(client.serve(self.http.clone(), self.router.clone()));
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

/// One connection, with what it holds while it lasts.
struct Client {
    stream: Stream,
    seat: Seat,
    watcher: Watcher,
    turns: Turns,
}

impl Client {
    async fn serve(self, http: http1::Builder, router: Router) {
        let Self { stream, seat, watcher, turns } = self;
        let handle = seat.handle();
        let stream = TokioIo::new(Patient::new(stream, handle.clone()));
        let router = TowerToHyperService::new(router);
        let service = service_fn(|request| answer(&router, &turns, request, handle.clone()));
        let connection = http.serve_connection(stream, service);
        let ended = tokio::select! {
            ended = watcher.watch(connection) => ended,
            () = seat.told() => Ok(()),
        };
        if let Err(error) = ended {
            if error.is_parse() || error.is_parse_too_large() {
                handle.ends(CloseCause::Malformed);
            }
            debug!("closed a connection: {error}");
        }
        // The place is free once the stream is closed and nothing of an answer is held any more.
        drop(seat);
    }
}

/// What the router answers, for the connection in this place.
async fn answer(
    router: &TowerToHyperService<Router>,
    turns: &Turns,
    mut request: Request<Incoming>,
    seat: Handle,
) -> Result<Response<Answer>, Infallible> {
    let rest = seat.has_asked();
    let asked = Answering(seat.clone());
    let answering = (turns.next(&seat, rest).await, asked);
    seat.is_answered();
    request.extensions_mut().insert(seat.clone());
    let mut response = router.call(request).await?;
    // While requests wait it is of use to know a client again: as one that is busy, or is not.
    if seat.is_crowded() && !turns.are_waited_for() {
        seat.ends(CloseCause::Crowded);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Answer { body, _answering: answering }))
}

/// Tells when a connection has got all of its answer, or has given it up.
struct Answering(Handle);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.has_answer();
    }
}

/// The body of an answer.
struct Answer {
    body: Body,
    _answering: (Turn, Answering),
}

impl http_body::Body for Answer {
    type Data = <Body as http_body::Body>::Data;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
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
