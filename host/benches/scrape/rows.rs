//! The map under test: made by the exporter, filled and changed from here.

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use ebpf_wasm_exporter::bpf::read::{MapReader, Reading, Sink, Way};
use ebpf_wasm_exporter::bpf::{MapRef, MapSpec};
use libbpf_rs::query::MapInfoIter;
use libbpf_rs::{MapCore, MapHandle};

use crate::shapes::Shape;

/// Entries to write or delete at a time.
const CHUNK: usize = 4096;

pub(crate) struct Rows {
    shape: Shape,
    map: MapHandle,
    batch: MapReader,
    harvest: MapReader,
    /// Which of all keys of the shape each row has.
    ids: Vec<u64>,
    values: Vec<u64>,
    /// The first key that no row ever had.
    fresh: u64,
    random: u64,
}

impl Rows {
    /// Fills the youngest map called `rows_total` with so many rows.
    pub(crate) fn fill(shape: Shape, entries: usize) -> Self {
        let info = MapInfoIter::default().filter(|map| map.name.as_bytes() == b"rows_total");
        let info = info.last().expect("the exporter has made the map");
        let map = MapHandle::from_map_id(info.id).expect("root may open maps");
        let spec = MapSpec {
            name: "rows_total".to_owned(),
            kind: shape.kind,
            key_size: shape.key_size as u32,
            value_size: 8,
            max_entries: map.max_entries(),
            flags: 0,
        };
        let pinned = Reading::Pinned(Way::Harvest);
        let sink = Sink::for_maps([&spec], pinned).expect("the kernel has memory");
        let reader = |reading| {
            let map = MapRef { spec: spec.clone(), fd: map.as_fd() };
            MapReader::new(&map, reading, sink.as_ref()).expect("the map can be read")
        };
        let (batch, harvest) = (reader(Reading::Pinned(Way::Batch)), reader(pinned));
        let rows = Self {
            shape,
            batch,
            harvest,
            map,
            ids: (0..entries as u64).collect(),
            values: (0..entries as u64).map(|id| 1_000 + id % 8_000_000).collect(),
            fresh: entries as u64,
            random: 88_172_645_463_325_252,
        };
        rows.write(&(0..entries).collect::<Vec<_>>());
        rows
    }

    /// Counts up the values of `percent` of the rows, chosen at random.
    pub(crate) fn change(&mut self, percent: usize) {
        let rows = self.some(percent);
        for row in &rows {
            self.values[*row] += 1 + *row as u64 % 17;
        }
        self.write(&rows);
    }

    /// Takes `percent` of the rows out of the map and puts as many in that never were there.
    pub(crate) fn replace(&mut self, percent: usize) {
        let mut rows = self.some(percent);
        rows.sort_unstable();
        rows.dedup();
        self.delete(&rows);
        for row in &rows {
            self.ids[*row] = self.fresh;
            self.fresh += 1;
        }
        self.write(&rows);
    }

    fn some(&mut self, percent: usize) -> Vec<usize> {
        let count = self.ids.len() * percent / 100;
        if percent == 100 { (0..count).collect() } else { (0..count).map(|_| self.any()).collect() }
    }

    fn any(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % self.ids.len() as u64) as usize
    }

    fn keys(&self, rows: &[usize]) -> Vec<u8> {
        let mut keys = vec![0; rows.len() * self.shape.key_size];
        for (row, key) in rows.iter().zip(keys.chunks_mut(self.shape.key_size)) {
            (self.shape.key)(self.ids[*row], key);
        }
        keys
    }

    fn write(&self, rows: &[usize]) {
        for rows in rows.chunks(CHUNK) {
            let keys = self.keys(rows);
            let cpus = self.batch.cpus();
            let mut values = vec![0; rows.len() * cpus];
            for (row, values) in rows.iter().zip(values.chunks_mut(cpus)) {
                values[0] = self.values[*row];
            }
            let mut count = rows.len() as u32;
            // SAFETY: `count` keys and values, as large as the map's, are in the buffers.
            let answer = unsafe {
                libbpf_sys::bpf_map_update_batch(
                    self.map.as_fd().as_raw_fd(),
                    keys.as_ptr().cast(),
                    values.as_ptr().cast(),
                    &mut count,
                    std::ptr::null(),
                )
            };
            assert_eq!((answer, count as usize), (0, rows.len()));
        }
    }

    fn delete(&self, rows: &[usize]) {
        for rows in rows.chunks(CHUNK) {
            let keys = self.keys(rows);
            let mut count = rows.len() as u32;
            // SAFETY: `count` keys, as large as the map's, are in the buffer.
            let answer = unsafe {
                libbpf_sys::bpf_map_delete_batch(
                    self.map.as_fd().as_raw_fd(),
                    keys.as_ptr().cast(),
                    &mut count,
                    std::ptr::null(),
                )
            };
            assert_eq!((answer, count as usize), (0, rows.len()));
        }
    }

    /// How long the kernel's batch read of all rows takes, the least of `tries`.
    pub(crate) fn floor(&mut self, tries: usize) -> Duration {
        let Self { batch, ids, .. } = self;
        let read = || {
            let mut count = 0;
            let time = crate::timed(|| {
                batch.read(|chunk| count += chunk.len()).expect("the map can be read");
            });
            assert_eq!(count, ids.len());
            time
        };
        std::iter::repeat_with(read).take(tries).min().unwrap_or_default()
    }

    /// How long a walk inside the kernel takes, if the map can be read so: the least of `tries`.
    pub(crate) fn harvest(&mut self, tries: usize) -> Option<Duration> {
        let mut walks = (0..tries).map(|_| {
            let mut harvested = false;
            let time = crate::timed(|| harvested = self.harvest.harvest(|_| {}));
            harvested.then_some(time)
        });
        walks.by_ref().try_fold(Duration::MAX, |least, walk| Some(least.min(walk?)))
    }
}
