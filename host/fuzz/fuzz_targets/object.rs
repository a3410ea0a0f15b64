//! The door of `ebpf_wasm_exporter_fuzz::object`, for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ebpf_wasm_exporter_fuzz::object(data));
