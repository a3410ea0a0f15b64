//! The variables of OpenTelemetry that say where messages go and how, for whichever signal.
//!
//! A variable that is empty counts as one that is not there. Words may be written in capitals. All that
//! means nothing is refused, so that a slip is said at the start.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use http::header::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use super::known;
use crate::advice::{Advice, near, quote};
use crate::trust::Identity;

/// Whose all is that no config and no variable says it of.
const SERVICE: &str = "ebpf_exporter";

/// What messages tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Points of metrics.
    Metrics,
}

/// Where messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nowhere, since this says so.
    Nowhere(&'static str),
    /// To standard output.
    Console,
    Collector(Box<Collector>),
}

/// A collector and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Collector {
    pub(crate) protocol: Protocol,
    pub(crate) endpoint: Uri,
    /// How long a message may take, all tries together.
    pub(crate) timeout: Duration,
    /// Whether messages are compressed.
    pub(crate) gzip: bool,
    /// What each request has beside its own; never shown.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) tls: TlsFiles,
}

/// How messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    HttpProtobuf,
    HttpJson,
    Grpc,
}

/// Files for TLS: each is read at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// Whom to trust; the host's authorities if there is none.
    pub(crate) authorities: Option<PathBuf>,
    /// Who the exporter is, if it says so.
    pub(crate) identity: Option<Identity>,
}

impl Signal {
    pub(super) const ALL: [Self; 2] = [Self::Traces, Self::Metrics];

    /// What variables call it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }

    /// What of an endpoint of all signals takes it.
    fn path(self, protocol: Protocol) -> &'static str {
        match (self, protocol) {
            (Self::Traces, Protocol::Grpc) => {
                "opentelemetry.proto.collector.trace.v1.TraceService/Export"
            }
            (Self::Metrics, Protocol::Grpc) => {
                "opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
            }
            (Self::Traces, _) => "v1/traces",
            (Self::Metrics, _) => "v1/metrics",
        }
    }

    /// What an answer in JSON calls the number of its parts that were rejected.
    pub(super) fn rejected(self) -> &'static str {
        match self {
            Self::Traces => "rejectedSpans",
            Self::Metrics => "rejectedDataPoints",
        }
    }
}

impl Protocol {
    const ALL: [Self; 3] = [Self::HttpProtobuf, Self::HttpJson, Self::Grpc];
    const WORDS: [&str; 3] = ["http/protobuf", "http/json", "grpc"];
}

/// The environment, as one signal sees it.
pub(crate) struct Environment<'a> {
    /// What a variable says, if it says anything.
    get: &'a dyn Fn(&str) -> Option<String>,
    signal: Signal,
}

/// A variable that says something.
pub(crate) struct Said {
    name: String,
    value: String,
}

impl<'a> Environment<'a> {
    /// The environment that `get` knows.
    pub(crate) fn new(get: &'a dyn Fn(&str) -> Option<String>, signal: Signal) -> Self {
        Self { get, signal }
    }

    /// What a variable says, if anything. It is one of [`super::VARIABLES`].
    pub(crate) fn get(&self, name: &str) -> Option<Said> {
        debug_assert!(known::is_known(name), "{name} is in no list of variables");
        let value = (self.get)(name).map(|value| value.trim().to_owned());
        let value = value.filter(|value| !value.is_empty())?;
        Some(Said { name: name.to_owned(), value })
    }

    /// Whose all is that no config says it of.
    pub(crate) fn service(&self) -> String {
        let own = self.get("OTEL_SERVICE_NAME").map(|said| said.value);
        own.or_else(|| self.resource("service.name")).unwrap_or_else(|| SERVICE.to_owned())
    }

    /// What an attribute of the resource is said to be.
    pub(crate) fn resource(&self, key: &str) -> Option<String> {
        let said = self.get("OTEL_RESOURCE_ATTRIBUTES")?;
        let pairs = said.value.split(',').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.into_iter().find(|(name, _)| name.trim() == key)?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        (!value.is_empty()).then(|| value.into_owned())
    }

    /// A variable of exporting, that of the signal before that of all signals.
    pub(crate) fn export(&self, name: &str) -> Option<Said> {
        self.export_own(name).or_else(|| self.get(&known::export(name, None)))
    }

    /// A variable of exporting of this signal alone.
    pub(crate) fn export_own(&self, name: &str) -> Option<Said> {
        self.get(&known::export(name, Some(self.signal)))
    }

    /// Why nothing is to be sent, if a variable says so.
    pub(crate) fn disabled(&self) -> Option<&'static str> {
        is_true(self.get("OTEL_SDK_DISABLED")).then_some("OTEL_SDK_DISABLED=true")
    }

    /// A whole number of milliseconds.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub(crate) fn time(&self, name: &str, default: u64) -> Result<Duration, Advice> {
        let said = self.get(name).map(|said| said.milliseconds());
        said.unwrap_or(Ok(Duration::from_millis(default)))
    }

    /// The collector, and how to reach it.
    ///
    /// # Errors
    ///
    /// The first variable that means nothing, and what to write.
    pub(crate) fn collector(&self) -> Result<Target, Advice> {
        let protocol = self.export("PROTOCOL").map(|said| said.one_of(&Protocol::WORDS));
        let protocol = Protocol::ALL[protocol.transpose()?.unwrap_or_default()];
        let compression = self.export("COMPRESSION").map(|said| said.one_of(&["none", "gzip"]));
        let headers = self.export("HEADERS").map(|said| said.headers()).transpose()?;
        let timeout = self.export("TIMEOUT").map(|said| said.milliseconds()).transpose()?;
        let file = |name| self.export(name).map(|said| PathBuf::from(said.value));
        let identity = match (file("CLIENT_CERTIFICATE"), file("CLIENT_KEY")) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            (None, None) => None,
            _ => {
                let problem = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY need each other";
                return Err(Advice::new(problem, "set both, or none"));
            }
        };
        Ok(Target::Collector(Box::new(Collector {
            protocol,
            endpoint: self.endpoint(protocol)?,
            timeout: timeout.unwrap_or(Duration::from_secs(10)),
            gzip: compression.transpose()? == Some(1),
            headers: headers.unwrap_or_default(),
            tls: TlsFiles { authorities: file("CERTIFICATE"), identity },
        })))
    }

    fn endpoint(&self, protocol: Protocol) -> Result<Uri, Advice> {
        let path = self.signal.path(protocol);
        let own = self.export_own("ENDPOINT");
        let is_own = own.is_some();
        let Some(said) = own.or_else(|| self.export("ENDPOINT")) else {
            let port = if protocol == Protocol::Grpc { 4317 } else { 4318 };
            let uri = format!("http://localhost:{port}/{path}");
            return uri.parse().map_err(|error| Advice::plain(format!("{uri}: {error}")));
        };
        let bare = protocol == Protocol::Grpc && !said.value.contains("://");
        let scheme = match is_true(self.export("INSECURE")) {
            _ if !bare => "",
            true => "http://",
            false => "https://",
        };
        let base = format!("{scheme}{}", said.value);
        let is_whole = is_own && protocol != Protocol::Grpc;
        let uri = if is_whole { base } else { format!("{}/{path}", base.trim_end_matches('/')) };
        let parsed = uri.parse::<Uri>().ok().filter(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
        });
        parsed.ok_or_else(|| {
            let problem = format!("{} is no URL of a collector", said.shown());
            Advice::new(problem, "write one such as http://collector:4318")
        })
    }
}

fn is_true(said: Option<Said>) -> bool {
    said.is_some_and(|said| said.value.eq_ignore_ascii_case("true"))
}

impl Said {
    fn shown(&self) -> String {
        format!("{}={}", self.name, quote(&self.value).trim_matches('`'))
    }

    /// Which of these words it is.
    ///
    /// # Errors
    ///
    /// When it is none of them.
    pub(crate) fn one_of(&self, words: &[&str]) -> Result<usize, Advice> {
        let found = words.iter().position(|word| self.value.eq_ignore_ascii_case(word));
        found.ok_or_else(|| {
            let problem = format!("{} means nothing", self.shown());
            Advice::new(problem, near::suggest(&self.value, words, "write one of"))
        })
    }

    /// Each of the words that it has, with `,` between them.
    pub(crate) fn listed(&self) -> impl Iterator<Item = Self> {
        let words = self.value.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.map(|word| Self { name: self.name.clone(), value: word.to_owned() })
    }

    /// A number of this range.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub(crate) fn number(&self, range: RangeInclusive<usize>) -> Result<usize, Advice> {
        let number = self.value.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let problem = format!("{} is no number that it can be", self.shown());
            Advice::new(problem, format!("write one from {} to {}", range.start(), range.end()))
        })
    }

    fn milliseconds(&self) -> Result<Duration, Advice> {
        let milliseconds = self.value.parse().ok().filter(|time| (1..=86_400_000).contains(time));
        milliseconds.map(Duration::from_millis).ok_or_else(|| {
            let problem = format!("{} is no time in milliseconds", self.shown());
            Advice::new(problem, "write a whole number, such as 10000")
        })
    }

    /// They may hold secrets, so none is shown.
    fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, Advice> {
        let all = self.value.split(',').map(str::trim).filter(|header| !header.is_empty());
        all.enumerate()
            .map(|(n, text)| {
                header(text).ok_or_else(|| {
                    let problem = format!("{}: the header {} is none", self.name, n + 1);
                    Advice::new(problem, "write NAME=VALUE, with `,` between headers")
                })
            })
            .collect()
    }
}

/// A header, its value as in a URL.
fn header(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once('=')?;
    let value: Vec<u8> = percent_decode_str(value.trim()).collect();
    let mut value = HeaderValue::from_bytes(&value).ok()?;
    value.set_sensitive(true);
    Some((name.trim().parse().ok()?, value))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn collector(signal: Signal, variables: &[(&str, &str)]) -> Result<Collector, Advice> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let Target::Collector(collector) = Environment::new(&get, signal).collector()? else {
            panic!("no collector");
        };
        Ok(*collector)
    }

    /// Where spans go: protocol, endpoint.
    fn target(variables: &[(&str, &str)]) -> String {
        let Collector { protocol, endpoint, .. } = collector(Signal::Traces, variables).unwrap();
        let word = Protocol::WORDS[protocol as usize];
        format!("{word} {endpoint}")
    }

    const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";

    #[test]
    fn without_any_a_collector_of_this_host_is_meant() {
        let Collector { protocol, endpoint, timeout, gzip, headers, tls } =
            collector(Signal::Metrics, &[]).unwrap();
        assert_eq!(endpoint, "http://localhost:4318/v1/metrics");
        assert_eq!((protocol, timeout.as_secs(), gzip), (Protocol::HttpProtobuf, 10, false));
        assert_eq!((headers.len(), tls), (0, TlsFiles::default()));
    }

    #[test]
    fn those_of_a_signal_come_before_those_of_all_signals() {
        assert_eq!(target(&[(ENDPOINT, "http://a:1/")]), "http/protobuf http://a:1/v1/traces");
        assert_eq!(target(&[(ENDPOINT, "https://a/b")]), "http/protobuf https://a/b/v1/traces");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:2/x");
        assert_eq!(target(&[(ENDPOINT, "http://a:1"), own]), "http/protobuf http://b:2/x");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json");
        assert_eq!(target(&[(PROTOCOL, "grpc"), own]), "http/json http://localhost:4318/v1/traces");
        let other = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c:3/y");
        assert_eq!(target(&[other]), "http/protobuf http://localhost:4318/v1/traces");
        let metrics = collector(Signal::Metrics, &[(ENDPOINT, "http://a:1"), other]).unwrap();
        assert_eq!(metrics.endpoint, "http://c:3/y");
    }

    #[test]
    fn grpc_has_a_path_of_its_own_and_is_safe_without_a_scheme() {
        const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        let grpc = (PROTOCOL, "gRPC");
        assert_eq!(target(&[grpc]), format!("grpc http://localhost:4317{PATH}"));
        assert_eq!(target(&[grpc, (ENDPOINT, "a:1")]), format!("grpc https://a:1{PATH}"));
        let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "True");
        assert_eq!(target(&[grpc, insecure, (ENDPOINT, "a:1")]), format!("grpc http://a:1{PATH}"));
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://b:2");
        assert_eq!(target(&[grpc, insecure, own]), format!("grpc https://b:2{PATH}"));
        let metrics = collector(Signal::Metrics, &[grpc, (ENDPOINT, "a:1")]).unwrap();
        let path = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
        assert_eq!(metrics.endpoint.to_string(), format!("https://a:1{path}"));
    }

    #[test]
    fn headers_are_as_in_a_url_and_are_never_shown() {
        const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
        let headers = "authorization=Bearer%20a=b, X-Tenant = 7 ,";
        let Collector { headers, .. } = collector(Signal::Metrics, &[(HEADERS, headers)]).unwrap();
        let shown = format!("{headers:?}");
        assert!(!shown.contains("Bearer") && !shown.contains('7'), "{shown}");
        let texts: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(texts, [("authorization", &b"Bearer a=b"[..]), ("x-tenant", b"7")]);
        let bad = |headers: &str| collector(Signal::Traces, &[(HEADERS, headers)]).is_err();
        assert!(bad("a=b%0d%0ac:d") && bad("a b=c") && bad("=x"));
    }

    #[test]
    fn a_service_is_named_by_either_variable() {
        let service = |variables: &[(&str, &str)]| {
            let get = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            Environment::new(&get, Signal::Traces).service()
        };
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "host.name=h, service.name = my%20own ,x");
        assert_eq!(service(&[]), "ebpf_exporter");
        assert_eq!(service(&[attributes]), "my own");
        assert_eq!(service(&[attributes, ("OTEL_SERVICE_NAME", "x")]), "x");
        assert_eq!(service(&[("OTEL_RESOURCE_ATTRIBUTES", "service.name=")]), "ebpf_exporter");
    }

    #[test]
    fn slips_are_said() {
        let said = |name: &str, value: &str| {
            collector(Signal::Traces, &[(name, value)]).unwrap_err().to_string()
        };
        assert_snapshot!(said(PROTOCOL, "grcp"), @"OTEL_EXPORTER_OTLP_PROTOCOL=grcp means nothing; did you mean `grpc`?");
        assert_snapshot!(said(ENDPOINT, "collector:4318"), @"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318 is no URL of a collector; write one such as http://collector:4318");
        assert_snapshot!(said("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"), @"OTEL_EXPORTER_OTLP_COMPRESSION=zstd means nothing; write one of none, gzip");
        assert_snapshot!(said("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"), @"OTEL_EXPORTER_OTLP_TIMEOUT=10s is no time in milliseconds; write a whole number, such as 10000");
        assert_snapshot!(said("OTEL_EXPORTER_OTLP_HEADERS", "a=b,secret"), @"OTEL_EXPORTER_OTLP_HEADERS: the header 2 is none; write NAME=VALUE, with `,` between headers");
        assert_snapshot!(said("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k.pem"), @"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY need each other; set both, or none");
    }
}
