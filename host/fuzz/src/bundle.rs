//! A bundle, as a tar that somebody packed, and its manifest alone.

use std::path::Path;

use bytes::Bytes;
use ebpf_wasm_exporter::advice::Advise;
use ebpf_wasm_exporter::bundle::{Bundle, BundleManifest};
use ebpf_wasm_exporter::config;

use crate::text;

/// Takes in a bundle, or its manifest.
pub fn bundle(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    match BundleManifest::read(bytes.clone()) {
        Ok(manifest) => drop(manifest.version()),
        Err(error) => text::one_line(&error.advice().to_string()),
    }
    let bundle = match Bundle::read(&bytes) {
        Ok(bundle) => bundle,
        Err(error) => return text::one_line(&error.advice().to_string()),
    };
    // What was read is what is written and read again.
    let tar = Bytes::from(bundle.to_tar().expect("a bundle that can be written"));
    let again = Bundle::read(&tar).expect("a bundle that was written");
    assert_eq!(again.digest(), bundle.digest());
    assert!(again.blobs().eq(bundle.blobs()), "other files");
    let file = bundle.config(Path::new("fuzz.bundle"), None);
    let lines = text::lines(&file.text);
    text::faults(config::load(vec![file], &[]).1, lines);
}
