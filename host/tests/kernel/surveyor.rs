//! All BPF programs and maps of the host, ours or not: what they are and cost.

use std::fs;
use std::process::{Command, Stdio};

use ebpf_wasm_exporter::bpf::stats;

use crate::configs::Configs;
use crate::events::value;
use crate::exporter::{BINARY, Exporter, sample, until};
use crate::switch::Switch;
use crate::workload::Workload;

const CONFIG: &str = "\
metrics:
  counters:
    - name: work_lru_hash_total
      help: An LRU hash of 1,024 entries
      labels: [{name: id, size: 8, decoders: [{name: uint}]}]
";

/// An exporter that has no rights left, and tells of the whole host.
fn exporter(configs: &Configs, more: &[&str]) -> Exporter {
    let flags = configs.flags().into_iter().map(Into::into);
    let more = more.iter().chain(&["--bpf.host", "--capabilities.keep=none"]);
    Exporter::start(flags.chain(more.map(Into::into)).collect::<Vec<std::ffi::OsString>>())
}

/// The process that an exporter asks.
fn surveyor(exporter: &Exporter) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", exporter.id()));
    let all = children.unwrap();
    all.split_whitespace().map(|id| id.parse().unwrap()).find(|id| status(*id, "Name:").is_some())
}

fn status(process: u32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(value.trim().to_owned())
}

/// The line that tells what a program or map is, by its number.
fn info<'a>(page: &'a str, of: &str, id: u32) -> &'a str {
    let begins = format!("ebpf_exporter_host_{of}_info{{id=\"{id}\",");
    let line = page.lines().find_map(|line| line.strip_prefix(&*begins));
    line.unwrap_or_else(|| panic!("no {of} {id} in\n{page}"))
}

fn runs(page: &str, id: u32) -> u64 {
    value(page, &format!("ebpf_exporter_host_program_run_count_total{{id=\"{id}\"}}"))
}

/// A program of this process is told by its hook, its owner, its runs; one of the exporter's by its config.
pub fn programs_and_maps_of_the_whole_host_are_told() {
    let switch = Switch::take();
    switch.set("0");
    let work = Workload::start();
    let others = work.attached.programs()[0].id.unwrap();
    let mut configs = Configs::new();
    configs.add_workload("work", CONFIG);
    let exporter = exporter(&configs, &["--bpf.stats"]);
    let ours = exporter.programs()[0];

    let page = exporter.metrics();
    assert_eq!(value(&page, "ebpf_exporter_host_success"), 1);
    let name = fs::read_to_string("/proc/self/comm").unwrap();
    let told = info(&page, "program", others);
    assert!(told.starts_with("name=\"workload\",type=\"tracepoint\",tag=\""), "{told}");
    assert!(told.ends_with(&format!("owner=\"{}\",config=\"\"}} 1", name.trim())), "{told}");
    let told = info(&page, "program", ours);
    assert!(told.ends_with("owner=\"ebpf_wasm_expor\",config=\"work\"} 1"), "{told}");
    let memory = value(&page, &format!("ebpf_exporter_host_program_memory_bytes{{id=\"{ours}\"}}"));
    assert!(memory >= 4096, "{memory}");
    let ours =
        ["type=\"lru_hash\",owner=\"ebpf_wasm_expor\",config=\"work\"", "name=\"work_lru_hash_t\""];
    let map = page.lines().find(|line| ours.iter().all(|part| line.contains(part)));
    let id = map.and_then(|line| line.split('"').nth(1)).unwrap_or_else(|| panic!("{page}"));
    let of_map =
        |family: &str| value(&page, &format!("ebpf_exporter_host_map_{family}{{id=\"{id}\"}}"));
    assert_eq!(of_map("max_entries"), 1024);
    assert!(of_map("memory_bytes") > 1024 * 16);

    for _ in 0..100 {
        work.add("work_plain_total", &[0; 4], 1);
    }
    // Other processes may call prctl meanwhile.
    let ran = runs(&exporter.metrics(), others) - runs(&page, others);
    assert!((100..10_000).contains(&ran), "{ran}");
    assert!(!switch.is_on(), "who reads the switch sees nothing of it");
    exporter.terminate();
    exporter.wait();
    let cost = || work.attached.stats("work").next().unwrap().cost.unwrap();
    let before = cost();
    work.add("work_plain_total", &[0; 4], 1);
    assert_eq!(cost(), before, "nobody wants it measured any more");
}

/// It is not heard of any more than its right to look needs, and goes with the exporter, however that goes.
pub fn it_has_one_right_and_ends_with_the_exporter() {
    let mut configs = Configs::new();
    configs.add_workload("work", CONFIG);
    let exporter = exporter(&configs, &[]);
    exporter.metrics();
    let surveyor = surveyor(&exporter).unwrap();
    let sys_admin = format!("{:016x}", 1u64 << 21);
    for set in ["CapEff:", "CapPrm:", "CapBnd:"] {
        assert_eq!(status(surveyor, set).as_deref(), Some(&*sys_admin), "{set}");
    }
    assert_eq!(status(surveyor, "NoNewPrivs:").as_deref(), Some("1"));
    assert_eq!(status(surveyor, "Seccomp:").as_deref(), Some("2"));
    drop(exporter);
    until("it has gone", || status(surveyor, "Name:").is_none());
}

/// A scrape goes on without it, and the log says why, once.
pub fn without_it_the_rest_is_told() {
    let mut configs = Configs::new();
    let session = configs.add_workload("work", CONFIG);
    let exporter = exporter(&configs, &[]);
    exporter.metrics();
    let surveyor = i32::try_from(surveyor(&exporter).unwrap()).unwrap();
    // SAFETY: the exporter does not wait for it before it ends itself, so the id is still its own.
    assert_eq!(unsafe { libc::kill(surveyor, libc::SIGKILL) }, 0);
    until("it has gone", || value(&exporter.metrics(), "ebpf_exporter_host_success") == 0);
    session.add("work_lru_hash_total", &7u64.to_ne_bytes(), 3);
    let page = exporter.metrics();
    assert_eq!(value(&page, "ebpf_exporter_work_lru_hash_total{id=\"7\"}"), 3);
    assert!(!page.contains("ebpf_exporter_host_program_info{"), "{page}");
    exporter.terminate();
    let (_, log) = exporter.wait();
    let said: Vec<_> = log.lines().filter(|line| line.contains("of the host")).collect();
    let [said] = said[..] else { panic!("once: {said:?}") };
    insta::assert_snapshot!(said, @" WARN all BPF programs of the host are left out of this scrape: it has ended; restart the exporter to have it again");
}

/// What was off is off again although the exporter could not do anything about it, and what was on stays on.
pub fn the_switch_is_put_back_however_the_exporter_ends() {
    let switch = Switch::take();
    let mut configs = Configs::new();
    configs.add_workload("work", CONFIG);
    let start =
        || Exporter::start(configs.flags().into_iter().chain(["--bpf.stats=sysctl".into()]));
    switch.set("0");
    let exporter = start();
    assert!(switch.is_on());
    let own =
        format!("ebpf_exporter_ebpf_program_run_count_total{{id=\"{}\"}}", exporter.programs()[0]);
    assert!(sample(&exporter.metrics(), &own).is_some());
    drop(exporter);
    until("the switch is put back", || !switch.is_on());
    switch.set("1");
    let exporter = start();
    assert_eq!(surveyor(&exporter), None);
    exporter.terminate();
    exporter.wait();
    assert!(switch.is_on() && stats::enabled());
}

/// `top` shows what a program did meanwhile, whose it is, and which are of this same program.
pub fn top_shows_what_runs() {
    let switch = Switch::take();
    switch.set("0");
    let work = Workload::start();
    let id = work.attached.programs()[0].id.unwrap().to_string();
    let top = ["top", "--once", "--interval", "300ms"];
    let mut top = Command::new(BINARY).args(top).stdout(Stdio::piped()).spawn().unwrap();
    while top.try_wait().unwrap().is_none() {
        work.add("work_plain_total", &[0; 4], 1);
    }
    let shown = String::from_utf8(top.wait_with_output().unwrap().stdout).unwrap();
    let row = |has: &str| {
        let row = shown.lines().find(|line| line.split_whitespace().any(|word| word == has));
        row.unwrap_or_else(|| panic!("no {has} in\n{shown}"))
    };
    let own: Vec<_> = row(&id).split_whitespace().collect();
    let [told, kind, name, share, runs, each, ..] = own[..] else { panic!("{own:?}") };
    assert_eq!((told, kind, name), (&*id, "tracepoint", "workload"));
    let number = |text: &str| text.parse::<f64>().unwrap();
    assert!(number(share) > 0.0 && number(runs) > 0.0 && number(each) > 0.0, "{own:?}");
    assert!(row(&id).ends_with(&format!("({})", std::process::id())), "{own:?}");
    assert!(row("ewe_owners").starts_with('*') && row("TYPE").starts_with(' '), "{shown}");
}
