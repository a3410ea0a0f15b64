//! What a map's key is made of, as the object's BTF tells it: for messages that say which labels
//! would fit. Never needed for a config that is right.

use std::fmt::Write as _;

use libbpf_rs::btf::types::{MemberAttr, Struct};
use libbpf_rs::btf::{Btf, BtfType, TypeId};
use libbpf_rs::libbpf_sys;
use libbpf_rs::{AsRawLibbpf, OpenObject};

/// Fields of a key that a message may list.
const MOST_FIELDS: usize = 64;

/// The type of a map's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyType {
    /// `struct flow`, `u64`.
    pub(super) name: String,
    /// Its size in bytes.
    pub(super) size: usize,
    /// A struct's fields by offset, nested structs opened; empty for other types.
    pub(super) fields: Vec<Field>,
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Its name, `outer.inner` in nested structs.
    pub(super) name: String,
    /// Where it begins, in bytes from the key's start.
    pub(super) offset: usize,
    /// Its size in bytes.
    pub(super) size: usize,
}

impl KeyType {
    /// The key type of the map `name`, if the object says: maps made with `__uint(key_size, …)`
    /// have none, structs with bitfields cannot be told in bytes, and those with very many fields not in a message.
    pub(super) fn of_map(object: &OpenObject, name: &str) -> Option<Self> {
        let map = object.maps().find(|map| map.name() == name)?;
        // SAFETY: the map belongs to `object`, which is alive.
        let id = unsafe { libbpf_sys::bpf_map__btf_key_type_id(map.as_libbpf_object().as_ptr()) };
        // SAFETY: as above, and `btf` does not outlive `object`.
        let btf = Btf::from_bpf_object(unsafe { object.as_libbpf_object().as_ref() }).ok()??;
        let outer: BtfType<'_> = btf.type_by_id(TypeId::from(id))?;
        let outer_name = outer.name();
        let inner = outer.skip_mods_and_typedefs();
        let size = size_of(&btf, inner.type_id())?;

        let structure = Struct::try_from(inner).ok();
        let mut fields = Vec::new();
        if let Some(structure) = &structure {
            collect(&btf, structure, "", 0, &mut fields)?;
            fields.sort_by_key(|field| field.offset);
        }
        let name = match (outer_name, inner.name()) {
            (_, Some(name)) if structure.is_some() => format!("struct {}", name.to_string_lossy()),
            (Some(name), _) | (None, Some(name)) => name.to_string_lossy().into_owned(),
            (None, None) => "an unnamed type".to_owned(),
        };
        Some(Self { name, size, fields })
    }

    /// What the labels of this key have to be, in words.
    pub(super) fn advice(&self) -> String {
        let Self { name, size, .. } = self;
        if self.fields.is_empty() {
            return format!("make them add up to the {size} bytes of the key, `{name}`");
        }
        let mut advice = format!("follow the key's fields, `{name}`");
        let ends = self.fields.iter().skip(1).map(|next| next.offset).chain([*size]);
        for (i, (field, next)) in self.fields.iter().zip(ends).enumerate() {
            let Field { name, offset, size } = field;
            let comma = if i == 0 { ":" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(advice, "{comma} `{name}` at {offset} {{size: {size}");
            let _ = match next.saturating_sub(offset + size) {
                0 => write!(advice, "}}"),
                padding => write!(advice, ", padding: {padding}}}"),
            };
        }
        advice
    }
}

/// Adds the fields of `structure`, which begins at byte `base` of the key.
fn collect(
    btf: &Btf<'_>,
    structure: &Struct<'_>,
    prefix: &str,
    base: usize,
    fields: &mut Vec<Field>,
) -> Option<()> {
    for member in structure.iter() {
        let MemberAttr::Normal { offset } = member.attr else { return None };
        let offset = base + offset as usize / 8;
        let name = member.name.map(|name| name.to_string_lossy()).unwrap_or_default();
        let name = match (prefix, &*name) {
            ("", name) => name.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, name) => format!("{prefix}.{name}"),
        };
        let inner: BtfType<'_> = btf.type_by_id(member.ty)?;
        if let Ok(nested) = Struct::try_from(inner.skip_mods_and_typedefs()) {
            collect(btf, &nested, &name, offset, fields)?;
            continue;
        }
        let size = size_of(btf, member.ty)?;
        let name = if name.is_empty() { "(unnamed)".to_owned() } else { name };
        if fields.len() == MOST_FIELDS {
            return None;
        }
        fields.push(Field { name, offset, size });
    }
    Some(())
}

/// The size in bytes of the type `id`, arrays included.
fn size_of(btf: &Btf<'_>, id: TypeId) -> Option<usize> {
    // SAFETY: `btf` is alive, and an id it does not know gives an error.
    let size = unsafe { libbpf_sys::btf__resolve_size(btf.as_libbpf_object().as_ptr(), id.into()) };
    usize::try_from(size).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, offset: usize, size: usize) -> Field {
        Field { name: name.to_owned(), offset, size }
    }

    #[test]
    fn tells_fields_and_the_holes_between() {
        let fields = vec![field("port", 0, 2), field("cgroup", 8, 8), field("kind", 16, 1)];
        let key = KeyType { name: "struct flow".to_owned(), size: 24, fields };
        insta::assert_snapshot!(key.advice(), @"follow the key's fields, `struct flow`: `port` at 0 {size: 2, padding: 6}, `cgroup` at 8 {size: 8}, `kind` at 16 {size: 1, padding: 7}");
    }

    #[test]
    fn tells_a_number() {
        let key = KeyType { name: "u64".to_owned(), size: 8, fields: Vec::new() };
        insta::assert_snapshot!(key.advice(), @"make them add up to the 8 bytes of the key, `u64`");
    }
}
