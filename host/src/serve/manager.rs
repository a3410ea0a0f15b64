//! The service manager that is told how it goes: systemd, or whoever set `NOTIFY_SOCKET`.
//!
//! The socket is opened once, at the start: later the process may open none.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use sd_notify::NotifyState;
use tracing::debug;

/// The way to the service manager, if there is one. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Manager {
    socket: Option<Arc<UnixDatagram>>,
    status: String,
    /// How long it waits for a sign of life, if it waits for any.
    watchdog: Option<Duration>,
}

/// The least time between two signs of life.
const LEAST_PAUSE: Duration = Duration::from_millis(10);

impl Manager {
    /// Connects to the one that the environment names. If that fails nobody is told.
    pub fn connect() -> Self {
        let socket = env::var_os("NOTIFY_SOCKET").and_then(|name| {
            let socket = connect(&name);
            socket.inspect_err(|error| debug!("failed to reach the service manager: {error}")).ok()
        });
        Self {
            socket: socket.map(Arc::new),
            status: String::new(),
            watchdog: sd_notify::watchdog_enabled(),
        }
    }

    /// How long to wait between two signs of life, if any are wanted: half of what the manager waits.
    pub(super) fn pause(&self) -> Option<Duration> {
        let watchdog = self.watchdog.filter(|_| self.socket.is_some())?;
        Some((watchdog / 2).max(LEAST_PAUSE))
    }

    /// With what it is to show once the exporter serves, such as `serving 6 configs`.
    #[must_use]
    pub fn with(self, status: &str) -> Self {
        Self { status: status.to_owned(), ..self }
    }

    pub(super) fn ready(&self) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(&self.status)]);
    }

    /// Gives a sign of life.
    pub(super) fn alive(&self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    /// Of a reload the manager hears when it begins, and by [`Manager::ready`] when it is over.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&[NotifyState::Reloading, NotifyState::MonotonicUsec(micros)]);
    }

    pub(super) fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let text: String = states.iter().map(|state| format!("{state}\n")).collect();
        if let Err(error) = socket.send(text.as_bytes()) {
            debug!("failed to notify the service manager: {error}");
        }
    }
}

/// A path, or with `@` in front a name in the abstract namespace.
fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, manager: &UnixDatagram) -> String {
        let socket = connect(name.as_ref()).unwrap();
        let exporter = Manager { socket: Some(socket.into()), ..Manager::default() };
        exporter.with("serving 1 config").ready();
        let mut buffer = [0; 64];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_path_and_an_abstract_name_are_reached() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        assert_eq!(told(path.to_str().unwrap(), &by_path), "READY=1\nSTATUS=serving 1 config\n");

        let name = format!("ebpf-exporter-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let abstractly = UnixDatagram::bind_addr(&address).unwrap();
        assert!(told(&format!("@{name}"), &abstractly).starts_with("READY=1\n"));
    }

    #[test]
    fn signs_of_life_come_twice_in_the_time_that_is_waited() {
        let paused = |watchdog, socket| Manager { socket, watchdog, ..Manager::default() }.pause();
        let socket = || UnixDatagram::unbound().ok().map(Arc::new);
        assert_eq!(paused(Some(Duration::from_secs(30)), socket()), Some(Duration::from_secs(15)));
        assert_eq!(paused(Some(Duration::ZERO), socket()), Some(LEAST_PAUSE));
        assert_eq!(paused(Some(Duration::from_secs(30)), None), None, "nobody could be told");
        assert_eq!(paused(None, socket()), None);
    }

    #[test]
    fn without_one_nobody_is_told() {
        assert!(connect("/nowhere/notify".as_ref()).is_err());
        Manager::default().stopping();
    }
}
