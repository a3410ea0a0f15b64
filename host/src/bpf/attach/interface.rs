//! A program that sees the packets of a network interface. Its link goes with its descriptor, so unless it is
//! pinned, nothing of it stays at the interface when the exporter ends, however it ends.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use libbpf_rs::libbpf_sys;
use tracing::{debug, info};

use crate::bpf::hook::Direction;
use crate::bpf::sys;

/// Attaches an XDP program: in the driver if that can, else behind it.
///
/// # Errors
///
/// `ENODEV` if there is no such interface, else the kernel's.
pub(super) fn receive(name: &str, program: BorrowedFd<'_>, interface: &str) -> io::Result<OwnedFd> {
    let index = index(interface)?;
    let attach = |flags| sys::link(program.as_raw_fd(), index, libbpf_sys::BPF_XDP, flags);
    match attach(libbpf_sys::XDP_FLAGS_DRV_MODE) {
        Ok(link) => {
            debug!(program = name, "attached to {interface} in native mode");
            Ok(link)
        }
        // Another program is there, which the other mode does not change.
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Err(error),
        Err(error) => {
            let link = attach(libbpf_sys::XDP_FLAGS_SKB_MODE)?;
            info!(
                program = name,
                "attached to {interface} in generic mode, which costs more a packet: its driver has no native mode ({error})"
            );
            Ok(link)
        }
    }
}

/// Attaches a program to an interface's traffic control (Linux 6.6).
///
/// # Errors
///
/// `ENODEV` if there is no such interface, else the kernel's.
pub(super) fn control(
    program: BorrowedFd<'_>,
    interface: &str,
    direction: Direction,
) -> io::Result<OwnedFd> {
    let kind = match direction {
        Direction::Ingress => libbpf_sys::BPF_TCX_INGRESS,
        Direction::Egress => libbpf_sys::BPF_TCX_EGRESS,
    };
    sys::link(program.as_raw_fd(), index(interface)?, kind, 0)
}

/// The kernel's number of an interface in the exporter's network namespace.
fn index(interface: &str) -> io::Result<i32> {
    let unknown = || io::Error::from_raw_os_error(libc::ENODEV);
    let name = CString::new(interface).map_err(|_| unknown())?;
    match sys::interface_index(&name) {
        0 => Err(unknown()),
        index => i32::try_from(index).map_err(|_| unknown()),
    }
}
