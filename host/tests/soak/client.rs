//! A client of HTTPS that keeps its connection, and takes an answer as fast or as slowly as it is told to.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use flate2::read::GzDecoder;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::exporter::HANG;

/// An address that the exporter listens at.
#[derive(Clone, Debug)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Where the exporter listens, and whose certificate is believed there. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Place {
    address: Address,
    tls: Arc<ClientConfig>,
}

impl Place {
    /// With the certificate of an authority.
    pub fn new(address: Address, authority: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(authority).expect("a certificate"))
            .expect("an authority");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("all that it knows");
        let tls = builder.with_root_certificates(roots).with_no_client_auth();
        Self { address, tls: Arc::new(tls) }
    }

    fn connect(&self) -> io::Result<Box<dyn Stream>> {
        CONNECTED.fetch_add(1, Ordering::SeqCst);
        match &self.address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(HANG))?;
                stream.set_nodelay(true)?;
                self.greet(stream)
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(HANG))?;
                self.greet(stream)
            }
        }
    }

    fn greet(&self, stream: impl Stream + 'static) -> io::Result<Box<dyn Stream>> {
        let name = "localhost".try_into().map_err(io::Error::other)?;
        let connection =
            ClientConnection::new(Arc::clone(&self.tls), name).map_err(io::Error::other)?;
        Ok(Box::new(StreamOwned::new(connection, stream)))
    }
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// How many connections there were, to hold against what the exporter says.
pub static CONNECTED: AtomicU64 = AtomicU64::new(0);

/// How fast an answer is taken: so many bytes, then a pause.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub bytes: usize,
    pub pause: Duration,
}

pub const FAST: Pace = Pace { bytes: 256 << 10, pause: Duration::ZERO };

pub struct Client {
    place: Place,
    kept: Option<Box<dyn Stream>>,
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    /// As it was before it was compressed.
    pub body: Vec<u8>,
    /// Bytes that came.
    pub bytes: usize,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub fn new(place: &Place) -> Self {
        Self { place: place.clone(), kept: None }
    }

    /// Asks, `request` being the first line without its version, and takes all of the answer.
    pub fn ask(&mut self, request: &str, headers: &str, pace: Pace) -> io::Result<Answer> {
        let mut stream = self.send(request, headers)?;
        let (head, mut body) = head(&mut stream)?;
        take(&mut stream, &head, &mut body, pace)?;
        if header(&head, "connection") != Some("close") {
            self.kept = Some(stream);
        }
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let bytes = body.len();
        if header(&head, "content-encoding") == Some("gzip") {
            let mut plain = Vec::new();
            GzDecoder::new(&*body).read_to_end(&mut plain)?;
            body = plain;
        }
        Ok(Answer { status, head, body, bytes })
    }

    /// Asks, takes this much, and goes.
    pub fn hang_up(&mut self, request: &str, behind: usize) -> io::Result<()> {
        let stream = self.send(request, "")?;
        io::copy(&mut stream.take(behind as u64), &mut io::sink())?;
        Ok(())
    }

    pub fn close(&mut self) {
        self.kept = None;
    }

    fn send(&mut self, request: &str, headers: &str) -> io::Result<Box<dyn Stream>> {
        let mut stream = match self.kept.take() {
            Some(stream) => stream,
            None => self.place.connect()?,
        };
        write!(stream, "{request} HTTP/1.1\r\nHost: soak\r\n{headers}\r\n")?;
        Ok(stream)
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The head in lower case, and what has come behind it.
fn head(stream: &mut impl Read) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).to_lowercase(), body));
        }
        more(stream, &mut bytes, 4 << 10)?;
    }
}

/// The rest of a body: as long as it says, or in pieces that say how long they are.
fn take(stream: &mut impl Read, head: &str, body: &mut Vec<u8>, pace: Pace) -> io::Result<()> {
    let Some(length) = header(head, "content-length") else {
        return pieces(stream, body);
    };
    let length: usize = length.parse().map_err(io::Error::other)?;
    while body.len() < length {
        more(stream, body, pace.bytes.min(length - body.len()))?;
        if !pace.pause.is_zero() {
            thread::sleep(pace.pause);
        }
    }
    Ok(())
}

fn pieces(stream: &mut impl Read, body: &mut Vec<u8>) -> io::Result<()> {
    let (mut whole, mut at) = (Vec::new(), 0);
    loop {
        let line = body[at..].windows(2).position(|two| two == b"\r\n").map(|end| at + end);
        let Some(line) = line else {
            more(stream, body, 4 << 10)?;
            continue;
        };
        let size = std::str::from_utf8(&body[at..line]).map_err(io::Error::other)?;
        let size = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
        while body.len() < line + 2 + size + 2 {
            more(stream, body, 4 << 10)?;
        }
        whole.extend_from_slice(&body[line + 2..line + 2 + size]);
        at = line + 2 + size + 2;
        if size == 0 {
            *body = whole;
            return Ok(());
        }
    }
}

/// Up to so many bytes more, and at least one.
fn more(stream: &mut impl Read, into: &mut Vec<u8>, most: usize) -> io::Result<()> {
    let begin = into.len();
    into.resize(begin + most, 0);
    let got = stream.read(&mut into[begin..])?;
    into.truncate(begin + got);
    if got == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}
