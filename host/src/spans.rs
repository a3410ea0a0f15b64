//! Spans: from records of ring buffers to a collector of OpenTelemetry.
//!
//! In the order of data: `reader` drains ring buffers, `record` makes spans of their records, and `held` keeps
//! those that wait for a plugin. A `kind` says whose spans they are. `outbox` keeps spans until `delivery` sends them
//! where the `variables` say. `start` makes spans of the exporter's own start. `stats` knows what has become of all. At
//! the `desk` the `reader` is told of configs that were read again.
//!
//! No ring buffer ever waits for a collector, and nothing of this is there in a process without spans.

use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::info;

mod clock;
mod delivery;
mod desk;
mod held;
mod kind;
mod outbox;
mod reader;
mod record;
mod start;
mod stats;
mod variables;

pub use desk::{SpanChange, SpanDesk};
pub use start::{ConfigTimes, StartTimes};
pub use stats::SpanStats;
pub use variables::Variables;

use crate::advice::Advice;
use crate::bell::Bell;
use crate::bpf::{RecordLayout, Ring};
use crate::link::LinkedSpan;
use crate::otlp::{LAST, OtlpResource, OtlpSender, Signal, Target, ports};
use crate::workers::{HireError, Hired, LARGE_STACK, Post};

use delivery::Delivery;
use kind::TracedKind;
use outbox::Outbox;
use reader::{Orders, SpanFeed};
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

/// All that makes and sends spans, ready to begin.
#[derive(Debug)]
pub struct Spans {
    rings: Vec<TracedRing>,
    kinds: KindMaker,
    delivery: Delivery,
    outbox: Arc<Outbox>,
    runtime: Runtime,
    start: StartTimes,
    ports: Vec<u16>,
}

/// What makes kinds of spans.
#[derive(Clone, Debug)]
struct KindMaker {
    /// Whose those are whose config names no service.
    resource: OtlpResource,
    stats: SpanStats,
    /// The exporter's own: held, for they are told of as long as it runs.
    own: Arc<TracedKind>,
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
        let Variables { resource, target, batches, asked } = variables;
        if rings.is_empty() && !asked {
            return Ok(None);
        }
        let Some(sender) = OtlpSender::new(&target, Signal::Traces)? else {
            if let (Target::Nowhere(why), false) = (target, rings.is_empty()) {
                info!("{}", unmade(why));
            }
            return Ok(None);
        };
        let kinds = KindMaker::new(resource);
        let outbox = Arc::new(Outbox::new(batches, kinds.stats.clone()));
        let delivery = Delivery::new(sender, Arc::clone(&outbox), batches.patience);
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| Advice::plain(format!("spans cannot be sent: {error}")))?;
        let ports = ports(&target);
        Ok(Some(Self { rings, kinds, delivery, outbox, runtime, start, ports }))
    }

    /// What has become of spans so far.
    pub fn stats(&self) -> SpanStats {
        self.kinds.stats.clone()
    }

    /// The TCP ports that it connects to.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Hires who sends spans, and who reads ring buffers, who ends first. `later` is whether configs may come that
    /// have spans: who is told of them then.
    ///
    /// # Errors
    ///
    /// When the system has no thread or descriptor for them.
    pub fn hire(self, later: bool, hired: &mut Hired) -> Result<Option<SpanDesk>, HireError> {
        let Self { rings, kinds, delivery, outbox, runtime, start, .. } = self;
        let own = start::spans(&start, &kinds.own);
        kinds.own.stats.count_read(own.len() as u64);
        outbox.put(own);
        let (tell, end) = watch::channel(None);
        let held = kinds.clone();
        let send = move || {
            runtime.block_on(delivery.work(end));
            drop(held);
            // A name that is still looked up is not waited for.
            runtime.shutdown_background();
        };
        hired.hire(SENDER, send, move || {
            tell.send_replace(Some(Instant::now() + LAST));
        })?;
        if rings.is_empty() && !later {
            return Ok(None);
        }
        let feeds = rings.into_iter().map(|ring| kinds.feed(ring)).collect();
        let failed = |source: io::Error| HireError { name: READER.name, source };
        let (end, news) = (Bell::new().map_err(failed)?, Bell::new().map_err(failed)?);
        let (orders, ordered) = mpsc::channel();
        let told = end.clone();
        let orders_of = Orders { ordered, news: news.clone(), end };
        hired.hire(
            READER,
            move || reader::work(feeds, &outbox, &orders_of),
            move || told.ring(),
        )?;
        Ok(later.then_some(SpanDesk { kinds, orders, news, left: Vec::new() }))
    }
}

impl KindMaker {
    fn new(resource: OtlpResource) -> Self {
        let stats = SpanStats::default();
        let own = Arc::new(TracedKind::new(None, &resource, stats.kind("", "start")));
        Self { resource, stats, own }
    }

    /// A ring buffer and what makes spans of its records.
    fn feed(&self, TracedRing { config, linked, layout, ring }: TracedRing) -> SpanFeed {
        let plan = &linked.plan;
        let (service, stats) = (plan.service.as_deref(), self.stats.kind(&config, &plan.name));
        let kind = Arc::new(TracedKind::new(service, &self.resource, stats));
        let maker = SpanMaker::new(kind, &config, linked, &layout);
        SpanFeed { config, map: layout.map, ring, maker }
    }
}

/// What is said where there is nobody to send spans to.
pub(crate) fn unmade(why: &str) -> String {
    format!("no spans are made: {why}")
}
