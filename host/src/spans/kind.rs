//! A kind of spans: whose service they are of, and what counts them.
//!
//! Whoever has a span of it has the kind, so a kind is there as long as any of its spans is. Never makes a span.

use std::sync::Arc;

use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;

use super::stats::KindStats;
use crate::otlp::OtlpResource;

/// A kind of spans.
#[derive(Debug)]
pub(super) struct TracedKind {
    /// The service that they are of.
    pub(super) service: String,
    /// What is said of that service.
    pub(super) resource: ResourceAttributesWithSchema,
    /// What counts them.
    pub(super) stats: Arc<KindStats>,
}

impl TracedKind {
    /// Spans of this service, or of the one that the variables name, which are counted there.
    pub(super) fn new(service: Option<&str>, said: &OtlpResource, stats: Arc<KindStats>) -> Self {
        let service = service.unwrap_or(said.service());
        let resource = (&said.of(service, &[])).into();
        Self { service: service.to_owned(), resource, stats }
    }
}
