//! The exporter under test: the built binary, in a process of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model::{
    Metric, MetricFamily,
};
use prost::Message;

pub(crate) struct Exporter {
    process: Child,
    address: String,
    body: Mutex<Vec<u8>>,
}

/// What a client asks for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Wish {
    pub(crate) format: Format,
    pub(crate) gzip: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Format {
    Text,
    OpenMetrics,
    Protobuf,
}

/// As most do who look with their own eyes.
pub(crate) const TEXT: Wish = Wish { format: Format::Text, gzip: false };
/// As Prometheus does.
pub(crate) const GZIP: Wish = Wish { gzip: true, ..TEXT };

impl std::fmt::Display for Wish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let format = match self.format {
            Format::Text => "",
            Format::OpenMetrics => "openmetrics_",
            Format::Protobuf => "protobuf_",
        };
        write!(f, "{format}{}", if self.gzip { "gzip" } else { "identity" })
    }
}

impl Wish {
    fn headers(self) -> String {
        let accept = match self.format {
            Format::Text => "",
            Format::OpenMetrics => "Accept: application/openmetrics-text; version=1.0.0\r\n",
            Format::Protobuf => {
                "Accept: application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                 encoding=delimited\r\n"
            }
        };
        format!("{accept}{}", if self.gzip { "Accept-Encoding: gzip\r\n" } else { "" })
    }
}

pub(crate) struct Scrape {
    pub(crate) wall: Duration,
    /// What all threads of the exporter used.
    pub(crate) cpu: Duration,
}

impl Exporter {
    /// Starts it with these configs of `dir`.
    pub(crate) fn start(dir: &Path, names: &str, args: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_ebpf_wasm_exporter"))
            .arg("--config.dir")
            .arg(dir)
            .arg(format!("--config.names={names}"))
            .arg("--web.listen-address=127.0.0.1:0")
            .args(args)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the exporter starts");
        let log = BufReader::new(process.stderr.take().expect("piped"));
        let mut lines = log.lines().map_while(Result::ok);
        let mut said = Vec::new();
        let address = lines.find_map(|line| {
            let place =
                ["http://", "https://"].into_iter().find_map(|scheme| line.split_once(scheme));
            let address = place.and_then(|(_, rest)| rest.split('/').next());
            let address = address.map(ToOwned::to_owned);
            said.push(line);
            address
        });
        let Some(address) = address else { panic!("the exporter does not serve: {said:#?}") };
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address, body: Mutex::default() }
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// One scrape over a connection of its own.
    pub(crate) fn scrape(&self, wish: Wish) -> Scrape {
        let mut body = self.body.lock().expect("one scrape at a time");
        body.clear();
        let mut stream = TcpStream::connect(&self.address).expect("the exporter accepts");
        let headers = wish.headers();
        let request =
            format!("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        let cpu = self.cpu();
        let start = Instant::now();
        stream.write_all(request.as_bytes()).expect("the exporter listens");
        stream.read_to_end(&mut body).expect("the exporter answers");
        let wall = start.elapsed();
        assert!(body.starts_with(b"HTTP/1.1 200"));
        Scrape { wall, cpu: self.cpu().saturating_sub(cpu) }
    }

    /// Bytes of the last answer's body, to those that a library makes of its text at its default level; `None`
    /// if it is not compressed.
    pub(crate) fn size_to_default(&self) -> Option<f64> {
        let (size, text) = self.answer();
        let mut best = GzEncoder::new(Vec::new(), Compression::default());
        best.write_all(&text).expect("memory takes all");
        let by_library = best.finish().expect("memory takes all").len();
        (size < text.len()).then(|| size as f64 / by_library as f64)
    }

    /// The body of the last answer: its bytes, and its text.
    fn answer(&self) -> (usize, Vec<u8>) {
        let body = self.body.lock().expect("one scrape at a time");
        let head = body.windows(4).position(|end| end == b"\r\n\r\n").expect("an answer") + 4;
        let mut text = Vec::new();
        // Not gzip: as it is.
        if GzDecoder::new(&body[head..]).read_to_end(&mut text).is_err() {
            text = body[head..].to_vec();
        }
        (body.len() - head, text)
    }

    /// What the last answer says of where time went since the start: phases and seconds.
    pub(crate) fn phases(&self) -> Vec<(String, f64)> {
        let (_, text) = self.answer();
        if text.starts_with(b"#") { in_text(&text) } else { in_messages(&text) }
    }

    /// Time on a CPU of all threads, from the scheduler's own account in nanoseconds.
    fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id())).expect("it runs");
        let nanos = tasks.filter_map(|task| {
            let stat = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// Resident memory, bytes.
    pub(crate) fn resident(&self) -> f64 {
        self.status("VmRSS:")
    }

    /// The most it ever was, bytes.
    pub(crate) fn peak(&self) -> f64 {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1024.0
    }
}

/// The phases in a text.
fn in_text(text: &[u8]) -> Vec<(String, f64)> {
    let text = String::from_utf8_lossy(text);
    let phases = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("ebpf_exporter_scrape_phase_seconds_total{phase=\"")?;
        let (phase, seconds) = rest.split_once("\"} ")?;
        Some((phase.to_owned(), seconds.parse().ok()?))
    });
    phases.collect()
}

/// The phases in protobuf.
fn in_messages(mut bytes: &[u8]) -> Vec<(String, f64)> {
    while !bytes.is_empty() {
        let family = MetricFamily::decode_length_delimited(&mut bytes).expect("a message");
        if family.name == "ebpf_exporter_scrape_phase_seconds_total" {
            let phase = |metric: &Metric| {
                let seconds = metric.counter.as_ref().map_or(0.0, |counter| counter.value);
                (metric.label[0].value.clone(), seconds)
            };
            return family.metric.iter().map(phase).collect();
        }
    }
    Vec::new()
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
