//! What the fields of a map's key and value are, as one number: two maps of equal sizes may hold other things.
//!
//! It is told by the object's BTF alone, so it takes no capability, and is there before anything is loaded. Names,
//! offsets, sizes and signs of fields are part of it; names of types are not. Never decodes a byte.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use libbpf_rs::btf::types::{Array, DataSec, Enum, Enum64, Float, Int, MemberAttr, Ptr};
use libbpf_rs::btf::types::{Struct, Union, Var};
use libbpf_rs::btf::{Btf, BtfType, HasSize as _, ReferencesType as _, TypeId};
use libbpf_rs::libbpf_sys;
use libbpf_rs::{AsRawLibbpf, OpenObject};

use super::text;
use crate::digest::Digest;

/// Characters that tell a type. What is told of a larger one is not all of it, and the same each time.
const LONGEST: usize = 1 << 16;
/// Structs within structs.
const DEEPEST: usize = 16;

/// The types of a map's key and value. Equal ones have the same fields at the same places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryForm([u8; 8]);

impl EntryForm {
    /// Of what is told of them.
    pub(super) fn of(told: &str) -> Self {
        let mut first = [0; 8];
        first.copy_from_slice(&Digest::of(told.as_bytes()).as_bytes()[..8]);
        Self(first)
    }
}

/// As 16 hexadecimal digits.
impl fmt::Display for EntryForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The forms of an object's maps, by name. Those of whose types nothing is known have none.
pub(super) fn of(object: &OpenObject) -> BTreeMap<String, EntryForm> {
    // SAFETY: the object is alive for as long as `btf`.
    let raw = unsafe { object.as_libbpf_object().as_ref() };
    let Ok(Some(btf)) = Btf::from_bpf_object(raw) else { return BTreeMap::new() };
    let form = |map: libbpf_rs::OpenMap<'_>| {
        let raw = map.as_libbpf_object();
        // SAFETY: the map belongs to `object`.
        let (key, value) = unsafe {
            let raw = raw.as_ptr();
            (libbpf_sys::bpf_map__btf_key_type_id(raw), libbpf_sys::bpf_map__btf_value_type_id(raw))
        };
        // Variables of libbpf's own maps have no key.
        if value == 0 {
            return None;
        }
        let mut told = Told { btf: &btf, text: String::new() };
        told.tell(TypeId::from(key), DEEPEST);
        told.text.push('>');
        told.tell(TypeId::from(value), DEEPEST);
        Some((text(map.name()), EntryForm::of(&told.text)))
    };
    object.maps().filter_map(form).collect()
}

/// A type in letters.
struct Told<'a> {
    btf: &'a Btf<'a>,
    text: String,
}

impl<'a> Told<'a> {
    /// Tells a type, with so many levels of those that it is made of.
    fn tell(&mut self, id: TypeId, depth: usize) {
        let Some(ty) = self.resolved(id).filter(|_| depth > 0) else {
            self.text.push('?');
            return;
        };
        if let Ok(int) = Int::try_from(ty) {
            self.push(format_args!("{:?}{}", int.encoding, int.bits));
        } else if let Ok(array) = Array::try_from(ty) {
            self.push(format_args!("[{}]", array.capacity()));
            self.tell(array.contained_type().type_id(), depth - 1);
        } else if let Ok(structure) = Struct::try_from(ty) {
            let members = structure.iter().map(|member| (member.name, member.attr, member.ty));
            self.members(members, depth);
        } else if let Ok(union) = Union::try_from(ty) {
            self.text.push('|');
            let members = union.iter().map(|member| (member.name, member.attr, member.ty));
            self.members(members, depth);
        } else if let Ok(section) = DataSec::try_from(ty) {
            self.variables(&section, depth);
        } else {
            self.number(ty);
        }
    }

    /// What stands behind typedefs and the like; none of what is not known, or goes in a circle.
    fn resolved(&self, id: TypeId) -> Option<BtfType<'a>> {
        let btf = self.btf;
        // SAFETY: `btf` is alive, and an id it does not know gives an error.
        let id =
            unsafe { libbpf_sys::btf__resolve_type(btf.as_libbpf_object().as_ptr(), id.into()) };
        btf.type_by_id(TypeId::from(u32::try_from(id).ok()?))
    }

    /// Types that are one number.
    fn number(&mut self, ty: BtfType<'_>) {
        if let Ok(number) = Enum::try_from(ty) {
            self.push(format_args!("e{}{}", number.is_signed(), number.size()));
        } else if let Ok(number) = Enum64::try_from(ty) {
            self.push(format_args!("e{}{}", number.is_signed(), number.size()));
        } else if let Ok(float) = Float::try_from(ty) {
            self.push(format_args!("f{}", float.size()));
        } else if Ptr::try_from(ty).is_ok() {
            self.text.push('*');
        } else {
            self.push(format_args!("{:?}", ty.kind()));
        }
    }

    fn members<'m>(
        &mut self,
        members: impl Iterator<Item = (Option<&'m std::ffi::OsStr>, MemberAttr, TypeId)>,
        depth: usize,
    ) {
        self.text.push('{');
        for (name, attr, ty) in members {
            if self.is_full() {
                break;
            }
            let name = name.map(|name| name.to_string_lossy()).unwrap_or_default();
            match attr {
                MemberAttr::Normal { offset } => self.push(format_args!("{name}@{offset}:")),
                MemberAttr::BitField { size, offset } => {
                    self.push(format_args!("{name}@{offset}/{size}:"));
                }
            }
            self.tell(ty, depth - 1);
            self.text.push(';');
        }
        self.text.push('}');
    }

    /// Those of a section, as members of one value.
    fn variables(&mut self, section: &DataSec<'_>, depth: usize) {
        self.text.push('{');
        for info in section.iter() {
            if self.is_full() {
                break;
            }
            let Some(variable) = self.btf.type_by_id::<Var<'_>>(info.ty) else { continue };
            let name = variable.name().map(|name| name.to_string_lossy()).unwrap_or_default();
            self.push(format_args!("{name}@{}+{}:", info.offset, info.size));
            self.tell(variable.referenced_type_id(), depth - 1);
            self.text.push(';');
        }
        self.text.push('}');
    }

    fn is_full(&self) -> bool {
        self.text.len() > LONGEST
    }

    fn push(&mut self, what: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(what);
    }
}
