//! Where to listen: what the text of `--web.listen-address` means.
//!
//! Opens no socket, see [`super::listen`].

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::advice::Advise;

/// Bytes of the path of a socket: the kernel has room for one more, which ends it.
const LONGEST_PATH: usize = 107;

/// The value of `--web.listen-address`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// All addresses of this host, IPv6 and IPv4 (`:PORT`).
    All {
        /// The port; 0 for one that is free.
        port: u16,
    },
    /// The addresses of a name, or one address (`HOST:PORT`, `[V6]:PORT`).
    Host {
        /// A name or an address, without brackets.
        host: String,
        /// The port; 0 for one that is free.
        port: u16,
    },
    /// A socket that systemd passed (`fd://N`), counted from 0.
    Systemd(usize),
    /// A UNIX socket at this path (`unix:PATH`).
    Unix(PathBuf),
    /// A port for virtual machines of this host, or for its host if it is one (`vsock://:PORT`,
    /// `vsock://CID:PORT`).
    Vsock {
        /// The number of this machine, if it is to be one of those that it has.
        machine: Option<u32>,
        /// The port; none is free by itself.
        port: u32,
    },
}

/// What is wrong with the value of `--web.listen-address`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No colon, or nothing behind it.
    #[error("--web.listen-address={0} has no port")]
    NoPort(String),
    /// Not a number up to 65535 behind the last colon.
    #[error("--web.listen-address={0} has a port that is no number from 0 to 65535")]
    BadPort(String),
    /// An IPv6 address without brackets.
    #[error("--web.listen-address={0} has too many colons")]
    NoBrackets(String),
    /// `fd://` without a number.
    #[error("--web.listen-address={0} has no number behind fd://")]
    BadDescriptor(String),
    /// `unix:` without a path, or with one that a socket cannot have.
    #[error("--web.listen-address={0} has no path behind unix:, or one beyond 107 bytes")]
    BadPath(String),
    /// `vsock://` without numbers.
    #[error("--web.listen-address={0} has no number of a port behind vsock://")]
    BadVsock(String),
    /// Some other URL.
    #[error("--web.listen-address={0} is a URL")]
    Url(String),
}

impl Advise for AddressError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::NoPort(_) => "write [HOST]:PORT, as in :9435",
            // The problem says what to write.
            Self::BadPort(_) => return None,
            Self::NoBrackets(_) => "write an IPv6 address as [::1]:9435",
            Self::BadDescriptor(_) => "write fd://0 for the first",
            Self::BadPath(_) => "write unix:/run/ebpf-exporter/metrics.sock",
            Self::BadVsock(_) => "write vsock://:9435",
            Self::Url(_) => "write [HOST]:PORT, fd://0, unix:PATH or vsock://:PORT",
        };
        Some(remedy.to_owned())
    }
}

impl FromStr for ListenAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let owned = || text.to_owned();
        if let Some(index) = text.strip_prefix("fd://") {
            return index
                .parse()
                .map(Self::Systemd)
                .map_err(|_| AddressError::BadDescriptor(owned()));
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path).ok_or_else(|| AddressError::BadPath(owned()));
        }
        if let Some(place) = text.strip_prefix("vsock://") {
            return vsock(place).ok_or_else(|| AddressError::BadVsock(owned()));
        }
        if text.contains("://") {
            return Err(AddressError::Url(owned()));
        }
        let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| !port.is_empty()) else {
            return Err(AddressError::NoPort(owned()));
        };
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if inner.is_none() && host.contains([':', '[', ']']) {
            // `[::1]` and `::1` end in a number as well, which is no port.
            let bracketed = text.starts_with('[') && text.ends_with(']');
            let error = if bracketed { AddressError::NoPort } else { AddressError::NoBrackets };
            return Err(error(owned()));
        }
        let port = port.parse().map_err(|_| AddressError::BadPort(owned()))?;
        Ok(match inner.unwrap_or(host) {
            "" => Self::All { port },
            host => Self::Host { host: host.to_owned(), port },
        })
    }
}

/// The path may be written as that of a URL too.
fn unix(path: &str) -> Option<ListenAddress> {
    let path = path.strip_prefix("//").unwrap_or(path);
    let fits = !path.is_empty() && path.len() <= LONGEST_PATH && !path.contains('\0');
    fits.then(|| ListenAddress::Unix(path.into()))
}

fn vsock(place: &str) -> Option<ListenAddress> {
    let (machine, port) = place.split_once(':')?;
    let number = |text: &str| text.parse().ok();
    let machine = if machine.is_empty() { None } else { Some(number(machine)?) };
    // The last number stands for any port, which nobody would know.
    let port = number(port).filter(|port| *port != u32::MAX)?;
    Some(ListenAddress::Vsock { machine, port })
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All { port } => write!(f, ":{port}"),
            Self::Host { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host { host, port } => write!(f, "{host}:{port}"),
            Self::Systemd(index) => write!(f, "fd://{index}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Vsock { machine: None, port } => write!(f, "vsock://:{port}"),
            Self::Vsock { machine: Some(machine), port } => write!(f, "vsock://{machine}:{port}"),
        }
    }
}
