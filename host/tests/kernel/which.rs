//! Which metrics are served: some configs of a scrape, a bound on series, labels that are left out.

use insta::assert_snapshot;

use crate::configs::Configs;
use crate::exporter::{Exporter, sample};
use crate::workload::{Session, flow};

const FLOWS: &str = "
metrics:
  counters:
    - name: work_hash_total
      help: h
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
        - {name: text, size: 24, decoders: [{name: string}]}
";

const NUMBERS: &str = "
metrics:
  counters:
    - name: work_percpu_hash_total
      help: h
      labels: [{name: id, size: 8, decoders: [{name: uint}]}]
";

/// The configs `flows` and `numbers`, served with these flags.
fn served(flags: &[&str]) -> (Configs, [Session; 2], Exporter) {
    let mut configs = Configs::new();
    let sessions = [("flows", FLOWS), ("numbers", NUMBERS)];
    let sessions = sessions.map(|(name, yaml)| configs.add_workload(name, yaml));
    let flags = configs.flags().into_iter().chain(flags.iter().map(|&flag| flag.to_owned()));
    let exporter = Exporter::start(flags);
    (configs, sessions, exporter)
}

/// The status and the page for this query.
fn asked(exporter: &Exporter, query: &str) -> (u16, String) {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let mut response = agent.get(format!("{}?{query}", exporter.url)).call().unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

/// Only the maps of what is asked for are read.
pub fn a_scrape_may_be_of_some_configs() {
    let (_configs, [flows, numbers], exporter) = served(&[]);
    flows.add("work_hash_total", &flow(1, b"a"), 3);
    numbers.add("work_percpu_hash_total", &1u64.to_ne_bytes(), 5);
    let read_at = |page: &str, config: &str| {
        let begins =
            format!("ebpf_exporter_scrape_last_success_timestamp_seconds{{config=\"{config}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(&*begins)).unwrap().to_owned()
    };
    let all = exporter.metrics();
    let (status, page) = asked(&exporter, "collect[]=flows");
    assert_eq!(status, 200);
    assert_eq!(sample(&page, "ebpf_exporter_work_hash_total{id=\"1\",text=\"a\"}"), Some(3));
    assert_eq!(page.lines().count(), 3, "nothing else, nor of its own: {page}");
    let (_, page) = asked(&exporter, "exclude[]=numbers");
    assert!(page.contains("ebpf_exporter_work_hash_total{") && page.contains("process_open_fds "));
    assert!(!page.contains("work_percpu_hash_total{"), "{page}");
    assert_eq!(read_at(&page, "numbers"), read_at(&all, "numbers"), "not read meanwhile");
    assert_ne!(read_at(&page, "flows"), read_at(&all, "flows"));
    numbers.add("work_percpu_hash_total", &1u64.to_ne_bytes(), 5);
    let (_, page) = asked(&exporter, "collect%5B%5D=numbers&collect[]=flows");
    assert_eq!(sample(&page, "ebpf_exporter_work_percpu_hash_total{id=\"1\"}"), Some(10));
    let refused = ["collect[]=nobody", "collect[]=flows&exclude[]=numbers"].map(|query| {
        let (status, text) = asked(&exporter, query);
        format!("{status} {text}")
    });
    assert_snapshot!(refused.concat(), @"
    400 no config `nobody` is served; the status page at / has all that are, for collect[] and exclude[]
    400 collect[] and exclude[] are not taken together; ask for one of them
    ");
    assert!(exporter.metrics().contains("ebpf_exporter_work_percpu_hash_total{id=\"1\"} 10\n"));
}

/// What is beyond the bound is in one series: no total is lost, and none moves.
pub fn series_beyond_a_bound_are_one() {
    let (_configs, [flows, numbers], exporter) = served(&["--metrics.max-series=2"]);
    for id in 0..5 {
        numbers.add("work_percpu_hash_total", &u64::to_ne_bytes(id), 1 << id);
        exporter.metrics();
    }
    flows.add("work_hash_total", &flow(1, b"a"), 3);
    let page = || {
        let page = exporter.metrics();
        let mut lines: Vec<_> =
            page.lines().filter(|line| line.starts_with("ebpf_exporter_work_")).collect();
        lines.extend(page.lines().filter(|line| line.starts_with("ebpf_exporter_series_folded")));
        lines.join("\n")
    };
    let first = page();
    assert_snapshot!(first, @r#"
    ebpf_exporter_work_hash_total{id="1",text="a"} 3
    ebpf_exporter_work_percpu_hash_total{id="0"} 1
    ebpf_exporter_work_percpu_hash_total{id="1"} 2
    ebpf_exporter_work_percpu_hash_total{id="other"} 28
    ebpf_exporter_series_folded_total{config="flows",map="work_hash_total"} 0
    ebpf_exporter_series_folded_total{config="numbers",map="work_percpu_hash_total"} 3
    "#);
    assert_eq!(page(), first);
    numbers.add("work_percpu_hash_total", &4u64.to_ne_bytes(), 100);
    assert!(page().contains("{id=\"other\"} 128\n"));
}

/// Rows that differ in nothing else are summed.
pub fn labels_may_be_left_out() {
    let flags = ["--metrics.label-drop=flows/work_hash_total/text"];
    let (configs, [flows, _], exporter) = served(&flags);
    flows.add("work_hash_total", &flow(1, b"a"), 3);
    flows.add("work_hash_total", &flow(1, b"b"), 4);
    flows.add("work_hash_total", &flow(2, b"b"), 5);
    let page = exporter.metrics();
    assert_eq!(sample(&page, "ebpf_exporter_work_hash_total{id=\"1\"}"), Some(7));
    assert_eq!(sample(&page, "ebpf_exporter_work_hash_total{id=\"2\"}"), Some(5));
    let mut command = std::process::Command::new(crate::exporter::BINARY);
    command.args(configs.flags()).args([
        "--config.check",
        "--metrics.label-drop=flows/work_hash_total/txt",
        "--metrics.label-drop=flow/work_hash_total/text",
    ]);
    let said = crate::exporter::run(&mut command);
    let place = configs.path().display().to_string();
    assert_snapshot!(said.stderr.replace(&place, "DIR"), @r#"
    DIR/flows.yaml:4: metrics.counters[0]: it has no label `txt`, which --metrics.label-drop names; name one that it has: `id, text`
    --metrics.label-drop=flow/work_hash_total/text: no config `flow` is served, did you mean "flows"; name one that is
    error: 2 faults in the configs; nothing was loaded
    "#);
}
