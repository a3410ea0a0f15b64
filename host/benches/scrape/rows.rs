//! The map under test: made by the exporter, filled and changed from here.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ebpf_wasm_exporter::bpf::read::{MapReader, Way};
use ebpf_wasm_exporter::bpf::{MapRef, MapSpec};
use libbpf_rs::query::MapInfoIter;
use libbpf_rs::{MapCore, MapHandle, MapType};

const YAML: &str = "
metrics:
  counters:
    - name: rows_total
      help: Rows of the benchmark
      labels:
        - name: id
          size: 8
          decoders: [{name: uint}]
        - name: comm
          size: 16
          decoders: [{name: string}]
";

/// Writes a config named `rows` whose hash map holds `entries` rows; its directory.
pub(crate) fn config(entries: usize) -> PathBuf {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/scrape");
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{entries}"));
    fs::create_dir_all(&dir).expect("the target directory can be written");
    let source = format!(
        "#define BENCH_TYPE BPF_MAP_TYPE_HASH\n#define BENCH_ENTRIES {entries}\n#define BENCH_KEY struct row\n\
         #include \"{here}/rows.bpf.h\"\n"
    );
    fs::write(dir.join("rows.bpf.c"), source).expect("as above");
    fs::write(dir.join("rows.yaml"), YAML).expect("as above");
    crate::objects::compile(&dir);
    dir
}

pub(crate) struct Rows {
    map: MapHandle,
    reader: MapReader,
    keys: Vec<[u8; 24]>,
    values: Vec<u64>,
    random: u64,
}

impl Rows {
    /// Fills the youngest map called `rows_total` with so many rows.
    pub(crate) fn fill(entries: usize) -> Self {
        let info = MapInfoIter::default().filter(|map| map.name.as_bytes() == b"rows_total");
        let info = info.last().expect("the exporter has made the map");
        let map = MapHandle::from_map_id(info.id).expect("root may open maps");
        let spec = MapSpec {
            name: "rows_total".to_owned(),
            kind: MapType::Hash,
            key_size: 24,
            value_size: 8,
            max_entries: map.max_entries(),
            flags: 0,
        };
        let reader = MapReader::with_way(&MapRef { spec, fd: map.as_fd() }, Way::Batch);
        let reader = reader.expect("the map can be read");
        let keys = (0..entries as u64).map(|id| {
            let mut key = [0; 24];
            key[..8].copy_from_slice(&(id * 7919).to_ne_bytes());
            let comm = format!("worker-{}", id % 977);
            key[8..8 + comm.len()].copy_from_slice(comm.as_bytes());
            key
        });
        let values = (0..entries as u64).map(|id| 1_000 + id % 8_000_000).collect();
        let rows =
            Self { map, reader, keys: keys.collect(), values, random: 88_172_645_463_325_252 };
        rows.write(&(0..entries).collect::<Vec<_>>());
        rows
    }

    /// Counts up the values of `percent` of the rows, chosen at random.
    pub(crate) fn change(&mut self, percent: usize) {
        let count = self.keys.len() * percent / 100;
        let rows: Vec<usize> = if percent == 100 {
            (0..count).collect()
        } else {
            (0..count).map(|_| self.any()).collect()
        };
        for row in &rows {
            self.values[*row] += 1 + *row as u64 % 17;
        }
        self.write(&rows);
    }

    fn any(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % self.keys.len() as u64) as usize
    }

    fn write(&self, rows: &[usize]) {
        for rows in rows.chunks(4096) {
            let keys: Vec<u8> = rows.iter().flat_map(|row| self.keys[*row]).collect();
            let values: Vec<u64> = rows.iter().map(|row| self.values[*row]).collect();
            let mut count = rows.len() as u32;
            // SAFETY: `count` keys of 24 bytes and values of 8 are in the buffers.
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

    /// How long the kernel's batch read of all rows takes, the least of three.
    pub(crate) fn floor(&mut self) -> Duration {
        let read = |reader: &mut MapReader| {
            let mut count = 0;
            let time = crate::timed(|| {
                reader.read(|chunk| count += chunk.entries().len()).expect("the map can be read");
            });
            (time, count)
        };
        let times = [0; 3].map(|_| read(&mut self.reader));
        assert!(times.iter().all(|(_, count)| *count == self.keys.len()));
        times.iter().map(|(time, _)| *time).min().expect("three")
    }
}
