//! Where an object's variables lie, by their names.
//!
//! Never reads or writes one.

use std::collections::BTreeMap;

use libbpf_rs::btf::Btf;
use libbpf_rs::btf::types::{DataSec, Var};
use libbpf_rs::{AsRawLibbpf, OpenObject};

/// A place among the object's variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The section: `.bss`, `.rodata` and so on. The name of its map ends so.
    pub(super) section: String,
    /// Bytes before it.
    pub(super) offset: usize,
    /// Its bytes.
    pub(super) size: usize,
}

/// All variables of sections whose names begin so.
pub(super) fn of(object: &OpenObject, sections: &str) -> BTreeMap<String, Place> {
    // SAFETY: the object is alive for as long as `btf`.
    let raw = unsafe { object.as_libbpf_object().as_ref() };
    let Ok(Some(btf)) = Btf::from_bpf_object(raw) else { return BTreeMap::new() };
    let mut found = BTreeMap::new();
    for section in btf.type_by_kind::<DataSec<'_>>() {
        let section_name = section.name().unwrap_or_default().to_string_lossy();
        if !section_name.starts_with(sections) {
            continue;
        }
        for info in section.iter() {
            let name = btf.type_by_id::<Var<'_>>(info.ty).and_then(|var| var.name());
            let Some(name) = name else { continue };
            let place = Place {
                section: section_name.clone().into_owned(),
                offset: info.offset as usize,
                size: info.size,
            };
            found.insert(name.to_string_lossy().into_owned(), place);
        }
    }
    found
}
