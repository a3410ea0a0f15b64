//! HTTP/2, with a client that does what others do not: asks several times at once, takes nothing, gives up.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use ebpf_wasm_exporter::serve::{ClientLimits, CloseCause};
use http_body_util::BodyExt as _;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

use crate::server::{Options, gate, until};
use crate::site::{Site, TLS};

/// A page that no window of a client holds.
const PAGE: usize = 4 << 20;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn tls(dir: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// Asks so many times and gives up at once, faster than any library does, until the server has had enough.
pub fn give_up(dir: &Path, port: u16, times: u8) {
    const CLIENT: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mut bytes = CLIENT.to_vec();
    for stream in (1..).step_by(2).take(times.into()) {
        // HEADERS: GET https://x/, and the end of the request. RST_STREAM: it is not wanted any more.
        bytes.extend([&[0, 0, 6, 1, 5, 0, 0, 0, stream][..], b"\x82\x87\x84\x41\x01x"].concat());
        bytes.extend([0, 0, 4, 3, 0, 0, 0, 0, stream, 0, 0, 0, 8]);
    }
    runtime().block_on(async {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = tls(dir).connect(name, stream).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        // It is reset, or closed.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
}

/// A connection whose windows are so large.
async fn connect(site: &Site, window: u32) -> SendRequest<Body> {
    let stream = TcpStream::connect(site.server.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = tls(site.dir.path()).connect(name, stream).await.unwrap();
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.initial_stream_window_size(window).initial_connection_window_size(window);
    let (sender, connection) = http.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request() -> Request<Body> {
    Request::get("https://localhost/metrics").body(Body::empty()).unwrap()
}

fn options() -> Options {
    Options { metrics: Bytes::from(vec![b'#'; PAGE]), fresh: true, ..Options::default() }
}

pub fn requests_of_a_connection_are_answered_one_by_one() {
    let (gate, begun, go) = gate();
    let site = Site::with(TLS, Options { gate: Some(gate), ..options() });
    runtime().block_on(async {
        let mut sender = connect(&site, 1 << 24).await;
        let all: Vec<_> = (0..4).map(|_| tokio::spawn(sender.send_request(request()))).collect();
        let first = tokio::task::spawn_blocking(move || {
            begun.recv_timeout(crate::server::HANG).unwrap();
            begun
        });
        // Whoever reads tells it, until the end.
        let _begun = first.await.unwrap();
        assert_eq!(site.server.arrived.load(Ordering::SeqCst), 1, "the others wait");
        // Each is answered with a reading of its own, for it asks when the one before has its answer.
        for _ in 0..4 {
            go.send(()).unwrap();
        }
        for asked in all {
            let body = asked.await.unwrap().unwrap().into_body();
            assert_eq!(body.collect().await.unwrap().to_bytes().len(), PAGE);
        }
        assert_eq!(site.server.calls.load(Ordering::SeqCst), 4);
    });
    until(|| site.server.traffic.unsent() == 0);
}

pub fn who_takes_nothing_is_cut_off() {
    let response_time = Duration::from_millis(300);
    let limits = ClientLimits { response_time, ..ClientLimits::default() };
    let site = Site::with(TLS, Options { limits, ..options() });
    runtime().block_on(async {
        let mut sender = connect(&site, 65_535).await;
        let response = sender.send_request(request()).await.unwrap();
        assert!(site.server.traffic.unsent() > 0);
        // Its body is not read, so its window stays shut.
        let failed = async {
            while !sender.is_closed() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        failed.await;
        drop(response);
    });
    until(|| site.server.closed(CloseCause::ResponseTimeout) == 1);
    until(|| site.server.traffic.unsent() == 0 && site.server.traffic.open() == 0);
}

pub fn resets_leave_nothing_behind() {
    let site = Site::with(TLS, options());
    runtime().block_on(async {
        let mut sender = connect(&site, 65_535).await;
        for _ in 0..200 {
            // Given up before and behind the head of the answer.
            let asked = sender.send_request(request());
            tokio::select! {
                biased;
                () = tokio::task::yield_now() => {}
                _ = asked => {}
            }
            drop(sender.send_request(request()).await.unwrap());
        }
        let mut sender = connect(&site, 1 << 24).await;
        let body = sender.send_request(request()).await.unwrap().into_body();
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), PAGE);
    });
    until(|| site.server.traffic.unsent() == 0 && site.server.traffic.open() == 0);
}
