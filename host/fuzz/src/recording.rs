//! A recording, played, and what its maps become.
//!
//! An input that does not begin as a file does is what stands in one, before it is packed: what is packed cannot be
//! changed by little.

use std::path::Path;
use std::sync::{Arc, Mutex};

use ebpf_wasm_exporter::advice::Advise;
use ebpf_wasm_exporter::plugin::{Compiler, Loader};
use ebpf_wasm_exporter::scrape::Scraper;
use ebpf_wasm_exporter::source::recording::Tape;
use ebpf_wasm_exporter::startup::{Places, replay};

use crate::{SYSTEM, reader, text};

/// What a file begins with.
const MAGIC: &[u8] = b"EWEREC01";
/// Rounds that are played.
const MOST_ROUNDS: usize = 8;

/// Takes in a recording.
pub fn recording(data: &[u8]) {
    let bytes = if data.starts_with(&MAGIC[..6]) { data.to_vec() } else { packed(data) };
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
    let mut scraper = Scraper::new(units);
    for _ in 0..MOST_ROUNDS {
        scraper.read_maps();
        let page = String::from_utf8(scraper.maps_text()).expect("text");
        reader::read(&page).expect("an exposition");
        let tape = tape.lock().expect("nobody has panicked");
        if let Some(advice) = tape.fault() {
            text::one_line(&advice.to_string());
        }
        if tape.has_ended() {
            break;
        }
    }
}

fn packed(data: &[u8]) -> Vec<u8> {
    let frame = zstd::encode_all(data, 1).expect("memory has room");
    [MAGIC, &frame].concat()
}
