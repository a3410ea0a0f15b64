//! `ebpf_wasm_exporter healthcheck`: whether an exporter serves, for a container that has nothing else to
//! ask with.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::advice::Advise;
use crate::cli::Healthcheck;
use crate::serve::{AddressError, HEALTHY, ListenAddress};
use crate::trust::{self, Identity, Trouble, TrustError, Trusted};

/// How long each of connecting, asking and being answered may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why an exporter is not well, or cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// Not an address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// An address that nobody can connect to.
    #[error("{0} is where systemd listens")]
    Systemd(ListenAddress),
    /// TLS that cannot be spoken as it is to be.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Nobody answers.
    #[error("nobody serves at {address}")]
    Silent {
        /// Who was asked.
        address: ListenAddress,
        /// What came of it.
        source: io::Error,
    },
    /// An answer, but not that all is well.
    #[error("{address} answers {answer:?}")]
    Unwell {
        /// Who was asked.
        address: ListenAddress,
        /// The first line of the answer.
        answer: String,
    },
}

impl Advise for HealthError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Address(error) => error.remedy(),
            Self::Systemd(_) => Some("name its HOST:PORT".to_owned()),
            Self::Silent { source, .. } if Trouble::of(source) == Trouble::Certificate => {
                Some("name its authority with --ca-file".to_owned())
            }
            Self::Trust(TrustError::File { remedy, .. }) => remedy.map(ToOwned::to_owned),
            Self::Silent { .. } | Self::Unwell { .. } | Self::Trust(_) => None,
        }
    }
}

impl Healthcheck {
    /// Asks the exporter at each address whether it is healthy. One that wants to know who asks serves, too, and so
    /// does one that was asked too often.
    ///
    /// # Errors
    ///
    /// If one is not well.
    pub fn ask(&self) -> Result<(), HealthError> {
        self.addresses.iter().try_for_each(|address| self.ask_one(address))
    }

    fn ask_one(&self, text: &str) -> Result<(), HealthError> {
        let (tls, text) = match text.strip_prefix("https://") {
            Some(text) => (true, text),
            None => (false, text),
        };
        let address: ListenAddress = text.parse()?;
        let silent = |source| HealthError::Silent { address: address.clone(), source };
        let (wire, name) = match &address {
            ListenAddress::All { port } => (tcp("localhost", *port), "localhost"),
            ListenAddress::Host { host, port } => (tcp(host, *port), &**host),
            ListenAddress::Unix(path) => (UnixStream::connect(path).map(Wire::Unix), "localhost"),
            ListenAddress::Vsock { machine, port } => (vsock(*machine, *port), "localhost"),
            ListenAddress::Systemd(_) => return Err(HealthError::Systemd(address)),
        };
        let wire = wire.and_then(Wire::patient).map_err(silent)?;
        let answer = match tls {
            true => ask(StreamOwned::new(self.tls(name)?, wire)),
            false => ask(wire),
        };
        let answer = answer.map_err(silent)?;
        match answer.strip_prefix("HTTP/1.1 ").map(|rest| rest.split(' ').next()) {
            Some(Some("200" | "401" | "429")) => Ok(()),
            _ => Err(HealthError::Unwell { address, answer }),
        }
    }

    /// What TLS is spoken with to who is called so.
    fn tls(&self, name: &str) -> Result<ClientConnection, HealthError> {
        let trusted = match &self.ca_file {
            _ if self.insecure => Trusted::Anybody,
            Some(file) => Trusted::File(file),
            None => Trusted::Host,
        };
        let identity = self.cert_file.clone().zip(self.key_file.clone());
        let identity = identity.map(|(certificate, key)| Identity { certificate, key });
        let config = trust::config(trusted, identity.as_ref())?;
        let name = ServerName::try_from(name.to_owned());
        let name = name.map_err(|_| TrustError::Tls(rustls::Error::UnsupportedNameType))?;
        Ok(ClientConnection::new(Arc::new(config), name).map_err(TrustError::Tls)?)
    }
}

/// A connection of either kind.
enum Wire {
    Tcp(TcpStream),
    /// That of a virtual machine is as one of UNIX.
    Unix(UnixStream),
}

impl Wire {
    /// The same, which waits no longer than it should.
    fn patient(self) -> io::Result<Self> {
        let patience = Some(PATIENCE);
        match &self {
            Self::Tcp(wire) => {
                wire.set_read_timeout(patience)?;
                wire.set_write_timeout(patience)?;
            }
            Self::Unix(wire) => {
                wire.set_read_timeout(patience)?;
                wire.set_write_timeout(patience)?;
            }
        }
        Ok(self)
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(wire) => wire.read(buffer),
            Self::Unix(wire) => wire.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(wire) => wire.write(bytes),
            Self::Unix(wire) => wire.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The first line of the answer.
fn ask(mut server: impl Read + Write) -> io::Result<String> {
    let request = format!("GET {HEALTHY} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    server.write_all(request.as_bytes())?;
    server.flush()?;
    let mut answer = [0; 64];
    let mut length = 0;
    while length < answer.len() && !answer[..length].contains(&b'\n') {
        match server.read(&mut answer[length..])? {
            0 => break,
            more => length += more,
        }
    }
    let answer = String::from_utf8_lossy(&answer[..length]);
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

fn tcp(host: &str, port: u16) -> io::Result<Wire> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(server) => return Ok(Wire::Tcp(server)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// At this number of this machine, or within it.
fn vsock(machine: Option<u32>, port: u32) -> io::Result<Wire> {
    let socket = Socket::new(Domain::VSOCK, Type::STREAM, None)?;
    let machine = machine.unwrap_or(libc::VMADDR_CID_LOCAL);
    socket.connect_timeout(&SockAddr::vsock(machine, port), PATIENCE)?;
    Ok(Wire::Unix(UnixStream::from(OwnedFd::from(socket))))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use super::*;

    fn health(address: &str) -> Result<(), HealthError> {
        let (ca_file, cert_file, key_file) = (None, None, None);
        let addresses = vec![address.to_owned()];
        Healthcheck { addresses, ca_file, insecure: false, cert_file, key_file }.ask()
    }

    /// What is said of a server that answers so.
    fn said(answer: &'static str) -> String {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = server.local_addr().unwrap().to_string();
        let serve = thread::spawn(move || {
            let (mut client, _) = server.accept().unwrap();
            // All of it, or the end of the connection would cut off the answer.
            let lines = BufReader::new(client.try_clone().unwrap()).lines();
            assert!(lines.map(Result::unwrap).any(|line| line.is_empty()));
            client.write_all(answer.as_bytes()).unwrap();
        });
        let said = match health(&address) {
            Ok(()) => "well".to_owned(),
            Err(error) => error.advice().to_string().replace(&address, "ADDRESS"),
        };
        serve.join().unwrap();
        said
    }

    #[test]
    fn says_who_is_well() {
        assert_eq!(said("HTTP/1.1 200 OK\r\n\r\n"), "well");
        assert_eq!(said("HTTP/1.1 401 Unauthorized\r\n\r\n"), "well");
        assert_eq!(said("HTTP/1.1 429 Too Many Requests\r\n\r\n"), "well");
        insta::assert_snapshot!(said("HTTP/1.1 503 Service Unavailable\r\n\r\n"), @r#"ADDRESS answers "HTTP/1.1 503 Service Unavailable""#);
        insta::assert_snapshot!(said("\0"), @r#"ADDRESS answers "\0""#);
    }

    #[test]
    fn says_why_nobody_can_be_asked() {
        let said = |address| health(address).unwrap_err().advice().to_string();
        let silent = HealthError::Silent {
            address: ListenAddress::All { port: 9435 },
            source: io::Error::from_raw_os_error(libc::ECONNREFUSED),
        };
        insta::assert_snapshot!(silent.advice(), @"nobody serves at :9435: connection refused");
        insta::assert_snapshot!(said("fd://0"), @"fd://0 is where systemd listens; name its HOST:PORT");
        insta::assert_snapshot!(said("localhost"), @"--web.listen-address=localhost has no port; write [HOST]:PORT, as in :9435");
    }
}
