//! The ways of reading, side by side on the same maps: still, and while others write.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use ebpf_wasm_exporter::bpf::is_per_cpu;
use ebpf_wasm_exporter::bpf::{MapRef, MapSpec};
use ebpf_wasm_exporter::source::{MapReader, Reading, Sink, Source as _, Way, Why};
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};

type Rows = BTreeMap<Vec<u8>, Vec<u64>>;

/// A map that no program uses, filled from user space.
struct Map {
    handle: MapHandle,
    spec: MapSpec,
}

impl Map {
    fn new(kind: MapType, key_size: u32, max_entries: u32, flags: u32) -> Self {
        let opts = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as u64,
            map_flags: flags,
            ..Default::default()
        };
        let handle = MapHandle::create(kind, Some("rows"), key_size, 8, max_entries, &opts)
            .expect("failed to create a map");
        let name = "rows".to_owned();
        let spec = MapSpec { name, kind, key_size, value_size: 8, max_entries, flags };
        Self { handle, spec }
    }

    fn map(&self) -> MapRef {
        MapRef::new(self.spec.clone(), self.handle.as_fd()).unwrap()
    }

    fn insert(&self, key: &[u8], value: u64) {
        if is_per_cpu(self.spec.kind) {
            let cpus = libbpf_rs::num_possible_cpus().unwrap() as u64;
            let values: Vec<_> =
                (0..cpus).map(|cpu| (value + cpu).to_ne_bytes().to_vec()).collect();
            self.handle.update_percpu(key, &values, MapFlags::ANY).unwrap();
        } else {
            self.handle.update(key, &value.to_ne_bytes(), MapFlags::ANY).unwrap();
        }
    }

    /// Reads by `way`; every key at most once.
    fn read(&self, way: Way) -> Rows {
        let map = self.map();
        let mut reader = MapReader::with_way(&map, way).unwrap();
        let mut rows = Rows::new();
        // Twice, because a reader is used again and again: the second read is the one that counts.
        for _ in 0..2 {
            rows.clear();
            reader
                .read(&mut |chunk| {
                    for entry in chunk.entries() {
                        let before = rows.insert(entry.key.to_vec(), entry.values.to_vec());
                        assert_eq!(before, None, "{way}: key {:?} was read twice", entry.key);
                    }
                })
                .unwrap();
            assert_eq!(reader.way().0, way, "this kernel has every way");
        }
        rows
    }
}

/// A key of `size` bytes that differs from every other `n`'s, in first and last bytes alike.
fn key(n: u32, size: u32) -> Vec<u8> {
    let bytes = n.to_ne_bytes();
    (0..size as usize).map(|at| bytes[at % 4] ^ (at / 4) as u8).collect()
}

const HASHES: [MapType; 2] = [MapType::Hash, MapType::PercpuHash];
const LRU_HASHES: [MapType; 2] = [MapType::LruHash, MapType::LruPercpuHash];
const ARRAYS: [MapType; 2] = [MapType::Array, MapType::PercpuArray];

pub fn ways_agree_on_hashes() {
    for kind in HASHES {
        for (entries, key_size) in [(0, 8), (1, 4), (1000, 24), (1000, 5), (100_000, 24)] {
            let map = Map::new(kind, key_size, entries.max(1), 0);
            for n in 0..entries {
                map.insert(&key(n, key_size), u64::from(n) * 3);
            }
            let rows = map.read(Way::Batch);
            assert_eq!(rows.len(), entries as usize);
            assert_eq!(rows, map.read(Way::Keys), "{kind:?} of {entries}");
            assert!((0..entries).all(|n| rows[&key(n, key_size)][0] == u64::from(n) * 3));
        }
    }
}

pub fn ways_agree_on_lru_hashes() {
    for kind in LRU_HASHES {
        let map = Map::new(kind, 24, 4096, 0);
        for n in 0..1000 {
            map.insert(&key(n, 24), u64::from(n));
        }
        let rows = map.read(Way::Batch);
        assert_eq!(rows.len(), 1000);
        assert_eq!(rows, map.read(Way::Keys), "{kind:?}");
    }
}

pub fn ways_agree_on_arrays() {
    for kind in ARRAYS {
        for entries in [1, 1000, 100_000] {
            let map = Map::new(kind, 4, entries, 0);
            for n in (0..entries).step_by(7) {
                map.insert(&n.to_ne_bytes(), u64::from(n) + 1);
            }
            let rows = map.read(Way::Batch);
            assert_eq!(rows.len(), entries as usize);
            assert_eq!(rows, map.read(Way::Keys), "{kind:?} of {entries}");
        }
    }
}

pub fn a_mappable_array_is_read_by_mmap() {
    for entries in [1, 1000, 100_000] {
        let map = Map::new(MapType::Array, 4, entries, libbpf_sys::BPF_F_MMAPABLE);
        for n in (0..entries).step_by(3) {
            map.insert(&n.to_ne_bytes(), u64::from(n) + 1);
        }
        let rows = map.read(Way::Mmap);
        assert_eq!(rows.len(), entries as usize);
        assert_eq!(rows, map.read(Way::Batch));
        let map = map.map();
        let reader = MapReader::new(&map, Reading::Auto, None);
        assert_eq!(reader.unwrap().way().0, Way::Mmap, "and it is what is chosen");
    }
}

/// The ways that are not exact by themselves, as far as there are any on such a machine.
pub fn quick_ways() -> impl Iterator<Item = Way> {
    let copies = cfg!(target_arch = "x86_64");
    [Way::Copy, Way::Harvest].into_iter().filter(move |way| copies || *way != Way::Copy)
}

/// Reads quickly, which must be this way, and no key twice.
fn quick(map: &Map, reading: Reading, way: Way) -> Rows {
    let sink = Sink::for_maps([&map.map()], reading).unwrap();
    let map = map.map();
    let mut reader = MapReader::new(&map, reading, sink.as_ref()).unwrap();
    let mut rows = Rows::new();
    // As above.
    for _ in 0..2 {
        rows.clear();
        let done = reader.read_quickly(None, &mut |chunk| {
            for entry in chunk.entries() {
                let before = rows.insert(entry.key.to_vec(), entry.values.to_vec());
                assert_eq!(before, None, "{way}: key {:?} was met twice", entry.key);
            }
        });
        assert!(done, "{:?} can be read by {way}", map.spec);
        assert_eq!(reader.way().0, way);
    }
    rows
}

pub fn a_harvest_of_a_still_map_is_exact() {
    let kinds = [(MapType::Hash, 1.0), (MapType::LruHash, 0.5), (MapType::Array, 1.0)];
    for (kind, filled) in kinds {
        for (entries, key_size) in [(1, 4), (1000, 8), (1000, 12), (100_000, 24), (50, 96)] {
            let key_size = if kind == MapType::Array { 4 } else { key_size };
            let map = Map::new(kind, key_size, entries, 0);
            for n in 0..(f64::from(entries) * filled) as u32 {
                map.insert(&key(n, key_size), u64::from(n) + 1);
            }
            let harvested = quick(&map, Reading::Pinned(Way::Harvest), Way::Harvest);
            assert!(harvested == map.read(Way::Batch), "{:?}", map.spec);
        }
    }
}

/// Elements that never were entries, that are free again, and that updates have moved are told from
/// entries, whatever the size of the keys.
pub fn a_copy_of_a_still_map_is_exact() {
    for kind in [MapType::Hash, MapType::LruHash] {
        for (entries, key_size) in
            [(1, 1), (1, 8), (100, 3), (1000, 4), (1000, 12), (1000, 16), (30_000, 24), (50, 300)]
        {
            let map = Map::new(kind, key_size, entries, 0);
            let key = |n| key(n, key_size);
            let check = |what| {
                let copied = quick(&map, Reading::Pinned(Way::Copy), Way::Copy);
                assert!(copied == map.read(Way::Batch), "{what}: {:?}", map.spec);
            };
            check("empty");
            let some = if kind == MapType::Hash { entries } else { entries.div_ceil(2) };
            (0..some).for_each(|n| map.insert(&key(n), u64::from(n) + 1));
            check("filled");
            (0..some).step_by(3).for_each(|n| map.insert(&key(n), u64::from(n) + 2));
            check("updated");
            (0..some).step_by(2).for_each(|n| map.handle.delete(&key(n)).unwrap());
            check("half empty");
            (0..some).step_by(4).for_each(|n| map.insert(&key(n), u64::from(n) + 3));
            check("refilled");
        }
    }
}

pub fn what_cannot_be_copied_is_harvested() {
    let reserved = libbpf_sys::BPF_F_NO_PREALLOC;
    for (kind, flags) in [(MapType::Hash, reserved), (MapType::Array, 0)] {
        let map = Map::new(kind, 4, 100, flags);
        (0..100u32).for_each(|n| map.insert(&n.to_ne_bytes(), u64::from(n)));
        assert_eq!(quick(&map, Reading::Auto, Way::Harvest), map.read(Way::Batch));
    }
}

pub fn what_cannot_be_read_quickly_says_so() {
    let reserved = libbpf_sys::BPF_F_NO_PREALLOC;
    for (kind, key_size, entries, flags) in [
        (MapType::Hash, 5, 10, reserved),
        (MapType::Hash, 100, 10, reserved),
        (MapType::PercpuHash, 8, 10, 0),
        (MapType::Hash, 8, 262_145, reserved),
    ] {
        let map = Map::new(kind, key_size, entries, flags);
        assert!(Sink::for_maps([&map.map()], Reading::Auto).unwrap().is_none());
        let other = Map::new(MapType::Array, 4, 1000, 0);
        let sink = Sink::for_maps([&other.map()], Reading::Auto).unwrap();
        let map = map.map();
        let mut reader = MapReader::new(&map, Reading::Auto, sink.as_ref()).unwrap();
        assert!(!reader.read_quickly(None, &mut |_| panic!("nothing is handed out")));
    }
}

pub fn a_map_with_few_entries_is_not_copied() {
    let map = Map::new(MapType::Hash, 8, 10_000, 0);
    let sink = Sink::for_maps([&map.map()], Reading::Auto).unwrap();
    let map = map.map();
    let mut reader = MapReader::new(&map, Reading::Auto, sink.as_ref()).unwrap();
    assert!(!reader.read_quickly(Some(300), &mut |_| panic!("nothing is handed out")));
    reader.read(&mut |_| {}).unwrap();
    assert_eq!(reader.way(), (Way::Batch, Why::Sparse));
    assert!(reader.read_quickly(Some(400), &mut |_| {}));
    assert_eq!(reader.way(), (Way::Copy, Why::Dense));
}

pub fn no_stable_row_is_lost_or_doubled_under_churn() {
    const STABLE: u32 = 20_000;
    const CHURNING: u32 = 2_000;
    let map = Map::new(MapType::Hash, 24, STABLE + CHURNING, 0);
    for n in 0..STABLE {
        map.insert(&key(n, 24), u64::from(n));
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0u32;
            while !stop.load(Ordering::Relaxed) {
                let churning = key(STABLE + round % (CHURNING * 3), 24);
                if map.handle.update(&churning, &[1; 8], MapFlags::ANY).is_err() {
                    for n in 0..CHURNING * 3 {
                        let _ = map.handle.delete(&key(STABLE + n, 24));
                    }
                }
                if round.is_multiple_of(3) {
                    let _ = map.handle.delete(&churning);
                }
                round = round.wrapping_add(1);
            }
        });
        for way in [Way::Batch, Way::Keys] {
            for _ in 0..10 {
                let rows = map.read(way);
                let lost =
                    (0..STABLE).filter(|&n| rows.get(&key(n, 24)) != Some(&vec![u64::from(n)]));
                assert_eq!(lost.count(), 0, "{way}");
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}
