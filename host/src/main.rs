//! `ebpf_wasm_exporter`: flags → config → open, load, attach → drop privileges → serve → drain.

fn main() {}
