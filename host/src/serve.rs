//! HTTP: the listener, the pages, the connections, and the one thread that scrapes.
//!
//! Nothing here knows what a metric is: the text comes from a [`Gatherer`]. No thread is started here but
//! by [`Scrapes::hire`] and [`Reloads::hire`].

mod accept;
mod address;
mod answer;
mod board;
mod choice;
mod client;
mod connections;
mod encoding;
mod frames;
mod health;
mod limits;
mod listen;
mod manager;
mod maps;
mod metrics;
mod overview;
mod pages;
mod parts;
mod paths;
mod patience;
mod reloads;
mod responses;
mod room;
mod scrapes;
mod seldom;
mod socket;
mod tls;
mod traffic;
mod turns;
mod unsent;
mod web;

pub use address::{AddressError, ListenAddress};
pub use choice::{Both, Choice};
pub use connections::{Door, serve};
pub use health::HEALTHY;
pub use limits::{ClientLimits, UnsentError};
pub use listen::{Listen, ListenError};
pub use manager::Manager;
pub use pages::{PathError, Site, TelemetryPath, router};
pub use reloads::{RELOADER, ReloadNews, Reloaded, Reloader, Reloads};
pub use scrapes::{Answer, Gatherer, MapSummary, Page, Piece, ScrapeError, Scrapes};
pub use socket::Listener;
pub use traffic::{CloseCause, Traffic};
pub use web::Web;

use std::convert::Infallible;
use std::future::pending;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::advice::Advise;
use crate::signals::{Harmless, Noted};

/// Why serving ended otherwise than by a signal.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Something that the system did not give.
    #[error("failed to {doing}")]
    System {
        /// What it was for.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// No page can be made any more.
    #[error("the thread that scrapes has died, so the exporter ends, to be started again")]
    Died,
}

impl Advise for ServeError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::System { .. } => None,
            Self::Died => Some("this is a bug, please report it with the lines above".to_owned()),
        }
    }
}

/// Serves until SIGINT or SIGTERM, then answers what was asked until then. A second signal, or
/// [`ClientLimits::drain_time`], ends the wait; the answer is whether all was answered.
///
/// `manager` is told when it serves and when it stops; `noted` are the harmless signals that came until
/// now.
///
/// # Errors
///
/// When the signals or the listener cannot be had from the system; at once when the thread that scrapes
/// dies.
pub fn run(
    door: impl Into<Door>,
    site: &Site,
    scrapes: Scrapes,
    manager: &Manager,
    noted: &Noted,
) -> Result<bool, ServeError> {
    let failed = |doing| move |source| ServeError::System { doing, source };
    let router = router(site, scrapes.clone());
    // One thread moves bytes between sockets and memory; the work is done on the scrape thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(failed("start the server"))?;
    let drained = runtime.block_on(async {
        let mut signals = Signals::new(site, manager).map_err(failed("prepare for signals"))?;
        noted.tell();
        manager.ready();
        if noted.take_reload() {
            signals.reload();
        }
        let stop = async || {
            signals.next().await;
            manager.stopping();
        };
        tokio::select! {
            biased;
            () = scrapes.clone().died() => Err(ServeError::Died),
            never = give_signs(manager, &scrapes) => match never {},
            drained = serve(door.into(), router, stop) => drained.map_err(failed("serve")),
        }
    })?;
    // What is left of the connections goes with the runtime, and with them their ways to the scrape
    // thread.
    drop(runtime);
    if !drained {
        warn!("left requests unanswered");
    }
    Ok(drained)
}

/// Gives signs of life to a manager that waits for them, as long as pages can be made. Never returns.
async fn give_signs(manager: &Manager, scrapes: &Scrapes) -> Infallible {
    let Some(pause) = manager.pause() else { return pending().await };
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if scrapes.ailment().is_none() {
            manager.alive();
        }
    }
}

/// The signals that end the process in order, the one that has configs read again, and those that change nothing.
struct Signals<'a> {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
    reloads: Option<&'a Reloads>,
    manager: &'a Manager,
}

impl<'a> Signals<'a> {
    fn new(site: &'a Site, manager: &'a Manager) -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            reloads: site.reloads.as_ref(),
            manager,
        })
    }

    /// Returns when one came that ends the process, having told the log.
    async fn next(&mut self) {
        let name = loop {
            tokio::select! {
                _ = self.interrupt.recv() => break "SIGINT",
                _ = self.terminate.recv() => break "SIGTERM",
                _ = self.hangup.recv() => self.reload(),
                _ = self.user1.recv() => Harmless::User1.tell(),
                _ = self.user2.recv() => Harmless::User2.tell(),
            }
        };
        info!("received {name}, stopping");
    }

    /// Has configs read again, and waits for nothing.
    fn reload(&self) {
        let Some(reloads) = self.reloads.cloned() else {
            return info!(
                "received SIGHUP and went on: nothing is reloaded here; restart it to change configs"
            );
        };
        info!("received SIGHUP: configs are read again");
        let manager = self.manager.clone();
        tokio::spawn(async move {
            manager.reloading();
            // What has become of it is in the log.
            let _ = reloads.ask().await;
            manager.ready();
        });
    }
}
