//! What the server's connections came to.

use super::family;
use crate::series::{Family, Kind};
use crate::serve::Traffic;

/// The families of what `traffic` has counted.
pub fn families(traffic: &Traffic) -> Vec<Family> {
    let one = |name: &str, help: &str, kind: Kind, value: u64| {
        family(name, help, &[], kind, [([], value as f64)])
    };
    let closed = traffic.closed().map(|(cause, count)| ([cause.as_str()], count as f64));
    vec![
        one(
            "ebpf_exporter_http_connections",
            "Connections that are open",
            Kind::Gauge,
            traffic.open(),
        ),
        one(
            "ebpf_exporter_http_connections_accepted_total",
            "Connections accepted",
            Kind::RealCounter,
            traffic.accepted(),
        ),
        family(
            "ebpf_exporter_http_connections_closed_total",
            "Connections closed, by cause",
            &["cause"],
            Kind::RealCounter,
            closed,
        ),
        one(
            "ebpf_exporter_http_unsent_bytes",
            "Bytes of answers that clients have not taken yet",
            Kind::Gauge,
            traffic.unsent(),
        ),
        one(
            "ebpf_exporter_scrapes_refused_total",
            "Scrapes that were not answered whole, for want of room",
            Kind::RealCounter,
            traffic.refused(),
        ),
    ]
}
