//! Spans, from records that a program writes to what a real OpenTelemetry Collector says it got.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::configs::Configs;
use crate::exporter::{BINARY, Exporter, sample, until};
use crate::guests;
use crate::otelcol::{GotSpan, OtelCollector, free_port, spans};
use crate::workload::Session;

/// A record of `traced.yaml`.
pub fn record(n: u64, began: u64, duration: u64) -> Vec<u8> {
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

pub const READ: &str = r#"ebpf_exporter_spans_read_total{config="traced",span="traced"}"#;

fn dropped(page: &str) -> BTreeMap<&'static str, u64> {
    ["queue_full", "failed", "rejected", "exit"]
        .into_iter()
        .map(|cause| {
            let labels = format!(r#"{{config="traced",span="traced",cause="{cause}"}}"#);
            (cause, sample(page, &format!("ebpf_exporter_spans_dropped_total{labels}")).unwrap())
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
    until("all records are spans", || sample(&exporter.metrics(), READ) == Some(50));
    let errors = r#"ebpf_exporter_decoder_errors_total{config="traced"}"#;
    assert_eq!(sample(&exporter.metrics(), errors), Some(1));
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
        until("they are read", || sample(&exporter.metrics(), READ) == Some(200 * round));
    }
    let refused = r#"ebpf_exporter_traced_records_total{refused="1"}"#;
    let page = exporter.metrics();
    assert_eq!(sample(&page, refused).unwrap_or_default(), 0, "{page}");
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
    until("the start is sent", || sample(&exporter.metrics(), own) == Some(5));
    (0..10).for_each(|n| session.send(&record(n, 1, 1)));
    let sent = r#"ebpf_exporter_spans_sent_total{config="traced",span="traced"}"#;
    until("they are sent", || sample(&exporter.metrics(), sent) == Some(7));
    assert_eq!(dropped(&exporter.metrics())["rejected"], 3);
    for head in served.join().unwrap() {
        assert!(head.starts_with("post /x/y http/1.1"), "{head}");
        let headers = ["authorization: bearer abc\r\n", "x-tenant: 7\r\n"];
        assert!(headers.iter().all(|header| head.contains(header)), "{head}");
    }
    // Who may see the status page may not read the log.
    until("the status page tells of it", || exporter.page("/").contains("signal=spans"));
    assert!(!exporter.page("/").contains("too old"));
    exporter.terminate();
    let (_, log) = exporter.wait();
    assert!(log.contains("rejected 3 of 10 spans: too old"), "{log}");
}

pub fn to_the_console_they_are_lines_of_json() {
    let (configs, session) = traced();
    let out = configs.path().join("out");
    let exporter = to_console(&configs, &out);
    session.send(&record(1, 1, 1));
    until("it is a span", || sample(&exporter.metrics(), READ) == Some(1));
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
    assert_eq!(sample(&page, READ), None);
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
    while sample(&exporter.metrics(), ERRORS) == Some(0) {
        session.send(&record(sent, 1, 1));
        sent += 1;
        until("it is a span", || sample(&exporter.metrics(), READ) == Some(sent));
    }
    let not_asked = sample(&exporter.metrics(), NOT_ASKED).unwrap();
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
