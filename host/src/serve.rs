//! HTTP: the listener, the pages, the connections, and the one thread that scrapes.
//!
//! Nothing here knows what a metric is: the text comes from a [`Scraper`].

mod accept;
mod address;
mod connections;
mod encoding;
mod limits;
mod manager;
mod pages;
mod parts;
mod paths;
mod patience;
mod room;
mod scrapes;
mod seldom;
mod socket;
mod traffic;
mod unsent;

pub use address::{AddressError, ListenAddress, ListenError};
pub use connections::{Door, serve};
pub use limits::{Limits, UnsentError};
pub use manager::Manager;
pub use pages::{PathError, Site, TelemetryPath, router};
pub use scrapes::{Answer, Page, ScrapeError, Scraper, Scrapes};
pub use socket::Listener;
pub use traffic::{Cause, Traffic};

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

/// Why serving ended otherwise than by a signal.
#[derive(Debug, thiserror::Error)]
#[error("failed to {doing}")]
pub struct ServeError {
    doing: &'static str,
    source: io::Error,
}

/// Serves until SIGINT or SIGTERM, then answers what was asked until then, and returns with the
/// scraper dropped. A second signal, or [`Limits::drain_time`], ends the wait.
///
/// `manager` is told when it serves and when it stops.
///
/// # Errors
///
/// When a thread, the signals or the listener cannot be had from the system.
pub fn run(
    door: impl Into<Door>,
    site: &Site,
    scraper: impl Scraper,
    manager: &Manager,
) -> Result<(), ServeError> {
    let failed = |doing| move |source| ServeError { doing, source };
    let (scrapes, thread) = Scrapes::start(scraper).map_err(failed("start the scrape thread"))?;
    let router = router(site, scrapes);
    // One thread moves bytes between sockets and memory; the work is done on the scrape thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(failed("start the server"))?;
    let drained = runtime.block_on(async {
        let mut signals = Signals::new().map_err(failed("prepare for signals"))?;
        manager.ready();
        let stop = async || {
            signals.next().await;
            manager.stopping();
        };
        serve(door.into(), router, stop).await.map_err(failed("serve"))
    })?;
    // What is left of the connections goes with the runtime, and with them the way to the scrape
    // thread, which then ends.
    drop(runtime);
    if !drained {
        warn!("left requests unanswered");
    } else if thread.join().is_err() {
        warn!("the scrape thread panicked while it ended");
    }
    Ok(())
}

/// The signals that end the process in order.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    /// Returns when one came, having told the log.
    async fn next(&mut self) {
        let name = tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        };
        info!("received {name}, stopping");
    }
}
