//! A kind of spans: whose service they are of, and what counts them.
//!
//! Whoever has a span of it has the kind, so a kind is there as long as any of its spans is. Never makes a span.

use std::sync::Arc;

use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;

use super::stats::KindStats;

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
    /// Spans of this service, which are counted there.
    pub(super) fn new(service: String, stats: Arc<KindStats>) -> Self {
        let resource = Resource::builder().with_service_name(service.clone()).build();
        Self { service, resource: (&resource).into(), stats }
    }
}
