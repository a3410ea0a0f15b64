//! Spans, from records that a program writes to what a real OpenTelemetry Collector says it got.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

use crate::configs::Configs;
use crate::exporter::{BINARY, Exporter, until};
use crate::guests;
use crate::workload::Session;

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

/// A collector that writes the spans it gets to a file.
struct OtelCollector {
    child: Child,
    dir: TempDir,
    ports: [u16; 2],
}

impl OtelCollector {
    /// Starts one that is reached by TLS, and knows who reaches it, if `tls`.
    fn start(tls: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if tls {
            certify(dir.path());
        }
        let (child, ports) = Self::spawn(dir.path(), tls);
        let mut server = Self { child, dir, ports };
        until("the collector listens", || {
            if server.child.try_wait().unwrap().is_some() {
                // Somebody else took a port meanwhile.
                (server.child, server.ports) = Self::spawn(server.dir.path(), tls);
            }
            server.ports.iter().all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok())
        });
        server
    }

    fn spawn(dir: &Path, tls: bool) -> (Child, [u16; 2]) {
        let ports = [free_port(), free_port()];
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
             exporters: {{file: {{path: {}}}}}\n\
             service:\n  telemetry: {{metrics: {{level: none}}}}\n  \
             pipelines: {{traces: {{receivers: [otlp], exporters: [file]}}}}\n",
            ports[0],
            ports[1],
            at("spans.json"),
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

    fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Ends it; the spans that it got.
    fn end(mut self) -> Vec<GotSpan> {
        let id = i32::try_from(self.child.id()).unwrap();
        // SAFETY: the child was not waited for, so the id is still its own.
        assert_eq!(unsafe { libc::kill(id, libc::SIGTERM) }, 0);
        self.child.wait().unwrap();
        let text = fs::read_to_string(self.file("spans.json")).unwrap_or_default();
        assert!(!text.is_empty(), "{}", fs::read_to_string(self.file("log")).unwrap());
        spans(&text)
    }
}

impl Drop for OtelCollector {
    fn drop(&mut self) {
        // A test that failed leaves nothing running; of one that did not, nothing is left.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
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
struct GotSpan {
    service: String,
    trace: String,
    parent: String,
    id: String,
    name: String,
    start: u64,
    end: u64,
    attributes: BTreeMap<String, String>,
}

/// The spans of lines of OTLP in JSON.
fn spans(lines: &str) -> Vec<GotSpan> {
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

/// A record of `traced.yaml`.
fn record(n: u64, began: u64, duration: u64) -> Vec<u8> {
    let trace = u128::from(n) << 64 | 0xabcd;
    let mut record = trace.to_be_bytes().to_vec();
    record.extend((n % 3).to_be_bytes());
    record.extend((1000 + n).to_be_bytes());
    record.extend([began, duration].iter().flat_map(|number| number.to_ne_bytes()));
    record.extend(format!("{:\0<16}", format!("span {n}")).bytes());
    record.extend(u32::try_from(n).unwrap().to_ne_bytes());
    record
}

/// Nanoseconds of CLOCK_MONOTONIC, and since 1970.
fn clocks() -> (u64, u64) {
    // SAFETY: the kernel writes a timespec, which all zeros are one of.
    let monotonic = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        assert_eq!(libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time), 0);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    };
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (monotonic, wall.as_nanos() as u64)
}

/// The config `traced`, and what it listens to.
fn traced() -> (Configs, Session) {
    let (mut configs, session) = (Configs::new(), Session::new());
    configs.add("traced", include_str!("../bpf/traced.yaml"), &session.object_of("traced"));
    (configs, session)
}

/// The same, with a label that a guest is asked for.
fn traced_by(guest: &str) -> (Configs, Session) {
    let (mut configs, session) = (Configs::new(), Session::new());
    let label = "name: device, size: 4, padding: 4, decoders: [{name: uint}";
    let yaml = include_str!("../bpf/traced.yaml");
    let yaml = yaml.replace(label, &format!("{label}, {{name: wasm, plugin: guest}}"));
    let plugins = "plugins: {guest: {file: guest.wasm, limits: {deadline: 10s}}}";
    fs::write(configs.path().join("guest.wasm"), guests::component(guest)).unwrap();
    configs.add("traced", &format!("{plugins}\n{yaml}"), &session.object_of("traced"));
    (configs, session)
}

/// The exporter with this config, and its spans as lines in a file.
fn to_console(configs: &Configs, out: &Path) -> Exporter {
    let mut command = Command::new(BINARY);
    command.arg("--config.dir").arg(configs.path()).arg("--config.names=traced");
    command.args(["--web.listen-address=127.0.0.1:0", "--log.no-timestamps"]);
    command.env("OTEL_TRACES_EXPORTER", "console").stdout(fs::File::create(out).unwrap());
    Exporter::serve(&mut command)
}

/// The exporter with this config and these variables.
fn exporter(configs: &Configs, variables: &[(&str, String)]) -> Exporter {
    let mut command = Command::new(BINARY);
    command.arg("--config.dir").arg(configs.path()).arg("--config.names=traced");
    command.args(["--web.listen-address=127.0.0.1:0", "--log.no-timestamps"]);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    Exporter::serve(&mut command)
}

/// The number of a series; none if it is not there.
fn number(page: &str, series: &str) -> Option<u64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

const READ: &str = r#"ebpf_exporter_spans_read_total{config="traced",span="traced"}"#;

fn dropped(page: &str) -> BTreeMap<&'static str, u64> {
    ["queue_full", "failed", "rejected", "exit"]
        .into_iter()
        .map(|cause| {
            let labels = format!(r#"{{config="traced",span="traced",cause="{cause}"}}"#);
            (cause, number(page, &format!("ebpf_exporter_spans_dropped_total{labels}")).unwrap())
        })
        .collect()
}

/// Sends spans by this protocol and checks each of those that the collector has got. Nothing is sent
/// before the end: what waits then is sent all the same.
fn all_arrive(protocol: &str, tls: bool) {
    let collector = OtelCollector::start(tls);
    let port = collector.ports[usize::from(protocol != "grpc")];
    let scheme = if tls { "https" } else { "http" };
    let mut variables = vec![
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("{scheme}://localhost:{port}")),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", if tls { "gzip" } else { "none" }.to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "86400000".to_owned()),
        ("OTEL_RESOURCE_ATTRIBUTES", "host.name=there".to_owned()),
        ("OTEL_SERVICE_NAME", "our-exporter".to_owned()),
    ];
    if tls {
        variables.extend([
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", collector.file("ca.pem")),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", collector.file("client.pem")),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", collector.file("client.key")),
        ]);
    }
    let (configs, session) = traced();
    let exporter = exporter(&configs, &variables);
    let (monotonic, wall) = clocks();
    (0..50).for_each(|n| session.send(&record(n, monotonic, n * 1000)));
    // One that is too short.
    session.send(&[0; 67]);
    until("all records are spans", || number(&exporter.metrics(), READ) == Some(50));
    let errors = r#"ebpf_exporter_decoder_errors_total{config="traced"}"#;
    assert_eq!(number(&exporter.metrics(), errors), Some(1));
    exporter.terminate();
    let (status, log) = exporter.wait();
    assert!(status.success() && !log.contains("failed to send"), "{status}\n{log}");
    let mut got = collector.end();
    let own: Vec<_> = got.extract_if(.., |span| span.service == "our-exporter").collect();
    got.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(got.len(), 50, "{protocol}: {log}");
    for (n, span) in (0..).zip(got) {
        let start = span.start;
        // Nobody sets the clock by a minute now.
        assert!(start.abs_diff(wall) < 60_000_000_000, "{start} {wall}");
        let parent = if n % 3 == 0 { String::new() } else { format!("{:016x}", n % 3) };
        let attributes = [("device", n.to_string()), ("ebpf_exporter.config", "traced".to_owned())];
        let expected = GotSpan {
            service: "kernel".to_owned(),
            trace: format!("{n:016x}000000000000abcd"),
            parent,
            id: format!("{:016x}", 1000 + n),
            name: format!("span {n}"),
            start,
            end: start + n * 1000,
            attributes: attributes.map(|(key, value)| (key.to_owned(), value)).into(),
        };
        assert_eq!(span, expected);
    }
    start_is_a_trace(&own);
}

/// The spans of the exporter's own start.
fn start_is_a_trace(own: &[GotSpan]) {
    let names: Vec<_> = own.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["start", "read_configs", "start_config", "load", "attach"]);
    let of = |name: &str| own.iter().find(|span| span.name == name).unwrap();
    let (root, config) = (of("start"), of("start_config"));
    assert_eq!(root.parent, "");
    for (child, parent) in
        [("read_configs", root), ("start_config", root), ("load", config), ("attach", config)]
    {
        let child = of(child);
        assert_eq!((&child.trace, &child.parent), (&root.trace, &parent.id), "{}", child.name);
        let within = parent.start <= child.start && child.end <= parent.end;
        assert!(within && child.start <= child.end, "{child:?} {parent:?}");
    }
    assert_eq!(config.attributes["config"], "traced");
}

pub fn a_collector_has_every_span_over_http() {
    all_arrive("http/protobuf", false);
}

pub fn a_collector_has_every_span_as_json() {
    all_arrive("http/json", false);
}

pub fn a_collector_has_every_span_over_grpc() {
    all_arrive("grpc", false);
}

pub fn a_collector_has_every_span_over_tls() {
    all_arrive("http/protobuf", true);
}

pub fn a_collector_has_every_span_over_grpc_and_tls() {
    all_arrive("grpc", true);
}

pub fn a_collector_that_is_away_costs_spans_and_no_records() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", free_port())),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "10".to_owned()),
    ];
    let (configs, session) = traced();
    let exporter = exporter(&configs, &variables);
    // Far more than the ring buffer holds.
    for round in 1..=20 {
        (0..200).for_each(|n| session.send(&record(n, 1, 1)));
        until("they are read", || number(&exporter.metrics(), READ) == Some(200 * round));
    }
    let refused = r#"ebpf_exporter_traced_records_total{refused="1"}"#;
    let page = exporter.metrics();
    assert_eq!(number(&page, refused).unwrap_or_default(), 0, "{page}");
    until("all are counted", || dropped(&exporter.metrics()).values().sum::<u64>() == 4000);
    let lost = dropped(&exporter.metrics());
    assert!(lost["queue_full"] > 0 && lost["failed"] > 0, "{lost:?}");
    exporter.terminate();
    let (status, log) = exporter.wait();
    assert!(status.success(), "{log}");
    let told = log.lines().filter(|line| line.contains("failed to send")).collect::<Vec<_>>();
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].contains("onnection refused"), "{told:?}");
}

/// Answers each request with this; the requests' heads.
fn answer_with(answers: Vec<String>) -> (u16, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || {
        let answer = |answer: String| {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
            }
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.unwrap().trim().parse().unwrap();
            reader.read_exact(&mut vec![0; length]).unwrap();
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            head
        };
        answers.into_iter().map(answer).collect()
    };
    (port, thread::spawn(serve))
}

fn http(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

pub fn headers_are_sent_and_what_is_rejected_is_counted() {
    let partial = r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}"#;
    // The spans of the start come first. One that cannot be answered now is asked again.
    let answers =
        vec![http("200 OK", "{}"), http("503 Service Unavailable", ""), http("200 OK", partial)];
    let (port, served) = answer_with(answers);
    let variables = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("http://127.0.0.1:{port}/x/y")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json".to_owned()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc,x-tenant=7".to_owned()),
        // So late that ten spans are never two batches.
        ("OTEL_BSP_SCHEDULE_DELAY", "2000".to_owned()),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10".to_owned()),
    ];
    let (configs, session) = traced();
    let exporter = exporter(&configs, &variables);
    let own = r#"ebpf_exporter_spans_sent_total{config="",span="start"}"#;
    until("the start is sent", || number(&exporter.metrics(), own) == Some(5));
    (0..10).for_each(|n| session.send(&record(n, 1, 1)));
    let sent = r#"ebpf_exporter_spans_sent_total{config="traced",span="traced"}"#;
    until("they are sent", || number(&exporter.metrics(), sent) == Some(7));
    assert_eq!(dropped(&exporter.metrics())["rejected"], 3);
    for head in served.join().unwrap() {
        assert!(head.starts_with("post /x/y http/1.1"), "{head}");
        let headers = ["authorization: bearer abc\r\n", "x-tenant: 7\r\n"];
        assert!(headers.iter().all(|header| head.contains(header)), "{head}");
    }
    exporter.terminate();
    let (_, log) = exporter.wait();
    assert!(log.contains("rejected 3 of 10 spans: too old"), "{log}");
}

pub fn to_the_console_they_are_lines_of_json() {
    let (configs, session) = traced();
    let out = configs.path().join("out");
    let exporter = to_console(&configs, &out);
    session.send(&record(1, 1, 1));
    until("it is a span", || number(&exporter.metrics(), READ) == Some(1));
    exporter.terminate();
    exporter.wait();
    let names: Vec<_> = read(&out).into_iter().map(|span| (span.service, span.name)).collect();
    assert!(names.contains(&("kernel".to_owned(), "span 1".to_owned())), "{names:?}");
    assert!(names.contains(&("ebpf_exporter".to_owned(), "start".to_owned())), "{names:?}");
}

fn read(file: &PathBuf) -> Vec<GotSpan> {
    spans(&fs::read_to_string(file).unwrap())
}

pub fn nobody_makes_spans_that_go_nowhere() {
    let (configs, _) = traced();
    let exporter = exporter(&configs, &[("OTEL_TRACES_EXPORTER", "none".to_owned())]);
    let page = exporter.metrics();
    assert_eq!(number(&page, READ), None);
    assert!(!page.contains(r#"worker="otlp""#) && !page.contains(r#"worker="spans""#), "{page}");
    exporter.terminate();
    let (_, log) = exporter.wait();
    assert!(log.contains("no spans are made: OTEL_TRACES_EXPORTER=none"), "{log}");
}

/// A plugin that has used up its time has no turn for a while. Spans wait for it, but not for long.
pub fn a_span_asks_again_for_a_plugin_that_got_no_turn() {
    const ERRORS: &str = r#"ebpf_exporter_decoder_errors_total{config="traced"}"#;
    const NOT_ASKED: &str = r#"ebpf_exporter_plugin_outcomes_total{config="traced",plugin="guest",outcome="not_asked"}"#;
    let (configs, session) = traced_by("busy");
    let out = configs.path().join("out");
    let exporter = to_console(&configs, &out);
    let mut sent = 0;
    while number(&exporter.metrics(), ERRORS) == Some(0) {
        session.send(&record(sent, 1, 1));
        sent += 1;
        until("it is a span", || number(&exporter.metrics(), READ) == Some(sent));
    }
    let not_asked = number(&exporter.metrics(), NOT_ASKED).unwrap();
    assert!(not_asked >= 2, "it was asked for {not_asked} times");
    exporter.terminate();
    let (_, log) = exporter.wait();
    assert!(
        log.contains("plugin `guest`: it is not asked for a while, having used up its time"),
        "{log}"
    );
    let got: Vec<_> = read(&out).into_iter().filter(|span| span.service == "kernel").collect();
    assert_eq!(got.len() as u64, sent);
    let (last, others) = got.split_last().unwrap();
    assert_eq!(last.attributes["device"], "error");
    assert!(others.iter().all(|span| span.attributes["device"].is_empty()), "{others:?}");
}
