//! What the bytes of a map's key and value are: the one place where sizes and paddings become ranges.
//!
//! Never decides whether they fit: see [`super::check()`].

use std::ops::Range;

use crate::config::KeyPart;

/// How a metric's map is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The map's name.
    pub map: String,
    /// Whether an entry has a value for each CPU. Without a field that is the CPU's number, the values
    /// of all CPUs are summed.
    pub per_cpu: bool,
    /// What the key's bytes are.
    pub key: Key,
    /// What each of the metric's labels decodes, in their order.
    pub fields: Vec<Field>,
    /// The numbers of a value, of which there is one for each CPU if the map is per CPU.
    pub values: Vec<Value>,
}

/// A number in a map's value, in the host's byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its bytes.
    pub bytes: Range<usize>,
    /// Whether it has a sign.
    pub signed: bool,
    /// Whether it may be less than it was although nothing else has become of its entry: its program sets it,
    /// and does not only add to it.
    pub falls: bool,
}

impl Value {
    /// The `u64` that every value is now, counted up.
    pub const WHOLE: Self = Self { bytes: 0..size_of::<u64>(), signed: false, falls: false };
}

/// What the bytes of a map's key are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The labels end to end, with their paddings.
    Labels,
    /// Nothing: the metric has no labels and is the one entry whose key is a u32 of 0.
    Zero,
    /// A number of 4 bytes that tells nothing, an array's index: all entries are summed.
    Ignored,
}

/// What a label decodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What becomes of it.
    pub role: Role,
    /// The bytes of the key; none of the CPU's number, which stands beside the key as 2 bytes in the
    /// host's order.
    pub bytes: Range<usize>,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A label.
    Label,
    /// The bucket of a histogram, and no label.
    Bucket,
    /// A label that decodes the CPU's number.
    Cpu,
}

/// How the records of a ring buffer are to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordLayout {
    /// The ring buffer's name.
    pub map: String,
    /// The bytes that each label decodes, in their order.
    pub fields: Vec<Range<usize>>,
    /// The bytes that a record has at the least: all those of labels. What comes behind is passed over.
    pub size: usize,
}

impl RecordLayout {
    /// How records of this ring buffer are to be read that have these parts.
    pub fn new(map: &str, parts: &[KeyPart]) -> Self {
        let fields: Vec<_> =
            fields(parts, None, None).into_iter().map(|field| field.bytes).collect();
        let size = fields.iter().map(|bytes| bytes.end).max().unwrap_or_default();
        Self { map: map.to_owned(), fields, size }
    }
}

impl Layout {
    /// Bytes of a key that labels are decoded of.
    pub fn decoded(&self) -> usize {
        self.fields.iter().map(|field| field.bytes.end).max().unwrap_or_default()
    }

    /// Which label is the first that decodes the CPU's number.
    pub fn cpu(&self) -> Option<usize> {
        self.fields.iter().position(|field| field.role == Role::Cpu)
    }
}

/// The fields of these parts of a key. `cpu` is the first that is the CPU's number, and `bucket` the one
/// that is the bucket.
pub(super) fn fields(parts: &[KeyPart], cpu: Option<usize>, bucket: Option<usize>) -> Vec<Field> {
    let (mut offset, mut bytes) = (0, 0..0);
    let field = |(n, part): (usize, &KeyPart)| {
        if cpu.is_some_and(|cpu| n >= cpu) {
            return Field { role: Role::Cpu, bytes: 0..0 };
        }
        if !part.reuse {
            bytes = offset..offset + part.size;
            offset += part.size + part.padding;
        }
        let role = if bucket == Some(n) { Role::Bucket } else { Role::Label };
        Field { role, bytes: bytes.clone() }
    };
    parts.iter().enumerate().map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_one_another_and_reuse_what_is_before() {
        let part = |size, padding, reuse| KeyPart { named_cpu: false, size, padding, reuse };
        let parts = [
            part(2, 2, false),
            part(2, 0, true),
            part(8, 0, false),
            part(2, 0, false),
            part(2, 0, true),
        ];
        let found = fields(&parts, Some(3), Some(2));
        let found: Vec<_> = found.into_iter().map(|field| (field.role, field.bytes)).collect();
        let expected = [
            (Role::Label, 0..2),
            (Role::Label, 0..2),
            (Role::Bucket, 4..12),
            (Role::Cpu, 0..0),
            (Role::Cpu, 0..0),
        ];
        assert_eq!(found, expected);
    }
}
