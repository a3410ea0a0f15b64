//! Entries as they come: borrowed bytes, a chunk at a time. No entry is allocated.

/// A run of entries, borrowed from the reader until the next chunk.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    pub(super) keys: &'a [u8],
    /// From one key to the next, bytes.
    pub(super) key_stride: usize,
    pub(super) key_size: usize,
    pub(super) values: &'a [u64],
    /// From one entry's values to the next one's.
    pub(super) value_stride: usize,
    pub(super) cpus: usize,
    /// Where each entry has its place in the map, if it is known; it stays while the key does, unless
    /// the entry is written anew from outside.
    pub(super) places: Option<&'a [u32]>,
}

/// One entry of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The key's bytes.
    pub key: &'a [u8],
    /// Its value; one for each possible CPU, in their order, if the map is per CPU.
    pub values: &'a [u64],
}

impl<'a> Chunk<'a> {
    /// Entries whose keys stand end to end, and so do their values, `cpus` for each.
    pub fn new(keys: &'a [u8], key_size: usize, values: &'a [u64], cpus: usize) -> Self {
        Self {
            keys,
            key_stride: key_size,
            key_size,
            values,
            value_stride: cpus,
            cpus,
            places: None,
        }
    }

    /// The same entries, which have these places in the map.
    #[must_use]
    pub fn at(self, places: &'a [u32]) -> Self {
        Self { places: Some(places), ..self }
    }

    /// The place of each entry, as a small number, if it is known.
    pub fn places(&self) -> Option<&'a [u32]> {
        self.places
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.values.len().div_ceil(self.value_stride)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The entries, in the map's order.
    pub fn entries(self) -> impl ExactSizeIterator<Item = Entry<'a>> {
        self.keys.chunks(self.key_stride).zip(self.values.chunks(self.value_stride)).map(
            move |(key, values)| Entry { key: &key[..self.key_size], values: &values[..self.cpus] },
        )
    }
}
