//! The sections of a module or a component, one by one, those inside of others left as they are.
//!
//! Never understands what is in one, but for the name of a custom section and those of imports.

use std::collections::BTreeSet;

use wasm_encoder::{CustomSection, Encode as _};
use wasmparser::{BinaryReader, Parser, Payload};

use crate::error::{ComponentizeError, shown};

/// What a core module begins with, behind the four bytes that all have.
pub(crate) const MODULE: [u8; 4] = [1, 0, 0, 0];
/// What a component begins with there.
pub(crate) const COMPONENT: [u8; 4] = [0x0d, 0, 1, 0];
/// Bytes before the first section.
const HEADER: usize = 8;
/// What custom sections begin with.
const CUSTOM: u8 = 0;

/// What a file says that it is; nothing if it is no WebAssembly.
pub(crate) fn header(bytes: &[u8]) -> Option<[u8; 4]> {
    bytes.strip_prefix(b"\0asm")?.first_chunk().copied()
}

/// The file without the custom sections that `is_taken`, which gets the name and the content of each.
pub(crate) fn without<'a>(
    bytes: &'a [u8],
    mut is_taken: impl FnMut(&'a str, &'a [u8]) -> Result<bool, ComponentizeError>,
) -> Result<Vec<u8>, ComponentizeError> {
    let damaged = |error: wasmparser::BinaryReaderError| {
        ComponentizeError::Damaged(format!("{} at byte {}", shown(error.message()), error.offset()))
    };
    let mut kept = Vec::with_capacity(bytes.len());
    kept.extend(&bytes[..HEADER.min(bytes.len())]);
    let mut rest = BinaryReader::new(bytes.get(HEADER..).unwrap_or_default(), HEADER);
    while !rest.eof() {
        let (start, id) = (rest.original_position(), rest.read_u8().map_err(damaged)?);
        let mut content = rest.read_reader().map_err(damaged)?;
        let section = &bytes[start..rest.original_position()];
        let taken = id == CUSTOM && {
            let name = content.read_string().map_err(damaged)?;
            is_taken(name, content.read_bytes(content.bytes_remaining()).map_err(damaged)?)?
        };
        if !taken {
            kept.extend(section);
        }
    }
    Ok(kept)
}

/// What a core module imports from another one of this name, each once. What cannot be read is nothing: who validates the
/// module tells of it.
pub(crate) fn imported_from(core: &[u8], module: &str) -> Vec<String> {
    let payloads = Parser::new(0).parse_all(core).map_while(Result::ok);
    let imports = payloads.filter_map(|payload| match payload {
        Payload::ImportSection(section) => Some(section.into_imports().map_while(Result::ok)),
        _ => None,
    });
    let named = imports.flatten().filter(|import| import.module == module);
    let names: BTreeSet<_> = named.map(|import| shown(import.name)).collect();
    names.into_iter().collect()
}

/// Adds a custom section at the end.
pub(crate) fn append(bytes: &mut Vec<u8>, name: &str, content: &[u8]) {
    bytes.push(CUSTOM);
    CustomSection { name: name.into(), data: content.into() }.encode(bytes);
}
