//! What the server's connections came to.

use super::{Report, about};
use crate::series::Kind;
use crate::serve::Traffic;

/// Tells what `traffic` has counted.
pub fn tell(traffic: &Traffic, report: &mut Report) {
    let mut one = |name, help, kind, value: u64| {
        report.family(about(name, help, []), kind, [([], value as f64)]);
    };
    one("ebpf_exporter_http_connections", "Connections that are open", Kind::Gauge, traffic.open());
    one(
        "ebpf_exporter_http_connections_accepted_total",
        "Connections accepted",
        Kind::RealCounter,
        traffic.accepted(),
    );
    one(
        "ebpf_exporter_http_unsent_bytes",
        "Bytes of answers that clients have not taken yet",
        Kind::Gauge,
        traffic.unsent(),
    );
    one(
        "ebpf_exporter_scrapes_refused_total",
        "Scrapes that were not answered whole, for want of room",
        Kind::RealCounter,
        traffic.refused(),
    );
    report.family(
        about(
            "ebpf_exporter_http_connections_closed_total",
            "Connections closed, by cause",
            ["cause"],
        ),
        Kind::RealCounter,
        traffic.closed().map(|(cause, count)| ([cause.as_str()], count as f64)),
    );
}
