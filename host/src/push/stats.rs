//! What has become of pushes: how many there were, what of them was taken, and when the last was.
//!
//! Nothing waits here. Without pushes there are no numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::series::Kind;
use crate::telemetry::{Collect, Report, about};

/// The numbers of all pushes. Cheap to clone; all clones count the same.
#[derive(Clone, Debug, Default)]
pub struct PushStats(Option<Arc<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    complete: AtomicU64,
    failed: AtomicU64,
    taken: AtomicU64,
    rejected: AtomicU64,
    /// When the last was complete: the bits of seconds since 1970.
    last: AtomicU64,
}

fn add(number: &AtomicU64, more: u64) {
    number.fetch_add(more, Ordering::Relaxed);
}

fn get(number: &AtomicU64) -> f64 {
    number.load(Ordering::Relaxed) as f64
}

impl PushStats {
    /// Zeros, of an exporter that pushes.
    pub(super) fn of_pushes() -> Self {
        Self(Some(Arc::default()))
    }

    fn count(&self, count: impl FnOnce(&Shared)) {
        if let Some(shared) = &self.0 {
            count(shared);
        }
    }

    /// Counts points that a collector has, and those that it did not want.
    pub(super) fn points(&self, taken: u64, rejected: u64) {
        self.count(|shared| {
            add(&shared.taken, taken);
            add(&shared.rejected, rejected);
        });
    }

    /// Counts a push that a collector has, at this time in nanoseconds since 1970.
    pub(super) fn complete(&self, time: u64) {
        self.count(|shared| {
            add(&shared.complete, 1);
            shared.last.store((time as f64 / 1e9).to_bits(), Ordering::Relaxed);
        });
    }

    /// Counts a push of which something could not be sent.
    pub(super) fn failed(&self) {
        self.count(|shared| add(&shared.failed, 1));
    }
}

impl Collect for PushStats {
    fn collect(&self, report: &mut Report) {
        let shared = self.0.iter();
        let pushes = shared.clone().flat_map(|shared| {
            [(["complete"], get(&shared.complete)), (["failed"], get(&shared.failed))]
        });
        let about_pushes = about(
            "ebpf_exporter_otlp_metrics_pushes_total",
            "Pushes of all metrics to a collector, by what became of them",
            ["result"],
        );
        report.family(about_pushes, Kind::RealCounter, pushes);
        let points = shared.clone().flat_map(|shared| {
            [(["taken"], get(&shared.taken)), (["rejected"], get(&shared.rejected))]
        });
        let about_points = about(
            "ebpf_exporter_otlp_metrics_points_total",
            "Points that a collector answered to, by what it did with them",
            ["result"],
        );
        report.family(about_points, Kind::RealCounter, points);
        let last = shared.map(|shared| f64::from_bits(shared.last.load(Ordering::Relaxed)));
        let about_last = about(
            "ebpf_exporter_otlp_metrics_last_success_timestamp_seconds",
            "When the last push was complete",
            [],
        );
        let last = last.filter(|last| *last > 0.0).map(|last| ([], last));
        report.family(about_last, Kind::Gauge, last);
    }
}
