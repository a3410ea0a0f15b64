//! Connections: accepted one by one, bounded in number, size and time, drained at the end.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tracing::{debug, warn};

use super::patience::Patient;

/// How long to wait when no connection can be accepted, for want of file descriptors for example.
const PAUSE: Duration = Duration::from_millis(500);

/// What a client may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; more wait in the kernel until one of these ends.
    pub connections: usize,
    /// Bytes of a request's line and headers.
    pub header_bytes: usize,
    /// About so many bytes of a response that its connection holds until its client takes them.
    pub buffer_bytes: usize,
    /// Time for a request to arrive; also how long a connection may idle.
    pub header_time: Duration,
    /// Time for a response to be taken.
    pub response_time: Duration,
    /// Time for what was asked to be answered once the end has come.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            header_bytes: 16 << 10,
            buffer_bytes: 512 << 10,
            header_time: Duration::from_secs(10),
            response_time: Duration::from_secs(60),
            drain_time: Duration::from_secs(10),
        }
    }
}

/// Serves until `stop` first returns; then closes the listener and waits for the requests under
/// way, until [`Limits::drain_time`] is over or `stop` returns a second time. Says whether all
/// of them were answered. Those that were not are still being served by tasks of this runtime.
///
/// # Errors
///
/// When the listener is of no use to tokio.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    mut stop: impl AsyncFnMut(),
) -> io::Result<bool> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let connections = GracefulShutdown::new();
    tokio::select! {
        () = stop() => {}
        () = accept_all(&listener, &router, limits, &connections) => {}
    }
    drop(listener);
    Ok(tokio::select! {
        () = connections.shutdown() => true,
        () = sleep(limits.drain_time) => false,
        () = stop() => false,
    })
}

/// Never returns.
async fn accept_all(
    listener: &tokio::net::TcpListener,
    router: &Router,
    limits: Limits,
    connections: &GracefulShutdown,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.buffer_bytes);
    // The semaphore is never closed.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let stream = accept(listener).await;
        let stream = Patient::new(stream, limits.response_time);
        let client = Client { stream, slot, watcher: connections.watcher() };
        tokio::spawn(client.serve(http.clone(), router.clone()));
    }
}

async fn accept(listener: &tokio::net::TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // A response is written in few pieces, none of which should wait for another.
                // Without this it is only slower.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                warn!("failed to accept a connection: {error}");
                sleep(PAUSE).await;
            }
        }
    }
}

/// One connection, with what it holds while it lasts.
struct Client {
    stream: Patient,
    slot: OwnedSemaphorePermit,
    watcher: Watcher,
}

impl Client {
    async fn serve(self, http: http1::Builder, router: Router) {
        let service = TowerToHyperService::new(router);
        let connection = http.serve_connection(TokioIo::new(self.stream), service);
        if let Err(error) = self.watcher.watch(connection).await {
            debug!("closed a connection: {error}");
        }
        drop(self.slot);
    }
}
