//! The whole pipeline in this process: a BPF program counts what the test tells it to, and the exposition
//! has to say just that.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use ebpf_wasm_exporter::cli::Selection;
use ebpf_wasm_exporter::scrape::Scraper;
use ebpf_wasm_exporter::source::Reading;
use ebpf_wasm_exporter::startup::{self, Running};
use ebpf_wasm_exporter::system::System;
use libbpf_rs::{MapCore as _, MapHandle, MapInfo};

use crate::configs::{Configs, WORKLOAD};
use crate::lines::lines;
use crate::plugins::places;
use crate::workload::{Session, flow, last_cpu, on_cpu};

/// A config that is loaded and attached, and the scraper that reads it.
pub struct Pipeline {
    pub scraper: Scraper,
    pub maps: Maps,
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

    /// From the one config of a directory.
    pub fn of(configs: &Configs, reading: Reading) -> Self {
        let running = running(configs);
        let maps = Maps::of(&running[0]);
        Self { scraper: Scraper::new(startup::units(running, reading).unwrap()), maps }
    }

    /// The samples of a metric as they are exposed, sorted.
    pub fn lines(&mut self, metric: &str) -> String {
        lines(&mut self.scraper, metric)
    }
}

/// The maps of a config's metrics, by name, to change while they are read.
pub struct Maps(HashMap<String, OwnedFd>);

impl Maps {
    pub fn of(running: &Running) -> Self {
        let names = running.metrics.iter().map(|(_, layout)| layout.map.clone());
        let own = |name: String| {
            let map = running.attached.map(&name).unwrap();
            let fd = map.as_fd().try_clone_to_owned().unwrap();
            (name, fd)
        };
        Self(names.map(own).collect())
    }

    /// One of them.
    pub fn map(&self, name: &str) -> MapHandle {
        let info = MapInfo::new(self.0[name].as_fd()).unwrap().info;
        MapHandle::from_map_id(info.id).unwrap()
    }

    /// Takes an entry out of a map, as a program or the kernel may at any time.
    pub fn delete(&self, map: &str, key: &[u8]) {
        let fd = self.0[map].as_raw_fd();
        // SAFETY: the kernel reads the key, which the caller has made as long as the map's are.
        let code = unsafe { libbpf_sys::bpf_map_delete_elem(fd, key.as_ptr().cast()) };
        assert_eq!(code, 0, "the entry was there");
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
}

/// Configs that are loaded and attached.
pub fn running(configs: &Configs) -> Vec<Running> {
    let (dir, names) = (configs.path().to_owned(), configs.names().to_vec());
    let selection = Selection::Directory { dir, names };
    let (checked, faults) = startup::check(&selection, places(), &System::default(), None);
    assert_eq!(faults, []);
    let start = |config: startup::Checked| config.start(&System::default()).expect("it loads");
    let running: Vec<_> = checked.into_iter().map(start).collect();
    assert!(running.iter().all(|config| config.attached.failures().is_empty()));
    running
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

/// The one entry of an array is neither deleted nor evicted: what it falls to was set.
pub fn a_number_without_labels_may_be_set_lower() {
    let (mut pipeline, work) = Pipeline::start(WORKLOAD);
    let only = 0u32.to_ne_bytes();
    for (value, before) in [(10, 0), (4, 10), (0, 4), (7, 0u64)] {
        work.add("work_plain_total", &only, u64::wrapping_sub(value, before));
        let line = format!("ebpf_exporter_work_plain_total {value}\n");
        assert_eq!(pipeline.lines("work_plain_total"), line);
    }
}
