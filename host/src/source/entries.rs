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
    /// The place of each entry in the map, if places are known. An entry keeps its place as long as its key is
    /// in the map, unless user space writes it anew. Where this is [`Chunk::GAP`], there is no entry.
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
    /// Stands in the list of places where there is no entry.
    pub const GAP: u32 = u32::MAX;

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

    /// The place of each entry, as a small number, and [`Chunk::GAP`] for what is none; if they are known.
    pub fn places(&self) -> Option<&'a [u32]> {
        self.places
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        let all = self.values.len().div_ceil(self.value_stride);
        all - self
            .places
            .map_or(0, |places| places.iter().filter(|place| **place == Self::GAP).count())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries, in the map's order.
    pub fn entries(self) -> impl Iterator<Item = Entry<'a>> {
        let places = self.places.unwrap_or_default();
        let is_entry = move |n: &usize| places.get(*n).is_none_or(|place| *place != Self::GAP);
        self.all().enumerate().filter(move |(n, _)| is_entry(n)).map(|(_, entry)| entry)
    }

    /// All that is in the chunk, gaps included.
    #[inline]
    pub fn all(self) -> impl ExactSizeIterator<Item = Entry<'a>> {
        self.keys.chunks(self.key_stride).zip(self.values.chunks(self.value_stride)).map(
            move |(key, values)| Entry { key: &key[..self.key_size], values: &values[..self.cpus] },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_at_a_gap_is_no_entry() {
        let (keys, values) = (*b"abc", [1, 2, 3]);
        let chunk = Chunk::new(&keys, 1, &values, 1);
        let of = |chunk: Chunk<'_>| {
            let entries: Vec<_> =
                chunk.entries().map(|entry| (entry.key[0], entry.values[0])).collect();
            assert_eq!((chunk.len(), chunk.is_empty()), (entries.len(), entries.is_empty()));
            entries
        };
        assert_eq!(of(chunk), [(b'a', 1), (b'b', 2), (b'c', 3)]);
        assert_eq!(of(chunk.at(&[7, Chunk::GAP, 9])), [(b'a', 1), (b'c', 3)]);
        assert_eq!(of(chunk.at(&[Chunk::GAP; 3])), []);
        assert_eq!(chunk.at(&[Chunk::GAP; 3]).all().len(), 3);
    }
}
