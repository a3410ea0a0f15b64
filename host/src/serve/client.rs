//! One connection, from its first byte to its last: what it speaks, and how its requests are answered.
//!
//! A request waits for its turn, and before that for whoever it says that it is from. A connection has one
//! request answered at a time, also in HTTP/2, where others wait: so it takes what one takes.

use std::convert::Infallible;
use std::error::Error as _;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

use super::answer::{Answer, Answering};
use super::frames::Streams;
use super::limits::ClientLimits;
use super::patience::Patient;
use super::room::{Handle, Seat};
use super::seldom::Seldom;
use super::socket::Stream;
use super::tls::{self, Greeting};
use super::traffic::CloseCause;
use super::turns::Turns;
use super::web::Web;

/// Requests that may wait on one connection of HTTP/2.
const STREAMS: u32 = 8;
/// Bytes of the body of a request that are taken before somebody reads them, who never does.
const REQUEST_BODY: u32 = 1 << 10;

/// What all connections are served with. Cheap to clone.
#[derive(Clone)]
pub(super) struct House {
    router: Router,
    http1: http1::Builder,
    limits: ClientLimits,
    turns: Turns,
    web: Option<Web>,
    said_handshake: Arc<Seldom>,
}

/// A connection, with what it holds while it lasts.
pub(super) struct Client {
    pub(super) stream: Stream,
    pub(super) seat: Seat,
    pub(super) watcher: Watcher,
    /// Ends when no more connections are accepted.
    pub(super) closing: watch::Receiver<()>,
}

impl House {
    /// One that serves these pages.
    pub(super) fn new(
        router: Router,
        turns: Turns,
        web: Option<Web>,
        limits: &ClientLimits,
    ) -> Self {
        let mut http1 = http1::Builder::new();
        // The time for a head is the stream's, which knows an idle connection from a slow one.
        http1
            .header_read_timeout(None)
            .max_header_size(limits.header_bytes)
            .max_buf_size(limits.buffer_bytes)
            .half_close(true);
        let said_handshake = Arc::default();
        Self { router, http1, limits: *limits, turns, web, said_handshake }
    }

    /// Whether clients have to.
    pub(super) fn speaks_tls(&self) -> bool {
        self.web.as_ref().is_some_and(Web::speaks_tls)
    }

    fn http2(&self, streams: Streams) -> http2::Builder<Streams> {
        let mut http2 = http2::Builder::new(streams);
        let header_bytes = u32::try_from(self.limits.header_bytes).unwrap_or(u32::MAX);
        http2
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(header_bytes)
            .max_send_buf_size(self.limits.buffer_bytes)
            .initial_stream_window_size(REQUEST_BODY)
            .adaptive_window(false);
        http2
    }

    /// Says, not too often, that somebody could not agree upon TLS.
    fn tell_handshake(&self, seat: &Handle, error: &io::Error) {
        debug!("a handshake with {} failed: {error}", seat.peer());
        if self.said_handshake.is_due(Instant::now()) {
            warn!(
                "a handshake of TLS with {} failed: {error}; \
                 ebpf_exporter_http_connections_closed_total{{cause=\"handshake\"}} counts them",
                seat.peer()
            );
        }
    }
}

impl Client {
    /// Serves it until it ends, or has to go.
    pub(super) async fn serve(self, house: House) {
        if house.speaks_tls() {
            // What TLS and HTTP/2 take is not taken by connections without.
            return Box::pin(self.serve_tls(house)).await;
        }
        let Self { stream, seat, watcher, .. } = self;
        plain(Patient::new(stream, seat.handle()), &house, &seat, watcher).await;
        // The place is free once the stream is closed and nothing of an answer is held any more.
        drop(seat);
    }

    async fn serve_tls(self, house: House) {
        let Self { stream, seat, watcher, mut closing } = self;
        let handle = seat.handle();
        let stream = Patient::new(stream, handle.clone());
        let greeted = tokio::select! {
            greeted = greet(stream, &house, &handle) => greeted,
            () = seat.told() => None,
            // Who has not asked yet is not waited for.
            _ = closing.changed() => None,
        };
        match greeted {
            Some(stream) if stream.get_ref().1.alpn_protocol() == Some(tls::H2) => {
                framed(*stream, &house, &seat, watcher).await;
            }
            Some(stream) => plain(*stream, &house, &seat, watcher).await,
            None => {}
        }
        drop(seat);
    }
}

/// What who is at the other end speaks TLS over, if it does.
async fn greet(
    stream: Patient,
    house: &House,
    handle: &Handle,
) -> Option<Box<tls::Secure<Patient>>> {
    match tls::greet(stream, house.web.as_ref().and_then(Web::tls)).await {
        Ok(Greeting::Tls(stream)) => Some(stream),
        Ok(Greeting::TurnedAway) => {
            // The log has said why.
            handle.ends(CloseCause::Handshake);
            None
        }
        Ok(Greeting::Other) => {
            handle.ends(CloseCause::Malformed);
            None
        }
        Err(error) => {
            // One that waited too long has said so, and one that said nothing has only looked.
            if !matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::UnexpectedEof) {
                handle.ends(CloseCause::Handshake);
                house.tell_handshake(handle, &error);
            }
            None
        }
    }
}

/// Serves HTTP/1 over a stream.
async fn plain<S>(stream: S, house: &House, seat: &Seat, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handle = seat.handle();
    let desk = Desk::new(house, &handle, false);
    let service = service_fn(|request| desk.clone().answer(request));
    let connection = house.http1.serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = watcher.watch(connection) => ended,
        () = seat.told() => Ok(()),
    };
    told(ended, &handle);
}

/// Serves HTTP/2 over a stream.
async fn framed<S>(stream: S, house: &House, seat: &Seat, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handle = seat.handle();
    handle.is_framed();
    let desk = Desk::new(house, &handle, true);
    let streams = Streams::default();
    let service = service_fn(move |request| desk.clone().answer(request));
    let http = house.http2(streams.clone());
    let connection = http.serve_connection(TokioIo::new(stream), service);
    let ended = {
        let mut connection = pin!(watcher.watch(connection));
        loop {
            tokio::select! {
                ended = &mut connection => break ended,
                () = seat.told() => break Ok(()),
                // Its stream is to know how long it waits now.
                () = handle.turns_over() => {}
            }
        }
    };
    streams.end();
    told(ended, &handle);
}

/// Notes how a connection has ended.
fn told(ended: hyper::Result<()>, handle: &Handle) {
    if let Err(error) = ended {
        if is_malformed(&error) {
            handle.ends(CloseCause::Malformed);
        }
        debug!("closed a connection: {error}");
    }
}

/// Whether what came is not what HTTP allows; of HTTP/2 also, more of it than anybody needs: requests that are given up
/// at once, for one.
fn is_malformed(error: &hyper::Error) -> bool {
    let framed = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    error.is_parse() || error.is_parse_too_large() || framed.is_some_and(h2::Error::is_library)
}

/// Where the requests of one connection are answered. Cheap to clone.
#[derive(Clone)]
struct Desk {
    router: TowerToHyperService<Router>,
    turns: Turns,
    web: Option<Web>,
    seat: Handle,
    /// Whose requests come in frames has one of them answered at a time.
    one: Option<Arc<Semaphore>>,
}

impl Desk {
    fn new(house: &House, seat: &Handle, framed: bool) -> Self {
        let router = TowerToHyperService::new(house.router.clone());
        let (turns, web) = (house.turns.clone(), house.web.clone());
        let one = framed.then(|| Arc::new(Semaphore::new(1)));
        Self { router, turns, web, seat: seat.clone(), one }
    }

    /// What the router answers, if who asks is let in.
    async fn answer(self, mut request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
        let one = match &self.one {
            // It is never closed.
            Some(one) => Arc::clone(one).acquire_owned().await.ok(),
            None => None,
        };
        let seat = &self.seat;
        let rest = seat.has_asked();
        let mut answering = Answering::new(seat, one);
        let rules = match &self.web {
            None => None,
            Some(web) => match web.admit(request.headers(), seat.peer()).await {
                Ok(rules) => Some(rules),
                Err(refused) => {
                    seat.is_answered();
                    return Ok(self.sent(refused.into_response(), answering));
                }
            },
        };
        answering.has_turn(self.turns.next(seat, rest).await);
        seat.is_answered();
        request.extensions_mut().insert(seat.clone());
        let mut response = self.router.call(request).await?;
        if let Some(rules) = rules {
            rules.dress(&mut response);
        }
        // While requests wait it is of use to know a client again: as one that is busy, or is not.
        if self.one.is_none() && seat.is_crowded() && !self.turns.are_waited_for() {
            seat.ends(CloseCause::Crowded);
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(self.sent(response, answering))
    }

    /// An answer on its way.
    fn sent(&self, response: Response<Body>, answering: Answering) -> Response<Answer> {
        let framed = self.one.is_some();
        if framed {
            // Its client may keep it waiting without the stream being full. So its time runs from now on.
            self.seat.stalls();
        }
        response.map(|body| Answer::new(body, answering, framed))
    }
}
