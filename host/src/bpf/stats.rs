//! What the kernel knows about a loaded program: id, tag, and what running it has cost.
//!
//! The kernel measures only while `kernel.bpf_stats_enabled` is 1: it costs every run of every
//! program two reads of the clock. This exporter never turns it on, it reports while it is.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd};
use std::time::Duration;

use libbpf_rs::libbpf_sys;

use super::{Attached, ProgramInfo};

/// The switch, readable by everyone; kernels before 5.1 have none and measure nothing.
pub const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// What a program has cost since it was loaded, as far as the kernel measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Time spent in it on all CPUs.
    pub run_time: Duration,
    /// How often it ran.
    pub run_count: u64,
}

/// Whether the kernel measures now. While it does not, figures stand still and mislead: leave
/// them out.
pub fn enabled() -> bool {
    fs::read_to_string(SWITCH).is_ok_and(|text| text.trim() == "1")
}

impl Attached {
    /// What each program has cost, in the order of [`Attached::programs`]; none of those that are not in
    /// the kernel. Reads the kernel once a program, and needs no capability on Linux 5.19 or newer.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub fn stats(&self) -> io::Result<Vec<Option<Stats>>> {
        self.programs.iter().map(ProgramInfo::stats).collect()
    }
}

impl ProgramInfo {
    fn stats(&self) -> io::Result<Option<Stats>> {
        let Some(fd) = &self.fd else { return Ok(None) };
        let info = info(fd.as_fd())?;
        let run_time = Duration::from_nanos(info.run_time_ns);
        Ok(Some(Stats { run_time, run_count: info.run_cnt }))
    }
}

/// What the kernel knows about the program behind `fd`.
pub(super) fn info(fd: BorrowedFd<'_>) -> io::Result<libbpf_sys::bpf_prog_info> {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut size = size_of_val(&info) as u32;
    // SAFETY: the kernel writes at most `size` bytes to `info`, which has as many, and nothing
    // through the pointers in it, which are null.
    let code = unsafe {
        libbpf_sys::bpf_prog_get_info_by_fd(fd.as_raw_fd(), &raw mut info, &raw mut size)
    };
    if code < 0 { Err(io::Error::from_raw_os_error(-code)) } else { Ok(info) }
}
