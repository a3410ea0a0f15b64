//! What the exporter holds in the kernel: how many descriptors, and under which names.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use libbpf_rs::query::{MapInfoIter, ProgInfoIter, ProgInfoQueryOptions};

use crate::configs::{Configs, WORKLOAD};
use crate::exporter::{BINARY, Exporter, run};

/// Descriptors that do not depend on what is loaded: standard streams, sockets, the runtime's own.
const OTHERS: usize = 24;

/// Each type of map in `many.bpf.c`, with the bytes of its keys.
const TYPES: [(&str, usize); 5] =
    [("hash", 8), ("lru_hash", 8), ("array", 4), ("percpu_hash", 8), ("percpu_array", 4)];
/// How many of each there are.
const EACH: usize = 8;

/// A counter for each map of `many.bpf.c`.
fn many() -> Configs {
    let mut yaml = "metrics:\n  counters:\n".to_owned();
    for (name, size) in TYPES {
        for n in 0..EACH {
            let labels = format!("[{{name: key, size: {size}, decoders: [{{name: uint}}]}}]");
            writeln!(yaml, "    - {{name: {name}_{n}, help: h, labels: {labels}}}").unwrap();
        }
    }
    let mut configs = Configs::new();
    configs.add_object("many", &yaml);
    configs
}

/// Has symbols asked of the kernel.
const SYMBOLS: &str = "metrics:
  counters:
    - name: work_lru_hash_total
      help: An LRU hash
      labels: [{name: id, size: 8, decoders: [{name: ksym}]}]
";

fn open_descriptors(metrics: &str) -> usize {
    let line = metrics.lines().find_map(|line| line.strip_prefix("process_open_fds "));
    line.unwrap().parse().unwrap()
}

pub fn at_most_two_a_map() {
    let configs = many();
    let exporter = Exporter::start(configs.flags());
    // The ways of reading are settled by the second scrape.
    exporter.metrics();
    let metrics = exporter.metrics();
    let ways: BTreeSet<_> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("ebpf_exporter_map_read_info{"))
        .map(|line| line.split("way=").nth(1).unwrap().split(',').next().unwrap())
        .collect();
    println!("{ways:?}");
    let (maps, programs) = (TYPES.len() * EACH, 1);
    let open = open_descriptors(&metrics);
    println!("{open} descriptors for {maps} maps");
    assert!(open <= 2 * maps + 2 * programs + OTHERS, "{open} descriptors for {maps} maps");
    let arrays = EACH;
    // Only those that take a program of their own to be read need a second.
    assert!(open <= maps + arrays + 2 * programs + OTHERS, "{open} descriptors for {maps} maps");
}

/// As many as systemd gives, which is what a shell gives too.
pub fn as_many_as_the_hard_limit_allows() {
    let configs = many();
    // Fewer than the maps alone take.
    let soft = TYPES.len() * EACH - 1;
    let limits = format!("ulimit -Sn {soft}; ulimit -Hn 4096; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command
        .args(["-c", &limits, BINARY])
        .args(configs.flags())
        .args(["--web.listen-address=127.0.0.1:0", "--log.no-timestamps"]);
    let metrics = Exporter::serve(&mut command).metrics();
    assert!(metrics.contains("\nprocess_max_fds 4096\n"), "{metrics}");
    let open = open_descriptors(&metrics);
    assert!(open > soft, "{open} descriptors, {soft} at the start");
}

pub fn running_out_says_what_to_raise() {
    let configs = many();
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 40; exec \"$0\" \"$@\"", BINARY])
        .args(configs.flags())
        .arg("--web.listen-address=127.0.0.1:0");
    let said = run(&mut command);
    // libbpf takes one for each map as soon as it opens an object.
    assert_eq!(said.code, Some(3), "{said:?}");
    let told = said.stderr.lines().find_map(|line| line.split_once("many.bpf.o: ")).unwrap().1;
    insta::assert_snapshot!(told, @"out of file descriptors: all 40 that the limit allows are in use; raise it (LimitNOFILE= in a systemd unit, ulimit -n in a shell)");
}

/// The numbers that the kernel gave to what this process holds, by a word of `/proc/PID/fdinfo`.
fn held(process: u32, word: &str) -> BTreeSet<u32> {
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(Path::new("/proc").join(process.to_string()).join("fdinfo")).unwrap()
    {
        // Connections come and go.
        let text = fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        let numbers = text.lines().filter_map(|line| line.strip_prefix(word));
        ids.extend(numbers.map(|number| number.trim().parse::<u32>().unwrap()));
    }
    ids
}

/// Whoever lists what is in the kernel sees whose it is.
pub fn what_is_its_own_has_its_name() {
    let mut configs = many();
    let _work = configs.add_workload("work", WORKLOAD);
    let _symbols = configs.add_workload("symbols", SYMBOLS);
    let exporter = Exporter::start(configs.flags());
    exporter.metrics();
    let programs = held(exporter.process(), "prog_id:");
    let mut maps = held(exporter.process(), "map_id:");
    let mut names = BTreeSet::new();
    let options = ProgInfoQueryOptions::default().include_map_ids(true);
    for program in ProgInfoIter::with_query_opts(options) {
        if programs.contains(&program.id) {
            names.insert(program.name.to_string_lossy().into_owned());
            maps.extend(program.map_ids);
        }
    }
    assert!(names.remove("on_prctl") && names.remove("workload"), "{names:?}");
    assert!(names.contains("ewe_harvest"), "{names:?}");
    let foreign =
        |name: &&String| !["ewe_copy", "ewe_harvest", "ewe_symbols"].contains(&name.as_str());
    assert_eq!(names.iter().find(foreign), None);

    let all: BTreeSet<String> = MapInfoIter::default()
        .filter(|map| maps.contains(&map.id))
        .map(|map| map.name.to_string_lossy().into_owned())
        .collect();
    for name in ["ewe_sink", "ewe_harv.rodata", "many.bss", "work.rodata"] {
        assert!(all.contains(name), "{name}: {all:?}");
    }
    // As long as the kernel allows.
    for name in ["work_hash_total", "work_lru_hash_t", "hash_0", "percpu_array_7"] {
        assert!(all.contains(name), "{name}: {all:?}");
    }
    // What libbpf names after an object without a name: eight digits of its address.
    let by_address = |name: &&String| {
        name.split_once('.').is_some_and(|(object, _)| {
            object.len() == 8 && object.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    assert_eq!(all.iter().find(by_address), None);
}
