//! A collector as a server of HTTP: requests over TCP or TLS, and what their answers say.
//!
//! OTLP is the same over gRPC, in a frame: five bytes before a message, an answer's status behind it. So
//! one client does for both. It hears why requests fail and what a collector rejects, which its callers
//! do not tell. Never reads a variable, and no file once it was made.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, TE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;
use rustls::ClientConfig;

use super::variables::{Collector, Protocol, TlsFiles};
use crate::advice::{Advice, causes};
use crate::trust::{self, TrustError, Trusted};

/// Bytes of an answer.
const MOST: usize = 4 << 20;
/// Bytes before a message of gRPC: whether it is compressed, and its length.
const FRAME: usize = 5;

/// What was heard from a collector that nobody else hears.
#[derive(Debug, Default)]
pub(super) struct Heard {
    rejected: AtomicU64,
    fault: Mutex<Option<String>>,
}

impl Heard {
    /// How many spans it rejected of batches that it took, since this was last asked.
    pub(super) fn take_rejected(&self) -> u64 {
        self.rejected.swap(0, Ordering::Relaxed)
    }

    /// Why a request failed, since this was last asked.
    pub(super) fn take_fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn fault(&self, why: String) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }
}

/// Makes requests of one collector.
#[derive(Debug)]
pub(super) struct CollectorClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    protocol: Protocol,
    timeout: Duration,
    heard: Arc<Heard>,
}

impl CollectorClient {
    /// A client that has read the files it needs, and has not connected yet.
    ///
    /// # Errors
    ///
    /// When a file holds not what it is to hold.
    pub(super) fn new(collector: &Collector, heard: &Arc<Heard>) -> Result<Self, Advice> {
        let Collector { protocol, endpoint, timeout, tls } = collector;
        let (protocol, timeout) = (*protocol, *timeout);
        let config = tls_config(tls, endpoint.scheme_str() == Some("https"))?;
        let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        let connector = match protocol {
            Protocol::Grpc => builder.enable_http2().build(),
            Protocol::HttpProtobuf | Protocol::HttpJson => builder.enable_http1().build(),
        };
        let mut client = Client::builder(TokioExecutor::new());
        let client = client.http2_only(protocol == Protocol::Grpc).build(connector);
        Ok(Self { client, protocol, timeout, heard: Arc::clone(heard) })
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let grpc = self.protocol == Protocol::Grpc;
        let request = if grpc { framed(request) } else { request };
        let (parts, body) = self.client.request(request.map(Full::from)).await?.into_parts();
        let body = Limited::new(body, MOST).collect().await?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        let response = Response::from_parts(parts, body.to_bytes());
        let response = if grpc { self.unframed(response, &trailers) } else { response };
        match response.status() {
            status if status.is_success() => self.rejected(response.body()),
            // Of gRPC more is known, and noted.
            _ if grpc => {}
            status => self.heard.fault(format!("it answered {status}")),
        }
        Ok(response)
    }

    /// The answer that a message of gRPC is; one of HTTP that stands for its status if it is none.
    fn unframed(&self, response: Response<Bytes>, trailers: &HeaderMap) -> Response<Bytes> {
        if !response.status().is_success() {
            self.heard.fault(format!("it answered {}", response.status()));
            return response;
        }
        let said = |name: &str| trailers.get(name).or_else(|| response.headers().get(name));
        let code = said("grpc-status").and_then(|code| code.to_str().ok()?.parse().ok());
        let message = said("grpc-message").map(|text| String::from_utf8_lossy(text.as_bytes()));
        let (status, message) = match code {
            Some(0) => (StatusCode::OK, None),
            Some(code) => (as_http(code), Some((code, message.unwrap_or_default().into_owned()))),
            None => (StatusCode::BAD_GATEWAY, Some((2, "no status of gRPC".to_owned()))),
        };
        if let Some((code, message)) = message {
            self.heard.fault(format!("it answered the gRPC status {code}: {message}"));
        }
        let (mut parts, body) = response.into_parts();
        parts.status = status;
        Response::from_parts(parts, body.slice(FRAME.min(body.len())..))
    }

    /// Notes how many spans of the batch were rejected.
    fn rejected(&self, body: &[u8]) {
        let partial = match self.protocol {
            Protocol::HttpJson => partial_of_json(body),
            Protocol::HttpProtobuf | Protocol::Grpc => {
                let answer = ExportTraceServiceResponse::decode(body).ok();
                answer.and_then(|answer| answer.partial_success)
            }
        };
        if let Some(partial) = partial.filter(|partial| partial.rejected_spans > 0) {
            let rejected = u64::try_from(partial.rejected_spans).unwrap_or_default();
            self.heard.rejected.fetch_add(rejected, Ordering::Relaxed);
            self.heard.fault(partial.error_message);
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answered = tokio::time::timeout(self.timeout, self.exchange(request)).await;
        let result = answered
            .unwrap_or_else(|_| Err(format!("it did not answer within {:?}", self.timeout).into()));
        if let Err(error) = &result {
            self.heard.fault(causes(&**error));
        }
        result
    }
}

/// The request as one of gRPC.
fn framed(request: Request<Bytes>) -> Request<Bytes> {
    let (mut parts, message) = request.into_parts();
    let encoding = parts.headers.remove(CONTENT_ENCODING);
    let mut body = BytesMut::with_capacity(FRAME + message.len());
    body.put_u8(encoding.is_some().into());
    body.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    body.put(message);
    if let Some(encoding) = encoding {
        parts.headers.insert("grpc-encoding", encoding);
    }
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    parts.headers.insert(TE, HeaderValue::from_static("trailers"));
    Request::from_parts(parts, body.freeze())
}

/// What an answer in JSON says of a batch. Numbers of 64 bits are texts there, which the generated types do
/// not read.
fn partial_of_json(body: &[u8]) -> Option<ExportTracePartialSuccess> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let (partial, text) = (answer.get("partialSuccess")?, |value: &serde_json::Value| {
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    });
    let rejected_spans = text(partial.get("rejectedSpans")?).parse().ok()?;
    let error_message = partial.get("errorMessage").map(text).unwrap_or_default();
    Some(ExportTracePartialSuccess { rejected_spans, error_message })
}

/// A status of HTTP that is as worth another try as this one of gRPC.
fn as_http(code: u16) -> StatusCode {
    match code {
        // Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
        1 | 4 | 10 | 11 | 14 | 15 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
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
            TrustError::File { .. } => "name a file in PEM format (OTEL_EXPORTER_OTLP_…)",
            _ => "install ca-certificates, or name a file in OTEL_EXPORTER_OTLP_CERTIFICATE",
        };
        Advice::new(error.to_string(), remedy)
    })
}
