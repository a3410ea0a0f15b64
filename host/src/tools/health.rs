//! `ebpf_wasm_exporter healthcheck`: whether an exporter serves, for a container that has nothing else to
//! ask with.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::advice::Advise;
use crate::serve::{AddressError, HEALTHY, ListenAddress};

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
            Self::Silent { .. } | Self::Unwell { .. } => None,
        }
    }
}

/// Asks the exporter that listens at `address`, written as for `--web.listen-address`, whether it is well.
///
/// # Errors
///
/// If it is not well.
pub fn health(address: &str) -> Result<(), HealthError> {
    let address: ListenAddress = address.parse()?;
    let (host, port) = match &address {
        ListenAddress::All { port } => ("localhost", *port),
        ListenAddress::Host { host, port } => (host.as_str(), *port),
        ListenAddress::Systemd(_) => return Err(HealthError::Systemd(address)),
    };
    match ask(host, port) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => Ok(()),
        Ok(answer) => Err(HealthError::Unwell { address, answer }),
        Err(source) => Err(HealthError::Silent { address, source }),
    }
}

/// The first line of the answer.
fn ask(host: &str, port: u16) -> io::Result<String> {
    let mut server = connect((host, port).to_socket_addrs()?)?;
    server.set_read_timeout(Some(PATIENCE))?;
    server.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET {HEALTHY} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    server.write_all(request.as_bytes())?;
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

fn connect(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(server) => return Ok(server),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use super::*;

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
