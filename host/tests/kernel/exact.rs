//! Exact values through the whole pipeline in this process: a BPF program counts what the test tells it
//! to, and the exposition has to say just that.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use ebpf_wasm_exporter::bpf::Attached;
use ebpf_wasm_exporter::cli::Selection;
use ebpf_wasm_exporter::scrape::Scraper;
use ebpf_wasm_exporter::source::Reading;
use ebpf_wasm_exporter::startup::{self, Running};
use ebpf_wasm_exporter::system::System;
use libbpf_rs::{MapCore as _, MapHandle, MapInfo};

use crate::configs::{Configs, WORKLOAD};
use crate::plugins::places;
use crate::workload::{Session, flow, last_cpu, latency, on_cpu};

/// Configs that are loaded and attached, and the scraper that reads them.
pub struct Pipeline {
    pub scraper: Scraper,
    /// The maps of the metrics, by name.
    maps: HashMap<String, OwnedFd>,
}

impl Pipeline {
    /// From a config of the workload.
    pub fn start(yaml: &str) -> (Self, Session) {
        Self::reading(yaml, Reading::Auto)
    }

    /// The same, whose maps are read in this way.
    pub fn reading(yaml: &str, reading: Reading) -> (Self, Session) {
        let mut configs = Configs::new();
        let session = configs.add_workload("work", yaml);
        (Self::of(&configs, reading), session)
    }

    pub fn of(configs: &Configs, reading: Reading) -> Self {
        let (running, maps) = running(configs);
        Self { scraper: Scraper::new(startup::units(running, reading).unwrap()), maps }
    }

    /// A map of a metric, to change while the scraper reads it.
    pub fn map(&self, name: &str) -> MapHandle {
        let info = MapInfo::new(self.maps[name].as_fd()).unwrap().info;
        MapHandle::from_map_id(info.id).unwrap()
    }

    /// Takes an entry out of a map, as a program or the kernel may at any time.
    pub fn delete(&self, map: &str, key: &[u8]) {
        delete(&self.maps, map, key);
    }

    /// Gives an entry of a map a value, as a program may at any time: on the last CPU, if each has its own.
    pub fn set(&self, map: &str, key: &[u8], value: u64) {
        let map = self.map(map);
        let cpus =
            if map.map_type().is_percpu() { libbpf_rs::num_possible_cpus().unwrap() } else { 1 };
        let mut values = vec![0; cpus];
        values[cpus - 1] = value;
        let (fd, values) = (map.as_fd().as_raw_fd(), values.as_ptr().cast());
        // SAFETY: the kernel reads the key, which the caller has made as long as the map's are, and
        // a value of 8 bytes, as all of the workload's are, for each CPU.
        let code = unsafe { libbpf_sys::bpf_map_update_elem(fd, key.as_ptr().cast(), values, 0) };
        assert_eq!(code, 0, "there is room for the entry");
    }

    /// The samples of a metric as they are exposed, sorted.
    pub fn lines(&mut self, metric: &str) -> String {
        let text = String::from_utf8(self.scraper.scrape().concat()).unwrap();
        let name = format!("ebpf_exporter_{metric}");
        let mut lines: Vec<_> = text.lines().filter(|line| line.starts_with(&name)).collect();
        lines.sort_unstable();
        lines.into_iter().map(|line| format!("{line}\n")).collect()
    }
}

/// Configs that are loaded and attached, and the maps of their metrics by name.
pub fn running(configs: &Configs) -> (Vec<Running>, HashMap<String, OwnedFd>) {
    let (dir, names) = (configs.path().to_owned(), configs.names().to_vec());
    let selection = Selection::Directory { dir, names };
    let (checked, faults) = startup::check(&selection, places(), &System::default(), None);
    assert_eq!(faults, []);
    let start = |config: startup::Checked| config.start().expect("it loads");
    let running: Vec<_> = checked.into_iter().map(start).collect();
    assert!(running.iter().all(|config| config.attached.failures().is_empty()));
    let metrics = running.iter().flat_map(|config| {
        config.metrics.iter().map(|(linked, _)| (linked.metric.name.as_str(), &config.attached))
    });
    let own = |(name, attached): (&str, &Attached)| {
        let map = attached.map(name).unwrap();
        (name.to_owned(), map.as_fd().try_clone_to_owned().unwrap())
    };
    let maps = metrics.map(own).collect();
    (running, maps)
}

/// Takes an entry out of one of these maps, as a program or the kernel may at any time.
pub fn delete(maps: &HashMap<String, OwnedFd>, map: &str, key: &[u8]) {
    let fd = maps[map].as_raw_fd();
    // SAFETY: the kernel reads the key, which the caller has made as long as the map's are.
    let code = unsafe { libbpf_sys::bpf_map_delete_elem(fd, key.as_ptr().cast()) };
    assert_eq!(code, 0, "the entry was there");
}

pub fn every_type_of_map() {
    let (mut pipeline, work) = Pipeline::start(WORKLOAD);
    let id = |n: u64| n.to_ne_bytes();
    let index = |n: u32| n.to_ne_bytes();
    for cpu in [0, last_cpu()] {
        on_cpu(cpu, || {
            for n in [3, 5, 5] {
                let add = u64::from(n) * 100;
                work.add("work_hash_total", &flow(n.into(), b"text"), add);
                for map in
                    ["work_lru_hash_total", "work_percpu_hash_total", "work_lru_percpu_hash_total"]
                {
                    work.add(map, &id(n.into()), add);
                }
                for map in ["work_array_total", "work_percpu_array_total", "work_mmap_array_total"]
                {
                    work.add(map, &index(n), add);
                }
            }
        });
    }
    insta::assert_snapshot!(pipeline.lines("work_hash_total"), @r#"
    ebpf_exporter_work_hash_total{id="3",text="text"} 600
    ebpf_exporter_work_hash_total{id="5",text="text"} 2000
    "#);
    insta::assert_snapshot!(pipeline.lines("work_lru_hash_total"), @r#"
    ebpf_exporter_work_lru_hash_total{id="3"} 600
    ebpf_exporter_work_lru_hash_total{id="5"} 2000
    "#);
    insta::assert_snapshot!(pipeline.lines("work_percpu_hash_total"), @r#"
    ebpf_exporter_work_percpu_hash_total{id="3"} 600
    ebpf_exporter_work_percpu_hash_total{id="5"} 2000
    "#);
    insta::assert_snapshot!(pipeline.lines("work_lru_percpu_hash_total"), @r#"
    ebpf_exporter_work_lru_percpu_hash_total{id="3"} 600
    ebpf_exporter_work_lru_percpu_hash_total{id="5"} 2000
    "#);
    for array in ["work_array_total", "work_percpu_array_total"] {
        let lines = pipeline.lines(array).replace(array, "ARRAY");
        insta::allow_duplicates! {
            insta::assert_snapshot!(lines, @r#"
            ebpf_exporter_ARRAY{index="0"} 0
            ebpf_exporter_ARRAY{index="1"} 0
            ebpf_exporter_ARRAY{index="2"} 0
            ebpf_exporter_ARRAY{index="3"} 600
            ebpf_exporter_ARRAY{index="4"} 0
            ebpf_exporter_ARRAY{index="5"} 2000
            ebpf_exporter_ARRAY{index="6"} 0
            ebpf_exporter_ARRAY{index="7"} 0
            "#);
        }
    }
    let mapped = pipeline.lines("work_mmap_array_total");
    assert_eq!(mapped.lines().count(), 600);
    let counted: Vec<_> = mapped.lines().filter(|line| !line.ends_with(" 0")).collect();
    insta::assert_snapshot!(counted.join("\n"), @r#"
    ebpf_exporter_work_mmap_array_total{index="3"} 600
    ebpf_exporter_work_mmap_array_total{index="5"} 2000
    "#);
}

pub fn no_labels_and_padding() {
    let (mut pipeline, work) = Pipeline::start(WORKLOAD);
    insta::assert_snapshot!(pipeline.lines("work_plain_total"), @"ebpf_exporter_work_plain_total 0");
    work.add("work_plain_total", &[0; 4], u64::MAX - 1);
    insta::assert_snapshot!(pipeline.lines("work_plain_total"), @"ebpf_exporter_work_plain_total 18446744073709551614");

    // Number, hole, id: whatever is in the hole is no part of a label, so the two are summed.
    for (hole, add) in [(0, 10), (u32::MAX, 7)] {
        let key = [7u32.to_ne_bytes(), hole.to_ne_bytes()].concat();
        work.add("work_padded_total", &[&key[..], &9u64.to_ne_bytes()].concat(), add);
    }
    insta::assert_snapshot!(pipeline.lines("work_padded_total"), @r#"ebpf_exporter_work_padded_total{number="7",id="9"} 17"#);
}

pub fn cpus_as_a_label() {
    let (mut pipeline, work) = Pipeline::start(WORKLOAD);
    for (cpu, add) in [(0, 10), (last_cpu(), 3)] {
        on_cpu(cpu, || {
            for id in [7u64, 8] {
                work.add("work_cpu_hash_total", &id.to_ne_bytes(), add * id);
            }
            work.add("work_cpu_array_total", &[0; 4], add);
            work.add("work_cpu_array_total", &5u32.to_ne_bytes(), add * 100);
        });
    }
    let (mut hash, mut array) = (Vec::new(), Vec::new());
    for cpu in 0..libbpf_rs::num_possible_cpus().unwrap() {
        let first = if cpu == 0 { 10 } else { 0 };
        let sum = first + if cpu == last_cpu() { 3 } else { 0 };
        for id in [7, 8] {
            let value = sum * id;
            let line =
                format!("ebpf_exporter_work_cpu_hash_total{{id=\"{id}\",cpu=\"{cpu}\"}} {value}\n");
            hash.push(line);
        }
        // Its index tells nothing, so all entries of a CPU are one series.
        let value = sum * 101;
        array.push(format!("ebpf_exporter_work_cpu_array_total{{cpu=\"{cpu}\"}} {value}\n"));
    }
    hash.sort_unstable();
    array.sort_unstable();
    assert_eq!(pipeline.lines("work_cpu_hash_total"), hash.concat());
    assert_eq!(pipeline.lines("work_cpu_array_total"), array.concat());
}

pub fn bytes_decoded_more_than_once() {
    let (mut pipeline, work) = Pipeline::start(
        "\
metrics:
  counters:
    - name: work_cpu_hash_total
      help: Keys and CPUs, each in several forms
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
        - {name: bytes, reuse: true, decoders: [{name: hex}]}
        - {name: kept, reuse: true, decoders: [{name: uint}, {name: regexp, regexps: ['^[78]$']}]}
        - {name: cpu, size: 2, decoders: [{name: uint}]}
        - {name: place, reuse: true, decoders: [{name: uint}, {name: static_map, static_map: {0: first}}]}
",
    );
    on_cpu(0, || {
        for id in [7u64, 8, 9] {
            work.add("work_cpu_hash_total", &id.to_ne_bytes(), id);
        }
    });
    let lines = pipeline.lines("work_cpu_hash_total");
    let first: String = lines.split_inclusive('\n').filter(|l| l.contains("cpu=\"0\"")).collect();
    insta::assert_snapshot!(first, @r#"
    ebpf_exporter_work_cpu_hash_total{id="7",bytes="0700000000000000",kept="7",cpu="0",place="first"} 7
    ebpf_exporter_work_cpu_hash_total{id="8",bytes="0800000000000000",kept="8",cpu="0",place="first"} 8
    "#);
    let elsewhere = lines.lines().filter(|line| line.contains("place=\"unknown:"));
    assert_eq!(elsewhere.count(), 2 * (libbpf_rs::num_possible_cpus().unwrap() - 1));
}

pub fn a_bucket_that_reuses_bytes() {
    let (mut pipeline, work) = Pipeline::start(&histogram(
        "work_linear_depth",
        "{bucket_type: linear, bucket_min: 0, bucket_max: 1}",
        "[{name: key, size: 4, decoders: [{name: hex}]},
         {name: bucket, reuse: true, decoders: [{name: uint}]}]",
    ));
    for (bucket, add) in [(0u32, 1), (1, 2)] {
        work.add("work_linear_depth", &bucket.to_ne_bytes(), add);
    }
    insta::assert_snapshot!(pipeline.lines("work_linear_depth"), @r#"
    ebpf_exporter_work_linear_depth_bucket{key="00000000",le="+Inf"} 1
    ebpf_exporter_work_linear_depth_bucket{key="00000000",le="0"} 1
    ebpf_exporter_work_linear_depth_bucket{key="00000000",le="1"} 1
    ebpf_exporter_work_linear_depth_bucket{key="01000000",le="+Inf"} 2
    ebpf_exporter_work_linear_depth_bucket{key="01000000",le="0"} 0
    ebpf_exporter_work_linear_depth_bucket{key="01000000",le="1"} 2
    ebpf_exporter_work_linear_depth_bucket{key="02000000",le="+Inf"} 0
    ebpf_exporter_work_linear_depth_bucket{key="02000000",le="0"} 0
    ebpf_exporter_work_linear_depth_bucket{key="02000000",le="1"} 0
    ebpf_exporter_work_linear_depth_count{key="00000000"} 1
    ebpf_exporter_work_linear_depth_count{key="01000000"} 2
    ebpf_exporter_work_linear_depth_count{key="02000000"} 0
    ebpf_exporter_work_linear_depth_sum{key="00000000"} 0
    ebpf_exporter_work_linear_depth_sum{key="01000000"} 0
    ebpf_exporter_work_linear_depth_sum{key="02000000"} 0
    "#);
}

pub fn exp2() {
    let (mut pipeline, work) = Pipeline::start(WORKLOAD);
    assert_eq!(pipeline.lines("work_exp2_seconds"), "", "no histogram before there is a label set");
    // 5 is the sum, 9 is beyond it and nobody's.
    for (bucket, add) in [(0, 1), (2, 3), (4, 5), (5, 77), (9, 1000)] {
        work.add("work_exp2_seconds", &latency(b"read", bucket), add);
    }
    work.add("work_exp2_seconds", &latency(b"write", 1), 1);
    insta::assert_snapshot!(pipeline.lines("work_exp2_seconds"), @r#"
    ebpf_exporter_work_exp2_seconds_bucket{kind="read",le="+Inf"} 9
    ebpf_exporter_work_exp2_seconds_bucket{kind="read",le="1.6e-05"} 9
    ebpf_exporter_work_exp2_seconds_bucket{kind="read",le="1e-06"} 1
    ebpf_exporter_work_exp2_seconds_bucket{kind="read",le="2e-06"} 1
    ebpf_exporter_work_exp2_seconds_bucket{kind="read",le="4e-06"} 4
    ebpf_exporter_work_exp2_seconds_bucket{kind="read",le="8e-06"} 4
    ebpf_exporter_work_exp2_seconds_bucket{kind="write",le="+Inf"} 1
    ebpf_exporter_work_exp2_seconds_bucket{kind="write",le="1.6e-05"} 1
    ebpf_exporter_work_exp2_seconds_bucket{kind="write",le="1e-06"} 0
    ebpf_exporter_work_exp2_seconds_bucket{kind="write",le="2e-06"} 1
    ebpf_exporter_work_exp2_seconds_bucket{kind="write",le="4e-06"} 1
    ebpf_exporter_work_exp2_seconds_bucket{kind="write",le="8e-06"} 1
    ebpf_exporter_work_exp2_seconds_count{kind="read"} 9
    ebpf_exporter_work_exp2_seconds_count{kind="write"} 1
    ebpf_exporter_work_exp2_seconds_sum{kind="read"} 7.7e-05
    ebpf_exporter_work_exp2_seconds_sum{kind="write"} 0
    "#);
}

pub fn exp2zero() {
    let (mut pipeline, work) = Pipeline::start(WORKLOAD);
    for cpu in [0, last_cpu()] {
        on_cpu(cpu, || {
            for (bucket, add) in [(0, 1), (1, 10), (4, 100), (5, 1000)] {
                work.add("work_exp2zero_bytes", &latency(b"in", bucket), add);
            }
        });
    }
    insta::assert_snapshot!(pipeline.lines("work_exp2zero_bytes"), @r#"
    ebpf_exporter_work_exp2zero_bytes_bucket{kind="in",le="+Inf"} 222
    ebpf_exporter_work_exp2zero_bytes_bucket{kind="in",le="0"} 2
    ebpf_exporter_work_exp2zero_bytes_bucket{kind="in",le="1"} 22
    ebpf_exporter_work_exp2zero_bytes_bucket{kind="in",le="2"} 22
    ebpf_exporter_work_exp2zero_bytes_bucket{kind="in",le="4"} 22
    ebpf_exporter_work_exp2zero_bytes_bucket{kind="in",le="8"} 222
    ebpf_exporter_work_exp2zero_bytes_count{kind="in"} 222
    ebpf_exporter_work_exp2zero_bytes_sum{kind="in"} 2000
    "#);
}

pub fn linear() {
    let (mut pipeline, work) = Pipeline::start(&histogram(
        "work_linear_depth",
        "{bucket_type: linear, bucket_min: 1, bucket_max: 3, bucket_multiplier: 0.5}",
        "[{name: bucket, size: 4, decoders: [{name: uint}]}]",
    ));
    for (bucket, add) in [(0u32, 1000), (1, 4), (3, 2), (4, 9), (5, 1000)] {
        work.add("work_linear_depth", &bucket.to_ne_bytes(), add);
    }
    insta::assert_snapshot!(pipeline.lines("work_linear_depth"), @r#"
    ebpf_exporter_work_linear_depth_bucket{le="+Inf"} 6
    ebpf_exporter_work_linear_depth_bucket{le="0.5"} 4
    ebpf_exporter_work_linear_depth_bucket{le="1"} 4
    ebpf_exporter_work_linear_depth_bucket{le="1.5"} 6
    ebpf_exporter_work_linear_depth_count 6
    ebpf_exporter_work_linear_depth_sum 4.5
    "#);
}

pub fn fixed() {
    let (mut pipeline, work) = Pipeline::start(WORKLOAD);
    for (bucket, add) in [(10u64, 1), (100, 2), (500, 1000), (1000, 4), (1001, 4321)] {
        work.add("work_fixed_size", &bucket.to_ne_bytes(), add);
    }
    insta::assert_snapshot!(pipeline.lines("work_fixed_size"), @r#"
    ebpf_exporter_work_fixed_size_bucket{le="+Inf"} 7
    ebpf_exporter_work_fixed_size_bucket{le="10"} 1
    ebpf_exporter_work_fixed_size_bucket{le="100"} 3
    ebpf_exporter_work_fixed_size_bucket{le="1000"} 7
    ebpf_exporter_work_fixed_size_count 7
    ebpf_exporter_work_fixed_size_sum 4321
    "#);
}

pub fn a_histogram_a_cpu() {
    let (mut pipeline, work) = Pipeline::start(&histogram(
        "work_cpu_exp2_seconds",
        "{bucket_type: exp2, bucket_min: 0, bucket_max: 1}",
        "[{name: bucket, size: 8, decoders: [{name: uint}]},
         {name: cpu, size: 2, decoders: [{name: uint}]}]",
    ));
    for (cpu, factor) in [(0, 10), (last_cpu(), 3)] {
        on_cpu(cpu, || {
            for (bucket, add) in [(0u64, 1), (1, 2), (2, 40)] {
                work.add("work_cpu_exp2_seconds", &bucket.to_ne_bytes(), add * factor);
            }
        });
    }
    let mut expected = Vec::new();
    for cpu in 0..libbpf_rs::num_possible_cpus().unwrap() {
        let first = if cpu == 0 { 10 } else { 0 };
        let factor = first + if cpu == last_cpu() { 3 } else { 0 };
        for (part, value) in [
            (format!("_bucket{{cpu=\"{cpu}\",le=\"1\"}}"), factor),
            (format!("_bucket{{cpu=\"{cpu}\",le=\"2\"}}"), 3 * factor),
            (format!("_bucket{{cpu=\"{cpu}\",le=\"+Inf\"}}"), 3 * factor),
            (format!("_sum{{cpu=\"{cpu}\"}}"), 40 * factor),
            (format!("_count{{cpu=\"{cpu}\"}}"), 3 * factor),
        ] {
            expected.push(format!("ebpf_exporter_work_cpu_exp2_seconds{part} {value}\n"));
        }
    }
    expected.sort_unstable();
    assert_eq!(pipeline.lines("work_cpu_exp2_seconds"), expected.concat());
}

/// A config of one histogram: `buckets` is a mapping, `labels` a list, both in one line.
fn histogram(name: &str, buckets: &str, labels: &str) -> String {
    let mut yaml = String::new();
    let buckets = buckets.trim_matches(['{', '}']);
    let _ = write!(
        yaml,
        "metrics: {{histograms: [{{name: {name}, help: h, {buckets}, labels: {labels}}}]}}"
    );
    yaml
}
