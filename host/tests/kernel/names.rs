//! Names that only Prometheus 3 takes: in every format, escaped as the client wants, from the kernel to
//! readers that are not ours.

use std::io::Read;
use std::path::PathBuf;
use std::process::Command;

use ebpf_wasm_exporter::escaping::Escaping;
use flate2::read::GzDecoder;

use crate::configs::Configs;
use crate::exporter::Exporter;
use crate::judges::{self, Sample};
use crate::workload::{flow, latency};

const CONFIG: &str = "metrics:
  counters:
    - name: work.hash_total
      help: A \"dotted\" counter
      labels:
        - {name: k8s.pod, size: 8, decoders: [{name: uint}]}
        - {name: plain, size: 24, decoders: [{name: string}]}
    - name: work_plain-total
      help: No label
  histograms:
    - name: work.exp2.seconds
      help: A dotted histogram
      bucket_type: linear
      bucket_max: 1
      labels:
        - {name: gr\u{f6}\u{df}e, size: 8, decoders: [{name: string}]}
        - {name: bucket, size: 8, decoders: [{name: uint}]}
";

/// What the labels and metrics of `CONFIG` are called.
struct Names {
    counter: &'static str,
    pod: &'static str,
    other: &'static str,
    histogram: &'static str,
    size: &'static str,
}

fn names(escaping: Escaping) -> Names {
    match escaping {
        Escaping::Underscores => Names {
            counter: "ebpf_exporter_work_hash_total",
            pod: "k8s_pod",
            other: "ebpf_exporter_work_plain_total",
            histogram: "ebpf_exporter_work_exp2_seconds",
            size: "gr__e",
        },
        Escaping::AllowUtf8 => Names {
            counter: "ebpf_exporter_work.hash_total",
            pod: "k8s.pod",
            other: "ebpf_exporter_work_plain-total",
            histogram: "ebpf_exporter_work.exp2.seconds",
            size: "gr\u{f6}\u{df}e",
        },
        Escaping::Dots => Names {
            counter: "ebpf__exporter__work_dot_hash__total",
            pod: "k8s_dot_pod",
            other: "ebpf__exporter__work__plain__total",
            histogram: "ebpf__exporter__work_dot_exp2_dot_seconds",
            size: "gr____e",
        },
        Escaping::Values => Names {
            counter: "U__ebpf__exporter__work_2e_hash__total",
            pod: "U__k8s_2e_pod",
            other: "U__ebpf__exporter__work__plain_2d_total",
            histogram: "U__ebpf__exporter__work_2e_exp2_2e_seconds",
            size: "U__gr_f6__df_e",
        },
    }
}

/// The body and the `Content-Type` for these headers.
fn ask(exporter: &Exporter, accept: &str, gzip: bool) -> (String, Vec<u8>) {
    let agent = ureq::Agent::config_builder().http_status_as_error(true).build().new_agent();
    let encoding = if gzip { "gzip" } else { "identity" };
    let request = agent.get(&exporter.url).header("Accept", accept);
    let mut response = request.header("Accept-Encoding", encoding).call().unwrap();
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    (content_type, response.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap())
}

fn is_there(samples: &[Sample], name: &str, labels: &[(&str, &str)], value: &str) {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let wanted = Sample(name.to_owned(), labels.collect(), value.to_owned());
    assert!(samples.contains(&wanted), "{wanted:?} in {samples:#?}");
}

/// What was counted is what an independent parser reads, under the names of this escaping.
fn judge(text: &str, escaping: Escaping, openmetrics: bool) {
    let module = if openmetrics { judges::OPENMETRICS } else { judges::TEXT };
    let samples = judges::newest(module, text);
    let Names { counter, pod, other, histogram, size } = names(escaping);
    is_there(&samples, counter, &[(pod, "7"), ("plain", "a")], "5.0");
    is_there(&samples, histogram_part(histogram, "count").as_str(), &[(size, "x")], "3.0");
    let (one, all) = if openmetrics { ("1.0", "+Inf") } else { ("1", "+Inf") };
    let buckets = histogram_part(histogram, "bucket");
    is_there(&samples, &buckets, &[(size, "x"), ("le", one)], "3.0");
    is_there(&samples, &buckets, &[(size, "x"), ("le", all)], "3.0");
    // Both formats end the name of a counter as OpenMetrics has it, or Python's parser does.
    let ended = if other.ends_with("_total") { other.to_owned() } else { format!("{other}_total") };
    is_there(&samples, &ended, &[], "2.0");
}

fn histogram_part(name: &str, part: &str) -> String {
    format!("{name}_{part}")
}

pub fn are_served_in_every_format_and_escaping() {
    let mut configs = Configs::new();
    let work = configs.add_workload("work", CONFIG);
    let [dir, names] = configs.flags();
    let exporter = Exporter::start([dir, names, "--web.enable-openmetrics".to_owned()]);
    work.add("work_hash_total", &flow(7, b"a"), 5);
    work.add("work_plain_total", &0u32.to_ne_bytes(), 2);
    work.add("work_exp2_seconds", &latency(b"x", 0), 3);
    for escaping in Escaping::ALL {
        let scheme = escaping.as_str();
        for (range, content_type) in [
            ("text/plain;version=0.0.4", "text/plain; version=0.0.4; charset=utf-8"),
            ("text/plain;version=1.0.0", "text/plain; version=1.0.0; charset=utf-8"),
            (
                "application/openmetrics-text;version=1.0.0",
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            ),
        ] {
            let accept = format!("{range};escaping={scheme},*/*;q=0.1");
            let (found, plain) = ask(&exporter, &accept, false);
            assert_eq!(found, format!("{content_type}; escaping={scheme}"));
            judge(std::str::from_utf8(&plain).unwrap(), escaping, range.contains("openmetrics"));
            let (found, zipped) = ask(&exporter, &accept, true);
            assert_eq!(found, format!("{content_type}; escaping={scheme}"));
            let mut text = String::new();
            GzDecoder::new(&*zipped).read_to_string(&mut text).unwrap();
            judge(&text, escaping, range.contains("openmetrics"));
        }
    }
    // For everybody who says nothing.
    let text = exporter.metrics();
    judge(&text, Escaping::Underscores, false);
    judges::promtool(&text);
}

/// A map may be called as the metric is, to the letter, and shows as it is.
pub fn may_be_those_of_maps() {
    const YAML: &str = "metrics:
  counters:
    - {name: k8s.pod_calls, help: h, labels: [{name: le.x, size: 8, decoders: [{name: uint}]}]}
";
    let mut configs = Configs::new();
    configs.add_object("dotted", YAML);
    let [dir, names] = configs.flags();
    let exporter = Exporter::start([dir, names, "--debug".to_owned()]);
    // SAFETY: the kernel knows no such option and touches nothing.
    unsafe { libc::prctl(0x646f_7474, 7u64) };
    let (_, text) = ask(&exporter, "text/plain;version=1.0.0;escaping=allow-utf-8", false);
    let text = String::from_utf8(text).unwrap();
    let line = "{\"ebpf_exporter_k8s.pod_calls\",\"le.x\"=\"7\"} 1";
    assert!(text.lines().any(|found| found == line), "{text}");
    let line = "ebpf_exporter_k8s_pod_calls{le_x=\"7\"} 1";
    assert!(exporter.metrics().lines().any(|found| found == line));
    assert!(text.contains("map=\"k8s.pod_calls\""), "{text}");
    assert!(exporter.page("/maps/dotted/k8s.pod_calls").contains("le.x"));
}

/// Why the newest parser cannot be asked.
pub fn lacks() -> Option<String> {
    let judge = PathBuf::from(judges::NEWEST);
    let there = Command::new(judge).args(["-c", "import prometheus_client"]).status();
    let there = there.is_ok_and(|status| status.success());
    (!there).then(|| "no newest prometheus_client in .ci/tools; `make test` gets it".to_owned())
}
