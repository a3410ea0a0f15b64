//! What TLS and a password add to a scrape of 100,000 rows, on connections that are kept as Prometheus keeps them.

use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedCipherSuite,
};

use crate::exporter::Exporter;
use crate::report::{median, print};
use crate::rows::Rows;
use crate::{millis, ratio, shapes, timed};

#[path = "../../tests/servers/certificates.rs"]
#[allow(unreachable_pub, clippy::unwrap_used, reason = "it is a test's")]
mod certificates;

const ENTRIES: usize = 100_000;
const ROUNDS: usize = 15;
/// The hash of `secret`.
const USER: &str =
    "basic_auth_users: {a: $2b$04$XajjQvNhvvRt5GSeFk1xFevzAJCFx0OEM1iKEb870GMYSyAwwRigi}\n";
/// `a:secret`.
const LOGIN: &str = "Authorization: Basic YTpzZWNyZXQ=\r\n";

trait Wire: Read + Write {}
impl<W: Read + Write> Wire for W {}

pub(crate) fn measure() {
    if let Some(why) = certificates::lacks() {
        eprintln!("SKIPPED tls: {why}");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    certificates::certify(dir.path());
    let tls = "tls_server_config: {cert_file: server.pem, key_file: server.key}\n";
    let mut plain = None;
    for (label, web) in [
        ("tls_none", String::new()),
        ("tls_http1", tls.to_owned()),
        ("tls_and_password", format!("{tls}{USER}")),
    ] {
        fs::write(dir.path().join("web.yml"), &web).expect("a file");
        let (text, gzip) = one(label, dir.path(), &web);
        let (plain_text, plain_gzip) = *plain.get_or_insert((text, gzip));
        for (name, wall, plain) in [("identity", text, plain_text), ("gzip", gzip, plain_gzip)] {
            print(label, &format!("{name}.wall"), millis(wall), "ms");
            print(label, &format!("{name}.wall_to_plain"), ratio(wall, plain), "ratio");
        }
    }
}

/// Medians of scrapes with this web config: as text, and in gzip.
fn one(label: &'static str, certificates: &Path, web: &str) -> (Duration, Duration) {
    let dir = shapes::ROWS.write(label, ENTRIES);
    let file = format!("--web.config.file={}", certificates.join("web.yml").display());
    let exporter = Exporter::start(&dir, "rows", &[&file]);
    let mut rows = Rows::fill(shapes::ROWS, &dir, ENTRIES);
    let mut wire = connect(exporter.address(), certificates, web);
    let login = if web.contains("basic") { LOGIN } else { "" };
    let mut walls = ["", "Accept-Encoding: gzip\r\n"].map(|accept| {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{login}{accept}\r\n");
        let mut walls = Vec::new();
        // The first two find the way and make what is kept, and the password is known then.
        for round in 0..ROUNDS + 2 {
            rows.change(10);
            let wall = timed(|| ask(&mut wire, &request).expect("the exporter answers"));
            walls.extend((round > 1).then_some(wall));
        }
        walls
    });
    let [text, gzip] = walls.each_mut().map(std::mem::take);
    (median(text), median(gzip))
}

fn connect(address: &str, dir: &Path, web: &str) -> Box<dyn Wire> {
    let stream = TcpStream::connect(address).expect("the exporter accepts");
    stream.set_nodelay(true).expect("a socket");
    if web.is_empty() {
        return Box::new(stream);
    }
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(dir.join("ca.pem")).expect("a certificate");
    roots.add(authority).expect("an authority");
    let mut provider = rustls::crypto::ring::default_provider();
    // As Prometheus asks: the library here would rather have keys of 256 bits.
    let suite =
        |suite: &SupportedCipherSuite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.sort_by_key(suite);
    let config = ClientConfig::builder_with_provider(Arc::new(provider));
    let config = config.with_safe_default_protocol_versions().expect("versions");
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    Box::new(StreamOwned::new(connection, Ahead(BufReader::with_capacity(256 << 10, stream))))
}

/// A socket that is read in pieces as large as those of a client without TLS: the library here would ask the kernel for
/// 4 KiB at a time, which Prometheus does not.
struct Ahead(BufReader<TcpStream>);

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Ahead {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

/// One request, and all of its answer.
fn ask(wire: &mut Box<dyn Wire>, request: &str) -> io::Result<()> {
    wire.write_all(request.as_bytes())?;
    wire.flush()?;
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 256 << 10]);
    // Looked for once: a client that does so at each piece pays more for TLS, whose pieces are small.
    let mut whole = None;
    while whole.is_none_or(|whole| bytes.len() < whole) {
        let count = wire.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&buffer[..count]);
        whole = whole.or_else(|| length_of(&bytes));
    }
    Ok(())
}

/// Bytes of an answer that begins with these, once its head is there.
fn length_of(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    assert!(text.starts_with("http/1.1 200"), "{text}");
    let (_, rest) = text.split_once("content-length: ").expect("a length");
    let length: usize =
        rest.lines().next().and_then(|line| line.trim().parse().ok()).expect("a number");
    Some(head + 4 + length)
}
