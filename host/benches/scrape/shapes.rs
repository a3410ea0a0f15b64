//! What the map under test holds, and the config that exposes it.

use std::fs;
use std::path::{Path, PathBuf};

use libbpf_rs::MapType;

/// A kind of map, with keys to fill it and labels to decode them into.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) kind: MapType,
    pub(crate) key_size: usize,
    /// Writes the `n`-th of all keys that there can be.
    pub(crate) key: fn(u64, &mut [u8]),
    /// The config behind `help`.
    yaml: &'static str,
}

/// What the figures are measured with: `{u64 id; char comm[16]}`.
pub(crate) const ROWS: Shape = Shape {
    kind: MapType::Hash,
    key_size: 24,
    key: |n, key| {
        key[..8].copy_from_slice(&(n * 7919).to_ne_bytes());
        let comm = format!("worker-{}", n % 977);
        key[8..8 + comm.len()].copy_from_slice(comm.as_bytes());
    },
    yaml: "
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
        - {name: comm, size: 16, decoders: [{name: string}]}
",
};

/// The same, its values one for each CPU.
pub(crate) const PER_CPU: Shape = Shape { kind: MapType::PercpuHash, ..ROWS };

/// 27 buckets for each label.
pub(crate) const HISTOGRAMS: Shape = Shape {
    kind: MapType::Hash,
    key_size: 16,
    key: |n, key| {
        key[..8].copy_from_slice(&(n / 27 * 7919).to_ne_bytes());
        key[8..12].copy_from_slice(&(n as u32 % 27).to_ne_bytes());
    },
    yaml: "
      bucket_type: exp2
      bucket_min: 0
      bucket_max: 26
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
        - {name: bucket, size: 4, padding: 4, decoders: [{name: uint}]}
",
};

/// Keys that are indexes.
pub(crate) const ARRAY: Shape = Shape {
    kind: MapType::Array,
    key_size: 4,
    key: |n, key| key.copy_from_slice(&(n as u32).to_ne_bytes()),
    yaml: "
      labels:
        - {name: index, size: 4, decoders: [{name: uint}]}
",
};

/// A label that is matched against patterns.
pub(crate) const REGEXP: Shape = Shape {
    yaml: "
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
        - name: comm
          size: 16
          decoders: [{name: string}, {name: regexp, regexps: ['^kworker', '^worker-[0-9]+$']}]
",
    ..ROWS
};

/// A label that is looked up in the system, and again from time to time: there are no such cgroups.
pub(crate) const CGROUP: Shape = Shape {
    kind: MapType::Hash,
    key_size: 8,
    key: |n, key| key.copy_from_slice(&((1 << 40) + n).to_ne_bytes()),
    yaml: "
      labels:
        - {name: cgroup, size: 8, decoders: [{name: cgroup}]}
",
};

/// A label with one of four texts, decoded natively.
pub(crate) const ZONES: Shape = Shape {
    kind: MapType::Hash,
    key_size: 16,
    key: |n, key| {
        key[..8].copy_from_slice(&(n * 7919).to_ne_bytes());
        key[8] = 10 + (n % 4) as u8;
    },
    yaml: "
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
        - name: zone
          size: 4
          padding: 4
          decoders:
            - name: uint
            - name: static_map
              static_map: {10: red, 11: green, 12: blue, 13: white}
",
};

/// The same texts, decoded by a plugin.
pub(crate) const WASM_ZONES: Shape = Shape {
    yaml: "
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
        - name: zone
          size: 4
          padding: 4
          decoders: [{name: wasm, plugin: zones}]
plugins:
  zones:
    file: cidr.wasm
    settings:
      prefixes: {10.0.0.0/8: red, 11.0.0.0/8: green, 12.0.0.0/8: blue, 13.0.0.0/8: white}
",
    ..ZONES
};

impl Shape {
    /// Writes a config named `rows`, and an object `count` beside it, whose map `rows_total` is like this and has room for so many
    /// entries; its directory.
    pub(crate) fn write(&self, label: &str, entries: usize) -> PathBuf {
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/scrape");
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{label}"));
        fs::create_dir_all(&dir).expect("the target directory can be written");
        for name in ["rows", "count"] {
            let source = format!(
                "#define BENCH_TYPE {}\n#define BENCH_ENTRIES {entries}\n\
                 #define BENCH_KEY_SIZE {}\n#include \"{here}/{name}.bpf.h\"\n",
                self.type_name(),
                self.key_size,
            );
            fs::write(dir.join(format!("{name}.bpf.c")), source).expect("as above");
        }
        let kind = if self.yaml.contains("bucket_type") { "histograms" } else { "counters" };
        let yaml = format!(
            "metrics:\n  {kind}:\n    - name: rows_total\n      help: Rows of the benchmark{}",
            self.yaml
        );
        fs::write(dir.join("rows.yaml"), yaml).expect("as above");
        crate::objects::compile(&dir);
        dir
    }

    fn type_name(&self) -> &'static str {
        match self.kind {
            MapType::PercpuHash => "BPF_MAP_TYPE_PERCPU_HASH",
            MapType::Array => "BPF_MAP_TYPE_ARRAY",
            _ => "BPF_MAP_TYPE_HASH",
        }
    }
}
