//! The programs under test: one object for each hook and each kind of map.

use std::fs;
use std::path::{Path, PathBuf};

use ebpf_wasm_exporter::advice::Advise as _;
use ebpf_wasm_exporter::bpf::{Attached, ObjectSource, Opened};
use ebpf_wasm_exporter::source::{MapReader, Reading, Source as _};

/// Hooks that a call of getpid() passes.
pub(crate) const HOOKS: [&str; 3] = ["raw_tp", "tp_btf", "tracepoint"];

/// What a program does there, and the macros that make it so.
pub(crate) const WORKS: [(&str, &str); 9] = [
    ("empty", ""),
    ("array", "#define BENCH_TYPE BPF_MAP_TYPE_ARRAY\n"),
    (
        "mmapable_array",
        "#define BENCH_TYPE BPF_MAP_TYPE_ARRAY\n#define BENCH_FLAGS BPF_F_MMAPABLE\n",
    ),
    ("percpu_array", "#define BENCH_TYPE BPF_MAP_TYPE_PERCPU_ARRAY\n"),
    ("hash", "#define BENCH_TYPE BPF_MAP_TYPE_HASH\n"),
    ("percpu_hash", "#define BENCH_TYPE BPF_MAP_TYPE_PERCPU_HASH\n"),
    ("lru_hash", "#define BENCH_TYPE BPF_MAP_TYPE_LRU_HASH\n"),
    ("hash_by_comm", "#define BENCH_TYPE BPF_MAP_TYPE_HASH\n#define BENCH_COMM\n"),
    ("lru_hash_by_comm", "#define BENCH_TYPE BPF_MAP_TYPE_LRU_HASH\n#define BENCH_COMM\n"),
];

/// One of them, in a file.
pub(crate) struct Program {
    pub(crate) hook: &'static str,
    pub(crate) work: &'static str,
    object: PathBuf,
}

/// Writes and compiles the programs of these hooks.
pub(crate) fn compile(hooks: &[&'static str]) -> Vec<Program> {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/overhead");
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-overhead");
    // What an earlier run left would be compiled too.
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("the target directory can be written");
    let mut programs = Vec::new();
    for hook in hooks {
        for (work, macros) in WORKS {
            let flags = if macros.contains("BENCH_FLAGS") { "" } else { "#define BENCH_FLAGS 0\n" };
            let source = format!(
                "#define BENCH_HOOK_{}\n{macros}{flags}#include \"{here}/count.bpf.h\"\n",
                hook.to_uppercase()
            );
            fs::write(dir.join(format!("{hook}-{work}.bpf.c")), source).expect("as above");
            let object = dir.join(format!("{hook}-{work}.bpf.o"));
            programs.push(Program { hook, work, object });
        }
    }
    crate::objects::compile(&dir);
    programs
}

impl Program {
    /// Has it run at each call until the answer is dropped, or says why it cannot.
    pub(crate) fn attach(&self) -> Result<Attached, String> {
        let source = ObjectSource::File(self.object.clone());
        let opened =
            Opened::open(self.work, &source, None).map_err(|error| error.advice().to_string())?;
        let attached = opened.load().map_err(|error| error.advice().to_string())?.attach();
        match attached.failures().first() {
            Some(failure) => Err(failure.advice().to_string()),
            None => Ok(attached),
        }
    }

    /// Fails unless the map has so many calls: figures of a program that did not run are worth
    /// nothing. It may have more, for this process is not the only one that makes system calls.
    pub(crate) fn expect_counted(&self, attached: &Attached, calls: u64) {
        let Some(map) = attached.map("calls_total") else {
            assert_eq!(self.work, "empty");
            return;
        };
        let mut counted = 0;
        MapReader::new(map, Reading::Auto, None)
            .and_then(|mut reader| {
                reader.read(&mut |chunk| {
                    counted += chunk.entries().flat_map(|entry| entry.values).sum::<u64>();
                })
            })
            .expect("the map can be read");
        assert!(counted >= calls, "{} {} counted {counted} of {calls}", self.hook, self.work);
    }
}
