//! A real OpenTelemetry Collector, and what it got.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::exporter::until;

/// Why no collector can be started here.
pub fn lacks() -> Option<String> {
    let runs = |program: &str, flag: &str| {
        let mut command = Command::new(program);
        let status = command.arg(flag).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let there = runs("otelcol", "--version") && runs("openssl", "version");
    (!there).then(|| "no otelcol and openssl; `make test` gets them".to_owned())
}

/// A collector that writes the spans and the metrics it gets to files.
pub struct OtelCollector {
    child: Child,
    pub dir: TempDir,
    pub ports: [u16; 2],
}

impl OtelCollector {
    /// Starts one that is reached by TLS, and knows who reaches it, if `tls`.
    pub fn start(tls: bool) -> Self {
        Self::started(tls, || [free_port(), free_port()])
    }

    /// Starts one at these ports, for gRPC and for HTTP, which nobody else takes.
    pub fn start_at(ports: [u16; 2]) -> Self {
        Self::started(false, || ports)
    }

    fn started(tls: bool, ports: impl Fn() -> [u16; 2]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if tls {
            certify(dir.path());
        }
        let (child, at) = Self::spawn(dir.path(), tls, ports());
        let mut server = Self { child, dir, ports: at };
        until("the collector listens", || {
            if server.child.try_wait().unwrap().is_some() {
                // Somebody else took a port meanwhile.
                (server.child, server.ports) = Self::spawn(server.dir.path(), tls, ports());
            }
            server.ports.iter().all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok())
        });
        server
    }

    fn spawn(dir: &Path, tls: bool, ports: [u16; 2]) -> (Child, [u16; 2]) {
        let at = |file: &str| dir.join(file).display().to_string();
        let tls = if tls {
            format!(
                ", tls: {{cert_file: {}, key_file: {}, client_ca_file: {}}}",
                at("server.pem"),
                at("server.key"),
                at("ca.pem")
            )
        } else {
            String::new()
        };
        let config = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{}'{tls}}}, \
             http: {{endpoint: '127.0.0.1:{}'{tls}}}}}}}}}\n\
             exporters: {{file/spans: {{path: {}}}, file/metrics: {{path: {}}}}}\n\
             service:\n  telemetry: {{metrics: {{level: none}}}}\n  \
             pipelines:\n    traces: {{receivers: [otlp], exporters: [file/spans]}}\n    \
             metrics: {{receivers: [otlp], exporters: [file/metrics]}}\n",
            ports[0],
            ports[1],
            at("spans.json"),
            at("metrics.json"),
        );
        fs::write(dir.join("config.yaml"), config).unwrap();
        let log = fs::File::create(dir.join("log")).unwrap();
        let child = Command::new("otelcol")
            .arg("--config")
            .arg(format!("file:{}", at("config.yaml")))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        (child, ports)
    }

    pub fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Ends it; the spans that it got.
    pub fn end(mut self) -> Vec<GotSpan> {
        let text = self.ended("spans.json");
        spans(&text)
    }

    /// Ends it; the messages with metrics that it got.
    pub fn end_with_metrics(mut self) -> Vec<Value> {
        let text = self.ended("metrics.json");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// How many messages with metrics it has written so far.
    pub fn messages(&self) -> usize {
        fs::read_to_string(self.file("metrics.json")).unwrap_or_default().lines().count()
    }

    fn ended(&mut self, file: &str) -> String {
        let id = i32::try_from(self.child.id()).unwrap();
        // SAFETY: the child was not waited for, so the id is still its own.
        assert_eq!(unsafe { libc::kill(id, libc::SIGTERM) }, 0);
        self.child.wait().unwrap();
        let text = fs::read_to_string(self.file(file)).unwrap_or_default();
        assert!(!text.is_empty(), "{}", fs::read_to_string(self.file("log")).unwrap());
        text
    }
}

impl Drop for OtelCollector {
    fn drop(&mut self) {
        // A test that failed leaves nothing running; of one that did not, nothing is left.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// An authority, a server and a client that it certifies.
fn certify(dir: &Path) {
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        let output = command.args(arguments.split(' ')).current_dir(dir).output().unwrap();
        assert!(output.status.success(), "{arguments}: {output:?}");
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    let authority = "-addext basicConstraints=critical,CA:TRUE";
    openssl(&format!("req -x509 {key} -subj /CN=ca -keyout ca.key -out ca.pem {authority}"));
    for (name, usage) in [("server", "serverAuth"), ("client", "clientAuth")] {
        openssl(&format!(
            "req -x509 {key} -subj /CN={name} -keyout {name}.key -out {name}.pem -CA ca.pem -CAkey \
             ca.key -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext \
             extendedKeyUsage={usage} -addext basicConstraints=critical,CA:FALSE"
        ));
    }
}

/// A span as a collector has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GotSpan {
    pub service: String,
    pub trace: String,
    pub parent: String,
    pub id: String,
    pub name: String,
    pub start: u64,
    pub end: u64,
    pub attributes: BTreeMap<String, String>,
}

/// The spans of lines of OTLP in JSON.
pub fn spans(lines: &str) -> Vec<GotSpan> {
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let all = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let mut spans = Vec::new();
    for resource in lines.flat_map(|line| all(&line, "resourceSpans")) {
        let service = texts(&resource["resource"]).remove("service.name").unwrap_or_default();
        for scope in all(&resource, "scopeSpans") {
            assert_eq!(scope["scope"]["name"], "ebpf_wasm_exporter");
            spans.extend(all(&scope, "spans").iter().map(|span| span_of(span, &service)));
        }
    }
    spans
}

fn span_of(span: &Value, service: &str) -> GotSpan {
    let text = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
    GotSpan {
        service: service.to_owned(),
        trace: text("traceId"),
        parent: text("parentSpanId"),
        id: text("spanId"),
        name: text("name"),
        start: text("startTimeUnixNano").parse().unwrap(),
        end: text("endTimeUnixNano").parse().unwrap(),
        attributes: texts(span),
    }
}

/// The attributes that are texts.
fn texts(of: &Value) -> BTreeMap<String, String> {
    let all = of["attributes"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value["value"]["stringValue"].as_str().map(str::to_owned);
    let pair = |value: &Value| Some((value["key"].as_str()?.to_owned(), text(value)?));
    all.iter().filter_map(pair).collect()
}
