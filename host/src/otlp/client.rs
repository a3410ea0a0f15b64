//! A collector as a server of HTTP: one request over TCP or TLS, and its answer.
//!
//! OTLP is the same over gRPC, in a frame: five bytes before a message, an answer's status behind it. So
//! one client does for both. Never reads a variable, and no file once it was made.

use std::io::Write as _;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, TE, USER_AGENT};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use tokio::time::timeout;

use super::answer::{self, Taken, Untaken};
use super::variables::{Collector, Protocol, Signal, TlsFiles};
use crate::advice::{Advice, causes};
use crate::trust::{self, TrustError, Trusted};

/// Bytes of an answer.
const MOST: usize = 4 << 20;
/// How long an answer may take once it has begun.
const LONGEST_BODY: Duration = Duration::from_secs(2);
/// Bytes before a message of gRPC: whether it is compressed, and its length.
const FRAME: usize = 5;
/// Who the exporter says that it is.
const AGENT: &str = concat!("ebpf_wasm_exporter/", env!("CARGO_PKG_VERSION"));

/// Makes requests of one collector.
#[derive(Debug)]
pub(super) struct CollectorClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    collector: Collector,
    signal: Signal,
}

impl CollectorClient {
    /// A client that has read the files it needs, and has not connected yet.
    ///
    /// # Errors
    ///
    /// When a file holds not what it is to hold.
    pub(super) fn new(collector: &Collector, signal: Signal) -> Result<Self, Advice> {
        let Collector { protocol, endpoint, tls, .. } = collector;
        let config = tls_config(tls, endpoint.scheme_str() == Some("https"))?;
        let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        let connector = match protocol {
            Protocol::Grpc => builder.enable_http2().build(),
            Protocol::HttpProtobuf | Protocol::HttpJson => builder.enable_http1().build(),
        };
        let mut client = Client::builder(TokioExecutor::new());
        let client = client.http2_only(*protocol == Protocol::Grpc).build(connector);
        Ok(Self { client, collector: collector.clone(), signal })
    }

    /// Where it sends to.
    pub(super) fn collector(&self) -> &Collector {
        &self.collector
    }

    /// The bytes of a request: the message, compressed if a variable says so, and in a frame if it is of gRPC.
    pub(super) fn packed(&self, message: Vec<u8>) -> Bytes {
        let Collector { protocol, gzip, .. } = self.collector;
        let message = if gzip { compressed(&message) } else { message };
        match protocol {
            Protocol::Grpc => framed(&message, gzip),
            Protocol::HttpProtobuf | Protocol::HttpJson => message.into(),
        }
    }

    /// Makes one request of what [`CollectorClient::packed`] made.
    ///
    /// # Errors
    ///
    /// When there is no answer, or none that says that the message was taken.
    pub(super) async fn exchange(&self, body: Bytes) -> Result<Taken, Untaken> {
        let response = self.client.request(self.request(body)?).await;
        let (parts, body) = response.map_err(|error| Untaken::soon(causes(&error)))?.into_parts();
        let protocol = self.collector.protocol;
        let body = match timeout(LONGEST_BODY, Limited::new(body, MOST).collect()).await {
            Ok(Ok(body)) => body,
            // By its status it has the message, whatever it goes on to say.
            _ if protocol != Protocol::Grpc && parts.status.is_success() => {
                return Ok(Taken::default());
            }
            Ok(Err(error)) => return Err(Untaken::soon(causes(&*error))),
            Err(_) => return Err(Untaken::soon("its answer did not end in time")),
        };
        let trailers = body.trailers().cloned().unwrap_or_default();
        let bytes = body.to_bytes();
        if protocol == Protocol::Grpc && parts.status.is_success() {
            let message = bytes.get(FRAME..).unwrap_or_default();
            return answer::of_grpc(&[&trailers, &parts.headers], message, self.signal);
        }
        answer::of_http(parts.status, &parts.headers, &bytes, (protocol, self.signal))
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, Untaken> {
        let Collector { protocol, endpoint, gzip, headers, .. } = &self.collector;
        let mut request = Request::post(endpoint.clone()).body(Full::from(body));
        if let Ok(request) = &mut request {
            let all = request.headers_mut();
            all.insert(USER_AGENT, HeaderValue::from_static(AGENT));
            all.extend(headers.iter().cloned());
            described(*protocol, *gzip, all);
        }
        request.map_err(|error| Untaken::soon(causes(&error)))
    }
}

/// Adds what the body is.
fn described(protocol: Protocol, gzip: bool, headers: &mut HeaderMap) {
    let content = match protocol {
        Protocol::HttpProtobuf => "application/x-protobuf",
        Protocol::HttpJson => "application/json",
        Protocol::Grpc => "application/grpc",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
    let encoding = match protocol {
        Protocol::Grpc => HeaderName::from_static("grpc-encoding"),
        Protocol::HttpProtobuf | Protocol::HttpJson => CONTENT_ENCODING,
    };
    if gzip {
        headers.insert(encoding, HeaderValue::from_static("gzip"));
    }
    if protocol == Protocol::Grpc {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

fn compressed(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // To memory it does not fail.
    let written = encoder.write_all(message).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

fn framed(message: &[u8], gzip: bool) -> Bytes {
    let mut body = BytesMut::with_capacity(FRAME + message.len());
    body.put_u8(gzip.into());
    body.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    body.put(message);
    body.freeze()
}

/// Who is trusted, and who the exporter is. Without TLS (`https`) nobody is looked for.
fn tls_config(files: &TlsFiles, https: bool) -> Result<ClientConfig, Advice> {
    let trusted = match &files.authorities {
        _ if !https => Trusted::Nobody,
        Some(file) => Trusted::File(file),
        None => Trusted::Host,
    };
    trust::config(trusted, files.identity.as_ref()).map_err(|error| {
        let remedy = match error {
            TrustError::File { remedy: Some(remedy), .. } => remedy,
            TrustError::File { .. } => "name a file in PEM format (OTEL_EXPORTER_OTLP_…)",
            _ => "install ca-certificates, or name a file in OTEL_EXPORTER_OTLP_CERTIFICATE",
        };
        Advice::new(error.to_string(), remedy)
    })
}
