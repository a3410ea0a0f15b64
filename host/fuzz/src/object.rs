//! An object of BPF, as far as it goes without a kernel: libbpf parses it, its types say what its maps hold, and a
//! plan that names all its maps is held against them.

use std::fmt::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use ebpf_wasm_exporter::bpf::{self, MapSpec, ObjectSource, Opened};
use ebpf_wasm_exporter::config::{self, Config, ConfigFile};

use crate::text;

/// Maps that the plan is of.
const MOST_MAPS: usize = 32;

/// Takes in an object that somebody compiled.
pub fn object(data: &[u8]) {
    let source = ObjectSource::Held(PathBuf::from("fuzz.bpf.o"), Bytes::copy_from_slice(data));
    let opened = match Opened::open("fuzz", &source, None) {
        Ok(opened) => opened,
        Err(error) => return text::one_line(&error.into_fault().to_string()),
    };
    let Some(config) = plan(&opened.maps()) else { return };
    let lines = text::lines(&config.file.text);
    if let Err(faults) = bpf::check(&config, &opened) {
        assert!(text::faults(faults, lines), "no layout, and no error");
    }
    if let Err(faults) = bpf::check_spans(&config, &opened) {
        assert!(text::faults(faults, lines), "no layout of spans, and no error");
    }
    assert!(!text::faults(bpf::check::warnings(&config, &opened), lines), "a warning is an error");
}

/// A plan with a counter, a histogram and a span of each map, as far as they have names for it.
fn plan(maps: &[MapSpec]) -> Option<Config> {
    let (mut counters, mut histograms, mut spans) = (String::new(), String::new(), String::new());
    let is_plain = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    for MapSpec { name, key_size, .. } in
        maps.iter().filter(|map| is_plain(&map.name)).take(MOST_MAPS)
    {
        let size = (*key_size).clamp(1, 256);
        let _ = write!(
            counters,
            "
    - {{name: {name}, help: h, labels: [{{name: key, size: {size}, decoders: [{{name: hex}}]}}]}}"
        );
        let _ = write!(histograms, "
    - {{name: {name}_of, help: h, bucket_type: exp2, bucket_min: 0, bucket_max: 8, labels: [{{name: key, size: {size}, decoders: [{{name: hex}}]}}, {{name: bucket, size: 8, decoders: [{{name: uint}}]}}]}}");
        let _ = write!(spans, "
    - {{name: s, ringbuf: {name}, labels: [{{name: trace_id, size: 16, decoders: [{{name: hex}}]}}, {{name: span_duration_ns, size: 8, decoders: [{{name: uint}}]}}]}}");
    }
    let section = |key: &str, items: &str| match items {
        "" => String::new(),
        items => format!("  {key}:{items}\n"),
    };
    let metrics = section("counters", &counters) + &section("histograms", &histograms);
    let yaml = format!("metrics:\n{metrics}tracing:\n{}", section("spans", &spans));
    config::load(vec![ConfigFile::new("fuzz.yaml", yaml)], &[]).0.pop()
}
