//! `sdk-c` is what the generator makes of the contract, byte for byte. `RENEW_SDK_C=1` has it written anew.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::{env, fs};

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

const CONTRACT: &str = "../../wit/0.1.0";
const SDK: &str = "../sdk-c";

/// What the generator makes of both worlds.
fn generated() -> Files {
    let mut files = Files::default();
    for world in ["decoder", "transform"] {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(CONTRACT).unwrap();
        let world = resolve.select_world(&[package], Some(world)).unwrap();
        let mut generator = wit_bindgen_c::Opts::default().build();
        generator.generate(&mut resolve, world, &mut files).unwrap();
    }
    files
}

#[test]
fn sdk_c_is_what_the_contract_gives() {
    let files = generated();
    assert_eq!(files.iter().count(), 6, "a header, a source and a type for each world");
    for (name, bytes) in files.iter() {
        let path = Path::new(SDK).join(name);
        if env::var_os("RENEW_SDK_C").is_some() {
            fs::write(&path, bytes).unwrap();
        }
        let is = fs::read(&path).unwrap_or_default();
        assert!(
            is == bytes,
            "{name} is not what the contract gives; RENEW_SDK_C=1 cargo test -p componentize writes it"
        );
    }
}
