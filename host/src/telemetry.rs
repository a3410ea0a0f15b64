//! What the exporter says about itself: one struct for all of its own metrics.
//!
//! Never fails a scrape: what cannot be read of the own process is left out.

use std::collections::HashSet;
use std::sync::OnceLock;
use std::time::Duration;

use procfs::process::{LimitValue, Process};
use tracing::warn;

use crate::bpf::ProgramInfo;
use crate::bpf::read::{ReadError, Way, Why};
use crate::bpf::stats::{self, Stats};
use crate::decode::DecodeError;
use crate::logging;
use crate::privileges::Readable;
use crate::series::Kind;
use crate::serve::Traffic;
use crate::version;

pub mod connections;
pub mod plugins;
mod report;

pub use report::Report;
use report::about;

/// What is known of one config since the start.
#[derive(Clone, Debug)]
pub struct ConfigStats {
    /// The config's name.
    pub name: String,
    /// Keys that could not be decoded, since the start.
    pub decoder_errors: u64,
    /// Entries read from its maps in the last scrape.
    pub entries: u64,
    /// Series that they became.
    pub series: u64,
    /// How long reading and decoding took.
    pub duration: Duration,
    /// Whether all of its maps could be read in the last scrape.
    pub success: bool,
    /// The maps that could not be read the last time, which has been logged.
    unreadable: HashSet<String>,
    /// The metrics of which a label could not be decoded, which has been logged.
    undecoded: HashSet<String>,
}

impl ConfigStats {
    /// A config that was not scraped yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            decoder_errors: 0,
            entries: 0,
            series: 0,
            duration: Duration::ZERO,
            success: true,
            unreadable: HashSet::new(),
            undecoded: HashSet::new(),
        }
    }

    /// Forgets what belongs to one scrape only.
    pub fn begin_scrape(&mut self) {
        self.entries = 0;
        self.series = 0;
        self.duration = Duration::ZERO;
        self.success = true;
    }

    /// Notes that a map could not be read.
    pub fn read_failed(&mut self, error: &ReadError) {
        self.success = false;
        if self.unreadable.insert(error.map.clone()) {
            warn!(config = self.name, "{error}: {}; its metric is not complete", error.source);
        }
    }

    /// Notes that a map could be read.
    pub fn read_worked(&mut self, map: &str) {
        if self.unreadable.remove(map) {
            warn!(config = self.name, "map {map} can be read again");
        }
    }

    /// Notes that `errors` labels of a metric could not be decoded, the first one for this reason.
    pub fn decoder_failed(&mut self, metric: &str, errors: u64, first: Option<DecodeError>) {
        self.decoder_errors += errors;
        if let Some(error) = first
            && self.undecoded.insert(metric.to_owned())
        {
            warn!(
                config = self.name,
                "failed to decode a label of {metric}: {error}; this is said once, \
                 ebpf_exporter_decoder_errors_total counts on"
            );
        }
    }
}

/// A BPF program and what it has cost.
#[derive(Clone, Copy, Debug)]
pub struct ProgramStats<'a> {
    /// The config it belongs to.
    pub config: &'a str,
    /// What it is.
    pub program: &'a ProgramInfo,
    /// Time in it and runs of it, while the kernel counts them.
    pub cost: Option<Stats>,
}

/// A map and how the last scrape read it.
#[derive(Clone, Copy, Debug)]
pub struct MapStats<'a> {
    /// The config it belongs to.
    pub config: &'a str,
    /// Its name.
    pub map: &'a str,
    /// How it was read, and why so.
    pub way: (Way, Why),
}

/// What scrapes have spent their time on since the start. Those that share a reading or a page
/// spend it once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Phases {
    /// Reading maps.
    pub read: Duration,
    /// Holding what was read against the rows that are known, and adding what changed.
    pub matching: Duration,
    /// Decoding and transforming what is new, and what has to be asked again.
    pub decode: Duration,
    /// Writing the page.
    pub render: Duration,
    /// Compressing it.
    pub compress: Duration,
}

/// Tells what is known of each config.
pub fn tell_configs(configs: &[ConfigStats], report: &mut Report) {
    let rows = |value: fn(&ConfigStats) -> f64| {
        configs.iter().map(move |config| ([config.name.as_str()], value(config)))
    };
    report.family(
        about("ebpf_exporter_enabled_configs", "The set of enabled configs", ["name"]),
        Kind::Gauge,
        rows(|_| 1.0),
    );
    report.family(
        about(
            "ebpf_exporter_decoder_errors_total",
            "Labels that could not be decoded, each scrape anew; on_error says what became of them",
            ["config"],
        ),
        Kind::RealCounter,
        rows(|config| config.decoder_errors as f64),
    );
    let mut gauge = |name, help, value| {
        report.family(about(name, help, ["config"]), Kind::Gauge, rows(value));
    };
    gauge(
        "ebpf_exporter_scrape_duration_seconds",
        "How long this scrape took to read and decode the config's maps",
        |config| config.duration.as_secs_f64(),
    );
    gauge(
        "ebpf_exporter_scrape_entries",
        "Entries that this scrape read from the config's maps",
        |config| config.entries as f64,
    );
    gauge(
        "ebpf_exporter_scrape_series",
        "Series of the families that the config's maps feed; one that another feeds too counts for both",
        |config| config.series as f64,
    );
    gauge(
        "ebpf_exporter_scrape_success",
        "Whether this scrape could read all of the config's maps",
        |config| f64::from(u8::from(config.success)),
    );
}

/// Tells what programs are and cost.
pub fn tell_programs(programs: &[ProgramStats<'_>], report: &mut Report) {
    let id = |stats: &ProgramStats<'_>| stats.program.id.map(|id| id.to_string());
    let ids: Vec<String> = programs.iter().map(|stats| id(stats).unwrap_or_default()).collect();
    let all = || programs.iter().zip(ids.iter().map(String::as_str));
    let info = all().map(|(stats, id)| {
        ([stats.config, stats.program.name.as_str(), stats.program.tag.as_str(), id], 1.0)
    });
    report.family(
        about(
            "ebpf_exporter_ebpf_program_info",
            "Info about ebpf programs",
            ["config", "program", "tag", "id"],
        ),
        Kind::Gauge,
        info,
    );
    // Those that are not in the kernel have no id to tell them apart: one series is for all of them.
    let mut without_id = ids.iter().enumerate().filter(|(_, id)| id.is_empty());
    let first_without_id = without_id.next().map(|(at, _)| at);
    let attached = all()
        .enumerate()
        .filter(|(at, (_, id))| !id.is_empty() || Some(*at) == first_without_id)
        .map(|(_, (stats, id))| ([id], f64::from(u8::from(stats.program.attached))));
    report.family(
        about("ebpf_exporter_ebpf_program_attached", "Whether a program is attached", ["id"]),
        Kind::Gauge,
        attached,
    );
    let costs = || all().filter_map(|(stats, id)| Some(([id], stats.cost?)));
    report.family(
        about(
            "ebpf_exporter_ebpf_program_run_time_seconds",
            "How long a program has been executing, while kernel.bpf_stats_enabled is 1",
            ["id"],
        ),
        Kind::RealCounter,
        costs().map(|(id, cost)| (id, cost.run_time.as_secs_f64())),
    );
    report.family(
        about(
            "ebpf_exporter_ebpf_program_run_count_total",
            "How many times a program has been executed, while kernel.bpf_stats_enabled is 1",
            ["id"],
        ),
        Kind::RealCounter,
        costs().map(|(id, cost)| (id, cost.run_count as f64)),
    );
}

/// Tells how maps were read.
pub fn tell_maps(maps: &[MapStats<'_>], report: &mut Report) {
    let rows = maps.iter().map(|MapStats { config, map, way: (way, why) }| {
        ([*config, *map, way.as_str(), why.as_str()], 1.0)
    });
    report.family(
        about(
            "ebpf_exporter_map_read_info",
            "How this scrape read a map, and why so; always 1",
            ["config", "map", "way", "why"],
        ),
        Kind::Gauge,
        rows,
    );
}

/// Tells what scrapes have spent their time on.
pub fn tell_phases(phases: &Phases, report: &mut Report) {
    let Phases { read, matching, decode, render, compress } = *phases;
    let rows = [
        ("read", read),
        ("match", matching),
        ("decode", decode),
        ("render", render),
        ("compress", compress),
    ];
    report.family(
        about(
            "ebpf_exporter_scrape_phase_seconds_total",
            "Time that scrapes have spent, by phase; the last two of this one count with the next",
            ["phase"],
        ),
        Kind::RealCounter,
        rows.map(|(phase, time)| ([phase], time.as_secs_f64())),
    );
}

/// Tells what the process is and takes: the metrics that every Prometheus client library has of its
/// process, and the build.
pub fn tell_process(report: &mut Report) {
    let mut one = |name, help, kind, value: Option<f64>| {
        report.family(about(name, help, []), kind, value.map(|value| ([], value)));
    };
    one(
        "ebpf_exporter_log_lines_lost_total",
        "Lines of the log that could not be written, or were not read in time",
        Kind::RealCounter,
        Some(logging::lost_lines() as f64),
    );
    // Opened once: to find it again costs as much as to read it.
    if let Some(process) = PROCESS.get_or_init(|| Process::myself().ok()) {
        let stat = process.stat().ok();
        let stat = stat.as_ref();
        let Fixed { max_fds, max_address_space, started } =
            *FIXED.get_or_init(|| Fixed::of(process));
        let ticks = procfs::ticks_per_second() as f64;
        one(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            Kind::RealCounter,
            stat.map(|stat| (stat.utime + stat.stime) as f64 / ticks),
        );
        let mut gauge = |name, help, value| one(name, help, Kind::Gauge, value);
        gauge(
            "process_open_fds",
            "Number of open file descriptors.",
            process.fd_count().ok().map(|count| count as f64),
        );
        gauge("process_max_fds", "Maximum number of open file descriptors.", max_fds);
        gauge(
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            stat.map(|stat| stat.vsize as f64),
        );
        gauge(
            "process_virtual_memory_max_bytes",
            "Maximum amount of virtual memory available in bytes.",
            max_address_space,
        );
        gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            stat.map(|stat| stat.rss as f64 * procfs::page_size() as f64),
        );
        gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            started,
        );
        gauge(
            "process_threads",
            "Number of OS threads in the process.",
            stat.map(|stat| stat.num_threads as f64),
        );
    }
    let build = [
        version::VERSION,
        version::BRANCH,
        version::REVISION,
        version::RUST,
        std::env::consts::ARCH,
    ];
    report.family(
        about(
            "ebpf_exporter_build_info",
            "What this ebpf_wasm_exporter was built from; always 1",
            ["version", "branch", "revision", "rustversion", "arch"],
        ),
        Kind::Gauge,
        [(build, 1.0)],
    );
}

/// Every family that the exporter can tell of itself, of an exporter that has done nothing yet.
pub fn families() -> Report {
    let mut report = Report::default();
    tell_configs(&[], &mut report);
    tell_programs(&[], &mut report);
    tell_maps(&[], &mut report);
    tell_phases(&Phases::default(), &mut report);
    connections::tell(&Traffic::default(), &mut report);
    plugins::tell_all(&[], &mut report);
    tell_process(&mut report);
    report
}

/// Reads what cannot be read once privileges are given up, and says what this module reads after that.
pub fn prepare() -> Vec<Readable> {
    // It stands in a file of the process that is closed to who becomes another user.
    let _ = procfs::page_size();
    let files = ["/proc/self", "/proc/stat", "/proc/sys/kernel/osrelease", stats::SWITCH];
    files.map(|path| Readable::Content(path.into())).to_vec()
}

/// What stays as long as the process does. To read it takes longer than all the rest.
struct Fixed {
    max_fds: Option<f64>,
    max_address_space: Option<f64>,
    started: Option<f64>,
}

static PROCESS: OnceLock<Option<Process>> = OnceLock::new();
static FIXED: OnceLock<Fixed> = OnceLock::new();

impl Fixed {
    fn of(process: &Process) -> Self {
        let limits = process.limits().ok();
        let limit = |value: LimitValue| match value {
            LimitValue::Value(value) => value as f64,
            LimitValue::Unlimited => f64::INFINITY,
        };
        let started = || {
            let since_boot = process.stat().ok()?.starttime as f64;
            let boot = procfs::boot_time_secs().ok()? as f64;
            Some(boot + since_boot / procfs::ticks_per_second() as f64)
        };
        Self {
            max_fds: limits.as_ref().map(|limits| limit(limits.max_open_files.soft_limit)),
            max_address_space: limits.map(|limits| limit(limits.max_address_space.soft_limit)),
            started: started(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::family::OWN;

    #[test]
    fn names_are_kept_from_configs() {
        let report = families();
        let names = report.families().iter().map(|kept| &kept.family().name);
        let names = names.filter_map(|name| name.strip_prefix("ebpf_exporter_"));
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        assert!(names.iter().eq(&OWN), "{names:?}");
    }

    #[test]
    fn a_map_that_fails_again_is_told_again() {
        let mut stats = ConfigStats::new("a");
        let source = std::io::Error::from_raw_os_error(libc::EPERM);
        let way = crate::bpf::read::Way::Batch;
        let error = ReadError { map: "m".to_owned(), way, source };
        stats.decoder_failed("m", 1, Some(DecodeError::new("x")));
        stats.read_failed(&error);
        assert!(stats.unreadable.contains("m"), "whatever was said of its labels");
        stats.read_worked("m");
        assert!(stats.unreadable.is_empty() && stats.undecoded.contains("m"));
    }
}
