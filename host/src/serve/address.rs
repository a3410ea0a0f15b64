//! Where to listen: from the text of `--web.listen-address` to a listening socket.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::str::FromStr;

use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};

use super::socket::Listener;
use crate::advice::Advise;

/// How many connections the kernel keeps for us while we are busy, if it is set to keep so many
/// (`net.core.somaxconn`). A client beyond these tries again after a second.
const BACKLOG: i32 = 4096;

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
    /// Some other URL.
    #[error("--web.listen-address={0} is a URL")]
    Url(String),
}

/// Why a [`ListenAddress`] cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another socket has it.
    #[error("failed to listen on {0}: the port is in use")]
    InUse(ListenAddress),
    /// A port that needs a capability.
    #[error("failed to listen on {0}: permission denied")]
    Denied(ListenAddress),
    /// An address of another host.
    #[error("failed to listen on {0}: this host does not have that address")]
    NotOurs(ListenAddress),
    /// A name that does not resolve.
    #[error("failed to look up the host of --web.listen-address={address}")]
    Lookup {
        /// The address.
        address: ListenAddress,
        /// Why not.
        source: io::Error,
    },
    /// Anything else.
    #[error("failed to listen on {address}")]
    Other {
        /// The address.
        address: ListenAddress,
        /// Why not.
        source: io::Error,
    },
    /// systemd passed fewer sockets.
    #[error(
        "--web.listen-address=fd://{index} needs socket number {index} from systemd, which \
         passed {passed}"
    )]
    NotPassed {
        /// The socket asked for, from 0.
        index: usize,
        /// How many there are.
        passed: usize,
    },
    /// systemd passed something else: a connection, a datagram socket, a file.
    #[error("--web.listen-address=fd://{0} is not a listening stream socket, of TCP or UNIX")]
    NotListening(usize),
}

impl Advise for AddressError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::NoPort(_) => "write [HOST]:PORT, as in :9435",
            // The problem says what to write.
            Self::BadPort(_) => return None,
            Self::NoBrackets(_) => "write an IPv6 address as [::1]:9435",
            Self::BadDescriptor(_) => "write fd://0 for the first",
            Self::Url(_) => "write [HOST]:PORT, or fd://0",
        };
        Some(remedy.to_owned())
    }
}

impl Advise for ListenError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::InUse(_) => {
                "stop who has it (ss -ltnp shows it) or choose another --web.listen-address"
            }
            Self::Denied(_) => {
                "ports below 1024 need CAP_NET_BIND_SERVICE, or choose another --web.listen-address"
            }
            Self::NotOurs(_) => "ip addr lists those it has",
            Self::Lookup { .. } | Self::Other { .. } => return None,
            Self::NotPassed { .. } => "start the service by its .socket unit",
            Self::NotListening(_) => {
                "let the .socket unit have ListenStream=9435, or ListenStream= and a path, and \
                 Accept=no"
            }
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

impl ListenAddress {
    /// Begins to listen: from here on, the kernel accepts connections.
    ///
    /// A socket from systemd is claimed by changing the environment, so this must be called while
    /// the process has one thread. A port below 1024 needs a capability that
    /// [`crate::privileges`] may take.
    ///
    /// # Errors
    ///
    /// See [`ListenError`].
    pub fn listen(&self) -> Result<Listener, ListenError> {
        match self {
            Self::All { port } => {
                let everywhere = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
                self.first_of(everywhere.map(|ip| SocketAddr::new(ip, *port)))
            }
            Self::Host { host, port } => {
                let found = (host.as_str(), *port).to_socket_addrs();
                let lookup = |source| ListenError::Lookup { address: self.clone(), source };
                let mut found: Vec<_> = found.map_err(lookup)?.collect();
                // As the peer: localhost is 127.0.0.1 where there is one.
                found.sort_by_key(SocketAddr::is_ipv6);
                self.first_of(found)
            }
            Self::Systemd(index) => passed(*index),
        }
    }

    /// Listens on the first address that this host has.
    fn first_of(
        &self,
        candidates: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Listener, ListenError> {
        let mut refused = io::Error::from(ErrorKind::AddrNotAvailable);
        for candidate in candidates {
            match listen_on(candidate) {
                Ok(listener) => return Ok(listener.into()),
                // This kernel is without IPv6, by build or by sysctl.
                Err(error) if is_absent(&error) => refused = error,
                Err(error) => return Err(self.explain(error)),
            }
        }
        Err(self.explain(refused))
    }

    fn explain(&self, source: io::Error) -> ListenError {
        let address = self.clone();
        match source.kind() {
            ErrorKind::AddrInUse => ListenError::InUse(address),
            ErrorKind::PermissionDenied => ListenError::Denied(address),
            ErrorKind::AddrNotAvailable => ListenError::NotOurs(address),
            _ => ListenError::Other { address, source },
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for connections of the process before.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn passed(index: usize) -> Result<Listener, ListenError> {
    let mut sockets = ListenFd::from_env();
    let passed = sockets.len();
    if index >= passed {
        return Err(ListenError::NotPassed { index, passed });
    }
    // One that is not of the kind stays where it is, for the next to be tried.
    let tcp = sockets.take_tcp_listener(index).ok().flatten().map(Listener::from);
    let unix = || sockets.take_unix_listener(index).ok().flatten().map(Listener::from);
    let socket = tcp.or_else(unix).filter(Listener::is_listening);
    socket.ok_or(ListenError::NotListening(index))
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All { port } => write!(f, ":{port}"),
            Self::Host { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host { host, port } => write!(f, "{host}:{port}"),
            Self::Systemd(index) => write!(f, "fd://{index}"),
        }
    }
}

#[cfg(test)]
mod tests;
