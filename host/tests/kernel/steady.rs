//! What is kept from scrape to scrape: that it gives what the plain path gives, and what it costs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};

use ebpf_wasm_exporter::escaping::Escaping;
use ebpf_wasm_exporter::exposition::Format;
use ebpf_wasm_exporter::serve::{Gatherer as _, Page};
use ebpf_wasm_exporter::source::{Reading, Way};
use flate2::read::GzDecoder;
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::exact::Pipeline;
use crate::read::quick_ways;
use crate::workload::flow;

/// Counts what each thread allocates.
pub struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is passed on as it is; the counter has no destructor and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

const YAML: &str = "
metrics:
  counters:
    - name: work_hash_total
      help: h
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
        - {name: text, size: 24, decoders: [{name: string}]}
";

/// A map, and the quick way in which it is read.
#[derive(Clone, Copy, Debug)]
struct Case {
    way: Way,
    per_cpu: bool,
}

impl Case {
    fn all() -> impl Iterator<Item = Self> {
        let per_cpu = quick_ways().filter(|way| *way == Way::Copy);
        let per_cpu = per_cpu.map(|way| Self { way, per_cpu: true });
        quick_ways().map(|way| Self { way, per_cpu: false }).chain(per_cpu)
    }

    fn pipeline(self) -> Pipeline {
        let yaml = if self.per_cpu {
            &YAML.replace("work_hash_total", self.map()).replace("size: 24", "size: 8")
        } else {
            YAML
        };
        Pipeline::reading(yaml, Reading::Pinned(self.way)).0
    }

    fn map(self) -> &'static str {
        if self.per_cpu { "work_exp2zero_bytes" } else { "work_hash_total" }
    }

    /// So many rows, or a tenth of them where there is less room.
    fn rows(self, of: u64) -> u64 {
        if self.per_cpu { of / 10 } else { of }
    }

    /// A key of two labels.
    fn key(self, id: u64, text: &[u8]) -> Vec<u8> {
        let mut key = flow(id, text);
        key.truncate(if self.per_cpu { 16 } else { key.len() });
        key
    }
}

/// What one scrape of so many rows allocates, a tenth of them changed, as it is and as gzip.
fn allocations(rows: u64, way: Way, format: Format) -> usize {
    const HASH: &str = "work_hash_total";
    let (mut pipeline, work) = Pipeline::reading(YAML, Reading::Pinned(way));
    (0..rows).for_each(|id| work.add(HASH, &flow(id, b"text"), 1_000_000 + id));
    let mut before = 0;
    for round in 0..4 {
        (round..rows).step_by(10).for_each(|id| work.add(HASH, &flow(id, b"text"), 7));
        before = ALLOCATIONS.get();
        let page = Page::Metrics(format, Escaping::default());
        pipeline.scraper.read(None);
        let body = pipeline.scraper.page(page);
        pipeline.scraper.gzip(page, &body);
    }
    let after = ALLOCATIONS.get();
    assert!(pipeline.lines("map_read_info").contains(way.as_str()));
    after - before
}

pub fn a_warm_scrape_allocates_nothing_for_a_row() {
    let formats = [Format::Text, Format::OpenMetrics, Format::OpenMetrics2, Format::Protobuf];
    for (way, format) in quick_ways().flat_map(|way| formats.map(|format| (way, format))) {
        let (few, many) = (allocations(2_000, way, format), allocations(22_000, way, format));
        // A block of 512 lines is passed on in a few pieces of memory.
        let blocks = 20_000 / 512 + 1;
        assert!(many > few, "something is counted");
        assert!(
            many - few < 10 * blocks,
            "{way}, {format:?}: {few} for 2,000 rows, {many} for 22,000"
        );
    }
}

/// What is done to the map between two scrapes: keys and their new values, or that they go.
type Changes = Vec<(u8, Option<u64>)>;

fn changes() -> impl Strategy<Value = Vec<Changes>> {
    let value = prop_oneof![0..20u64, any::<u64>(), (0..20u32).prop_map(|n| 10u64.pow(n) - 1)];
    let change = (any::<u8>(), prop::option::weighted(0.8, value));
    let some = prop::collection::vec(change.clone(), 0..20);
    // More than what is confirmed one by one.
    let many = prop::collection::vec(change, 200..400);
    let gone = Just((0..=u8::MAX).map(|n| (n, None)).collect());
    prop::collection::vec(prop_oneof![4 => some, 1 => many, 1 => gone], 1..12)
}

/// Whatever happens to a map, each scrape is what its rows are, all of them rendered anew; and gzip
/// is that text.
pub fn shortcuts_give_what_the_plain_path_gives() {
    for case in Case::all() {
        let ways = shortcuts(case);
        let by = |way: Way| ways.iter().any(|line| line.contains(&format!("way=\"{way}\"")));
        assert!(by(case.way) && by(Way::Batch), "{ways:?}");
    }
}

/// The lines that say how the map was read.
fn shortcuts(case: Case) -> BTreeSet<String> {
    let key = |n: u8| case.key(u64::from(n), format!("{}\"\\", n % 7).as_bytes());
    let map = case.map();
    let ways = RefCell::new(BTreeSet::new());
    let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
    let result = runner.run(&changes(), |scrapes| {
        let mut pipeline = case.pipeline();
        let mut model = BTreeMap::new();
        // What each key had at the last scrape, and what its series has counted.
        let mut counted: BTreeMap<u8, (u64, u64)> = BTreeMap::new();
        for changes in scrapes {
            for (n, value) in changes {
                match value {
                    Some(value) => pipeline.maps.set(map, &key(n), value),
                    None if model.contains_key(&n) => pipeline.maps.delete(map, &key(n)),
                    None => {}
                }
                model.remove(&n);
                model.extend(value.map(|value| (n, value)));
            }
            counted.retain(|n, _| model.contains_key(n));
            for (n, value) in &model {
                let (before, total) = counted.entry(*n).or_default();
                let grown = if value < before { *value } else { value - *before };
                (*before, *total) = (*value, total.saturating_add(grown));
            }
            let page = Page::Metrics(Format::Text, Escaping::default());
            pipeline.scraper.read(None);
            let body = pipeline.scraper.page(page);
            let zipped = pipeline.scraper.gzip(page, &body).concat();
            let mut text = String::new();
            GzDecoder::new(&*zipped).read_to_string(&mut text).unwrap();
            prop_assert!(text.as_bytes() == body.concat(), "gzip is not the text");
            let about = text.lines().filter(|line| line.contains(map));
            let way: Vec<_> =
                about.filter(|line| line.starts_with("ebpf_exporter_map_read_info{")).collect();
            let series = format!("ebpf_exporter_{map}{{");
            let lines: Vec<_> = text.lines().filter(|line| line.starts_with(&series)).collect();
            ways.borrow_mut().insert(way.concat());
            let expected: BTreeSet<_> = counted
                .iter()
                .map(|(n, (_, total))| {
                    let text = n % 7;
                    format!("ebpf_exporter_{map}{{id=\"{n}\",text=\"{text}\\\"\\\\\"}} {total}")
                })
                .collect();
            prop_assert_eq!(lines.len(), expected.len());
            prop_assert!(lines.iter().all(|line| expected.contains(*line)), "{:#?}", lines);
        }
        Ok(())
    });
    assert_eq!(result, Ok(()));
    ways.take()
}

/// While a thread writes, deletes and inserts entries as fast as it can, every scrape has each entry
/// that stays, with its value, and gives no other entry a value that it never had. No value is ever
/// less than one before it, so none is taken for one that fell.
pub fn entries_that_stay_are_right_while_others_write() {
    for case in Case::all() {
        let (stays, moves) = (case.rows(6_000), case.rows(2_000));
        let mut pipeline = case.pipeline();
        let key = |id| case.key(id, format!("{id}").as_bytes());
        const EACH: u64 = 1 << 40;
        (0..stays + moves).for_each(|id| pipeline.maps.set(case.map(), &key(id), id * EACH));
        let map = pipeline.maps.map(case.map());
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut random = 88_172_645_463_325_252u64;
                let mut written = 0;
                while !stop.load(Ordering::Relaxed) {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let id = stays + random % moves;
                    if random & (1 << 40) == 0 {
                        let _ = map.delete(&key(id));
                    } else {
                        written += 1;
                        let value = id * EACH + written;
                        write(&map, &key(id), value);
                    }
                }
            });
            let right = (0..40).all(|round| {
                let text = pipeline.lines(case.map());
                let values = text.lines().map(|line| {
                    let id = line.split('"').nth(1).unwrap().parse::<u64>().unwrap();
                    let text = line.split('"').nth(3).unwrap().parse::<u64>().unwrap();
                    let value = line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
                    (id, text, value)
                });
                let values: Vec<_> = values.collect();
                let stay: BTreeSet<_> = values
                    .iter()
                    .filter(|(id, _, value)| *id < stays && *value == id * EACH)
                    .collect();
                let strange: Vec<_> = values
                    .iter()
                    .filter(|(id, text, value)| text != id || value / EACH != *id)
                    .collect();
                let right = stay.len() == stays as usize && strange.is_empty();
                if !right {
                    eprintln!("{case:?}, round {round}: {} stay, {strange:?}", stay.len());
                }
                right
            });
            stop.store(true, Ordering::Relaxed);
            assert!(right, "{case:?}");
        });
    }
}

/// Gives an entry a value: in a per-CPU map on the last CPU.
fn write(map: &MapHandle, key: &[u8], value: u64) {
    if !map.map_type().is_percpu() {
        return map.update(key, &value.to_ne_bytes(), MapFlags::ANY).unwrap();
    }
    let mut values = vec![0u64.to_ne_bytes().to_vec(); libbpf_rs::num_possible_cpus().unwrap()];
    values.last_mut().unwrap().copy_from_slice(&value.to_ne_bytes());
    map.update_percpu(key, &values, MapFlags::ANY).unwrap();
}
