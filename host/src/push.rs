//! Pushes: everything that is served, to a collector of OpenTelemetry, again and again.
//!
//! In the order of data: `delivery` asks for a reading, as a scrape does, and has its families. `told` knows what was
//! told of each series before. `batches` divides a reading into messages, of which `points` makes what they hold;
//! `exponential` knows which histograms may have another form. `variables` says where all goes and how, and `stats`
//! what has become of it.
//!
//! A scrape never waits for a push: who scrapes hands out families, and all else is done by a worker. Of a push that
//! fails nothing is kept but what the next one needs. Nothing of this is there unless a variable asks for it.

use std::time::{Duration, SystemTime};

use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tokio::time::Instant;

mod batches;
mod delivery;
mod exponential;
mod points;
mod stats;
mod told;
mod variables;

pub use stats::PushStats;
pub use variables::PushVariables;

use crate::advice::Advice;
use crate::otlp::{LAST, OtlpSender, Signal, ports};
use crate::serve::Scrapes;
use crate::workers::{HireError, Hired, LARGE_STACK, Post};

use delivery::Delivery;
use told::{Told, nanos};

/// Makes and sends pushes.
const PUSHER: Post =
    Post { name: "otlp-metrics", stack: LARGE_STACK, patience: Duration::from_secs(5) };

/// All that pushes, ready to begin.
#[derive(Debug)]
pub struct Pusher {
    delivery: Delivery,
    stats: PushStats,
    runtime: Runtime,
    ports: Vec<u16>,
}

impl Pusher {
    /// Gets ready to push where the variables say. Nothing if they do not ask for it. The exporter began at
    /// `began`.
    ///
    /// # Errors
    ///
    /// When a file holds not what it is to hold, or the system refuses.
    pub fn new(variables: &PushVariables, began: SystemTime) -> Result<Option<Self>, Advice> {
        let PushVariables { target, form, pace, .. } = variables;
        let Some(sender) = OtlpSender::new(target, Signal::Metrics)? else { return Ok(None) };
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| Advice::plain(format!("metrics cannot be pushed: {error}")))?;
        let (stats, told) = (PushStats::of_pushes(), Told::new(*form, nanos(began)));
        let delivery = Delivery::new(sender, variables.resource(), told, *pace, stats.clone());
        Ok(Some(Self { delivery, stats, runtime, ports: ports(target) }))
    }

    /// What has become of pushes so far.
    pub fn stats(&self) -> PushStats {
        self.stats.clone()
    }

    /// The TCP ports that it connects to.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Hires who pushes what these scrapes read. It ends before they do.
    ///
    /// # Errors
    ///
    /// When the system has no thread for it.
    pub fn hire(self, scrapes: Scrapes, hired: &mut Hired) -> Result<(), HireError> {
        let Self { delivery, runtime, .. } = self;
        let (tell, end) = watch::channel(None);
        let push = move || {
            runtime.block_on(delivery.work(scrapes, end));
            // A name that is still looked up is not waited for.
            runtime.shutdown_background();
        };
        hired.hire(PUSHER, push, move || {
            tell.send_replace(Some(Instant::now() + LAST));
        })
    }
}

#[cfg(test)]
mod tests;
