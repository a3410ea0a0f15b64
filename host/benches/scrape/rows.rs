//! The map under test: made by the exporter, filled from here, and counted up by a program.

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use ebpf_wasm_exporter::bpf::{MapRef, MapSpec};
use ebpf_wasm_exporter::source::{MapReader, Reading, Sink, Source as _, Way};
use libbpf_rs::query::MapInfoIter;
use libbpf_rs::{MapCore, MapHandle, Object, ObjectBuilder};

use crate::shapes::Shape;

/// Entries to write or delete at a time.
const CHUNK: usize = 4096;

pub(crate) struct Rows {
    shape: Shape,
    map: MapHandle,
    batch: MapReader,
    copy: MapReader,
    harvest: MapReader,
    /// The program that counts.
    count: Object,
    /// Which of all keys of the shape each row has.
    ids: Vec<u64>,
    values: Vec<u64>,
    /// The first key that no row ever had.
    fresh: u64,
    random: u64,
}

/// Loads an object whose map this is.
fn load(object: &Path, map: &MapHandle) -> Object {
    let mut object = ObjectBuilder::default().open_file(object).expect("it is compiled");
    for mut program in object.progs_mut() {
        program.set_autoload(program.name() == "count");
    }
    for mut part in object.maps_mut() {
        part.reuse_fd(map.as_fd()).expect("it is as the object wants it");
    }
    object.load().expect("the kernel takes it")
}

impl Rows {
    /// Fills the youngest map called `rows_total` with so many rows; its objects are in `dir`.
    pub(crate) fn fill(shape: Shape, dir: &Path, entries: usize) -> Self {
        let info = MapInfoIter::default().filter(|map| map.name.as_bytes() == b"rows_total");
        let info = info.last().expect("the exporter has made the map");
        let map = MapHandle::from_map_id(info.id).expect("root may open maps");
        let spec = MapSpec {
            name: "rows_total".to_owned(),
            kind: shape.kind.into(),
            key_size: shape.key_size as u32,
            value_size: 8,
            max_entries: map.max_entries(),
            flags: 0,
        };
        let reader = |way| {
            let reading = Reading::Pinned(way);
            let map = MapRef::new(spec.clone(), map.as_fd()).expect("there are descriptors");
            let sink = Sink::for_maps([&map], reading).expect("the kernel has memory");
            MapReader::new(&map, reading, sink.as_ref()).expect("the map can be read")
        };
        let rows = Self {
            shape,
            batch: reader(Way::Batch),
            copy: reader(Way::Copy),
            harvest: reader(Way::Harvest),
            count: load(&dir.join("count.bpf.o"), &map),
            map,
            ids: (0..entries as u64).collect(),
            values: (0..entries as u64).map(|id| 1_000 + id % 8_000_000).collect(),
            fresh: entries as u64,
            random: 88_172_645_463_325_252,
        };
        rows.write(&(0..entries).collect::<Vec<_>>());
        rows
    }

    /// Counts up the values of `percent` of the rows, chosen at random, where they stand: as the
    /// programs of an exporter do.
    pub(crate) fn change(&mut self, percent: usize) {
        let program = self.count.progs_mut().find(|program| program.name() == "count");
        let program = program.expect("it is in the object").as_fd().as_raw_fd();
        let rows = self.some(percent);
        let mut context = vec![0; size_of::<u64>() + self.shape.key_size];
        for row in rows {
            let by = 1 + row as u64 % 17;
            self.values[row] += by;
            let (number, key) = context.split_at_mut(size_of::<u64>());
            number.copy_from_slice(&by.to_ne_bytes());
            key.fill(0);
            (self.shape.key)(self.ids[row], key);
            let mut options = libbpf_sys::bpf_test_run_opts {
                sz: size_of::<libbpf_sys::bpf_test_run_opts>() as u64,
                ctx_in: context.as_mut_ptr().cast(),
                ctx_size_in: context.len() as u32,
                ..Default::default()
            };
            // SAFETY: the context has the size given, and lives with the options through the call.
            let answer = unsafe { libbpf_sys::bpf_prog_test_run_opts(program, &mut options) };
            assert_eq!((answer, options.retval), (0, 0));
        }
    }

    /// Writes the values of `percent` of the rows anew from outside, which moves them in the map.
    pub(crate) fn rewrite(&mut self, percent: usize) {
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
                batch.read(&mut |chunk| count += chunk.len()).expect("the map can be read");
            });
            assert_eq!(count, ids.len());
            time
        };
        std::iter::repeat_with(read).take(tries).min().unwrap_or_default()
    }

    /// How long a copy of its elements takes, and a walk inside the kernel, if the map can be read so:
    /// the least of `tries`.
    pub(crate) fn quick(&mut self, tries: usize) -> [Option<Duration>; 2] {
        [&mut self.copy, &mut self.harvest].map(|reader| {
            let mut reads = (0..tries).map(|_| {
                let mut done = false;
                let time = crate::timed(|| done = reader.read_quickly(None, &mut |_| {}));
                done.then_some(time)
            });
            reads.try_fold(Duration::MAX, |least, read| Some(least.min(read?)))
        })
    }
}
