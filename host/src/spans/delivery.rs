//! The worker that sends spans: takes batches out of the queue, and gives them to a collector.
//!
//! While a batch is on its way others wait in the queue, which has its bound. What cannot be sent in
//! time is dropped and counted. Never keeps anybody else waiting.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::{
    Protocol as Wire, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use super::client::{CollectorClient, Heard};
use super::outbox::Outbox;
use super::record::Made;
use super::stats::{Cause, SpanStats};
use super::variables::{Collector, Protocol, Target};
use crate::advice::Advice;
use crate::output;

/// How long the spans that are left may take to be sent when the exporter ends.
pub(super) const LAST: Duration = Duration::from_secs(3);

/// When the worker is to have ended; nothing while it is to go on.
pub(super) type End = Option<Instant>;

/// Sends spans.
#[derive(Debug)]
pub(super) struct Delivery {
    /// One for each service.
    senders: Vec<Sender>,
    /// Which of them sends the spans of each kind.
    sender_of: Vec<usize>,
    outbox: Arc<Outbox>,
    stats: SpanStats,
    heard: Arc<Heard>,
    /// Where they go, for messages.
    place: String,
    /// How long a batch may take.
    patience: Duration,
    /// Whether the last batch could not be sent, which was said.
    failing: bool,
}

/// Sends the spans of one service.
#[derive(Debug)]
enum Sender {
    Collector(Box<SpanExporter>),
    Console(Box<ResourceAttributesWithSchema>),
}

/// What was made of the services that spans are of.
#[derive(Debug)]
pub(super) struct Senders {
    all: Vec<Sender>,
    heard: Arc<Heard>,
    place: String,
}

impl Senders {
    /// A sender for each of these services. Files that they need have been read then.
    ///
    /// # Errors
    ///
    /// When a file or a variable holds not what it is to hold.
    pub(super) fn new(target: &Target, services: &[String]) -> Result<Self, Advice> {
        let heard = Arc::default();
        let resources = services
            .iter()
            .map(|service| Resource::builder().with_service_name(service.clone()).build());
        let (all, place) = match target {
            Target::Nowhere(why) => (Vec::new(), (*why).to_owned()),
            Target::Console => {
                let console = |resource: Resource| Sender::Console(Box::new((&resource).into()));
                (resources.map(console).collect(), "standard output".to_owned())
            }
            Target::Collector(collector) => {
                let client = Arc::new(CollectorClient::new(collector, &heard)?);
                let all = resources.map(|resource| exporter(collector, &client, &resource));
                (all.collect::<Result<_, _>>()?, collector.endpoint.to_string())
            }
        };
        Ok(Self { all, heard, place })
    }
}

fn exporter(
    collector: &Collector,
    client: &Arc<CollectorClient>,
    resource: &Resource,
) -> Result<Sender, Advice> {
    let wire = match collector.protocol {
        Protocol::HttpJson => Wire::HttpJson,
        // The client makes gRPC of it.
        Protocol::HttpProtobuf | Protocol::Grpc => Wire::HttpBinary,
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_shared_http_client(Arc::clone(client) as Arc<_>)
        .with_protocol(wire)
        .with_endpoint(collector.endpoint.to_string())
        .with_timeout(collector.timeout)
        .build();
    let mut exporter =
        exporter.map_err(|error| Advice::plain(format!("spans cannot be sent: {error}")))?;
    exporter.set_resource(resource);
    Ok(Sender::Collector(Box::new(exporter)))
}

impl Delivery {
    /// Sends the spans of each kind by the sender of this number.
    pub(super) fn new(
        Senders { all, heard, place }: Senders,
        sender_of: Vec<usize>,
        outbox: Arc<Outbox>,
        stats: SpanStats,
        patience: Duration,
    ) -> Self {
        Self { senders: all, sender_of, outbox, stats, heard, place, patience, failing: false }
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
        let mut of_senders: Vec<Vec<Made>> = Vec::new();
        of_senders.resize_with(self.senders.len(), Vec::new);
        for made in batch {
            let sender = self.sender_of.get(made.kind).copied().unwrap_or_default();
            if let Some(of_sender) = of_senders.get_mut(sender) {
                of_sender.push(made);
            }
        }
        for (sender, batch) in of_senders.into_iter().enumerate() {
            if !batch.is_empty() {
                self.send_of_one(sender, batch, end).await;
            }
        }
    }

    async fn send_of_one(&mut self, sender: usize, batch: Vec<Made>, end: &watch::Receiver<End>) {
        let (kinds, spans): (Vec<usize>, Vec<SpanData>) =
            batch.into_iter().map(|made| (made.kind, made.span)).unzip();
        let patience = self.patience;
        let result = tokio::select! {
            result = timeout(patience, self.senders[sender].send(spans)) => match result {
                Ok(Ok(())) => Ok(()),
                Ok(Err(why)) => Err((Cause::Failed, why)),
                Err(_) => Err((Cause::Failed, format!("it took longer than {patience:?}"))),
            },
            () = over(end.clone()) => Err((Cause::Exit, "the exporter ends".to_owned())),
        };
        self.settle(&kinds, result);
    }

    /// Counts what has become of a batch, and says if that is news.
    fn settle(&mut self, kinds: &[usize], result: Result<(), (Cause, String)>) {
        let fault = self.heard.take_fault();
        let count = kinds.len();
        match result {
            Ok(()) => {
                let rejected = usize::try_from(self.heard.take_rejected()).unwrap_or(usize::MAX);
                let (lost, sent) = kinds.split_at(rejected.min(count));
                lost.iter().for_each(|kind| self.stats.dropped(*kind, Cause::Rejected));
                sent.iter().for_each(|kind| self.stats.sent(*kind));
                if std::mem::replace(&mut self.failing, false) {
                    info!("spans are sent to {} again", self.place);
                }
                if !lost.is_empty() {
                    let why = fault.unwrap_or_default();
                    warn!("{} rejected {} of {count} spans: {why}", self.place, lost.len());
                }
            }
            Err((cause, why)) => {
                kinds.iter().for_each(|kind| self.stats.dropped(*kind, cause));
                if !std::mem::replace(&mut self.failing, true) {
                    let why = fault.unwrap_or(why);
                    warn!(
                        "failed to send {count} spans to {}: {why}; they are lost, and \
                         ebpf_exporter_spans_dropped_total counts on; is a collector there, and \
                         do OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_PROTOCOL name it?",
                        self.place
                    );
                }
            }
        }
    }
}

impl Sender {
    async fn send(&self, spans: Vec<SpanData>) -> Result<(), String> {
        match self {
            Self::Collector(exporter) => {
                exporter.export(spans).await.map_err(|error| error.to_string())
            }
            Self::Console(resource) => {
                let resource_spans = group_spans_by_resource_and_scope(spans, resource);
                let request = ExportTraceServiceRequest { resource_spans };
                let line = serde_json::to_string(&request).map_err(|error| error.to_string())?;
                output::print(&(line + "\n")).map_err(|error| error.to_string())
            }
        }
    }
}

/// Waits until the worker is to have ended.
async fn over(mut end: watch::Receiver<End>) {
    let at = end.wait_for(Option::is_some).await.map_or(None, |end| *end);
    // Who would have told is gone: now.
    sleep_until(at.unwrap_or_else(Instant::now)).await;
}
