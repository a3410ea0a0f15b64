//! The exporter as a process: what it serves under which flags, how it ends, and what it leaves.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Command;

use regex::Regex;

use crate::configs::{Configs, WORKLOAD};
use crate::events::value;
use crate::exporter::{BINARY, Exporter, HANG, until_gone};
use crate::workload::{flow, latency};

fn lines(text: &str, prefix: &str) -> String {
    let mut lines: Vec<_> = text.lines().filter(|line| line.starts_with(prefix)).collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn lines_without(text: &str, part: &str) -> String {
    text.lines().filter(|line| !line.contains(part)).collect::<Vec<_>>().join("\n")
}

/// A log without what is another in every run.
fn still(log: &str) -> String {
    let build = Regex::new("(?m)^ INFO ebpf_wasm_exporter .* on Linux .*$").unwrap();
    let log = build.replace_all(log, " INFO BUILD");
    Regex::new("[0-9.]+ m?s").unwrap().replace_all(&log, "TIME").into_owned()
}

pub fn sigterm_drains_and_leaves_nothing() {
    let mut configs = Configs::new();
    let work = configs.add_workload("work", WORKLOAD);
    let exporter = Exporter::start(configs.flags());
    let (programs, address) = (exporter.programs(), exporter.address().to_owned());
    // More than the sockets between the two can hold, so that it is still being sent when the
    // first byte is here.
    for id in 0..180_000 {
        work.add("work_hash_total", &flow(id, b"twenty-three characters"), 1);
    }
    let mut client = TcpStream::connect(&address).unwrap();
    client.set_read_timeout(Some(HANG)).unwrap();
    client.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut response = vec![0];
    client.read_exact(&mut response).unwrap();
    exporter.terminate();
    client.read_to_end(&mut response).unwrap();

    let text = String::from_utf8(response).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    let rows = body.lines().filter(|line| line.starts_with("ebpf_exporter_work_hash_total{"));
    assert_eq!(rows.count(), 180_000);
    let (status, log) = exporter.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    // Which walls there are is the kernel's to say.
    let log = lines_without(&log.replace(&address, "ADDRESS"), "sandbox: ");
    insta::assert_snapshot!(still(&log), @"
     INFO BUILD
     INFO config work: 1 of 1 program attached; maps work_hash_total (hash, 200000), work_lru_hash_total (lru_hash, 1024), work_array_total (array, 8), work_percpu_hash_total (percpu_hash, 1024), work_percpu_array_total (percpu_array, 8), work_lru_percpu_hash_total (lru_percpu_hash, 1024), work_mmap_array_total (array, 600), work_cpu_hash_total (percpu_hash, 1024), and 8 more; TIME
     INFO kept all capabilities
     WARN runs as root, who owns the files of this host; let it become another user with --user NAME once it has attached its programs
     INFO serving 1 config after TIME at http://ADDRESS/metrics
     INFO received SIGTERM, stopping
    ");
    until_gone(&programs);
}

/// Programs may hook the moment at which everything is attached, as those of other exporters do. The buffers that
/// they stream to are open by then.
pub fn calls_a_mark_once_all_is_attached() {
    let mut configs = Configs::new();
    let yaml = "\
metrics:
  counters:
    - name: marks_total
      help: Marks
      labels: [{name: process, size: 4, decoders: [{name: uint}]}]
    - name: mark_events_total
      help: Records of marks
      perf_event_array: true
      labels: [{name: process, size: 4, decoders: [{name: uint}]}]
";
    configs.add_object("marked", yaml);
    let exporter = Exporter::start(configs.flags());
    let page = exporter.metrics();
    for metric in ["marks_total", "mark_events_total"] {
        let series = format!("ebpf_exporter_{metric}{{process=\"{}\"}}", exporter.process());
        assert_eq!(value(&page, &series), 1, "{metric}");
    }
}

/// Once attached, no capability is needed: each way of reading gives what was counted.
pub fn without_capabilities_it_still_reads() {
    let mut configs = Configs::new();
    let work = configs.add_workload("work", WORKLOAD);
    let mut flags = configs.flags().to_vec();
    flags.extend(["--capabilities.keep=none".to_owned(), "--debug".to_owned()]);
    let exporter = Exporter::start(&flags);
    work.add("work_mmap_array_total", &599u32.to_ne_bytes(), 11);
    (0..40u64).for_each(|id| work.add("work_lru_hash_total", &id.to_ne_bytes(), 22));
    work.add("work_percpu_array_total", &7u32.to_ne_bytes(), 33);
    work.add("work_lru_percpu_hash_total", &5u64.to_ne_bytes(), 44);
    work.add("work_exp2zero_bytes", &latency(b"in", 0), 55);
    let metrics = exporter.metrics();
    for line in [
        "work_mmap_array_total{index=\"599\"} 11",
        "work_lru_hash_total{id=\"5\"} 22",
        "work_percpu_array_total{index=\"7\"} 33",
        "work_lru_percpu_hash_total{id=\"5\"} 44",
        "work_exp2zero_bytes_count{kind=\"in\"} 55",
        "scrape_success{config=\"work\"} 1",
    ] {
        assert!(metrics.contains(&format!("\nebpf_exporter_{line}\n")), "{line}\n{metrics}");
    }
    let maps = exporter.page("/maps/work/work_mmap_array_total");
    let head =
        "# map work_mmap_array_total of config work: array, 600 of 600 entries, read by mmap ";
    assert!(maps.starts_with(head), "{maps}");
    assert!(maps.contains("\nindex=57020000 [11]\n"), "{maps}");
    // The second scrape of a map; before Linux 5.19 these ways need a capability.
    let maps = exporter.page("/maps/work/work_lru_hash_total");
    let head = "# map work_lru_hash_total of config work: lru_hash, 40 of 1024 entries, read by ";
    let way = maps.lines().next().unwrap().strip_prefix(head);
    let ways = ["copy (dense)", "harvest (calm)", "batch (kernel)"];
    assert!(way.is_some_and(|way| ways.contains(&way)), "{maps}");
    exporter.terminate();
    let (status, log) = exporter.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("INFO kept no capability\n"), "{log}");
}

pub fn debug_shows_raw_entries() {
    let mut configs = Configs::new();
    let work = configs.add_workload("work", &two_maps("A"));
    let mut flags = configs.flags().to_vec();
    flags.push("--debug".to_owned());
    let exporter = Exporter::start(&flags);
    work.add("work_lru_hash_total", &0x0102u64.to_le_bytes(), 7);
    work.add("work_fixed_size", &10u64.to_le_bytes(), 3);
    work.add("work_fixed_size", &21u64.to_le_bytes(), 30);
    let page = exporter.page("/maps/work/work_lru_hash_total");
    // How it is read depends on the kernel.
    let (head, rest) = page.split_once(", read by ").unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    insta::assert_snapshot!(format!("{head}\n{rest}"), @r#"
    # map work_lru_hash_total of config work: lru_hash, 1 of 1024 entries
    # of each entry: its key in hex, field by field, its values, and the series that it adds to
    id=0201000000000000 [7]
        ebpf_exporter_work_lru_hash_total{id="258"}
    "#);
    let page = exporter.page("/maps/work/work_fixed_size");
    for entry in [
        "bucket=0a00000000000000 [3]\n    ebpf_exporter_work_fixed_size{} bucket 0\n",
        "bucket=1500000000000000 [30]\n    ebpf_exporter_work_fixed_size{} sum\n",
    ] {
        assert!(page.contains(entry), "{page}");
    }
    let index = exporter.page("/maps");
    assert!(index.contains("<td>work<td><a href=\"./maps/work/work_fixed_size\">"), "{index}");
    assert!(exporter.page("/").contains("./maps"));
}

/// All that a map holds is there once, however much it is.
pub fn a_large_map_is_shown_whole() {
    let mut configs = Configs::new();
    let work = configs.add_workload("work", WORKLOAD);
    let mut flags = configs.flags().to_vec();
    flags.push("--web.enable-maps".to_owned());
    let exporter = Exporter::start(&flags);
    for id in 0..50_000 {
        work.add("work_hash_total", &flow(id, b"twenty-three characters"), id + 1);
    }
    let page = exporter.page("/maps/work/work_hash_total");
    let entries = page.lines().filter(|line| !line.starts_with(['#', ' ']));
    let mut values: Vec<u64> = entries
        .map(|line| line.rsplit_once('[').unwrap().1.strip_suffix(']').unwrap().parse().unwrap())
        .collect();
    values.sort_unstable();
    assert!(values.iter().copied().eq(1..=50_000), "{} entries", values.len());
}

/// A counter and a histogram.
fn two_maps(help: &str) -> String {
    format!(
        "metrics:
  counters:
    - name: work_lru_hash_total
      help: {help}
      labels: [{{name: id, size: 8, decoders: [{{name: uint}}]}}]
  histograms:
    - name: work_fixed_size
      help: {help}
      bucket_type: fixed
      bucket_keys: [10, 20]
      labels: [{{name: bucket, size: 8, decoders: [{{name: uint}}]}}]
"
    )
}

pub fn several_names_of_one_directory() {
    let mut configs = Configs::new();
    let one = configs.add_workload("one", &two_maps("A"));
    let two = configs.add_workload("two", &two_maps("A"));
    configs.add("never-asked-for", "nonsense", b"");
    let dir = format!("--config.dir={}", configs.path().display());
    let exporter = Exporter::start([&*dir, "--config.names=two,one", "--web.telemetry-path=/m"]);
    one.add("work_lru_hash_total", &1u64.to_ne_bytes(), 1);
    two.add("work_lru_hash_total", &1u64.to_ne_bytes(), 20);
    let metrics = exporter.metrics();
    insta::assert_snapshot!(lines(&metrics, "ebpf_exporter_work_lru"), @r#"ebpf_exporter_work_lru_hash_total{id="1"} 21"#);
    insta::assert_snapshot!(lines(&metrics, "ebpf_exporter_enabled"), @r#"
    ebpf_exporter_enabled_configs{name="one"} 1
    ebpf_exporter_enabled_configs{name="two"} 1
    "#);
}

/// As systemd starts it: the listening socket is the third descriptor, and the environment says so.
pub fn a_socket_from_systemd() {
    let mut configs = Configs::new();
    let work = configs.add_workload("work", WORKLOAD);
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/metrics", socket.local_addr().unwrap());
    let mut command = Command::new("sh");
    command
        .args(["-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\" 3<&0 </dev/null", BINARY])
        .args(configs.flags())
        .args(["--web.listen-address=fd://0", "--log.no-timestamps"])
        .stdin(OwnedFd::from(socket));
    let exporter = Exporter::serve(&mut command);
    drop(command);
    assert_eq!(exporter.url, url);
    work.add("work_lru_hash_total", &5u64.to_ne_bytes(), 22);
    let metrics = exporter.metrics();
    insta::assert_snapshot!(lines(&metrics, "ebpf_exporter_work_lru_hash"), @r#"ebpf_exporter_work_lru_hash_total{id="5"} 22"#);
    exporter.terminate();
    assert_eq!(exporter.wait().0.code(), Some(0));
}
