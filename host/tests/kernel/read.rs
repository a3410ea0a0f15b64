//! The ways of reading, side by side on the same maps: still, and while others write.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use ebpf_wasm_exporter::bpf::{MapKind, MapRef, MapSpec};
use ebpf_wasm_exporter::source::{Chunk, MapReader, Reading, Sink, Source as _, Way, Why};
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
        let kind = kind.into();
        let spec = MapSpec { name, kind, key_size, value_size: 8, max_entries, flags };
        Self { handle, spec }
    }

    fn map(&self) -> MapRef {
        MapRef::new(self.spec.clone(), self.handle.as_fd()).unwrap()
    }

    fn insert(&self, key: &[u8], value: u64) {
        self.try_insert(key, value).unwrap();
    }

    fn try_insert(&self, key: &[u8], value: u64) -> libbpf_rs::Result<()> {
        if self.spec.kind.is_per_cpu() {
            let cpus = libbpf_rs::num_possible_cpus().unwrap() as u64;
            let values: Vec<_> =
                (0..cpus).map(|cpu| (value + cpu).to_ne_bytes().to_vec()).collect();
            self.handle.update_percpu(key, &values, MapFlags::ANY)
        } else {
            self.handle.update(key, &value.to_ne_bytes(), MapFlags::ANY)
        }
    }

    /// Reads by `way`, one that is not exact too: all that is met under each key.
    fn read_all(&self, way: Way) -> BTreeMap<Vec<u8>, Vec<Vec<u64>>> {
        let (map, reading) = (self.map(), Reading::Pinned(way));
        let sink = Sink::for_maps([&map], reading).unwrap();
        let mut reader = MapReader::new(&map, reading, sink.as_ref()).unwrap();
        let mut rows = BTreeMap::<_, Vec<_>>::new();
        let mut visit = |chunk: Chunk<'_>| {
            for entry in chunk.entries() {
                rows.entry(entry.key.to_vec()).or_default().push(entry.values.to_vec());
            }
        };
        if !reader.read_quickly(None, &mut visit) {
            reader.read(&mut visit).unwrap();
        }
        assert_eq!(reader.way().0, way);
        rows
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
    let map = map.map();
    let sink = Sink::for_maps([&map], reading).unwrap();
    quick_with(&map, reading, sink.as_ref(), way)
}

/// The same with this sink.
fn quick_with(map: &MapRef, reading: Reading, sink: Option<&Sink>, way: Way) -> Rows {
    let mut reader = MapReader::new(map, reading, sink).unwrap();
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
    for kind in HASHES.into_iter().chain(LRU_HASHES) {
        // Some stretches of elements.
        let many = if kind.is_percpu() { 5_000 } else { 30_000 };
        for (entries, key_size) in
            [(1, 1), (1, 8), (100, 3), (1000, 4), (1000, 12), (1000, 16), (many, 24), (50, 300)]
        {
            let map = Map::new(kind, key_size, entries, 0);
            let key = |n| key(n, key_size);
            let check = |what| {
                let copied = quick(&map, Reading::Pinned(Way::Copy), Way::Copy);
                assert!(copied == map.read(Way::Batch), "{what}: {:?}", map.spec);
            };
            check("empty");
            let some = if HASHES.contains(&kind) { entries } else { entries.div_ceil(2) };
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

/// The types of maps that are copied here.
pub fn copied() -> Vec<MapType> {
    let is_copied = |kind: &MapType| {
        let map = Map::new(*kind, 12, 100, 0);
        (0..50).for_each(|n| map.insert(&key(n, 12), u64::from(n)));
        let map = map.map();
        let sink = Sink::for_maps([&map], Reading::Auto).unwrap();
        let mut reader = MapReader::new(&map, Reading::Auto, sink.as_ref()).unwrap();
        reader.read_quickly(None, &mut |_| {}) && reader.way().0 == Way::Copy
    };
    HASHES.into_iter().chain(LRU_HASHES).filter(is_copied).collect()
}

/// Where no program may read the kernel's memory, the next way is taken.
pub fn what_may_not_be_copied_is_read_right() {
    for kind in HASHES.into_iter().chain(LRU_HASHES) {
        let map = Map::new(kind, 24, 3_000, 0);
        (0..1_000).for_each(|n| map.insert(&key(n, 24), u64::from(n) + 1));
        let rows = map.read(Way::Keys);
        assert_eq!(rows.len(), 1_000);
        assert_eq!(map.read(Way::Batch), rows, "{kind:?}");
        let map_ref = map.map();
        let sink = Sink::for_maps([&map_ref], Reading::Auto).unwrap();
        let mut reader = MapReader::new(&map_ref, Reading::Auto, sink.as_ref()).unwrap();
        if reader.read_quickly(None, &mut |_| {}) {
            assert_eq!(quick(&map, Reading::Auto, Way::Harvest), rows, "{kind:?}");
        } else {
            reader.read(&mut |_| {}).unwrap();
            assert_eq!(reader.way(), (Way::Batch, Why::Kernel), "{kind:?}");
        }
    }
}

pub fn what_cannot_be_read_quickly_says_so() {
    let reserved = libbpf_sys::BPF_F_NO_PREALLOC;
    for (kind, key_size, entries, flags) in [
        (MapType::Hash, 5, 10, reserved),
        (MapType::Hash, 100, 10, reserved),
        (MapType::PercpuHash, 8, 10, reserved),
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

/// What kernels will have is read by the calls that they have for all maps: a hash map stands for it here.
pub fn a_type_that_is_not_known_is_read_by_batch() {
    let map = Map::new(MapType::Hash, 8, 1_000, 0);
    (0..900).for_each(|n| map.insert(&key(n, 8), u64::from(n)));
    let rows = map.read(Way::Batch);
    let newer = MapSpec { kind: MapKind::from(4000), ..map.spec.clone() };
    let newer = Map { handle: map.handle, spec: newer };
    assert_eq!((newer.read(Way::Batch), newer.read(Way::Keys)), (rows.clone(), rows));
    let newer = newer.map();
    assert!(Sink::for_maps([&newer], Reading::Auto).unwrap().is_none());
    let reader = MapReader::new(&newer, Reading::Auto, None).unwrap();
    assert_eq!(reader.way(), (Way::Batch, Why::Type));
    let mut value = [0];
    assert!(reader.lookup(&key(7, 8), &mut value).unwrap());
    assert_eq!(value, [7]);
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

/// Before its rows have an order: that in which they are first met stays. One that has few is read whole by the batch
/// call, though that has looked at it before.
pub fn a_map_that_has_filled_since_is_copied_at_once() {
    let map = Map::new(MapType::Hash, 8, 200_000, 0);
    let sink = Sink::for_maps([&map.map()], Reading::Auto).unwrap();
    let map_ref = map.map();
    let mut reader = MapReader::new(&map_ref, Reading::Auto, sink.as_ref()).unwrap();
    for few in [0u32, 100] {
        (0..few).for_each(|n| map.insert(&key(n, 8), u64::from(n)));
        assert!(!reader.read_quickly(Some(0), &mut |_| panic!("nothing is handed out")));
        let mut met = 0;
        reader.read(&mut |chunk| met += chunk.entries().count()).unwrap();
        assert_eq!((met, reader.way()), (few as usize, (Way::Batch, Why::Sparse)));
    }
    (0..10_000).for_each(|n| map.insert(&key(n, 8), u64::from(n)));
    let mut met = 0;
    assert!(reader.read_quickly(Some(100), &mut |chunk| met += chunk.entries().count()));
    assert_eq!((met, reader.way()), (10_000, (Way::Copy, Why::Dense)));
    met = 0;
    reader.read(&mut |chunk| met += chunk.entries().count()).unwrap();
    assert_eq!(met, 10_000, "all of it, from its beginning");
}

pub fn a_per_cpu_map_with_few_entries_is_not_copied() {
    let map = Map::new(MapType::PercpuHash, 8, 8_000, 0);
    let sink = Sink::for_maps([&map.map()], Reading::Auto).unwrap();
    let map = map.map();
    let mut reader = MapReader::new(&map, Reading::Auto, sink.as_ref()).unwrap();
    assert!(!reader.read_quickly(Some(900), &mut |_| panic!("nothing is handed out")));
    assert!(reader.read_quickly(Some(1_000), &mut |_| {}));
    assert_eq!(reader.way(), (Way::Copy, Why::Dense));
}

/// One program copies all maps, of which some have values for each CPU and some do not.
pub fn maps_of_both_kinds_are_copied_side_by_side() {
    let maps = [MapType::Hash, MapType::PercpuHash, MapType::LruHash, MapType::LruPercpuHash];
    let maps = maps.map(|kind| Map::new(kind, 12, 5_000, 0));
    for (by, map) in (1..).zip(&maps) {
        (0..2_000).for_each(|n| map.insert(&key(n, 12), u64::from(n) * by));
    }
    let refs = maps.each_ref().map(Map::map);
    let sink = Sink::for_maps(&refs, Reading::Auto).unwrap();
    for (map, map_ref) in maps.iter().zip(&refs) {
        let copied = quick_with(map_ref, Reading::Auto, sink.as_ref(), Way::Copy);
        assert_eq!(copied, map.read(Way::Batch), "{:?}", map.spec);
    }
}

pub fn no_stable_row_is_lost_or_doubled_under_churn() {
    churn(MapType::Hash, 20_000, 10);
    for kind in [MapType::LruHash, MapType::PercpuHash, MapType::LruPercpuHash] {
        churn(kind, 5_000, 4);
    }
}

/// Reads a map of this type some rounds in each way while others than these entries come and go: by copy too,
/// for an entry that nobody writes does not move.
fn churn(kind: MapType, stable: u32, rounds: usize) {
    let churning = stable / 10;
    // Full ones of recently used entries put some out.
    let room = if LRU_HASHES.contains(&kind) { 2 } else { 1 };
    let map = Map::new(kind, 24, room * (stable + churning), 0);
    for n in 0..stable {
        map.insert(&key(n, 24), u64::from(n));
    }
    let cpus = if kind.is_percpu() { libbpf_rs::num_possible_cpus().unwrap() as u64 } else { 1 };
    let values = |n: u32| (0..cpus).map(|cpu| u64::from(n) + cpu).collect::<Vec<_>>();
    let wrong = |rows: &BTreeMap<Vec<u8>, Vec<Vec<u64>>>| {
        (0..stable).filter(|&n| rows.get(&key(n, 24)) != Some(&vec![values(n)])).count()
    };
    let stop = AtomicBool::new(false);
    let wrong = std::thread::scope(|scope| {
        scope.spawn(|| come_and_go(&map, stable..stable + churning * 3, &stop));
        let ways = [Way::Batch, Way::Keys].into_iter().chain(quick_ways());
        let ways = ways.filter(|way| *way != Way::Harvest);
        let reads = ways.flat_map(|way| std::iter::repeat_n(way, rounds));
        let wrong: Vec<_> = reads.map(|way| (way, wrong(&map.read_all(way)))).collect();
        stop.store(true, Ordering::Relaxed);
        wrong
    });
    assert!(wrong.iter().all(|(_, wrong)| *wrong == 0), "{kind:?}: {wrong:?}");
}

/// Has these keys come and go until it is told to stop.
fn come_and_go(map: &Map, keys: std::ops::Range<u32>, stop: &AtomicBool) {
    let mut round = 0u32;
    while !stop.load(Ordering::Relaxed) {
        let churning = key(keys.start + round % keys.len() as u32, 24);
        if map.try_insert(&churning, 1).is_err() {
            for n in keys.clone() {
                let _ = map.handle.delete(&key(n, 24));
            }
        }
        if round.is_multiple_of(3) {
            let _ = map.handle.delete(&churning);
        }
        round = round.wrapping_add(1);
    }
}
