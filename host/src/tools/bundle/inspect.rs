//! `bundle inspect`: what a manifest says, which nobody but its digests has checked.

use std::fmt::Write as _;

use serde_json::json;

use crate::advice::plain;
use crate::bundle::BundleManifest;
use crate::logging::printable;

/// Bytes of a text that is shown.
const LONGEST: usize = 200;
/// Annotations that are listed.
const MOST_ANNOTATIONS: usize = 64;

/// A line for each thing that is known.
pub(super) fn text(manifest: &BundleManifest) -> String {
    let BundleManifest { digest, annotations, files, .. } = manifest;
    let mut out = format!("bundle       {}\nannotations\n", digest.tagged());
    for (key, text) in annotations.iter().take(MOST_ANNOTATIONS) {
        let _ = writeln!(out, "  {}: {}", plain(key, LONGEST), plain(text, LONGEST));
    }
    out.push_str("files\n");
    let width = files.iter().map(|file| file.name.chars().count()).max().unwrap_or(0);
    for file in files {
        let (part, name) = (file.part.word(), plain(&file.name, LONGEST));
        let _ = writeln!(
            out,
            "  {part:10}  {name:width$}  {:>9} bytes  {}",
            file.size,
            file.digest.tagged()
        );
    }
    out
}

/// All of it as an object, on one line.
pub(super) fn json(manifest: &BundleManifest) -> String {
    let files: Vec<_> = manifest
        .files
        .iter()
        .map(|file| {
            json!({
                "part": file.part.word(), "name": file.name, "size": file.size,
                "digest": file.digest.tagged(),
            })
        })
        .collect();
    let object = json!({
        "digest": manifest.digest.tagged(), "annotations": manifest.annotations, "files": files,
    });
    format!("{}\n", printable(&object.to_string()))
}
