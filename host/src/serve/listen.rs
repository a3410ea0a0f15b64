//! Sockets that listen, from what the flags say.
//!
//! All of them are opened while the process has one thread and all its rights.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::address::ListenAddress;
use super::socket::Listener;
use crate::advice::Advise;

mod unix;

/// How many connections the kernel keeps for us while we are busy, if it is set to keep so many
/// (`net.core.somaxconn`). A client beyond these tries again after a second.
const BACKLOG: i32 = 4096;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// At these addresses.
    At(Vec<ListenAddress>),
    /// At all sockets that systemd passes.
    Passed,
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
    /// Somebody listens at a path already.
    #[error("failed to listen on {0}: somebody listens there")]
    Taken(ListenAddress),
    /// Something else than a socket is where one is to be.
    #[error("failed to listen on {0}: something else than a socket is there")]
    NoSocket(ListenAddress),
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
    /// systemd passed none.
    #[error("--web.systemd-socket needs sockets from systemd, which passed none")]
    NonePassed,
    /// systemd passed something else: a connection, a datagram socket, a file.
    #[error("socket number {0} from systemd is not a listening stream socket, of TCP or UNIX")]
    NotListening(usize),
}

impl Advise for ListenError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::Taken(_) => "stop who serves there, or choose another path",
            Self::Denied(ListenAddress::Unix(_)) => {
                "name a path in a directory that the exporter can write into"
            }
            Self::InUse(_) => {
                "stop who has it (ss -ltnp shows it) or choose another --web.listen-address"
            }
            Self::Denied(_) => {
                "ports below 1024 need CAP_NET_BIND_SERVICE, or choose another --web.listen-address"
            }
            Self::NotOurs(_) => "ip addr lists those it has",
            Self::NoSocket(_) => "name a path where nothing is",
            Self::Lookup { .. } | Self::Other { .. } => return None,
            Self::NotPassed { .. } | Self::NonePassed => "start the service by its .socket unit",
            Self::NotListening(_) => {
                "let the .socket unit have ListenStream=9435, or ListenStream= and a path, and \
                 Accept=no"
            }
        };
        Some(remedy.to_owned())
    }
}

impl Listen {
    /// Begins to listen: from here on, the kernel accepts connections.
    ///
    /// Sockets from systemd are claimed by changing the environment, so this must be called while
    /// the process has one thread. A port below 1024 needs a capability that
    /// [`crate::privileges`] may take.
    ///
    /// # Errors
    ///
    /// See [`ListenError`].
    pub fn open(&self) -> Result<Vec<Listener>, ListenError> {
        let addresses = match self {
            Self::At(addresses) => addresses,
            Self::Passed => return all_passed(&mut ListenFd::from_env()),
        };
        // They are claimed once, and only by who asks for one.
        let mut passed = None;
        let listen = |address: &ListenAddress| match address {
            ListenAddress::Systemd(index) => {
                take(passed.get_or_insert_with(ListenFd::from_env), *index)
            }
            address => address.listen(),
        };
        addresses.iter().map(listen).collect()
    }
}

impl ListenAddress {
    /// Listens there, with a socket of its own.
    fn listen(&self) -> Result<Listener, ListenError> {
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
            Self::Systemd(index) => Err(ListenError::NotListening(*index)),
            Self::Unix(path) => {
                unix::listen(path).map(Listener::from).map_err(|error| self.explain(error))
            }
            Self::Vsock { machine, port } => {
                vsock(*machine, *port).map(Listener::Vsock).map_err(|error| self.explain(error))
            }
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
            ErrorKind::AddrInUse if matches!(self, Self::Unix(_)) => ListenError::Taken(address),
            ErrorKind::AddrInUse => ListenError::InUse(address),
            ErrorKind::PermissionDenied => ListenError::Denied(address),
            ErrorKind::AddrNotAvailable => ListenError::NotOurs(address),
            ErrorKind::AlreadyExists => ListenError::NoSocket(address),
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

/// Listens for virtual machines, at this number of this machine or at all that it has.
fn vsock(machine: Option<u32>, port: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::VSOCK, Type::STREAM, None)?;
    socket.bind(&SockAddr::vsock(machine.unwrap_or(libc::VMADDR_CID_ANY), port))?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// All sockets that systemd has passed.
fn all_passed(sockets: &mut ListenFd) -> Result<Vec<Listener>, ListenError> {
    match sockets.len() {
        0 => Err(ListenError::NonePassed),
        passed => (0..passed).map(|index| take(sockets, index)).collect(),
    }
}

/// A socket that systemd has passed.
fn take(sockets: &mut ListenFd, index: usize) -> Result<Listener, ListenError> {
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

#[cfg(test)]
mod tests;
