//! The door of `ebpf_wasm_exporter_fuzz::guest_answer`, for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ebpf_wasm_exporter_fuzz::guest_answer(data));
