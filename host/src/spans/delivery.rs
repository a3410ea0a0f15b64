//! The worker that sends spans: takes batches out of the queue, and gives them to a collector.
//!
//! While a batch is on its way others wait in the queue, which has its bound. What cannot be sent in
//! time is dropped and counted. Never keeps anybody else waiting.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use super::kind::TracedKind;
use super::outbox::Outbox;
use super::record::Made;
use super::stats::Cause;
use crate::otlp::{End, OtlpSender, Taken, over};

/// Sends spans.
#[derive(Debug)]
pub(super) struct Delivery {
    sender: OtlpSender,
    outbox: Arc<Outbox>,
    /// How long a batch may take.
    patience: Duration,
    /// Whether the last batch could not be sent, which was said.
    failing: bool,
}

impl Delivery {
    /// Sends what waits in the outbox, the spans of each service on their own. A batch may take `patience`.
    pub(super) fn new(sender: OtlpSender, outbox: Arc<Outbox>, patience: Duration) -> Self {
        Self { sender, outbox, patience, failing: false }
    }

    /// Sends until it is told when to end, then what is left.
    pub(super) async fn work(mut self, mut end: watch::Receiver<End>) {
        loop {
            let told = tokio::select! {
                () = self.outbox.ready() => false,
                _ = end.wait_for(Option::is_some) => true,
            };
            if told {
                break;
            }
            let batch = self.outbox.take();
            self.send(batch, &end).await;
        }
        loop {
            let batch = self.outbox.take();
            if batch.is_empty() {
                break;
            }
            self.send(batch, &end).await;
        }
    }

    /// Sends a batch, the spans of each service on their own.
    async fn send(&mut self, batch: Vec<Made>, end: &watch::Receiver<End>) {
        for batch in by_service(batch) {
            self.send_of_one(batch, end).await;
        }
    }

    async fn send_of_one(&mut self, batch: Vec<Made>, end: &watch::Receiver<End>) {
        let (kinds, spans): (Vec<_>, Vec<SpanData>) =
            batch.into_iter().map(|made| (made.kind, made.span)).unzip();
        let Some(first) = kinds.first() else { return };
        let until = Instant::now() + self.patience;
        let resource_spans = group_spans_by_resource_and_scope(spans, &first.resource);
        let request = ExportTraceServiceRequest { resource_spans };
        let result = tokio::select! {
            result = self.sender.send(&request, until) => {
                result.map_err(|untaken| (Cause::Failed, untaken.why))
            }
            () = over(end.clone()) => Err((Cause::Exit, "the exporter ends".to_owned())),
        };
        self.settle(&kinds, result);
    }

    /// Counts what has become of a batch, and says if that is news.
    fn settle(&mut self, kinds: &[Arc<TracedKind>], result: Result<Taken, (Cause, String)>) {
        let (count, place) = (kinds.len(), self.sender.place());
        match result {
            Ok(Taken { rejected, text }) => {
                let rejected = usize::try_from(rejected).unwrap_or(usize::MAX);
                let (lost, sent) = kinds.split_at(rejected.min(count));
                lost.iter().for_each(|kind| kind.stats.count_dropped(Cause::Rejected));
                sent.iter().for_each(|kind| kind.stats.count_sent());
                if std::mem::replace(&mut self.failing, false) {
                    info!("spans are sent to {place} again");
                }
                if !lost.is_empty() {
                    // What was rejected, and below the reason, may quote the collector.
                    warn!(
                        target: concat!(module_path!(), "::private"),
                        signal = "spans",
                        "{place} rejected {} of {count} spans: {text}",
                        lost.len()
                    );
                }
            }
            Err((cause, why)) => {
                kinds.iter().for_each(|kind| kind.stats.count_dropped(cause));
                if !std::mem::replace(&mut self.failing, true) {
                    warn!(
                        target: concat!(module_path!(), "::private"),
                        signal = "spans",
                        "failed to send {count} spans to {place}: {why}; they are lost, and \
                         ebpf_exporter_spans_dropped_total counts on; is a collector there, and \
                         do OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_PROTOCOL name it?"
                    );
                }
            }
        }
    }
}

/// The spans of each service, in the order in which the services come.
fn by_service(batch: Vec<Made>) -> Vec<Vec<Made>> {
    let mut all: Vec<Vec<Made>> = Vec::new();
    for made in batch {
        let same =
            |of: &Vec<Made>| of.first().is_some_and(|it| it.kind.service == made.kind.service);
        match all.iter().position(same) {
            Some(at) => all[at].push(made),
            None => all.push(vec![made]),
        }
    }
    all
}
