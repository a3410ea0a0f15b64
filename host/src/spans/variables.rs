//! The variables of OpenTelemetry, as what they mean: where spans go, and how many at a time.
//!
//! A variable that is empty counts as one that is not there. Which headers a request has, how it is
//! compressed and how long it may take is read by the crate that makes requests, from the same
//! variables; here they are only looked at, so that a slip is said at the start.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use http::header::HeaderName;

use crate::advice::{Advice, near, quote};
use crate::trust::Identity;

/// Who spans are of that no config and no variable says it of.
const SERVICE: &str = "ebpf_exporter";

/// What the variables say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variables {
    /// Whose spans they are, unless their config says otherwise.
    pub(super) service: String,
    pub(super) target: Target,
    pub(super) batches: Batches,
    /// Whether somebody asked for spans by a variable, so that the exporter's own are made too.
    pub(super) asked: bool,
}

/// Where spans go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Nowhere, since this says so.
    Nowhere(&'static str),
    /// To standard output.
    Console,
    Collector(Collector),
}

/// A collector and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Collector {
    pub(super) protocol: Protocol,
    pub(super) endpoint: Uri,
    pub(super) timeout: Duration,
    pub(super) tls: TlsFiles,
}

/// How spans are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    HttpProtobuf,
    HttpJson,
    Grpc,
}

/// Files for TLS: each is read at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TlsFiles {
    /// Whom to trust; the host's authorities if there is none.
    pub(super) authorities: Option<PathBuf>,
    /// Who the exporter is, if it says so.
    pub(super) identity: Option<Identity>,
}

/// How many spans wait, and how many are sent at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batches {
    pub(super) queue: usize,
    pub(super) batch: usize,
    /// How long a span waits for others at the most.
    pub(super) delay: Duration,
    /// How long a batch may take, all tries together.
    pub(super) patience: Duration,
}

impl Protocol {
    const ALL: [Self; 3] = [Self::HttpProtobuf, Self::HttpJson, Self::Grpc];

    fn word(self) -> &'static str {
        match self {
            Self::HttpProtobuf => "http/protobuf",
            Self::HttpJson => "http/json",
            Self::Grpc => "grpc",
        }
    }
}

/// The environment: what a variable says, if it says anything.
struct Environment<'a>(&'a dyn Fn(&str) -> Option<String>);

/// A variable that says something.
struct Said {
    name: String,
    value: String,
}

impl Variables {
    /// What the variables of this environment say.
    ///
    /// # Errors
    ///
    /// The first that means nothing, and what to write.
    pub fn read(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, Advice> {
        let environment = Environment(get);
        let of = |name: &str| environment.get(name);
        let asked = of("OTEL_TRACES_EXPORTER").or_else(|| environment.export("ENDPOINT")).is_some();
        Ok(Self {
            service: of("OTEL_SERVICE_NAME").map_or_else(|| SERVICE.to_owned(), |said| said.value),
            target: environment.target()?,
            batches: environment.batches()?,
            asked,
        })
    }
}

impl Environment<'_> {
    fn get(&self, name: &str) -> Option<Said> {
        let value = (self.0)(name).map(|value| value.trim().to_owned());
        let value = value.filter(|value| !value.is_empty())?;
        Some(Said { name: name.to_owned(), value })
    }

    /// A variable of exporting, that of traces before that of all signals.
    fn export(&self, name: &str) -> Option<Said> {
        let of = |prefix: &str| self.get(&format!("OTEL_EXPORTER_OTLP_{prefix}{name}"));
        of("TRACES_").or_else(|| of(""))
    }

    fn is_true(&self, said: Option<Said>) -> bool {
        said.is_some_and(|said| said.value.eq_ignore_ascii_case("true"))
    }

    fn target(&self) -> Result<Target, Advice> {
        if self.is_true(self.get("OTEL_SDK_DISABLED")) {
            return Ok(Target::Nowhere("OTEL_SDK_DISABLED=true"));
        }
        let Some(said) = self.get("OTEL_TRACES_EXPORTER") else {
            return self.collector().map(Target::Collector);
        };
        match said.value.as_str() {
            "otlp" => self.collector().map(Target::Collector),
            "console" => Ok(Target::Console),
            "none" => Ok(Target::Nowhere("OTEL_TRACES_EXPORTER=none")),
            _ => Err(said.none_of(&["otlp", "console", "none"])),
        }
    }

    fn collector(&self) -> Result<Collector, Advice> {
        let protocol = match self.export("PROTOCOL") {
            None => Protocol::HttpProtobuf,
            Some(said) => {
                let words = Protocol::ALL.map(Protocol::word);
                let of = |protocol: &Protocol| protocol.word() == said.value;
                *Protocol::ALL
                    .iter()
                    .find(|protocol| of(protocol))
                    .ok_or_else(|| said.none_of(&words))?
            }
        };
        if let Some(said) = self.export("COMPRESSION")
            && !["gzip", "none"].contains(&said.value.as_str())
        {
            return Err(said.none_of(&["gzip", "none"]));
        }
        self.export("HEADERS").map_or(Ok(()), |said| said.headers())?;
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
        Ok(Collector {
            protocol,
            endpoint: self.endpoint(protocol)?,
            timeout: timeout.unwrap_or(Duration::from_secs(10)),
            tls: TlsFiles { authorities: file("CERTIFICATE"), identity },
        })
    }

    fn endpoint(&self, protocol: Protocol) -> Result<Uri, Advice> {
        let path = match protocol {
            Protocol::Grpc => "opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Protocol::HttpProtobuf | Protocol::HttpJson => "v1/traces",
        };
        let own = self.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let of_traces = own.is_some();
        let Some(said) = own.or_else(|| self.get("OTEL_EXPORTER_OTLP_ENDPOINT")) else {
            let port = if protocol == Protocol::Grpc { 4317 } else { 4318 };
            let uri = format!("http://localhost:{port}/{path}");
            return uri.parse().map_err(|error| Advice::plain(format!("{uri}: {error}")));
        };
        let bare = protocol == Protocol::Grpc && !said.value.contains("://");
        let scheme = match self.is_true(self.export("INSECURE")) {
            _ if !bare => "",
            true => "http://",
            false => "https://",
        };
        let base = format!("{scheme}{}", said.value);
        let is_whole = of_traces && protocol != Protocol::Grpc;
        let uri = if is_whole { base } else { format!("{}/{path}", base.trim_end_matches('/')) };
        let parsed = uri.parse::<Uri>().ok().filter(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
        });
        parsed.ok_or_else(|| {
            let problem = format!("{} is no URL of a collector", said.shown());
            Advice::new(problem, "write one such as http://collector:4318")
        })
    }

    fn batches(&self) -> Result<Batches, Advice> {
        let number = |name: &str, default: usize| {
            self.get(name).map_or(Ok(default), |said| said.number(1..=1 << 24))
        };
        let time = |name: &str, default: u64| {
            let said = self.get(name).map(|said| said.milliseconds());
            said.unwrap_or(Ok(Duration::from_millis(default)))
        };
        let queue = number("OTEL_BSP_MAX_QUEUE_SIZE", 2048)?;
        Ok(Batches {
            queue,
            batch: number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)?.min(queue),
            delay: time("OTEL_BSP_SCHEDULE_DELAY", 5000)?,
            patience: time("OTEL_BSP_EXPORT_TIMEOUT", 30_000)?,
        })
    }
}

impl Said {
    fn shown(&self) -> String {
        format!("{}={}", self.name, quote(&self.value).trim_matches('`'))
    }

    fn none_of(&self, words: &[&str]) -> Advice {
        let problem = format!("{} means nothing", self.shown());
        Advice::new(problem, near::suggest(&self.value, words, "write one of"))
    }

    fn number(&self, range: std::ops::RangeInclusive<usize>) -> Result<usize, Advice> {
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
    fn headers(&self) -> Result<(), Advice> {
        let good = |header: &str| {
            let name = header.split_once('=').map(|(name, _)| name.trim());
            name.is_some_and(|name| name.parse::<HeaderName>().is_ok())
        };
        let mut headers = self.value.split(',').map(str::trim).filter(|header| !header.is_empty());
        match headers.position(|header| !good(header)) {
            None => Ok(()),
            Some(n) => {
                let problem = format!("{}: the header {} is none", self.name, n + 1);
                Err(Advice::new(problem, "write NAME=VALUE, with `,` between headers"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Variables, Advice> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Variables::read(&get)
    }

    /// Where spans go: protocol, endpoint.
    fn target(variables: &[(&str, &str)]) -> String {
        match read(variables).expect("good variables").target {
            Target::Collector(Collector { protocol, endpoint, .. }) => {
                format!("{} {endpoint}", protocol.word())
            }
            other => format!("{other:?}"),
        }
    }

    const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";

    #[test]
    fn without_any_spans_go_to_a_collector_of_this_host() {
        let Variables { service, target, batches, asked } = read(&[]).unwrap();
        let Target::Collector(collector) = target else { panic!("{target:?}") };
        assert_eq!((service.as_str(), asked), ("ebpf_exporter", false));
        assert_eq!(collector.endpoint, "http://localhost:4318/v1/traces");
        assert_eq!(collector.protocol, Protocol::HttpProtobuf);
        assert_eq!(
            (collector.timeout, collector.tls),
            (Duration::from_secs(10), TlsFiles::default())
        );
        let Batches { queue, batch, delay, patience } = batches;
        assert_eq!((queue, batch), (2048, 512));
        assert_eq!((delay.as_millis(), patience.as_millis()), (5000, 30_000));
    }

    #[test]
    fn those_of_traces_come_before_those_of_all_signals() {
        assert_eq!(target(&[(ENDPOINT, "http://a:1/")]), "http/protobuf http://a:1/v1/traces");
        assert_eq!(target(&[(ENDPOINT, "https://a/b")]), "http/protobuf https://a/b/v1/traces");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:2/x");
        assert_eq!(target(&[(ENDPOINT, "http://a:1"), own]), "http/protobuf http://b:2/x");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json");
        assert_eq!(target(&[(PROTOCOL, "grpc"), own]), "http/json http://localhost:4318/v1/traces");
    }

    #[test]
    fn grpc_has_a_path_of_its_own_and_is_safe_without_a_scheme() {
        const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        let grpc = (PROTOCOL, "grpc");
        assert_eq!(target(&[grpc]), format!("grpc http://localhost:4317{PATH}"));
        assert_eq!(target(&[grpc, (ENDPOINT, "a:1")]), format!("grpc https://a:1{PATH}"));
        let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "True");
        assert_eq!(target(&[grpc, insecure, (ENDPOINT, "a:1")]), format!("grpc http://a:1{PATH}"));
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://b:2");
        assert_eq!(target(&[grpc, insecure, own]), format!("grpc https://b:2{PATH}"));
    }

    #[test]
    fn spans_may_go_nowhere_or_to_the_console() {
        assert_eq!(target(&[("OTEL_TRACES_EXPORTER", "console")]), "Console");
        assert_eq!(
            target(&[("OTEL_TRACES_EXPORTER", "none")]),
            r#"Nowhere("OTEL_TRACES_EXPORTER=none")"#
        );
        assert_eq!(
            target(&[("OTEL_SDK_DISABLED", "TRUE")]),
            r#"Nowhere("OTEL_SDK_DISABLED=true")"#
        );
    }

    #[test]
    fn an_empty_one_is_none_and_an_exporter_is_asked_for_by_some() {
        assert!(!read(&[(ENDPOINT, " "), ("OTEL_SERVICE_NAME", "x")]).unwrap().asked);
        assert!(read(&[(ENDPOINT, "http://a")]).unwrap().asked);
        assert!(read(&[("OTEL_TRACES_EXPORTER", "otlp")]).unwrap().asked);
        assert_eq!(read(&[("OTEL_SERVICE_NAME", "x")]).unwrap().service, "x");
    }

    #[test]
    fn batches_are_no_larger_than_the_queue() {
        let batches = read(&[("OTEL_BSP_MAX_QUEUE_SIZE", "10"), ("OTEL_BSP_SCHEDULE_DELAY", "7")]);
        let Batches { queue, batch, delay, .. } = batches.unwrap().batches;
        assert_eq!((queue, batch, delay.as_millis()), (10, 10, 7));
    }

    #[test]
    fn slips_are_said() {
        let said = |name: &str, value: &str| read(&[(name, value)]).unwrap_err().to_string();
        assert_snapshot!(said(PROTOCOL, "grcp"), @"OTEL_EXPORTER_OTLP_PROTOCOL=grcp means nothing; did you mean `grpc`?");
        assert_snapshot!(said("OTEL_TRACES_EXPORTER", "zipkin"), @"OTEL_TRACES_EXPORTER=zipkin means nothing; write one of otlp, console, none");
        assert_snapshot!(said(ENDPOINT, "collector:4318"), @"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318 is no URL of a collector; write one such as http://collector:4318");
        assert_snapshot!(said("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"), @"OTEL_EXPORTER_OTLP_COMPRESSION=zstd means nothing; write one of gzip, none");
        assert_snapshot!(said("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"), @"OTEL_EXPORTER_OTLP_TIMEOUT=10s is no time in milliseconds; write a whole number, such as 10000");
        assert_snapshot!(said("OTEL_EXPORTER_OTLP_HEADERS", "a=b,secret"), @"OTEL_EXPORTER_OTLP_HEADERS: the header 2 is none; write NAME=VALUE, with `,` between headers");
        assert_snapshot!(said("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k.pem"), @"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY need each other; set both, or none");
        assert_snapshot!(said("OTEL_BSP_MAX_QUEUE_SIZE", "0"), @"OTEL_BSP_MAX_QUEUE_SIZE=0 is no number that it can be; write one from 1 to 16777216");
    }
}
