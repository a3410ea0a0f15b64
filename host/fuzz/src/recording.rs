//! A recording, played, and what its maps become.
//!
//! An input that does not begin as a file does is what stands in one, before it is packed: what is packed cannot be
//! changed by little, as its checksums are wrong then.

use std::path::Path;
use std::sync::{Arc, Mutex};

use ebpf_wasm_exporter::advice::Advise;
use ebpf_wasm_exporter::plugin::{Compiler, Loader};
use ebpf_wasm_exporter::source::recording::{Tape, file_of};
use ebpf_wasm_exporter::startup::replay::Playback;
use ebpf_wasm_exporter::startup::{Places, replay};

use crate::{SYSTEM, reader, text};

/// What a file begins with.
const MAGIC: &[u8] = b"EWEREC";
/// Readings that are played.
const MOST_READINGS: usize = 8;

/// Takes in a recording.
pub fn recording(data: &[u8]) {
    let bytes = if data.starts_with(MAGIC) { data.to_vec() } else { packed(data) };
    let file = Path::new("/nowhere/fuzz.rec");
    let tape = match Tape::held(file, bytes.into()) {
        Ok(tape) => tape,
        Err(error) => return text::one_line(&error.advice().to_string()),
    };
    let configs = replay::recorded(tape.head(), file);
    let tape = Arc::new(Mutex::new(tape));
    // Nothing compiles what a recorded config names.
    let loader = &mut Loader::new(Compiler::program("/nowhere/exporter"), None);
    let (units, faults) = replay::units(&tape, configs, &Places::default(), &SYSTEM, loader);
    // Nothing is played of configs that have one.
    if text::faults(faults, data.len()) {
        return;
    }
    let mut playback = Playback::new(tape, units);
    for _ in 0..MOST_READINGS {
        match playback.advance(None) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return text::one_line(&error.advice().to_string()),
        }
        let page = String::from_utf8(playback.text()).expect("text");
        reader::read(&page).expect("an exposition");
    }
}

fn packed(data: &[u8]) -> Vec<u8> {
    let frame = zstd::encode_all(data, 1).expect("memory has room");
    file_of(&frame).expect("memory has room")
}
