//! Network interfaces by index, as the kernel names them now.
//!
//! Each question goes to the kernel: one ioctl, well under a microsecond. Nothing is kept here, and never is an
//! answer stale when it is given. The decoder `ifname` keeps it for some seconds. For as long, a label may have the
//! old name of an interface that was renamed, or whose index another one has now.

use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};

/// The interfaces of the network namespace in which the exporter first asked for one.
#[derive(Default)]
pub struct Interfaces {
    /// What the questions are put through; `None` if the kernel refused to make one.
    socket: OnceLock<Option<OwnedFd>>,
    wanted: AtomicBool,
}

impl Interfaces {
    /// Says that something will ask, so that [`System::prepare`](super::System::prepare) sees to
    /// it that it can.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Knows none from now on.
    pub(super) fn hush(&self) {
        // One that was asked before goes on: nobody has asked a new one.
        let _ = self.socket.set(None);
    }

    /// Gets ready for questions if there will be any.
    pub(super) fn prepare(&self) {
        if self.wanted.load(Ordering::Relaxed) {
            self.socket.get_or_init(open);
        }
    }

    /// Appends the name of the interface with this index to `out` and says whether there is one.
    pub fn name(&self, index: u32, out: &mut Vec<u8>) -> bool {
        let Some(socket) = self.socket.get_or_init(open) else {
            return false;
        };
        match netdevice::index_to_name_inlined(socket, index) {
            Ok(name) => {
                out.extend_from_slice(name.as_bytes());
                true
            }
            Err(_) => false,
        }
    }
}

/// A Unix socket will do, and sandboxes that forbid others allow it.
fn open() -> Option<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .inspect_err(|error| tracing::warn!("{}", complaint(*error)))
        .ok()
}

fn complaint(error: rustix::io::Errno) -> String {
    format!(
        "failed to open a Unix socket: {error}, so network interfaces stay unknown; \
         allow AF_UNIX sockets"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_socket_is_a_complaint() {
        insta::assert_snapshot!(
            complaint(rustix::io::Errno::ACCESS),
            @"failed to open a Unix socket: Permission denied (os error 13), so network interfaces stay unknown; allow AF_UNIX sockets"
        );
    }

    #[test]
    fn this_host_has_a_loopback_interface_and_no_interface_0() {
        let interfaces = Interfaces::default();
        let mut out = Vec::new();
        assert!(interfaces.name(1, &mut out));
        assert_eq!(out, b"lo");
        for index in [0, u32::MAX] {
            assert!(!interfaces.name(index, &mut out), "{index}");
        }
        assert_eq!(out, b"lo", "an unknown index adds nothing");
    }
}
