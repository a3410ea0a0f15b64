//! What this process is and takes: the metrics that every Prometheus client library has of its process, and
//! the build.
//!
//! Never fails a scrape: what cannot be read is left out.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use procfs::FromRead as _;
use procfs::process::{LimitValue, Process, Stat};
use rustix::system::uname;

use crate::privileges::Readable;
use crate::series::Kind;
use crate::telemetry::{Collect, Report, about};
use crate::version;

/// This process.
#[derive(Clone, Copy, Debug)]
pub struct Myself;

impl Collect for Myself {
    fn collect(&self, report: &mut Report) {
        let mut one = |name, help, kind, value: Option<f64>| {
            report.family(about(name, help, []), kind, value.map(|value| ([], value)));
        };
        if let Some(opened) = opened() {
            let stat = opened.stat();
            let stat = stat.as_ref();
            let Fixed { max_fds, max_address_space, started } =
                *FIXED.get_or_init(|| Fixed::of(opened));
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
                opened.process.fd_count().ok().map(|count| count as f64),
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
}

/// When the process was started, in seconds since 1970, if that was read.
pub fn started() -> Option<f64> {
    let opened = opened()?;
    FIXED.get_or_init(|| Fixed::of(opened)).started
}

/// The kernel's name and release, and the machine: `Linux 6.12.9 (x86_64)`.
pub fn system() -> String {
    let system = uname();
    format!(
        "{} {} ({})",
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
        system.machine().to_string_lossy(),
    )
}

/// The running program, by the kernel's name for it: that is the same file even if an upgrade has put another
/// one in its place. Where `/proc` is not mounted, the path it was started by.
pub fn executable() -> PathBuf {
    let own = Path::new("/proc/self/exe");
    if own.exists() {
        return own.to_owned();
    }
    let started_by = rustix::param::linux_execfn().to_string_lossy();
    let path = Path::new(&*started_by);
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Reads what cannot be read once privileges are given up, and says what this module reads after that.
pub fn prepare() -> Vec<Readable> {
    // It stands in a file of the process that is closed to who becomes another user.
    let _ = procfs::page_size();
    let files = ["/proc/self", "/proc/stat", "/proc/sys/kernel/osrelease"];
    files.map(|path| Readable::Content(path.into())).to_vec()
}

/// What stays as long as the process does. To read it takes longer than all the rest.
struct Fixed {
    max_fds: Option<f64>,
    max_address_space: Option<f64>,
    started: Option<f64>,
}

/// What is read again and again, opened once: to find it again costs as much as to read it.
struct Opened {
    process: Process,
    stat: File,
}

static OPENED: OnceLock<Opened> = OnceLock::new();
static FIXED: OnceLock<Fixed> = OnceLock::new();

fn opened() -> Option<&'static Opened> {
    let open = || {
        let (process, stat) = (Process::myself().ok()?, File::open("/proc/self/stat").ok()?);
        Some(OPENED.get_or_init(|| Opened { process, stat }))
    };
    // What fails now, for want of descriptors, may be there at the next scrape.
    OPENED.get().or_else(open)
}

impl Opened {
    /// What the kernel knows of the process now.
    fn stat(&self) -> Option<Stat> {
        // The kernel's line has 52 numbers and a name, at most 1,110 bytes.
        let mut line = [0; 2048];
        let length = self.stat.read_at(&mut line, 0).ok()?;
        Stat::from_read(&line[..length]).ok()
    }
}

impl Fixed {
    fn of(opened: &Opened) -> Self {
        let limits = opened.process.limits().ok();
        let limit = |value: LimitValue| match value {
            LimitValue::Value(value) => value as f64,
            LimitValue::Unlimited => f64::INFINITY,
        };
        let started = || {
            let since_boot = opened.stat()?.starttime as f64;
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
