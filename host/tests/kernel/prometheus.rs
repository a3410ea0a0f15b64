//! A real Prometheus scrapes the built binary, and what PromQL answers is what was counted.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::configs::{Configs, WORKLOAD};
use crate::exporter::{Exporter, HANG, until};
use crate::hostile::{HOSTILE, hostile, hostile_series};
use crate::workload::{flow, latency};

/// A server that scrapes one exporter each second.
pub struct Prometheus {
    child: Child,
    url: String,
    dir: TempDir,
}

/// Which server there is, and how it scrapes.
#[derive(Clone, Copy)]
pub struct Setup {
    /// The program.
    pub program: &'static str,
    /// Keys of its scrape config beside those that all have, each with a comma behind it.
    pub scrape: &'static str,
    pub flag: Option<&'static str>,
}

/// How Prometheus and the exporter talk.
#[derive(Clone, Copy, PartialEq)]
enum Protocol {
    Text,
    OpenMetrics,
    Protobuf,
}

impl Protocol {
    /// The flag of the exporter.
    fn exporter_flag(self) -> &'static str {
        match self {
            Self::OpenMetrics => "--web.enable-openmetrics",
            Self::Text | Self::Protobuf => "--no-web.enable-openmetrics",
        }
    }

    /// Debian's Prometheus, which has flags for this: it asks for OpenMetrics first, or for protobuf if it is to have
    /// native histograms. `scrape_protocols` is not known to all versions.
    fn setup(self) -> Setup {
        let flag = (self == Self::Protobuf).then_some("--enable-feature=native-histograms");
        Setup { program: "prometheus", scrape: "", flag }
    }
}

/// The series of an instant vector: labels without the name, job and instance; value.
type Vector = BTreeMap<Vec<(String, String)>, String>;

impl Prometheus {
    /// Starts it, and waits until it has scraped `exporter`.
    pub fn of(exporter: &Exporter, setup: Setup) -> Self {
        let (target, scrape) = (exporter.address(), setup.scrape);
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs: [{{job_name: it, {scrape} static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        let (child, url) = Self::spawn(&dir, setup);
        let mut server = Self { child, url, dir };
        until("Prometheus has scraped", || {
            if server.child.try_wait().unwrap().is_some() {
                // Somebody else took the port meanwhile.
                (server.child, server.url) = Self::spawn(&server.dir, setup);
            }
            server.ask("up").is_some_and(|up| up.into_values().eq(["1".to_owned()]))
        });
        server
    }

    /// Starts a server on a port that is free now, as it does not say which one it took.
    fn spawn(dir: &TempDir, setup: Setup) -> (Child, String) {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new(setup.program)
            .current_dir(dir)
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={address}"))
            .args(setup.flag)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        (child, format!("http://{address}/api/v1/query"))
    }

    /// The series of the answer to a query, as the server writes them; none while it is not there.
    pub fn result(&self, query: &str) -> Option<Vec<Value>> {
        let mut response = ureq::get(&self.url).query("query", query).call().ok()?;
        let text = response.body_mut().read_to_string().ok()?;
        let mut answer: Value = serde_json::from_str(&text).unwrap();
        match answer["data"]["result"].take() {
            Value::Array(series) => Some(series),
            other => panic!("{query}: {other}"),
        }
    }

    /// The answer to a query; none while the server is not there.
    fn ask(&self, query: &str) -> Option<Vector> {
        let series = self.result(query)?;
        Some(series.iter().map(|series| (labels(&series["metric"]), value(series))).collect())
    }

    /// Waits until the answer to `query` is `expected`.
    fn says(&self, query: &str, expected: &Vector) {
        let start = Instant::now();
        loop {
            let answer = self.ask(query);
            if answer.as_ref() == Some(expected) {
                return;
            }
            if start.elapsed() > HANG {
                assert_eq!(answer.as_ref(), Some(expected), "{query}\n{}", self.log());
            }
            sleep(Duration::from_millis(50));
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn labels(metric: &Value) -> Vec<(String, String)> {
    let all = metric.as_object().unwrap().iter();
    let own = all.filter(|(name, _)| !matches!(&***name, "__name__" | "job" | "instance"));
    own.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

fn value(series: &Value) -> String {
    series["value"][1].as_str().unwrap().to_owned()
}

/// One series; labels sorted by name, as Prometheus has them.
fn series(labels: &[(&str, &str)], value: u64) -> (Vec<(String, String)>, String) {
    let owned = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    (owned.collect(), value.to_string())
}

fn number(value: u64) -> Vector {
    [series(&[], value)].into_iter().collect()
}

/// A counter whose name does not end as OpenMetrics wants it to.
const EVENTS: &str = "metrics:
  counters:
    - name: work_fixed_size
      help: A counter of another name
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
";

pub fn answers_what_was_counted() {
    answers(Protocol::Text);
}

pub fn answers_the_same_in_openmetrics() {
    answers(Protocol::OpenMetrics);
}

pub fn answers_the_same_in_protobuf() {
    answers(Protocol::Protobuf);
}

fn start(configs: &Configs, protocol: Protocol) -> (Exporter, Prometheus) {
    let flags = configs.flags();
    let flags = flags.iter().map(String::as_str).chain([protocol.exporter_flag()]);
    let exporter = Exporter::start(flags);
    let prometheus = Prometheus::of(&exporter, protocol.setup());
    (exporter, prometheus)
}

fn answers(protocol: Protocol) {
    let mut configs = Configs::new();
    let work = configs.add_workload("work", WORKLOAD);
    let (_exporter, prometheus) = start(&configs, protocol);

    for (id, text, add) in [(1, "nginx", 1000), (2, "nginx", 234), (1, "sshd", 5)] {
        work.add("work_hash_total", &flow(id, text.as_bytes()), add);
    }
    // With three kinds there are as many series as are kept from scrape to scrape.
    let latencies =
        [("read", 0, 1), ("read", 3, 9), ("read", 5, 70), ("write", 1, 4), ("sync", 1, 300)];
    for (kind, bucket, add) in latencies {
        work.add("work_exp2_seconds", &latency(kind.as_bytes(), bucket), add);
    }
    let all = [
        series(&[("id", "1"), ("text", "nginx")], 1000),
        series(&[("id", "1"), ("text", "sshd")], 5),
        series(&[("id", "2"), ("text", "nginx")], 234),
    ];
    prometheus.says("ebpf_exporter_work_hash_total", &all.into_iter().collect());
    let by_text = [series(&[("text", "nginx")], 1234), series(&[("text", "sshd")], 5)];
    let by_text = by_text.into_iter().collect();
    prometheus.says("sum by (text) (ebpf_exporter_work_hash_total)", &by_text);

    let counts = |read| {
        let counts = [("read", read), ("write", 4), ("sync", 300)];
        counts.into_iter().map(|(kind, count)| series(&[("kind", kind)], count)).collect()
    };
    prometheus.says("ebpf_exporter_work_exp2_seconds_count", &counts(10));
    // As the client writes it, and Prometheus 2 takes it.
    let le = if protocol == Protocol::OpenMetrics { "4e-06|0.000004" } else { "4e-06" };
    let below = format!("ebpf_exporter_work_exp2_seconds_bucket{{kind=\"read\", le=~\"{le}\"}}");
    let one = [series(&[("kind", "read")], 1)].into_iter().collect();
    prometheus.says(&format!("sum without (le) ({below})"), &one);
    prometheus.says("round(1e6 * ebpf_exporter_work_exp2_seconds_sum{kind=\"read\"})", &{
        [series(&[("kind", "read")], 70)].into_iter().collect()
    });
    if protocol != Protocol::Text {
        // What tells that it was not text, before Prometheus 3.
        work.add("work_fixed_size", &10u64.to_ne_bytes(), 2);
        let bucket = [series(&[("le", "10.0")], 2)].into_iter().collect();
        prometheus.says("ebpf_exporter_work_fixed_size_bucket{le=~\"10(.0)?\"}", &bucket);
        let all = [series(&[("le", "+Inf")], 2)].into_iter().collect();
        prometheus.says("ebpf_exporter_work_fixed_size_bucket{le=\"+Inf\"}", &all);
    }
    // Nine of ten are in (4 µs, 8 µs], and a quantile is found within.
    let median = "histogram_quantile(0.5, ebpf_exporter_work_exp2_seconds_bucket{kind=\"read\"})";
    let within = format!("sum({median} > bool 4e-06) * sum({median} < bool 8e-06)");
    prometheus.says(&within, &number(1));

    // What the kernel counts on is in the next scrape.
    work.add("work_exp2_seconds", &latency(b"read", 3), 1_000_000);
    prometheus.says("ebpf_exporter_work_exp2_seconds_count", &counts(1_000_010));
    work.add("work_hash_total", &flow(1, b"sshd"), 37);
    let more = number(42);
    prometheus.says("sum(ebpf_exporter_work_hash_total{text=\"sshd\"})", &more);
    prometheus.says("ebpf_exporter_enabled_configs", &{
        [series(&[("name", "work")], 1)].into_iter().collect()
    });
}

/// Which name a counter has if its own does not end in `_total`.
pub fn sees_names_as_they_are_documented() {
    for protocol in [Protocol::Text, Protocol::OpenMetrics, Protocol::Protobuf] {
        let mut configs = Configs::new();
        let work = configs.add_workload("work", EVENTS);
        let (_exporter, prometheus) = start(&configs, protocol);
        work.add("work_fixed_size", &7u64.to_ne_bytes(), 3);
        let expected = [series(&[("id", "7")], 3)].into_iter().collect();
        let (here, not_here) = match protocol {
            Protocol::OpenMetrics => ("work_fixed_size_total", "work_fixed_size"),
            Protocol::Text | Protocol::Protobuf => ("work_fixed_size", "work_fixed_size_total"),
        };
        prometheus.says(&format!("ebpf_exporter_{here}"), &expected);
        prometheus.says(&format!("ebpf_exporter_{not_here}"), &Vector::new());
    }
}

pub fn takes_hostile_labels() {
    for protocol in [Protocol::Text, Protocol::OpenMetrics, Protocol::Protobuf] {
        takes_hostile(protocol);
    }
}

fn takes_hostile(protocol: Protocol) {
    let mut configs = Configs::new();
    let work = configs.add_workload("work", HOSTILE);
    let (_exporter, prometheus) = start(&configs, protocol);
    hostile().for_each(|(key, add)| work.add("work_hash_total", &key, add));
    let expected = hostile_series()
        .into_iter()
        .map(|(id, text, value)| series(&[("id", &id), ("text", &text)], value))
        .collect();
    prometheus.says("ebpf_exporter_work_hash_total", &expected);
    prometheus.says("count({__name__=~\"fake.*\"}) or vector(0)", &number(0));
}
