//! The workload: entries of any map, made by a BPF program when this process tells it to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use ebpf_wasm_exporter::bpf::Attached;
use ebpf_wasm_exporter::source::{MapReader, Reading, Source as _};

use crate::object;

/// The prctl that `workload.bpf.c` waits for, and no kernel knows.
const WORKLOAD: libc::c_int = 0x6562_7066;

/// The one that `traced.bpf.c` waits for.
const TRACED: libc::c_int = 0x6562_7067;

/// The maps of `workload.bpf.c` in the order of their numbers there, with the bytes of a key.
const MAPS: [(&str, usize); 16] = [
    ("work_hash_total", 32),
    ("work_lru_hash_total", 8),
    ("work_array_total", 4),
    ("work_percpu_hash_total", 8),
    ("work_percpu_array_total", 4),
    ("work_lru_percpu_hash_total", 8),
    ("work_mmap_array_total", 4),
    ("work_cpu_hash_total", 8),
    ("work_cpu_array_total", 4),
    ("work_plain_total", 4),
    ("work_exp2_seconds", 16),
    ("work_exp2zero_bytes", 16),
    ("work_linear_depth", 4),
    ("work_fixed_size", 8),
    ("work_cpu_exp2_seconds", 8),
    ("work_padded_total", 16),
];

/// What tells one loaded workload from the others: each hears only the calls of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session(u64);

impl Session {
    /// One that no test has had.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(u64::from(std::process::id()) << 32 | NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Its number.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The workload's object file, deaf to all other sessions.
    pub fn object(self) -> Vec<u8> {
        self.object_of("workload")
    }

    /// The file of an object that knows sessions, deaf to all others.
    pub fn object_of(self, name: &str) -> Vec<u8> {
        const UNSET: [u8; 8] = 0x6e6f_6973_7365_7320u64.to_ne_bytes();
        let mut object = std::fs::read(object::file(name)).expect("it was compiled");
        let places: Vec<_> =
            (0..object.len() - 7).filter(|&at| object[at..at + 8] == UNSET).collect();
        let [at] = places[..] else { panic!("the session stands in one place, not {places:?}") };
        object[at..at + 8].copy_from_slice(&self.0.to_ne_bytes());
        object
    }

    /// Has `events.bpf.c` write so many records of this key to the buffer of this number, from this CPU.
    pub fn stream(self, buffer: usize, key: u64, count: u64) {
        /// The prctl that it waits for, and no kernel knows.
        const EVENTS: libc::c_int = 0x6562_7065;
        /// Records of a call.
        const MOST: u64 = 1000;
        for done in (0..count).step_by(MOST as usize) {
            // SAFETY: the kernel knows no such option and touches nothing.
            unsafe { libc::prctl(EVENTS, buffer, key, MOST.min(count - done), self.0) };
        }
    }

    /// Has `native.bpf.c` take this number: as a duration in nanoseconds (0), as a size (1), or to add it (2).
    pub fn observe(self, what: usize, number: u64) {
        /// The prctl that it waits for, and no kernel knows.
        const NATIVE: libc::c_int = 0x6562_7068;
        // SAFETY: the kernel knows no such option and touches nothing.
        unsafe { libc::prctl(NATIVE, what, number, self.0, 0) };
    }

    /// Adds `add` to the entry of `key` in the map `name`, on the CPU this thread is on.
    pub fn add(self, name: &str, key: &[u8], add: u64) {
        let map = MAPS.iter().position(|(map, _)| *map == name).expect("a map of the workload");
        assert_eq!(key.len(), MAPS[map].1, "the key of {name}");
        // SAFETY: the kernel knows no such option and touches nothing; the BPF program reads the
        // key, whose size the assertion has checked.
        unsafe { libc::prctl(WORKLOAD, map, key.as_ptr(), add, self.0) };
    }
}

impl Session {
    /// Has `kept.bpf.c` add `add` to the entries of this key.
    pub fn keep(self, key: u64, add: u64) {
        /// The prctl that it waits for, and no kernel knows.
        const KEPT: libc::c_int = 0x6562_7068;
        // SAFETY: the kernel knows no such option and touches nothing.
        unsafe { libc::prctl(KEPT, key, add, 0, self.0) };
    }

    /// Has the object `traced` send this record.
    pub fn send(self, record: &[u8]) {
        // SAFETY: as above; the size is the record's.
        unsafe { libc::prctl(TRACED, record.as_ptr(), record.len(), 0, self.0) };
    }
}

/// A key of `work_hash_total`.
pub fn flow(id: u64, text: &[u8]) -> Vec<u8> {
    let mut key = id.to_ne_bytes().to_vec();
    key.extend(text);
    key.resize(32, 0);
    key
}

/// A key of the maps of latencies: `work_exp2_seconds` and `work_exp2zero_bytes`.
pub fn latency(kind: &[u8], bucket: u64) -> Vec<u8> {
    let mut key = kind.to_vec();
    key.resize(8, 0);
    key.extend(bucket.to_ne_bytes());
    key
}

/// Runs `work` on one CPU, so that it is known which one counts.
pub fn on_cpu(cpu: usize, work: impl FnOnce() + Send) {
    let pinned = || {
        // SAFETY: an all-zero set is an empty one, and the kernel only reads it.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(cpu, &mut set);
            let code = libc::sched_setaffinity(0, size_of_val(&set), &raw const set);
            assert_eq!(code, 0, "CPU {cpu} is there");
        }
        work();
    };
    // A thread of its own: this one runs other tests later, which may use all CPUs.
    std::thread::scope(|scope| scope.spawn(pinned).join().expect("the work is done"));
}

/// The last CPU there is, which need not be another than the first.
pub fn last_cpu() -> usize {
    std::thread::available_parallelism().unwrap().get() - 1
}

/// The entries of a map: values by key, one for each CPU in per-CPU maps.
pub type Rows = BTreeMap<Vec<u8>, Vec<u64>>;

/// The workload's object, attached, and deaf to other tests.
pub struct Workload {
    pub attached: Attached,
    pub session: Session,
}

impl Workload {
    pub fn start() -> Self {
        let session = Session::new();
        let mut opened = object::open("workload");
        opened.set_constant("session", session.0).expect("the workload knows sessions");
        let attached = opened.load().expect("the workload loads").attach();
        assert_eq!(attached.failures(), [], "the workload attaches");
        Self { attached, session }
    }

    /// Adds `add` to the entry of `key` in the map `name`, on the CPU this thread is on.
    pub fn add(&self, name: &str, key: &[u8], add: u64) {
        self.session.add(name, key, add);
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
    MapReader::new(map, Reading::Auto, None)
        .and_then(|mut reader| {
            reader.read(&mut |chunk| {
                for entry in chunk.entries() {
                    rows.insert(entry.key.to_vec(), entry.values.to_vec());
                }
            })
        })
        .expect("the map can be read");
    rows
}
