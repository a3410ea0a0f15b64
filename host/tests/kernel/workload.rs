//! The workload: entries of any map, made by a BPF program when this process tells it to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use ebpf_wasm_exporter::bpf::Attached;
use ebpf_wasm_exporter::bpf::read::MapReader;

use crate::object;

/// The prctl that `workload.bpf.c` waits for, and no kernel knows.
const WORKLOAD: libc::c_int = 0x6562_7066;

/// The maps of `workload.bpf.c` in the order of their numbers there.
const MAPS: [&str; 16] = [
    "work_hash_total",
    "work_lru_hash_total",
    "work_array_total",
    "work_percpu_hash_total",
    "work_percpu_array_total",
    "work_lru_percpu_hash_total",
    "work_mmap_array_total",
    "work_cpu_hash_total",
    "work_cpu_array_total",
    "work_plain_total",
    "work_exp2_seconds",
    "work_exp2zero_bytes",
    "work_linear_depth",
    "work_fixed_size",
    "work_cpu_exp2_seconds",
    "work_padded_total",
];

/// The entries of a map: values by key, one for each CPU in per-CPU maps.
pub type Rows = BTreeMap<Vec<u8>, Vec<u64>>;

/// The workload's object, attached, and deaf to other tests.
pub struct Workload {
    pub attached: Attached,
    session: u64,
}

impl Workload {
    pub fn start() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let session = u64::from(std::process::id()) << 32 | NEXT.fetch_add(1, Ordering::Relaxed);
        let mut opened = object::open("workload");
        opened.set_constant("session", session).expect("the workload knows sessions");
        let attached = opened.load().expect("the workload loads").attach();
        assert_eq!(attached.failures(), [], "the workload attaches");
        Self { attached, session }
    }

    /// Adds `add` to the entry of `key` in the map `name`, on the CPU this thread is on.
    pub fn add(&self, name: &str, key: &[u8], add: u64) {
        let map = MAPS.iter().position(|map| *map == name).expect("a map of the workload");
        // SAFETY: the kernel knows no such option and touches nothing; the BPF program reads the
        // key, whose size the assertion has checked.
        unsafe {
            let size = self.attached.map(name).expect("the map").spec.key_size;
            assert_eq!(key.len(), size as usize, "the key of {name}");
            libc::prctl(WORKLOAD, map, key.as_ptr(), add, self.session);
        }
    }

    /// All entries of the map `name`.
    pub fn rows(&self, name: &str) -> Rows {
        rows(&self.attached, name)
    }

    /// The entries of the map `name` that hold anything, CPUs summed.
    pub fn counts(&self, name: &str) -> BTreeMap<Vec<u8>, u64> {
        let sums = self.rows(name).into_iter().map(|(key, values)| (key, values.iter().sum()));
        sums.filter(|(_, sum)| *sum != 0).collect()
    }
}

/// All entries of a map of an attached object.
pub fn rows(attached: &Attached, name: &str) -> Rows {
    let map = attached.map(name).expect("the object has the map");
    let mut rows = Rows::new();
    MapReader::new(&map, None)
        .and_then(|mut reader| {
            reader.read(|chunk| {
                for entry in chunk.entries() {
                    rows.insert(entry.key.to_vec(), entry.values.to_vec());
                }
            })
        })
        .expect("the map can be read");
    rows
}
