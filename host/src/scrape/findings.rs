//! What a reading found, for the status page: made anew at the end of each, of what is known then.
//!
//! Reads nothing of the kernel. Of ten configs it took 37 µs in a build without optimization, once the pages had been
//! answered.

use std::time::{Duration, SystemTime};

use super::Scraper;
use super::families::Families;
use super::stats::ConfigStats;
use super::unit::Active;
use crate::bpf::stats::{Misses, ProgramStats};
use crate::plugin::{Cause, Gauge, Stats};
use crate::series::Family;
use crate::status::{
    BundleState, CgroupCount, ConfigState, Findings, LastReading, Moment, PluginLimits,
    PluginState, ProgramState, named, said,
};
use crate::system::cgroups::Census;

/// When the last reading began, and how long it took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) began: SystemTime,
    pub(super) took: Duration,
}

impl Scraper {
    /// What the last reading found; none before the first.
    pub(super) fn found(&self) -> Option<Findings> {
        let Read { began, took } = self.last?;
        let configs = self.units.iter().map(|unit| config(unit, &self.families)).collect();
        let last = LastReading {
            at: Moment(began),
            seconds: took.as_secs_f64(),
            entries: self.units.iter().map(|unit| unit.stats.entries).sum(),
            series: self.families.iter().map(|kept| kept.family().len() as u64).sum(),
            measured: self.measured,
            phases: self.phases.all().map(|(phase, time)| (phase, time.as_secs_f64())).into(),
        };
        let census = self.cgroups.census();
        let cgroups = census.wanted.then(|| cgroups(&census));
        Some(Findings { last, cgroups, spans: self.spans.total(), configs })
    }
}

fn cgroups(Census { living, dead, watched, overflows, .. }: &Census) -> CgroupCount {
    CgroupCount { living: *living, dead: *dead, watched: *watched, overflows: *overflows }
}

fn config(unit: &Active, families: &Families) -> ConfigState {
    let ConfigStats { bundle, success, last_success, duration, entries, series, .. } = &unit.stats;
    let bundle = bundle.as_ref().map(|bundle| BundleState {
        digest: bundle.digest.tagged(),
        version: named(&bundle.version),
    });
    let admitted = unit.admitted().map(|(_, admitted)| admitted);
    let maps = unit.feeds.iter().map(|feed| {
        let series = families.get(&feed.filled).map_or(0, Family::len);
        feed.state(series)
    });
    ConfigState {
        name: named(unit.name()),
        raw_name: unit.name().to_owned(),
        file: said(&unit.file.to_string_lossy()),
        bundle,
        success: *success,
        last_success: last_success.map(Moment),
        seconds: duration.as_secs_f64(),
        entries: *entries,
        series: *series,
        decoder_errors: unit.stats.decoder_errors + unit.stats.span_errors,
        insert_failures: admitted.and_then(|admitted| admitted.insert_failures()),
        lost_events: admitted.and_then(|admitted| admitted.lost_events()),
        programs: unit.programs().map(program).collect(),
        maps: maps.collect(),
        plugins: unit.plugins.iter().map(|plugin| self::plugin(&plugin.gauge)).collect(),
    }
}

fn program(ProgramStats { program, cost, misses, failure, .. }: ProgramStats<'_>) -> ProgramState {
    let missed = |Misses { recursion, probe }: Misses| match (recursion, probe) {
        (None, None) => None,
        _ => Some(recursion.unwrap_or_default() + probe.unwrap_or_default()),
    };
    let advice = failure.map(|failure| &failure.advice);
    ProgramState {
        name: named(&program.name),
        section: named(&program.section),
        id: program.id,
        attached: program.attached,
        reason: advice.map(|advice| said(&advice.problem)),
        remedy: advice.and_then(|advice| advice.remedy.as_deref()).map(said),
        runs: cost.map(|cost| cost.run_count),
        run_seconds: cost.map(|cost| cost.run_time.as_secs_f64()),
        missed: misses.and_then(missed),
    }
}

fn plugin(gauge: &Gauge) -> PluginState {
    let Stats { calls, time, inputs, failures, breaker, remembered, deferred, memory_peak, .. } =
        gauge.read();
    let [says, version, ..] = gauge.said();
    let limits = gauge.limits();
    let failures = Cause::ALL.into_iter().zip(failures).filter(|(_, count)| *count > 0);
    PluginState {
        name: named(gauge.plugin()),
        world: gauge.world().word(),
        digest: gauge.digest().to_string(),
        says: says.to_owned(),
        version: version.to_owned(),
        breaker: breaker.word(),
        calls,
        call_seconds: time.as_secs_f64(),
        inputs,
        failures: failures.map(|(cause, count)| (cause.word(), count)).collect(),
        remembered: remembered.entries as u64,
        deferred,
        memory_peak_bytes: memory_peak as u64,
        limits: PluginLimits {
            memory_bytes: limits.memory as u64,
            deadline_seconds: limits.deadline.as_secs_f64(),
            output_bytes: limits.output as u64,
            answers_bytes: limits.answers as u64,
            text_bytes: limits.text as u64,
        },
    }
}
