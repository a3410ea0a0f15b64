//! What is pushed of a recording, as a collector has it: the numbers that are served, whatever is lost on the way.
//!
//! Each push is the next reading. So nobody scrapes an exporter here of which each reading is looked at.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message as _;
use regex::Regex;
use serde_json::Value;

use crate::exporter::{BINARY, Exporter, get, sample, until};
use crate::otelcol::{OtelCollector, free_port};

mod samples;

use samples::{OF_MAPS, Samples, array, bound, of_maps, points, samples, series_of};

const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/workload.rec");
/// How many readings it has.
const READINGS: usize = 5;
const FAILED: &str = r#"ebpf_exporter_otlp_metrics_pushes_total{result="failed"}"#;
const COMPLETE: &str = r#"ebpf_exporter_otlp_metrics_pushes_total{result="complete"}"#;

/// The recording, served and pushed with these variables ten times a second.
fn pusher(variables: &[(&str, &str)]) -> Exporter {
    pusher_of(&[RECORDING], variables)
}

fn pusher_of(recording: &[&str], variables: &[(&str, &str)]) -> Exporter {
    let mut command = Command::new(BINARY);
    command.arg("replay").args(recording).arg("--web.listen-address=127.0.0.1:0");
    command.env("OTEL_METRICS_EXPORTER", "otlp").env("OTEL_METRIC_EXPORT_INTERVAL", "100");
    command.env("OTEL_METRIC_EXPORT_TIMEOUT", "100000");
    command.envs(variables.iter().copied());
    Exporter::serve(&mut command)
}

/// What is served of maps at this reading.
fn served(reading: usize) -> Samples {
    // Behind the last one all stays as it is.
    let at = format!("--at={}", reading.min(READINGS));
    printed(&[RECORDING, &at])
}

/// What was served of each series last: one goes before the end.
fn served_last() -> Samples {
    let mut all = served(1);
    (2..=READINGS).for_each(|reading| all.extend(served(reading)));
    all
}

/// What differences add up to: by what has grown what the first push found.
fn grown(first: &Samples, last: Samples) -> Samples {
    let less = |(series, value): (String, f64)| {
        let value = value - first.get(&series).unwrap_or(&0.0);
        (series, value)
    };
    rounded(last.into_iter().map(less).collect())
}

/// Sums of seconds are not exact where they were added up.
fn rounded(samples: Samples) -> Samples {
    samples.into_iter().map(|(series, value)| (series, (value * 1e9).round() / 1e9)).collect()
}

/// What the exporter says about itself. Nothing is read of the recording for it.
fn own_page(exporter: &Exporter) -> String {
    get(&format!("{}?exclude%5B%5D=work", exporter.url))
}

/// Waits until so many pushes are complete that the whole recording was read.
fn until_all_is_read(exporter: &Exporter) {
    let complete = || sample(&own_page(exporter), COMPLETE);
    until("the whole recording is pushed", || complete() >= Some(READINGS as u64));
}

/// What a collector has after such a time, by these messages, is what was counted since the first push.
fn sums_are_what_has_grown(messages: &[Value]) {
    let (mut got, last) = (of_maps([summed(messages)]), grown(&served(1), served(READINGS)));
    // One series goes, and may have been pushed before.
    got.retain(|series, _| last.contains_key(series));
    assert_eq!(rounded(got), last);
}

fn printed(recording: &[&str]) -> Samples {
    let output = Command::new(BINARY).arg("replay").args(recording).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    samples(&String::from_utf8(output.stdout).unwrap())
}

/// The endpoint of a collector by this protocol, and the protocol.
fn to(collector: &OtelCollector, protocol: &'static str) -> Vec<(&'static str, String)> {
    let port = collector.ports[usize::from(protocol != "grpc")];
    vec![
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://localhost:{port}")),
    ]
}

/// Pushes the whole recording; the messages that the collector got, one for each push.
fn collected(collector: OtelCollector, variables: &[(&str, String)]) -> Vec<Value> {
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, &**value)).collect();
    let exporter = pusher(&variables);
    until("all readings are pushed", || collector.messages() >= READINGS);
    exporter.terminate();
    let (status, log) = exporter.wait();
    assert!(status.success() && !log.contains("failed to push"), "{status}\n{log}");
    let messages = collector.end_with_metrics();
    // The last is pushed at the end.
    assert!(messages.len() > READINGS, "{}", messages.len());
    messages
}

/// Each message says what was served of that reading.
fn each_is_a_reading(messages: &[Value]) {
    let mut first: BTreeMap<String, u64> = BTreeMap::new();
    for (message, reading) in messages.iter().zip(1..) {
        let points = points(message);
        let time = points[0].1.end;
        for (kind, point) in &points {
            assert_eq!(point.end, time, "{}", point.series);
            if *kind != "gauge" {
                // Nothing begins anew in this recording.
                assert!(point.start < point.end, "{}", point.series);
                let is_found = reading == 1 && point.series.starts_with(OF_MAPS);
                assert!(!is_found || point.start == 0, "{} may be older", point.series);
                assert!(reading > 1 || is_found || point.start > 0, "{}", point.series);
                assert_eq!(*first.entry(point.series.clone()).or_insert(point.start), point.start);
            }
        }
        let got = of_maps(points.into_iter().map(|(_, got)| got.samples));
        assert_eq!(got, served(reading), "reading {reading}");
    }
}

fn every_reading_arrives(protocol: &'static str) {
    let collector = OtelCollector::start(false);
    let mut variables = to(&collector, protocol);
    variables.push(("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip".to_owned()));
    variables.push(("OTEL_RESOURCE_ATTRIBUTES", "host.name=there,a=b".to_owned()));
    let messages = collected(collector, &variables);
    each_is_a_reading(&messages);
    let resource = &messages[0]["resourceMetrics"][0]["resource"];
    let attribute = |key: &str| {
        let pair = array(resource, "attributes").iter().find(|pair| pair["key"] == key);
        pair.unwrap()["value"]["stringValue"].as_str().unwrap().to_owned()
    };
    assert_eq!(attribute("service.name"), "ebpf_exporter");
    assert_eq!((attribute("host.name"), attribute("a")), ("there".to_owned(), "b".to_owned()));
    assert!(!attribute("service.instance.id").is_empty());
}

pub fn a_collector_has_every_reading_over_http() {
    every_reading_arrives("http/protobuf");
}

pub fn a_collector_has_every_reading_over_grpc() {
    every_reading_arrives("grpc");
}

pub fn a_collector_has_every_reading_as_json() {
    every_reading_arrives("http/json");
}

pub fn a_collector_has_every_reading_over_tls() {
    for protocol in ["grpc", "http/protobuf"] {
        let collector = OtelCollector::start(true);
        let mut variables = to(&collector, protocol);
        variables[1].1 = variables[1].1.replace("http:", "https:");
        variables.extend([
            ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", collector.file("ca.pem")),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", collector.file("client.pem")),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", collector.file("client.key")),
        ]);
        each_is_a_reading(&collected(collector, &variables));
    }
}

/// Adds up what points of differences tell, each of which goes on where the one before it ended.
fn summed(messages: &[Value]) -> Samples {
    let (mut ends, mut sums): (BTreeMap<String, u64>, Samples) = Default::default();
    for (kind, point) in messages.iter().flat_map(points) {
        if kind == "gauge" {
            continue;
        }
        if let Some(before) = ends.insert(point.series.clone(), point.end) {
            assert_eq!(point.start, before, "{}", point.series);
        }
        for (series, value) in point.samples {
            *sums.entry(series).or_default() += value;
        }
    }
    sums
}

fn delta() -> (&'static str, String) {
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta".to_owned())
}

fn base2() -> (&'static str, String) {
    let value = "base2_exponential_bucket_histogram".to_owned();
    ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", value)
}

pub fn a_collector_sums_differences_up() {
    let collector = OtelCollector::start(false);
    let variables = [to(&collector, "http/protobuf"), vec![delta()]].concat();
    let messages = collected(collector, &variables);
    let got = rounded(of_maps([summed(&messages)]));
    assert_eq!(got, grown(&served(1), served_last()));
    assert!(got.values().any(|value| *value > 0.0));
    let text = messages[0].to_string();
    assert!(text.contains(r#""aggregationTemporality":1"#), "{text}");
    assert!(!text.contains(r#""aggregationTemporality":2"#), "{text}");
}

/// Of two configs: one with buckets in microseconds, which are no powers of two of a second, and one in bytes.
const HISTOGRAMS: [&str; 2] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/counted.rec"),
    "--config.names=exp2,exp2zero",
];

pub fn a_collector_has_exponential_buckets_where_they_are_exact() {
    let served = printed(&[HISTOGRAMS[0], HISTOGRAMS[1], "--once"]);
    let first = printed(&[HISTOGRAMS[0], HISTOGRAMS[1], "--at=1"]);
    let grown = grown(&first, served.clone());
    for form in [vec![base2()], vec![base2(), delta()]] {
        let collector = OtelCollector::start(false);
        let variables = [to(&collector, "http/protobuf"), form.clone()].concat();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, &**value)).collect();
        let exporter = pusher_of(&HISTOGRAMS, &variables);
        until("it is pushed", || collector.messages() >= READINGS);
        exporter.terminate();
        assert!(exporter.wait().0.success());
        let messages = collector.end_with_metrics();
        let last = &messages[messages.len() - 1..];
        for (kind, point) in points(&last[0]) {
            let exact = kind == "exponentialHistogram";
            let fits = point.series.starts_with("ebpf_exporter_work_exp2zero_bytes");
            assert_eq!(exact, fits, "{}", point.series);
        }
        let (told, due) = if form.len() == 1 { (last, &served) } else { (&messages[..], &grown) };
        assert_eq!(rounded(of_maps([summed(told)])), rounded(due.clone()));
    }
}

pub fn a_collector_that_comes_late_has_all_that_was_counted() {
    let ports = [free_port(), free_port()];
    let endpoint = format!("http://127.0.0.1:{}", ports[1]);
    let (temporality, delta) = delta();
    let exporter = pusher(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), (temporality, &delta)]);
    until("two pushes failed", || sample(&own_page(&exporter), FAILED) >= Some(2));
    let collector = OtelCollector::start_at(ports);
    until_all_is_read(&exporter);
    exporter.terminate();
    let (status, log) = exporter.wait();
    assert!(status.success(), "{status}\n{log}");
    assert_eq!(log.matches("failed to push metrics").count(), 1, "{log}");
    assert_eq!(log.matches("metrics are pushed to").count(), 1, "{log}");
    sums_are_what_has_grown(&collector.end_with_metrics());
}

/// What becomes of a request.
#[derive(Clone, Copy)]
enum Fate {
    /// Is answered with this, and not taken.
    Refused(&'static str),
    /// Is answered with this, and taken.
    Taken(&'static str),
    /// Is never answered.
    Silence,
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A collector as anybody may write one: each request has a fate, those after the last are taken. What it took.
fn made(fates: Vec<Fate>) -> (String, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let endpoint = format!("http://{}/x", listener.local_addr().unwrap());
    let taken: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let kept = Arc::clone(&taken);
    let mut fates = fates.into_iter();
    let serve = move || {
        let mut silent = Vec::new();
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let body = body(&client);
            match fates.next().unwrap_or(Fate::Taken(EMPTY)) {
                Fate::Silence => silent.push(client),
                Fate::Refused(answer) => say(&mut client, answer),
                Fate::Taken(answer) => {
                    kept.lock().unwrap().push(body);
                    say(&mut client, answer);
                }
            }
        }
    };
    thread::spawn(serve);
    (endpoint, taken)
}

/// Writes an answer, the last piece of one that has no length without end. Whoever asked may have gone.
fn say(client: &mut TcpStream, answer: &str) {
    let endless = !answer.contains("content-length");
    while client.write_all(answer.as_bytes()).is_ok() && endless {}
}

fn body(client: &TcpStream) -> Vec<u8> {
    let (mut reader, mut head) = (BufReader::new(client), String::new());
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.trim().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    body
}

/// Messages of protobuf as a collector would write them.
fn as_json(bodies: &[Vec<u8>]) -> Vec<Value> {
    let message = |body: &Vec<u8>| {
        let message = ExportMetricsServiceRequest::decode(&**body).unwrap();
        serde_json::to_value(message).unwrap()
    };
    bodies.iter().map(message).collect()
}

fn own(endpoint: &str) -> [(&'static str, String); 2] {
    [("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", endpoint.to_owned()), delta()]
}

pub fn whatever_a_collector_answers_nothing_is_lost_or_doubled() {
    let refused = |status: &'static str| Fate::Refused(status);
    let (endpoint, taken) = made(vec![
        refused(
            "HTTP/1.1 429 Slow Down\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        ),
        refused("HTTP/1.1 500 Oops\r\nconnection: close\r\ncontent-length: 4\r\n\r\noops"),
        refused(
            "HTTP/1.1 307 Away\r\nlocation: http://192.0.2.1/\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        ),
        // Is no HTTP at all.
        refused("SSH-2.0-OpenSSH_9.2 content-length\r\n"),
        // A body without end.
        refused("HTTP/1.1 503 Full\r\nconnection: close\r\n\r\n\u{0}garbage and more of it"),
        Fate::Taken("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 9\r\n\r\n<garbage>"),
        // By its status it has been taken.
        Fate::Taken("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n\u{0}garbage and more of it"),
    ]);
    let variables = own(&endpoint);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, &**value)).collect();
    let exporter = pusher(&variables);
    until_all_is_read(&exporter);
    assert_eq!(sample(&own_page(&exporter), FAILED), Some(2));
    exporter.terminate();
    let (status, log) = exporter.wait();
    assert!(status.success(), "{status}\n{log}");
    assert!(log.contains("failed to push metrics") && log.contains("500"), "{log}");
    sums_are_what_has_grown(&as_json(&taken.lock().unwrap()));
}

pub fn a_collector_that_never_answers_keeps_nobody_waiting() {
    let (endpoint, taken) = made(vec![Fate::Silence; 2]);
    let variables = own(&endpoint);
    let mut variables: Vec<_> = variables.iter().map(|(name, value)| (*name, &**value)).collect();
    variables.push(("OTEL_METRIC_EXPORT_TIMEOUT", "3000"));
    let exporter = pusher(&variables);
    until_all_is_read(&exporter);
    assert_eq!(sample(&own_page(&exporter), FAILED), Some(2));
    exporter.terminate();
    let (status, log) = exporter.wait();
    assert!(status.success() && log.contains("it did not answer in time"), "{status}\n{log}");
    sums_are_what_has_grown(&as_json(&taken.lock().unwrap()));
}

pub fn points_that_are_rejected_are_counted() {
    // {1: {1: 3, 2: "too old"}}
    let partial = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 13\r\n\r\n\
                   \u{a}\u{b}\u{8}\u{3}\u{12}\u{7}too old";
    let (endpoint, _) = made(vec![Fate::Taken(partial)]);
    let exporter = pusher(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &endpoint)]);
    let rejected = r#"ebpf_exporter_otlp_metrics_points_total{result="rejected"}"#;
    until("they are counted", || sample(&exporter.metrics(), rejected) == Some(3));
    let page = exporter.metrics();
    let taken = r#"ebpf_exporter_otlp_metrics_points_total{result="taken"}"#;
    assert!(sample(&page, taken) > Some(20), "{page}");
    assert!(page.contains("ebpf_exporter_otlp_metrics_last_success_timestamp_seconds 1"), "{page}");
    told_without_words_of_the_collector(&exporter, "too old");
    exporter.terminate();
    let (_, log) = exporter.wait();
    assert!(Regex::new("rejected 3 of [0-9]+ points: too old").unwrap().is_match(&log), "{log}");
}

/// Who may see the status page may not read the log.
fn told_without_words_of_the_collector(exporter: &Exporter, words: &str) {
    until("the status page tells of it", || exporter.page("/").contains("signal=metrics"));
    for path in ["/", "/api/v1/status"] {
        let page = exporter.page(path);
        assert!(
            page.contains("a line about keys, a plugin, a collector") && !page.contains(words),
            "{path}: {page}"
        );
    }
}

pub fn to_the_console_they_are_lines_of_json() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut command = Command::new(BINARY);
    command.args(["replay", RECORDING, "--web.listen-address=127.0.0.1:0"]);
    command.env("OTEL_METRICS_EXPORTER", "console").env("OTEL_METRIC_EXPORT_INTERVAL", "100");
    command.stdout(fs::File::create(&out).unwrap());
    let exporter = Exporter::serve(&mut command);
    let lines = || fs::read_to_string(&out).unwrap();
    until("all readings are printed", || lines().lines().count() >= READINGS);
    exporter.terminate();
    exporter.wait();
    let lines = lines();
    let messages: Vec<_> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    each_is_a_reading(&messages);
}

pub fn nobody_pushes_unless_asked_to() {
    for variable in ["OTEL_METRICS_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=http://192.0.2.1"] {
        let (name, value) = variable.split_once('=').unwrap();
        let mut command = Command::new(BINARY);
        command.args(["replay", RECORDING, "--web.listen-address=127.0.0.1:0"]).env(name, value);
        let exporter = Exporter::serve(&mut command);
        let page = exporter.metrics();
        let pushes =
            page.lines().filter(|line| line.contains("otlp_metrics") || line.contains("otlp-m"));
        assert_eq!(pushes.collect::<Vec<_>>(), [""; 0]);
        exporter.terminate();
        assert!(exporter.wait().0.success());
    }
}

/// Why no Prometheus that takes OTLP can be started here.
pub fn lacks_prometheus() -> Option<String> {
    let mut command = Command::new("prometheus3");
    let status = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = status.is_ok_and(|status| status.success());
    (!there).then(|| "no prometheus3; `make test` gets it".to_owned())
}

/// A Prometheus that is pushed to, and scrapes nobody.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn prometheus_calls_all_as_when_it_scrapes() {
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    fs::write(dir.path().join("prometheus.yml"), "{}\n").unwrap();
    let child = Command::new("prometheus3")
        .current_dir(&dir)
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
        .args(["--web.enable-otlp-receiver", &format!("--web.listen-address=127.0.0.1:{port}")])
        .stdout(Stdio::null())
        .stderr(fs::File::create(dir.path().join("log")).unwrap())
        .spawn();
    let _prometheus = Prometheus(child.unwrap());
    let url = format!("http://127.0.0.1:{port}");
    until("it is ready", || ureq::get(format!("{url}/-/ready")).call().is_ok());
    let endpoint = format!("{url}/api/v1/otlp/v1/metrics");
    let exporter = pusher(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &endpoint)]);
    until("the whole recording is pushed", || sample(&exporter.metrics(), COMPLETE) >= Some(5));
    let page = samples(&exporter.metrics());
    exporter.terminate();
    let (status, log) = exporter.wait();
    assert!(status.success() && !log.contains("rejected"), "{status}\n{log}");
    let text = get(&format!("{url}/api/v1/query?query=%7Bjob%3D%22ebpf_exporter%22%7D"));
    let answer: Value = serde_json::from_str(&text).unwrap();
    let all: Samples = array(&answer["data"], "result").iter().map(queried).collect();
    // One series goes, and may have been pushed before: it is shown for five minutes then.
    let (mut got, served) = (of_maps([all.clone()]), served(READINGS));
    got.retain(|series, _| served.contains_key(series));
    assert_eq!(got, served);
    // So are those of the exporter's own, which go on while they are looked at.
    let lack: Vec<_> = page.keys().filter(|series| !all.contains_key(*series)).collect();
    assert!(lack.is_empty(), "{lack:?}");
}

/// A sample that Prometheus has, without what it adds.
fn queried(series: &Value) -> (String, f64) {
    let metric = series["metric"].as_object().unwrap();
    let labels =
        metric.iter().filter(|(name, _)| !["__name__", "job", "instance"].contains(&&***name));
    let labels =
        labels.map(|(name, value)| (name.clone(), bound(name, value.as_str().unwrap()))).collect();
    let name = metric["__name__"].as_str().unwrap();
    (series_of(name, labels), series["value"][1].as_str().unwrap().parse().unwrap())
}
