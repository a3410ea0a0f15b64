//! The exporter's own metrics about cgroups.
//!
//! There are none if no config asks for cgroups.

use crate::series::Kind;
use crate::system::cgroups::{Census, RollCount};
use crate::telemetry::{Collect, Report, about};

/// What is known, in numbers.
#[derive(Debug)]
pub(super) struct Counted(pub(super) Census);

impl Collect for Counted {
    fn collect(&self, report: &mut Report) {
        let Self(Census { wanted, living, dead, watched, overflows, rolls }) = self;
        let states = [("living", *living), ("dead", *dead)];
        let known = states.into_iter().filter(|_| *wanted);
        report.family(
            about(
                "ebpf_exporter_cgroups",
                "Cgroups that have a name: those that live, and those that died not long ago",
                ["state"],
            ),
            Kind::Gauge,
            known.map(|(state, count)| ([state], count as f64)),
        );
        let once = |value: f64| wanted.then_some(([], value));
        report.family(
            about(
                "ebpf_exporter_cgroup_watch_up",
                "Whether the kernel tells of cgroups that come and go",
                [],
            ),
            Kind::Gauge,
            once(f64::from(u8::from(*watched))),
        );
        report.family(
            about(
                "ebpf_exporter_cgroup_watch_overflows_total",
                "How often more cgroups came and went than the kernel could tell of",
                [],
            ),
            Kind::RealCounter,
            once(*overflows as f64),
        );
        let of = |count: fn(&RollCount) -> f64| {
            rolls.iter().map(move |roll| ([roll.config.as_str()], count(roll)))
        };
        report.family(
            about(
                "ebpf_exporter_cgroup_id_map_entries",
                "Cgroups that were put into the map of cgroup_id_map",
                ["config"],
            ),
            Kind::Gauge,
            of(|roll| roll.entries as f64),
        );
        report.family(
            about(
                "ebpf_exporter_cgroup_id_map_refused_total",
                "Cgroups that the map of cgroup_id_map did not take",
                ["config"],
            ),
            Kind::RealCounter,
            of(|roll| roll.refused as f64),
        );
    }
}
