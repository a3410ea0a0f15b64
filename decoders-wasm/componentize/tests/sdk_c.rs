//! `sdk-c` is what the generator makes of the contract, byte for byte. `RENEW_SDK_C=1` has it written anew.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::{env, fs};

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

const CONTRACT: &str = "../../wit/0.1.0";
const SDK: &str = "../sdk-c";

/// What the generator leaves out: it frees a `list<u8>` of an export only if no import has such a list too, as
/// `data` does. Without it each call of a decoder would leave its inputs behind.
const FORGOTTEN: (&str, &str) = (
    "decoding_batch_free(exports_ebpf_exporter_plugin_decoding_batch_t *ptr) {\n",
    "  decoder_list_u8_free(&ptr->bytes);\n",
);

/// What the generator makes of both worlds, with what it forgets.
fn generated() -> Vec<(String, Vec<u8>)> {
    let mut files = Files::default();
    for world in ["decoder", "transform"] {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(CONTRACT).unwrap();
        let world = resolve.select_world(&[package], Some(world)).unwrap();
        let mut generator = wit_bindgen_c::Opts::default().build();
        generator.generate(&mut resolve, world, &mut files).unwrap();
    }
    let whole = |(name, bytes): (&str, &[u8])| {
        let bytes = if name == "decoder.c" { mended(bytes) } else { bytes.to_vec() };
        (name.to_owned(), bytes)
    };
    files.iter().map(whole).collect()
}

fn mended(source: &[u8]) -> Vec<u8> {
    let (before, line) = FORGOTTEN;
    let source = String::from_utf8(source.to_vec()).unwrap();
    let (head, tail) = source.split_once(before).expect("what frees a batch");
    assert!(!tail.starts_with(line), "the generator does it itself now: remove this");
    format!("{head}{before}{line}{tail}").into_bytes()
}

#[test]
fn sdk_c_is_what_the_contract_gives() {
    let files = generated();
    assert_eq!(files.len(), 6, "a header, a source and a type for each world");
    for (name, bytes) in &files {
        let path = Path::new(SDK).join(name);
        if env::var_os("RENEW_SDK_C").is_some() {
            fs::write(&path, bytes).unwrap();
        }
        let is = fs::read(&path).unwrap_or_default();
        assert!(
            is == *bytes,
            "{name} is not what the contract gives; RENEW_SDK_C=1 cargo test -p componentize writes it"
        );
    }
}
