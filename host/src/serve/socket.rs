//! Sockets of the kinds that are served, TCP, UNIX and of virtual machines, as one.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use socket2::{SockRef, Socket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net;

/// Bytes that the kernel takes for a client before it has begun to send them. What a client does
/// not read is held here as parts of a page, which many share; there it is a copy for each.
const KERNEL_BYTES: u32 = 512 << 10;

/// A socket that listens, of either kind.
#[derive(Debug)]
pub enum Listener {
    /// TCP, IPv4 or IPv6 or both.
    Tcp(TcpListener),
    /// A stream socket in the file system, or an abstract one.
    Unix(UnixListener),
    /// One for virtual machines of this host, or for its host if it is one.
    Vsock(Socket),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

impl Listener {
    /// Whether only this host can connect: a loopback address, or a UNIX socket.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(listener) => {
                listener.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback())
            }
            Self::Unix(_) => true,
            Self::Vsock(_) => false,
        }
    }

    /// Where `path` is found, for people: a URL, or a path and a socket.
    pub fn place(&self, path: &str, with_tls: bool) -> String {
        let scheme = if with_tls { "https" } else { "http" };
        match self {
            Self::Tcp(listener) => {
                let address = listener.local_addr();
                let address =
                    address.map_or_else(|_| "?".to_owned(), |address| address.to_string());
                format!("{scheme}://{address}{path}")
            }
            Self::Unix(listener) => {
                let address = listener.local_addr().ok();
                let name = address.as_ref().and_then(|address| address.as_pathname());
                match name {
                    Some(name) => format!("{path} of the UNIX socket {}", name.display()),
                    None => format!("{path} of a UNIX socket without a path"),
                }
            }
            Self::Vsock(listener) => {
                let address = listener.local_addr().ok();
                match address.and_then(|address| address.as_vsock_address()) {
                    Some((_, port)) => format!("{path} of the port {port} of vsock"),
                    None => format!("{path} of a port of vsock"),
                }
            }
        }
    }

    /// Whether it listens at all: a connection is a socket of the same kinds.
    pub(super) fn is_listening(&self) -> bool {
        let listening = match self {
            Self::Tcp(listener) => SockRef::from(listener).is_listener(),
            Self::Unix(listener) => SockRef::from(listener).is_listener(),
            Self::Vsock(listener) => listener.is_listener(),
        };
        listening.unwrap_or(false)
    }

    /// The same, for this thread's runtime.
    fn into_acceptor(self) -> io::Result<Acceptor> {
        match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let socket = SockRef::from(&listener);
                // Connections have these from their listener. Without them they are served too,
                // only slower, or for more memory.
                let _ = socket.set_tcp_nodelay(true);
                let _ = socket.set_tcp_notsent_lowat(KERNEL_BYTES);
                net::TcpListener::from_std(listener).map(Acceptor::Tcp)
            }
            Self::Unix(listener) => {
                listener.set_nonblocking(true)?;
                net::UnixListener::from_std(listener).map(Acceptor::Unix)
            }
            Self::Vsock(listener) => {
                listener.set_nonblocking(true)?;
                // What tokio has for UNIX sockets does the same with any that are connected and made of bytes.
                let listener = UnixListener::from(OwnedFd::from(listener));
                net::UnixListener::from_std(listener).map(Acceptor::Vsock)
            }
        }
    }
}

/// A listener that a runtime waits for.
#[derive(Debug)]
enum Acceptor {
    Tcp(net::TcpListener),
    Unix(net::UnixListener),
    /// As one of UNIX.
    Vsock(net::UnixListener),
}

impl Acceptor {
    /// The next connection, and who it is from.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Peer)>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = ready!(listener.poll_accept(cx))?;
                Poll::Ready(Ok((Stream::Tcp(stream), Peer::of(address.ip()))))
            }
            Self::Unix(listener) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                Poll::Ready(Ok((Stream::Unix(stream), Peer::Local)))
            }
            Self::Vsock(listener) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                let address = SockRef::from(&stream).peer_addr().ok();
                let machine = address.and_then(|address| address.as_vsock_address());
                let machine = machine.map_or(u32::MAX, |(machine, _)| machine);
                Poll::Ready(Ok((Stream::Unix(stream), Peer::Machine(machine))))
            }
        }
    }
}

/// All listeners of a server.
#[derive(Debug)]
pub(super) struct Acceptors {
    all: Vec<Acceptor>,
    /// Which of them is asked first: another one each time, so that none keeps the others waiting.
    first: AtomicUsize,
}

impl Acceptors {
    /// These, for this thread's runtime.
    pub(super) fn new(listeners: Vec<Listener>) -> io::Result<Self> {
        let all = listeners.into_iter().map(Listener::into_acceptor).collect::<Result<_, _>>()?;
        Ok(Self { all, first: AtomicUsize::new(0) })
    }

    /// The next connection of any, and who it is from.
    pub(super) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        let first = self.first.fetch_add(1, Ordering::Relaxed);
        poll_fn(|cx| {
            let in_turn = (0..self.all.len()).map(|at| (first.wrapping_add(at)) % self.all.len());
            let next = in_turn.map(|at| self.all[at].poll_accept(cx)).find(Poll::is_ready);
            next.unwrap_or(Poll::Pending)
        })
        .await
    }
}

/// Who a connection is from, as far as sharing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Peer {
    V4(Ipv4Addr),
    /// The first 64 bits: one host has all of the others.
    V6([u16; 4]),
    /// Whoever may open the socket's file.
    Local,
    /// A virtual machine, or the host of this one, by its number.
    Machine(u32),
}

impl Peer {
    /// That of an address. One of IPv4 is the same whether it came by a socket for both families.
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::V4(address) => write!(f, "{address}"),
            Self::V6([a, b, c, d]) => {
                write!(f, "{}/64", std::net::Ipv6Addr::new(*a, *b, *c, *d, 0, 0, 0, 0))
            }
            Self::Local => write!(f, "the UNIX socket"),
            Self::Machine(number) => write!(f, "the machine {number}"),
        }
    }
}

/// A connection of any kind; that of a virtual machine is as one of UNIX.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(net::TcpStream),
    Unix(net::UnixStream),
}

/// Calls the same on whichever it is.
macro_rules! either {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($inner) => $call,
            Stream::Unix($inner) => $call,
        }
    };
}

impl Stream {
    /// Lets the kernel throw away what it still holds for the client when this is closed. Without
    /// this it would go on to send it, or keep it.
    pub(super) fn forget_unsent(&self) {
        if let Self::Tcp(stream) = self {
            // Where it fails there is no connection any more.
            let _ = stream.set_zero_linger();
        }
    }

    /// Writes what the kernel takes at once.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        either!(self, inner => inner.try_write(bytes))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self.get_mut(), inner => Pin::new(inner).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self.get_mut(), inner => Pin::new(inner).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self.get_mut(), inner => Pin::new(inner).poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        either!(self, inner => inner.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), inner => Pin::new(inner).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_one_peer() {
        let peer = |text: &str| Peer::of(text.parse().unwrap());
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
        assert_ne!(peer("127.0.0.1"), peer("127.0.0.2"));
        assert_eq!(peer("2001:db8:1:2::1"), peer("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(peer("2001:db8:1:2::1"), peer("2001:db8:1:3::1"));
        assert_eq!(peer("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
    }

    #[test]
    fn says_where_a_page_is() {
        let dir = tempfile::tempdir().unwrap();
        let unix = UnixListener::bind(dir.path().join("s")).unwrap();
        let place = Listener::from(unix).place("/metrics", false);
        let place = place.replace(&dir.path().display().to_string(), "DIR");
        insta::assert_snapshot!(place, @"/metrics of the UNIX socket DIR/s");
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = tcp.local_addr().unwrap().port().to_string();
        let place = Listener::from(tcp).place("/metrics", true).replace(&port, "PORT");
        insta::assert_snapshot!(place, @"https://127.0.0.1:PORT/metrics");
    }
}
