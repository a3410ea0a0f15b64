//! What the server's connections came to.

use super::Traffic;
use crate::series::Kind;
use crate::telemetry::{Collect, Report, about};

impl Collect for Traffic {
    fn collect(&self, report: &mut Report) {
        let mut one = |name, help, kind, value: u64| {
            report.family(about(name, help, []), kind, [([], value as f64)]);
        };
        one(
            "ebpf_exporter_http_connections",
            "Connections that are open",
            Kind::Gauge,
            self.open(),
        );
        one(
            "ebpf_exporter_http_connections_accepted_total",
            "Connections accepted",
            Kind::RealCounter,
            self.accepted(),
        );
        one(
            "ebpf_exporter_http_unsent_bytes",
            "Bytes of answers that clients have not taken yet",
            Kind::Gauge,
            self.unsent(),
        );
        one(
            "ebpf_exporter_scrapes_refused_total",
            "Scrapes that were not answered whole, for want of room",
            Kind::RealCounter,
            self.refused(),
        );
        report.family(
            about(
                "ebpf_exporter_http_connections_closed_total",
                "Connections closed, by cause",
                ["cause"],
            ),
            Kind::RealCounter,
            self.closed().map(|(cause, count)| ([cause.as_str()], count as f64)),
        );
    }
}
