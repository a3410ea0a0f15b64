//! Examples count what really happens: the test makes it happen a known number of times.

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;

use crate::configs::Configs;
use crate::exporter::{self, Exporter, copy_program, until};
use crate::own_cgroup::Cgroup;

/// The value of the sample that begins like this; 0 if there is none.
pub fn value(metrics: &str, sample: &str) -> u64 {
    exporter::sample(metrics, sample).unwrap_or_default()
}

/// An exporter of the example `name`.
pub fn serve(name: &str) -> Exporter {
    serve_changed(name, |yaml| yaml)
}

/// An exporter of the example `name`, with `edit` done to its YAML.
pub fn serve_changed(name: &str, edit: impl FnOnce(String) -> String) -> Exporter {
    let mut configs = Configs::new();
    configs.add_example(name, edit);
    Exporter::start(configs.flags())
}

/// The default set: programs that nobody else starts, and a system call that nobody else makes.
pub fn the_default_set_counts_programs_and_system_calls() {
    let exporter = Exporter::start([""; 0]);
    let dir = tempfile::tempdir().unwrap();
    let name = format!("e2e-{}", std::process::id());
    let program = dir.path().join(&name);
    copy_program("/bin/true", &program);
    for _ in 0..7 {
        assert!(Command::new(&program).status().unwrap().success());
    }
    for _ in 0..1234 {
        // SAFETY: there is no such cookie, and nothing is written.
        unsafe { libc::syscall(libc::SYS_lookup_dcookie, 0, 0, 0) };
    }
    let metrics = exporter.metrics();
    let execs = format!("ebpf_exporter_process_execs_by_comm_total{{comm=\"{name}\"}}");
    assert_eq!(value(&metrics, &execs), 7);
    assert!(value(&metrics, "ebpf_exporter_process_execs_total") >= 7);
    let calls = "ebpf_exporter_syscalls_total{syscall=\"lookup_dcookie\"}";
    assert_eq!(value(&metrics, calls), 1234);
    for histogram in ["run_queue_latency_seconds_count", "timer_starts_total{"] {
        assert!(metrics.contains(&format!("\nebpf_exporter_{histogram}")), "{histogram}");
    }
}

/// Packets to a port where nobody listens.
pub fn kfree_skb_counts_dropped_packets() {
    let exporter = serve("kfree_skb");
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // The label names ports below 32768 alone.
    let closed = (20_000..).find(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    let port = closed.unwrap();
    for _ in 0..50 {
        sender.send_to(b"anyone?", (Ipv4Addr::LOCALHOST, port)).unwrap();
    }
    let sample = format!(
        "ebpf_exporter_kfree_skb_total{{eth_proto=\"ipv4\",ip_proto=\"udp\",port=\"{port}\",\
         reason=\"SKB_DROP_REASON_NO_SOCKET\"}}"
    );
    // Interrupts deliver them when they come to it.
    until("all are dropped", || value(&exporter.metrics(), &sample) >= 50);
    assert_eq!(value(&exporter.metrics(), &sample), 50);
}

/// Writes that wait for the disk. Its name shows that program and decoder agree on the encoding of
/// device numbers.
pub fn biolatency_names_the_disk() {
    const WRITES: u64 = 20;
    let exporter = serve("biolatency");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut file = File::create(dir.path().join("written")).unwrap();
    for _ in 0..WRITES {
        file.write_all(&[7; 4096]).unwrap();
        file.sync_all().unwrap();
    }
    let (metrics, partitions) =
        (exporter.metrics(), fs::read_to_string("/proc/partitions").unwrap());
    let disks = partitions.lines().filter_map(|line| line.split_whitespace().nth(3));
    let writes = |disk: &str| {
        let sample = "ebpf_exporter_bio_latency_seconds_count";
        value(&metrics, &format!("{sample}{{device=\"{disk}\",operation=\"write\"}}"))
    };
    assert!(disks.map(writes).sum::<u64>() >= WRITES, "{metrics}");
    assert!(!metrics.contains("device=\"unknown:"), "{metrics}");
}

/// The sum of a family's samples that have all of these labels, as `name="text"`.
pub fn total(metrics: &str, family: &str, labels: &[&str]) -> f64 {
    let prefix = format!("ebpf_exporter_{family}");
    let of_family = metrics.lines().filter_map(|line| line.strip_prefix(&prefix));
    let of_labels = of_family.filter_map(|rest| {
        let (set, value) = rest.rsplit_once(' ')?;
        let whole = set.is_empty() || set.starts_with('{');
        (whole && labels.iter().all(|label| set.contains(label))).then_some(value)
    });
    of_labels.map(|value| value.parse::<f64>().expect("a number")).sum()
}

/// Attempts to import what there is not: the probe is where the search begins.
pub fn usdt_counts_imports_of_python() {
    let exporter = serve("usdt");
    let module = format!("e2e_{}", std::process::id());
    let attempt = format!("try:\n  import {module}\n except ImportError:\n  pass\n");
    let script = format!("for _ in range(7):\n {attempt}");
    let status = Command::new("/usr/bin/python3").args(["-c", &script]).status().unwrap();
    assert!(status.success());
    let metrics = exporter.metrics();
    let imports = |module: &str| {
        let labels = format!("module=\"{module}\"");
        value(&metrics, &format!("ebpf_exporter_python_module_imports_total{{{labels}}}"))
    };
    assert_eq!(imports(&module), 7, "{metrics}");
    assert!(imports("site") >= 1, "{metrics}");
}

/// Whoever asks how much time a cgroup has used has it summed up first, under the lock.
pub fn cgroup_rstat_flushing_counts_locks() {
    const READS: u32 = 200;
    let cgroup = Cgroup::new("e2e-rstat").unwrap();
    let exporter = serve("cgroup-rstat-flushing");
    for _ in 0..READS {
        fs::read(cgroup.path().join("cpu.stat")).unwrap();
    }
    let metrics = exporter.metrics();
    let of = |family: &str| total(&metrics, &format!("cgroup_rstat_{family}"), &[]);
    let level = total(&metrics, "cgroup_rstat_locked_total", &["level=\"1\""]);
    assert!(level >= f64::from(READS), "{metrics}");
    assert!(of("lock_hold_seconds_count") >= f64::from(READS), "{metrics}");
    assert_eq!(of("map_errors_total{type=\"no_memory\"}"), 0.0, "{metrics}");
}

/// Packets to an address and a port that nobody else uses, each of which is answered with ICMP.
pub fn xdp_counts_packets_that_come_in() {
    let exporter = serve("xdp");
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to = SocketAddr::from((Ipv4Addr::new(127, 79, 0, 1), 20_123));
    for _ in 0..50 {
        sender.send_to(b"anyone?", to).unwrap();
    }
    let sample = |protocol: &str, port: u16| {
        let labels = format!("ip=\"ipv4\",protocol=\"{protocol}\",dst_port=\"{port}\"");
        format!("ebpf_exporter_xdp_incoming_packets_total{{{labels}}}")
    };
    // Interrupts deliver them when they come to it.
    until("all have come in", || value(&exporter.metrics(), &sample("udp", 20_123)) >= 50);
    let metrics = exporter.metrics();
    assert_eq!(value(&metrics, &sample("udp", 20_123)), 50, "{metrics}");
    assert!(value(&metrics, &sample("icmp", 0)) >= 1, "{metrics}");
    assert!(!metrics.contains("dst_port=\"32768\""), "clients are left out");
}

/// Moves itself from one CPU to another, so many times.
fn migrate(cgroup: &Cgroup, times: usize) {
    let script = format!(
        "exec /usr/bin/python3 -c 'import os; [os.sched_setaffinity(0, {{i % 2}}) for i in range({times})]'"
    );
    assert!(cgroup.shell(&script).status().unwrap().success());
}

/// Of two cgroups the config asks for one.
fn cgroup_id_map_tells_apart(example: &str, family: &str) {
    const MOVES: u32 = 100;
    let (asked, other) = (Cgroup::new("e2e-asked").unwrap(), Cgroup::new("e2e-other").unwrap());
    let exporter = serve_changed(example, |yaml| {
        let edited = yaml.replace("^.*(system.slice/.*)$", "/e2e-asked-[0-9]+-[0-9]+$");
        assert_ne!(edited, yaml);
        edited
    });
    for cgroup in [&asked, &other] {
        migrate(cgroup, usize::try_from(MOVES).unwrap());
    }
    let metrics = exporter.metrics();
    let moves = |kind: &str, cgroup: &Cgroup| {
        total(&metrics, &format!("{family}_{kind}"), &[&format!("/{}\"", cgroup.name())])
    };
    // The first move may be none, and before that its shell was in another cgroup.
    let all = f64::from(MOVES - 1);
    assert!(moves("total", &asked) >= all, "{metrics}");
    assert!(moves("not_match_total", &other) >= all, "{metrics}");
    assert_eq!(moves("not_match_total", &asked), 0.0, "{metrics}");
    assert_eq!(moves("total", &other), 0.0, "{metrics}");
}

pub fn cgroup_id_map_tells_cgroups_apart() {
    cgroup_id_map_tells_apart("cgroup_id_map", "cgroup_sched_migrations");
}

pub fn cgroup_id_map_cgrp_storage_tells_cgroups_apart() {
    let family = "cgroup_cgrp_storage_sched_migrations";
    cgroup_id_map_tells_apart("cgroup_id_map_cgrp_storage", family);
}
