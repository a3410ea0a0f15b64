//! `plugin inspect`: what a file is, from its bytes alone, and what it says of itself.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::plain;
use super::plugin::{self, Import, Inspection};
use super::remote::Pinned;
use crate::logging::printable;
use crate::signature::Signer;

/// Annotations that are listed.
const MOST_ANNOTATIONS: usize = 64;
/// Settings that are listed.
const MOST_SETTINGS: usize = 64;

/// A line for each thing that is known.
pub(super) fn text(
    found: &Inspection,
    artifact: Option<&Pinned>,
    signer: Option<&Signer>,
) -> String {
    let Inspection { world, version, imports, size, digest, memory, metadata, notes, .. } = found;
    let mut out = String::new();
    if let Some(signer) = signer {
        let _ = writeln!(out, "signed by    {signer}");
    }
    if let Some(Pinned { reference, annotations, .. }) = artifact {
        let _ = writeln!(out, "artifact     {reference}");
        let shown = annotations.iter().take(MOST_ANNOTATIONS).collect::<Vec<_>>().into_iter();
        let line = |(key, text): (&String, &String)| format!("{}: {}", plain(key), plain(text));
        list(&mut out, "annotations", "none", shown.map(line));
    }
    let _ = write!(out, "world        {world}\ncontract     {version}\n");
    for (name, text) in metadata.texts() {
        if let Some(text) = text {
            let _ = writeln!(out, "{name:12} {}", plain(text));
        }
    }
    let _ = write!(
        out,
        "size         {size} bytes\nsha256       {digest}\n\
         memory       {memory} bytes at the start\n"
    );
    let given = |Import { name, given }: &Import| {
        let state = match given {
            true if plugin::is_data(name) => "given: it reads files that a config names as `data`",
            true => "given",
            false => "not given: a call of it traps",
        };
        format!("{}  ({state})", name.escape_debug())
    };
    list(&mut out, "imports", "nothing", imports.iter().map(given));
    if let Some(schema) = &metadata.settings {
        let settings = plugin::outline(schema, MOST_SETTINGS).into_iter();
        let setting = |(name, is): (&str, String)| format!("{}  {}", plain(name), plain(&is));
        list(&mut out, "settings", "none", settings.map(setting));
    }
    if !notes.is_empty() {
        list(&mut out, "notes", "none", notes.iter().map(|note| plain(note)));
    }
    out
}

/// A list with its title, or the word for an empty one.
fn list(out: &mut String, title: &str, none: &str, items: impl ExactSizeIterator<Item = String>) {
    let _ = match items.len() {
        0 => writeln!(out, "{title:12} {none}"),
        _ => writeln!(out, "{title}"),
    };
    for item in items {
        let _ = writeln!(out, "  {}", item.trim_end());
    }
}

/// All of it as an object, on one line. `settings` is the JSON Schema.
pub(super) fn json(
    found: &Inspection,
    artifact: Option<&Pinned>,
    signer: Option<&Signer>,
) -> String {
    let Inspection { world, version, imports, size, digest, memory, metadata, notes, .. } = found;
    let imports: Vec<_> = imports
        .iter()
        .map(|Import { name, given }| json!({"name": name, "given": given}))
        .collect();
    let said = metadata.texts().into_iter();
    let said = said.filter_map(|(name, text)| Some((name.to_owned(), Value::from(text?))));
    let said: Map<_, _> = said.collect();
    let artifact = artifact.map(|Pinned { reference, annotations, .. }| {
        json!({"reference": reference.to_string(), "annotations": annotations})
    });
    let object = json!({
        "artifact": artifact, "signer": signer.map(ToString::to_string),
        "world": world.word(), "contract": version, "size": size, "sha256": digest.to_string(),
        "memory": memory, "imports": imports, "metadata": said, "settings": metadata.settings,
        "notes": notes,
    });
    format!("{}\n", printable(&object.to_string()))
}
