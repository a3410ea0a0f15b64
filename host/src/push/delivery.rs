//! The worker that pushes: asks for a reading, and gives it to a collector, message by message.
//!
//! Nothing waits for it, and nothing is queued: what could not be sent is read anew next time. There is one push at
//! a time, and one that lasts longer than the interval delays the next.

use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};
use tracing::{info, warn};

use super::batches::{Batches, PointBatch};
use super::points::metric;
use super::stats::PushStats;
use super::told::{Told, nanos};
use super::variables::Pace;
use crate::otlp::{Again, End, OtlpSender, Taken, Untaken, over};
use crate::serve::Scrapes;

/// Pushes.
#[derive(Debug)]
pub(super) struct Delivery {
    sender: OtlpSender,
    resource: ResourceAttributesWithSchema,
    told: Told,
    pace: Pace,
    stats: PushStats,
    /// Before when the collector wants to hear nothing.
    rest: Option<Instant>,
    /// Whether the last push failed, which was said.
    failing: bool,
    /// Whether points of the last push were rejected, which was said.
    rejecting: bool,
}

/// What came of a push.
#[derive(Debug, Default)]
struct Came {
    points: u64,
    rejected: u64,
    /// What the collector said of those.
    text: String,
    /// The first that went wrong.
    fault: Option<Untaken>,
}

impl Delivery {
    /// Pushes to there, at this pace, what is of this resource and as was told before.
    pub(super) fn new(
        sender: OtlpSender,
        resource: opentelemetry_sdk::Resource,
        told: Told,
        pace: Pace,
        stats: PushStats,
    ) -> Self {
        let (rest, failing, rejecting) = (None, false, false);
        let resource = (&resource).into();
        Self { sender, resource, told, pace, stats, rest, failing, rejecting }
    }

    /// Pushes until it is told when to end, then once more.
    pub(super) async fn work(mut self, scrapes: Scrapes, mut end: watch::Receiver<End>) {
        let interval = self.pace.interval;
        let mut ticks = interval_at(Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let told = tokio::select! {
                biased;
                _ = end.wait_for(Option::is_some) => true,
                _ = ticks.tick() => false,
            };
            if self.rest.is_none_or(|rest| rest <= Instant::now()) {
                self.push(&scrapes, &end).await;
            }
            if told {
                break;
            }
        }
    }

    /// Reads, and sends what was read as far as there is time.
    async fn push(&mut self, scrapes: &Scrapes, end: &watch::Receiver<End>) {
        let until = Instant::now() + self.pace.patience;
        let families = within(until, end, async {
            scrapes.families().await.map_err(|error| Untaken::never(error.to_string()))
        });
        let mut came = Came::default();
        match families.await {
            Err(untaken) => came.fault = Some(untaken),
            Ok(families) => {
                let time = nanos(SystemTime::now());
                self.told.read(&families, time);
                for batch in Batches::of(&families) {
                    let request = self.request(&batch, time);
                    let result = within(until, end, self.sender.send(&request, until)).await;
                    if !self.settle(&batch, time, result, &mut came) {
                        break;
                    }
                }
            }
        }
        self.say(came);
    }

    /// Counts what came of a message; whether the next one is worth a try.
    fn settle(
        &mut self,
        batch: &PointBatch,
        time: u64,
        result: Result<Taken, Untaken>,
        came: &mut Came,
    ) -> bool {
        let points = batch.points() as u64;
        came.points += points;
        match result {
            Ok(Taken { rejected, text }) => {
                for chosen in batch.chosen() {
                    self.told.acknowledge(chosen, time);
                }
                let rejected = rejected.min(points);
                self.stats.points(points - rejected, rejected);
                if rejected > 0 {
                    came.rejected += rejected;
                    came.text = text;
                }
                true
            }
            Err(untaken) => {
                self.rest = untaken.rest().map(|rest| Instant::now() + rest);
                // It may have minded this message alone.
                let goes_on = untaken.again == Again::Never;
                came.fault.get_or_insert(untaken);
                goes_on
            }
        }
    }

    /// Counts a push, and says what came of it if that is news.
    fn say(&mut self, came: Came) {
        let Came { points, rejected, text, fault } = came;
        let place = self.sender.place();
        match &fault {
            None => self.stats.complete(nanos(SystemTime::now())),
            Some(_) => self.stats.failed(),
        }
        let failed_before = std::mem::replace(&mut self.failing, fault.is_some());
        match fault {
            None if failed_before => info!("metrics are pushed to {place} again"),
            // The reason may quote the collector, here and below.
            Some(Untaken { why, .. }) if !failed_before => warn!(
                target: concat!(module_path!(), "::private"),
                signal = "metrics",
                "failed to push metrics to {place}: {why}; the next push tells all that this one was \
                 to; is a collector there, and do OTEL_EXPORTER_OTLP_METRICS_ENDPOINT and \
                 OTEL_EXPORTER_OTLP_METRICS_PROTOCOL name it?"
            ),
            _ => {}
        }
        let rejected_before = std::mem::replace(&mut self.rejecting, rejected > 0);
        if rejected > 0 && !rejected_before {
            warn!(
                target: concat!(module_path!(), "::private"),
                signal = "metrics",
                "{place} rejected {rejected} of {points} points: {text}"
            );
        }
    }

    /// The message of a batch.
    fn request(&self, batch: &PointBatch, time: u64) -> ExportMetricsServiceRequest {
        let metrics = batch.chosen().map(|chosen| metric(chosen, &self.told, time)).collect();
        let scope = InstrumentationScope {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let attributes = self.resource.attributes.0.clone();
        let scope_metrics = ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() };
        let resource_metrics = vec![ResourceMetrics {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_metrics: vec![scope_metrics],
            ..ResourceMetrics::default()
        }];
        ExportMetricsServiceRequest { resource_metrics }
    }
}

/// What comes of it, if it does until then and before the worker is to have ended.
async fn within<T>(
    until: Instant,
    end: &watch::Receiver<End>,
    what: impl Future<Output = Result<T, Untaken>>,
) -> Result<T, Untaken> {
    tokio::select! {
        result = timeout_at(until, what) => {
            result.unwrap_or_else(|_| Err(Untaken::soon("there was no time left")))
        }
        () = over(end.clone()) => Err(Untaken::soon("the exporter ends")),
    }
}
