//! All variables of OpenTelemetry that are read, and what they say: for manuals, which are made from this list or
//! held against it.
//!
//! Never reads one: [`Environment`](super::Environment) does, and reads none that is not here.

use super::Signal;

/// A variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name; of one that signals have too, what it is called for all of them.
    pub name: &'static str,
    /// What it says: sentences.
    pub says: &'static str,
    /// Whether spans and metrics each have one of their own, which comes before that for both.
    pub by_signal: bool,
}

/// Every variable that is read, in the order in which people look for them.
pub const VARIABLES: [Variable; 22] = [
    one("OTEL_TRACES_EXPORTER", "Where spans go: otlp, console or none."),
    one("OTEL_METRICS_EXPORTER", "Where metrics are pushed: otlp, console, prometheus or none."),
    each("OTEL_EXPORTER_OTLP_ENDPOINT", "Where the collector is."),
    each("OTEL_EXPORTER_OTLP_PROTOCOL", "How it is spoken to: http/protobuf, http/json or grpc."),
    each("OTEL_EXPORTER_OTLP_HEADERS", "What requests have besides: NAME=VALUE, with commas."),
    each("OTEL_EXPORTER_OTLP_TIMEOUT", "Milliseconds that a message may take, all tries together."),
    each("OTEL_EXPORTER_OTLP_COMPRESSION", "How messages are compressed: none or gzip."),
    each("OTEL_EXPORTER_OTLP_CERTIFICATE", "A PEM file of authorities to trust."),
    each("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "A PEM file: who the exporter is."),
    each("OTEL_EXPORTER_OTLP_CLIENT_KEY", "A PEM file: the key of that certificate."),
    each(
        "OTEL_EXPORTER_OTLP_INSECURE",
        "Whether an endpoint of gRPC without a scheme is reached without TLS.",
    ),
    one(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "What counters and histograms tell: cumulative, delta or lowmemory.",
    ),
    one(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "What histograms are: explicit_bucket_histogram or base2_exponential_bucket_histogram.",
    ),
    one("OTEL_METRIC_EXPORT_INTERVAL", "Milliseconds from one push to the next."),
    one("OTEL_METRIC_EXPORT_TIMEOUT", "Milliseconds that a push may take."),
    one("OTEL_BSP_MAX_QUEUE_SIZE", "Spans that may wait."),
    one("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "Spans that are sent at a time."),
    one("OTEL_BSP_SCHEDULE_DELAY", "Milliseconds that a span waits for others at the most."),
    one("OTEL_BSP_EXPORT_TIMEOUT", "Milliseconds that a batch of spans may take."),
    one("OTEL_SERVICE_NAME", "The service that spans and metrics are of."),
    one("OTEL_RESOURCE_ATTRIBUTES", "More about that service: NAME=VALUE, with commas."),
    one("OTEL_SDK_DISABLED", "true: no spans are sent, and no metrics are pushed."),
];

const fn one(name: &'static str, says: &'static str) -> Variable {
    Variable { name, says, by_signal: false }
}

const fn each(name: &'static str, says: &'static str) -> Variable {
    Variable { name, says, by_signal: true }
}

/// What the names of those begin with that signals have too.
const EXPORT: &str = "OTEL_EXPORTER_OTLP_";

/// What a variable of exporting is called, for all signals or for this one.
pub(super) fn export(name: &str, signal: Option<Signal>) -> String {
    match signal {
        None => format!("{EXPORT}{name}"),
        Some(signal) => format!("{EXPORT}{}_{name}", signal.word()),
    }
}

impl Variable {
    /// All its names: that for both signals first, then that of each.
    pub fn names(&self) -> Vec<String> {
        let own = self.name.strip_prefix(EXPORT).filter(|_| self.by_signal);
        let own =
            own.into_iter().flat_map(|name| Signal::ALL.map(|signal| export(name, Some(signal))));
        [self.name.to_owned()].into_iter().chain(own).collect()
    }
}

/// Whether a variable is one of the list.
pub(super) fn is_known(name: &str) -> bool {
    VARIABLES.iter().any(|variable| variable.names().iter().any(|known| known == name))
}
