//! What a collector has said to a message. Reads what anybody may have sent: nothing of it is believed to be OTLP.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;

use super::variables::{Protocol, Signal};

/// The longest time that a collector may ask for, so that a slip of its own does not silence the exporter.
const LONGEST_REST: Duration = Duration::from_secs(600);

/// A message that a collector has taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// How many of its parts it rejected: spans, or points.
    pub(crate) rejected: u64,
    /// What it says of it, or of the message; empty if nothing.
    pub(crate) text: String,
}

/// A message that no collector has taken, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Untaken {
    /// Why not.
    pub(crate) why: String,
    pub(crate) again: Again,
}

/// Whether another try may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    Soon,
    /// Not before so long.
    After(Duration),
}

impl Untaken {
    /// Another try may do.
    pub(crate) fn soon(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: Again::Soon }
    }

    /// Another try of the same would do no better.
    pub(crate) fn never(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: Again::Never }
    }

    /// How long the collector wants to be left alone, if it said so.
    pub(crate) fn rest(&self) -> Option<Duration> {
        match self.again {
            Again::After(rest) => Some(rest),
            Again::Never | Again::Soon => None,
        }
    }
}

/// What an answer of HTTP says.
pub(super) fn of_http(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    (protocol, signal): (Protocol, Signal),
) -> Result<Taken, Untaken> {
    if status.is_success() {
        return Ok(taken(body, protocol, signal));
    }
    let again = match status.as_u16() {
        429 | 503 => rest(headers).map_or(Again::Soon, Again::After),
        502 | 504 => Again::Soon,
        _ => Again::Never,
    };
    let text = status_text(body, protocol).filter(|text| !text.is_empty());
    let text = text.map(|text| format!(": {text}")).unwrap_or_default();
    Err(Untaken { why: format!("it answered {status}{text}"), again })
}

/// What a status with an error says, which has a code and a text, as what was rejected has.
fn status_text(body: &[u8], protocol: Protocol) -> Option<String> {
    let text = match protocol {
        Protocol::HttpJson => {
            let status: serde_json::Value = serde_json::from_slice(body).ok()?;
            status.get("message")?.as_str()?.to_owned()
        }
        Protocol::HttpProtobuf | Protocol::Grpc => {
            ExportTracePartialSuccess::decode(body).ok()?.error_message
        }
    };
    Some(shortened(&text))
}

/// As much of a text as a line of the log takes.
fn shortened(text: &str) -> String {
    const MOST: usize = 300;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What an answer of gRPC says: its message, and the headers or trailers that hold its status.
pub(super) fn of_grpc(
    status: &[&HeaderMap],
    message: &[u8],
    signal: Signal,
) -> Result<Taken, Untaken> {
    let said = |name: &str| status.iter().find_map(|headers| headers.get(name));
    let code: Option<u16> = said("grpc-status").and_then(|code| code.to_str().ok()?.parse().ok());
    let again = match code {
        Some(0) => return Ok(taken(message, Protocol::Grpc, signal)),
        // Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
        Some(1 | 4 | 10 | 11 | 14 | 15) | None => Again::Soon,
        Some(_) => Again::Never,
    };
    let why = match code {
        Some(code) => {
            let text = said("grpc-message").map(|text| String::from_utf8_lossy(text.as_bytes()));
            let text = shortened(&text.unwrap_or_default());
            format!("it answered the gRPC status {code}: {text}")
        }
        None => "it answered without a status of gRPC".to_owned(),
    };
    Err(Untaken { why, again })
}

/// How long it wants to be left alone. A date is passed over: a delay is what collectors send.
fn rest(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_REST))
}

/// What it says of a message that it took. What is no OTLP says nothing: a proxy may have answered.
fn taken(body: &[u8], protocol: Protocol, signal: Signal) -> Taken {
    let said = match protocol {
        Protocol::HttpJson => partial_of_json(body, signal),
        Protocol::HttpProtobuf | Protocol::Grpc => partial_of_protobuf(body),
    };
    said.unwrap_or_default()
}

/// In the messages of all signals, the same fields have the same numbers and types.
fn partial_of_protobuf(body: &[u8]) -> Option<Taken> {
    let partial = ExportTraceServiceResponse::decode(body).ok()?.partial_success?;
    let rejected = u64::try_from(partial.rejected_spans).unwrap_or_default();
    Some(Taken { rejected, text: shortened(&partial.error_message) })
}

/// Numbers of 64 bits are texts there, which the generated types do not read.
fn partial_of_json(body: &[u8], signal: Signal) -> Option<Taken> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let (partial, text) = (answer.get("partialSuccess")?, |value: &serde_json::Value| {
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    });
    let rejected = partial.get(signal.rejected()).map(text);
    let rejected = rejected.and_then(|number| number.parse().ok()).unwrap_or_default();
    let said = partial.get("errorMessage").map(text).unwrap_or_default();
    Some(Taken { rejected, text: shortened(&said) })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use opentelemetry_proto::tonic::collector::metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
    };

    use super::*;

    const JSON: (Protocol, Signal) = (Protocol::HttpJson, Signal::Metrics);
    const PROTOBUF: (Protocol, Signal) = (Protocol::HttpProtobuf, Signal::Metrics);

    fn http(status: u16, rest: Option<&str>) -> Result<Taken, Untaken> {
        let mut headers = HeaderMap::new();
        if let Some(rest) = rest {
            headers.insert(RETRY_AFTER, HeaderValue::from_str(rest).unwrap());
        }
        of_http(StatusCode::from_u16(status).unwrap(), &headers, b"<html>", PROTOBUF)
    }

    #[test]
    fn a_status_says_whether_to_try_again() {
        let again = |status, rest| http(status, rest).unwrap_err().again;
        for status in [429, 502, 503, 504] {
            assert_eq!(again(status, None), Again::Soon, "{status}");
        }
        for status in [301, 400, 401, 404, 413, 500, 501] {
            assert_eq!(again(status, Some("1")), Again::Never, "{status}");
        }
        assert_eq!(again(503, Some(" 7 ")), Again::After(Duration::from_secs(7)));
        assert_eq!(again(429, Some("99999999")), Again::After(LONGEST_REST));
        for nonsense in ["", "-1", "1.5", "soon", "99999999999999999999999"] {
            assert_eq!(again(429, Some(nonsense)), Again::Soon, "{nonsense}");
        }
        insta::assert_snapshot!(http(413, None).unwrap_err().why, @"it answered 413 Payload Too Large");
        assert_eq!(http(204, None), Ok(Taken::default()));
        let heard = |body: &[u8], how| {
            let heard = of_http(StatusCode::BAD_REQUEST, &HeaderMap::new(), body, how);
            heard.unwrap_err().why
        };
        let said = |text: &str| {
            ExportTracePartialSuccess { rejected_spans: 3, error_message: text.into() }
                .encode_to_vec()
        };
        insta::assert_snapshot!(heard(&said("no"), PROTOBUF), @"it answered 400 Bad Request: no");
        insta::assert_snapshot!(heard(br#"{"code":3,"message":"no"}"#, JSON), @"it answered 400 Bad Request: no");
        insta::assert_snapshot!(heard(br#"{"code":3}"#, JSON), @"it answered 400 Bad Request");
        assert!(heard(&said(&"ä".repeat(9999)), PROTOBUF).len() < 700);
    }

    #[test]
    fn what_was_rejected_is_heard_in_each_encoding() {
        let partial =
            ExportMetricsPartialSuccess { rejected_data_points: 3, error_message: "old".into() };
        let answer = ExportMetricsServiceResponse { partial_success: Some(partial) };
        let taken = Taken { rejected: 3, text: "old".to_owned() };
        let heard = |body: &[u8], how| of_http(StatusCode::OK, &HeaderMap::new(), body, how);
        assert_eq!(heard(&answer.encode_to_vec(), PROTOBUF), Ok(taken.clone()));
        let json = |number| {
            format!(
                r#"{{"partialSuccess":{{"rejectedDataPoints":{number},"errorMessage":"old"}}}}"#
            )
        };
        assert_eq!(heard(json("\"3\"").as_bytes(), JSON), Ok(taken.clone()));
        assert_eq!(heard(json("3").as_bytes(), JSON), Ok(taken.clone()));
        for nothing in ["", "{}", "[", "null", r#"{"partialSuccess":7}"#] {
            assert_eq!(heard(nothing.as_bytes(), JSON).unwrap().rejected, 0, "{nothing}");
        }
        let mut ok = HeaderMap::new();
        ok.insert("grpc-status", HeaderValue::from_static("0"));
        let none = HeaderMap::new();
        assert_eq!(of_grpc(&[&none, &ok], &answer.encode_to_vec(), Signal::Metrics), Ok(taken));
    }

    #[test]
    fn a_status_of_grpc_says_whether_to_try_again() {
        let heard = |code: &str| {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_str(code).unwrap());
            trailers.insert("grpc-message", HeaderValue::from_static("no"));
            of_grpc(&[&trailers], b"", Signal::Traces).unwrap_err()
        };
        for code in ["1", "4", "10", "11", "14", "15", "x"] {
            assert_eq!(heard(code).again, Again::Soon, "{code}");
        }
        for code in ["2", "3", "7", "8", "12", "16"] {
            assert_eq!(heard(code).again, Again::Never, "{code}");
        }
        insta::assert_snapshot!(heard("16").why, @"it answered the gRPC status 16: no");
        insta::assert_snapshot!(heard("").why, @"it answered without a status of gRPC");
    }
}
