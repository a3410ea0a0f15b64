//! What the kernel knows about a loaded program: id, tag, and what running it has cost.
//!
//! The kernel measures only while somebody wants it to: it costs every run of every program two reads of
//! the clock. Nothing here turns it off for others.

use std::fs::{self, File};
use std::io;
use std::mem::offset_of;
use std::ops::AddAssign;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::sync::OnceLock;
use std::time::Duration;

use clap::ValueEnum;
use libbpf_rs::libbpf_sys;
use serde::{Deserialize, Serialize};

use super::{AttachError, Attached, ProgramInfo, sys};
use crate::advice::{self, Advise};
use crate::series::Kind;
use crate::telemetry::{Collect, Report, about};

/// The switch, readable by everyone; kernels before 5.1 have none and measure nothing.
pub const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// What a program has cost since it was loaded, as far as the kernel measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramCost {
    /// Time spent in it on all CPUs.
    pub run_time: Duration,
    /// How often it ran.
    pub run_count: u64,
}

impl ProgramCost {
    pub(super) fn of(info: &libbpf_sys::bpf_prog_info) -> Self {
        Self { run_time: Duration::from_nanos(info.run_time_ns), run_count: info.run_cnt }
    }

    /// What has come to it since it was this much, or since it was loaded.
    pub fn since(self, before: Option<&Self>) -> Self {
        let before = before.copied().unwrap_or_default();
        Self {
            run_time: self.run_time.saturating_sub(before.run_time),
            run_count: self.run_count.saturating_sub(before.run_count),
        }
    }
}

impl AddAssign for ProgramCost {
    fn add_assign(&mut self, more: Self) {
        self.run_time += more.run_time;
        self.run_count += more.run_count;
    }
}

/// How often a program did not run although its hook was reached, since it was attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Misses {
    /// It was running on that CPU already (Linux 5.12).
    pub recursion: Option<u64>,
    /// The kernel's probe had no room to note it: of kprobes alone, and if the kernel says so (Linux 6.7).
    pub probe: Option<u64>,
}

/// Whether the kernel measures now. While it does not, figures stand still and mislead: leave
/// them out.
pub fn enabled() -> bool {
    let mut state = [0];
    opened().is_some_and(|switch| switch.read_at(&mut state, 0).is_ok()) && state == *b"1"
}

/// The switch, opened once: to find it again costs more than to read it.
fn opened() -> Option<&'static File> {
    static OPENED: OnceLock<File> = OnceLock::new();
    match OPENED.get() {
        Some(opened) => Some(opened),
        // What fails now, for want of descriptors, may be there at the next scrape.
        None => File::open(SWITCH).ok().map(|file| OPENED.get_or_init(|| file)),
    }
}

/// How the kernel is made to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum How {
    /// By a descriptor, which ends with the process.
    Fd,
    /// By the switch `kernel.bpf_stats_enabled`, which is put back at the end.
    Sysctl,
}

/// Turns the switch on.
///
/// # Errors
///
/// When it cannot be written.
pub fn turn_on() -> Result<(), Unmeasured> {
    fs::write(SWITCH, "1\n").map_err(Unmeasured)
}

/// Has the kernel measure while it lives, and leaves alone what others have turned on.
#[derive(Debug)]
pub struct Measuring {
    _held: OwnedFd,
}

impl Measuring {
    /// Has the kernel measure all programs of the host from now on (Linux 5.8). It stops when the last who
    /// wanted it is gone, however that ends.
    ///
    /// # Errors
    ///
    /// When the kernel cannot, or not for who has no CAP_SYS_ADMIN.
    pub fn begin() -> Result<Self, Unmeasured> {
        sys::enable_stats().map(|held| Self { _held: held }).map_err(Unmeasured)
    }
}

/// Why the kernel does not measure.
#[derive(Debug, thiserror::Error)]
#[error("failed to have the kernel measure BPF programs (--bpf.stats): {}", advice::words(.0))]
pub struct Unmeasured(pub io::Error);

impl Advise for Unmeasured {
    fn remedy(&self) -> Option<String> {
        Some(match self.0.raw_os_error() {
            Some(libc::EPERM) => "start it with CAP_SYS_ADMIN".to_owned(),
            Some(libc::EINVAL) => format!(
                "it takes Linux 5.8: write 1 to {SWITCH}, or have the exporter do it with --bpf.stats=sysctl"
            ),
            _ => return None,
        })
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
    pub cost: Option<ProgramCost>,
    /// How often it did not run; none if it is not in the kernel.
    pub misses: Option<Misses>,
    /// Why it does not run, if it does not.
    pub failure: Option<&'a AttachError>,
}

impl ProgramStats<'_> {
    /// Why it does not run, in a text that stays the same; empty if it runs.
    fn reason(&self) -> String {
        let problem = self.failure.map(|failure| &*failure.advice.problem);
        advice::plain(problem.unwrap_or_default(), REASON)
    }
}

/// Bytes of a reason.
const REASON: usize = 200;

/// What all programs are and cost.
#[derive(Debug)]
pub struct Programs<'a>(pub Vec<ProgramStats<'a>>);

impl Collect for Programs<'_> {
    fn collect(&self, report: &mut Report) {
        let id = |stats: &ProgramStats<'_>| stats.program.id.map(|id| id.to_string());
        let ids: Vec<String> = self.0.iter().map(|stats| id(stats).unwrap_or_default()).collect();
        let all = || self.0.iter().zip(ids.iter().map(String::as_str));
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
        let reasons: Vec<String> = self.0.iter().map(ProgramStats::reason).collect();
        let hooks = self.0.iter().zip(&reasons).map(|(stats, reason)| {
            let ProgramInfo { name, section, .. } = stats.program;
            ([stats.config, name.as_str(), section.as_str(), reason.as_str()], 1.0)
        });
        report.family(
            about(
                "ebpf_exporter_program_attached_info",
                "Where a program is attached, or was to be, and why it is not; always 1, and no reason if it is",
                ["config", "program", "section", "reason"],
            ),
            Kind::Gauge,
            hooks,
        );
        let costs = || all().filter_map(|(stats, id)| Some(([id], stats.cost?)));
        report.family(
            about(
                "ebpf_exporter_ebpf_program_run_time_seconds",
                "How long a program has been executing, while the kernel measures it (--bpf.stats)",
                ["id"],
            ),
            Kind::RealCounter,
            costs().map(|(id, cost)| (id, cost.run_time.as_secs_f64())),
        );
        report.family(
            about(
                "ebpf_exporter_ebpf_program_run_count_total",
                "How many times a program has been executed, while the kernel counts it (--bpf.stats)",
                ["id"],
            ),
            Kind::RealCounter,
            costs().map(|(id, cost)| (id, cost.run_count as f64)),
        );
        let misses = || {
            let all = self.0.iter().filter_map(|stats| Some((stats, stats.misses?)));
            all.flat_map(|(stats, Misses { recursion, probe })| {
                let of = |cause, count: u64| {
                    ([stats.config, stats.program.name.as_str(), cause], count as f64)
                };
                let causes = [("recursion", recursion), ("probe", probe)];
                causes.map(|(cause, count)| count.map(|count| of(cause, count)))
            })
        };
        report.family(
            about(
                "ebpf_exporter_program_misses_total",
                "How often a program did not run although its hook was reached: it ran on that CPU already \
                 (recursion), or the kernel's probe had no room (probe)",
                ["config", "program", "cause"],
            ),
            Kind::RealCounter,
            misses().flatten(),
        );
    }
}

impl Attached {
    /// Why a program of it does not run, if it does not.
    pub fn failure(&self, program: &ProgramInfo) -> Option<&AttachError> {
        let of = |failure: &&AttachError| !program.attached && failure.program == program.name;
        self.failures.iter().find(of)
    }

    /// What the kernel knows of each program, in the order of [`Attached::programs`]; nothing of those that
    /// are not in the kernel, or that it does not tell of. Reads the kernel once a program, and needs no
    /// capability on Linux 5.19 or newer.
    pub fn stats<'a>(&'a self, config: &'a str) -> impl Iterator<Item = ProgramStats<'a>> {
        // Links stand in the order of their programs.
        let mut links = self.links.iter().peekable();
        self.programs.iter().map(move |program| {
            let link = links.next_if(|link| link.program == program.name);
            let info = program.fd.as_ref().and_then(|fd| info(fd.as_fd()).ok());
            let cost = info.as_ref().map(|told| ProgramCost::of(&told.info));
            let misses = info.map(|told| Misses {
                recursion: told.recursion(),
                probe: link.and_then(|link| link.missed_probes()),
            });
            let failure = self.failure(program);
            ProgramStats { config, program, cost, misses, failure }
        })
    }
}

/// What the kernel tells about a program.
#[derive(Clone, Default)]
pub(super) struct Told {
    pub(super) info: libbpf_sys::bpf_prog_info,
    /// Bytes of it that this kernel knows.
    size: usize,
}

impl Told {
    fn recursion(&self) -> Option<u64> {
        let known = self.size > offset_of!(libbpf_sys::bpf_prog_info, recursion_misses);
        known.then_some(self.info.recursion_misses)
    }
}

/// A program's tag: 16 hex digits.
pub(super) fn tag(info: &libbpf_sys::bpf_prog_info) -> String {
    info.tag.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the kernel knows about the program behind `fd`.
pub(super) fn info(fd: BorrowedFd<'_>) -> io::Result<Told> {
    let mut info = libbpf_sys::bpf_prog_info::default();
    // SAFETY: the pointers in it are null.
    let size = unsafe { sys::tell(fd, &mut info, libbpf_sys::bpf_prog_get_info_by_fd) }?;
    Ok(Told { info, size })
}
