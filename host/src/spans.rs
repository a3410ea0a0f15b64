//! Spans: from records of ring buffers to a collector of OpenTelemetry.
//!
//! In the order of data: `reader` drains ring buffers, `record` makes spans of their records, and `held` keeps
//! those that wait for a plugin. `outbox` keeps spans until `delivery` sends them where the `variables` say. `start` makes spans of the exporter's own start. `stats` knows what has become of all.
//!
//! No ring buffer ever waits for a collector, and nothing of this is there in a process without spans.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::info;

mod clock;
mod delivery;
mod held;
mod outbox;
mod reader;
mod record;
mod start;
mod stats;
mod variables;

pub use start::{ConfigTimes, StartTimes};
pub use stats::SpanStats;
pub use variables::Variables;

use crate::advice::{Advice, Advise};
use crate::bell::Bell;
use crate::bpf::{RecordLayout, Ring};
use crate::link::LinkedSpan;
use crate::otlp::{LAST, OtlpSender, Signal, Target, ports};
use crate::workers::{HireError, Hired, LARGE_STACK, Post};

use delivery::{Delivery, Services};
use outbox::Outbox;
use reader::SpanFeed;
use record::SpanMaker;

/// Reads ring buffers.
const READER: Post = Post { name: "spans", stack: LARGE_STACK, patience: Duration::from_secs(1) };
/// Sends spans.
const SENDER: Post = Post { name: "otlp", stack: LARGE_STACK, patience: Duration::from_secs(5) };

/// Spans of one kind: whose, and where their records are.
#[derive(Debug)]
pub struct TracedRing {
    /// The config's name.
    pub config: String,
    /// What makes texts of a record.
    pub linked: LinkedSpan,
    /// Where they are in it.
    pub layout: RecordLayout,
    /// The ring buffer.
    pub ring: Ring,
}

/// Why a ring buffer cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the ring buffer {map}")]
pub struct RingError {
    /// Its name.
    pub map: String,
    /// What the kernel answered.
    pub source: std::io::Error,
}

impl Advise for RingError {
    fn remedy(&self) -> Option<String> {
        None
    }
}

/// All that makes and sends spans, ready to begin.
#[derive(Debug)]
pub struct Spans {
    feeds: Vec<SpanFeed>,
    delivery: Delivery,
    outbox: Arc<Outbox>,
    stats: SpanStats,
    runtime: Runtime,
    bell: Bell,
    /// The exporter's own, and which kind they are of.
    start: Option<(StartTimes, usize)>,
    ports: Vec<u16>,
}

/// A kind of spans.
struct Kind {
    config: String,
    span: String,
    service: String,
}

impl Spans {
    /// Gets ready to send spans where the variables say: those of ring buffers, and those of the start if
    /// there are any others or a variable asks for spans. Nothing if there are none.
    ///
    /// # Errors
    ///
    /// When a file or a variable holds not what it is to hold, or the system refuses.
    pub fn new(
        rings: Vec<TracedRing>,
        variables: Variables,
        start: StartTimes,
    ) -> Result<Option<Self>, Advice> {
        let Variables { service, target, batches, asked } = variables;
        if rings.is_empty() && !asked {
            return Ok(None);
        }
        let Some(sender) = OtlpSender::new(&target, Signal::Traces)? else {
            if let (Target::Nowhere(why), false) = (target, rings.is_empty()) {
                info!("no spans are made: {why}");
            }
            return Ok(None);
        };
        let kinds: Vec<Kind> = kinds(&rings, &service).collect();
        let own = kinds.len() - 1;
        let stats =
            SpanStats::of(kinds.iter().map(|kind| (kind.config.clone(), kind.span.clone())));
        let outbox = Arc::new(Outbox::new(batches, stats.clone()));
        let (services, patience) = (services(&kinds), batches.patience);
        let refused =
            |error: std::io::Error| Advice::plain(format!("spans cannot be sent: {error}"));
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let (outbox_of, stats_of) = (Arc::clone(&outbox), stats.clone());
        Ok(Some(Self {
            feeds: feeds(rings, &stats),
            delivery: Delivery::new(sender, services, outbox_of, stats_of, patience),
            outbox,
            stats,
            runtime: runtime.map_err(refused)?,
            bell: Bell::new().map_err(refused)?,
            start: Some((start, own)),
            ports: ports(&target),
        }))
    }

    /// What has become of spans so far.
    pub fn stats(&self) -> SpanStats {
        self.stats.clone()
    }

    /// The TCP ports that it connects to.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Hires who sends spans, and who reads ring buffers, who ends first.
    ///
    /// # Errors
    ///
    /// When the system has no thread for them.
    pub fn hire(self, hired: &mut Hired) -> Result<(), HireError> {
        let Self { feeds, delivery, outbox, stats, runtime, bell, start, .. } = self;
        if let Some((times, kind)) = start {
            let spans = start::spans(&times, kind);
            stats.read(kind, spans.len() as u64);
            outbox.put(spans);
        }
        let (tell, end) = watch::channel(None);
        let send = move || {
            runtime.block_on(delivery.work(end));
            // A name that is still looked up is not waited for.
            runtime.shutdown_background();
        };
        hired.hire(SENDER, send, move || {
            tell.send_replace(Some(Instant::now() + LAST));
        })?;
        if feeds.is_empty() {
            return Ok(());
        }
        let told = bell.clone();
        hired.hire(READER, move || reader::work(feeds, &outbox, &bell), move || told.ring())
    }
}

/// The kinds of all spans: those of ring buffers in their order, and the exporter's own.
fn kinds(rings: &[TracedRing], service: &str) -> impl Iterator<Item = Kind> {
    let of_ring = |ring: &TracedRing| {
        let plan = &ring.linked.plan;
        let service = plan.service.clone().unwrap_or_else(|| service.to_owned());
        Kind { config: ring.config.clone(), span: plan.name.clone(), service }
    };
    let own = Kind { config: String::new(), span: "start".to_owned(), service: service.to_owned() };
    rings.iter().map(of_ring).chain([own]).collect::<Vec<_>>().into_iter()
}

/// The services of all kinds, each once, and which of them each kind has.
fn services(kinds: &[Kind]) -> Services {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut names, mut of) = (Vec::new(), Vec::with_capacity(kinds.len()));
    for kind in kinds {
        let number = *numbers.entry(&kind.service).or_insert_with(|| {
            names.push(kind.service.clone());
            names.len() - 1
        });
        of.push(number);
    }
    Services { names, of }
}

fn feeds(rings: Vec<TracedRing>, stats: &SpanStats) -> Vec<SpanFeed> {
    let feed = |(kind, of): (usize, TracedRing)| {
        let TracedRing { config, linked, layout, ring } = of;
        let maker = SpanMaker::new(kind, &config, linked, &layout, stats.clone());
        SpanFeed { ring, maker }
    };
    rings.into_iter().enumerate().map(feed).collect()
}
