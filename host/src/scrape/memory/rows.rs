//! What is looked at of every row in every walk, side by side: rows may be met in any order, and each
//! costs one look into memory.

use super::{FREE, Row};

/// Bytes before the key: the walk, the errors, whether its fates are to be decided, and what they were
/// decided by.
const HEAD: usize = 8;
const WORD: usize = size_of::<u64>();

/// What the fates of a row were decided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grounds {
    /// Something of its key had no name.
    #[default]
    Unknown,
    /// All of its key had names.
    Known,
    /// It was left out for the time being only: what it has counted is still to be added.
    Owing,
}

/// The keys and values of rows, and when each was met.
#[derive(Debug)]
pub(super) struct Rows {
    bytes: Vec<u8>,
    key_size: usize,
    /// Where the values of a row begin.
    values: usize,
    /// Bytes of a row.
    size: usize,
}

impl Rows {
    /// No rows yet, of keys of this size in bytes, each with so many values.
    pub(super) fn new(key_size: usize, width: usize) -> Self {
        let values = HEAD + key_size.next_multiple_of(WORD);
        Self { bytes: Vec::new(), key_size, values, size: values + width * WORD }
    }

    /// How many there are, with and without a key.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() / self.size
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = Row> + use<> {
        (0..self.len() as u32).map(Row)
    }

    /// A new one, without a key.
    pub(super) fn push(&mut self) -> Row {
        let row = Row(self.len() as u32);
        self.bytes.resize(self.bytes.len() + self.size, 0);
        row
    }

    /// Its key.
    #[inline]
    pub(super) fn key(&self, row: Row) -> &[u8] {
        &self.of(row)[HEAD..HEAD + self.key_size]
    }

    /// Gives it a key; its fates are to be decided.
    pub(super) fn set_key(&mut self, row: Row, key: &[u8]) {
        let key_size = self.key_size;
        self.of_mut(row)[HEAD..HEAD + key_size].copy_from_slice(key);
        self.set_undecoded(row, true);
    }

    /// Whether there is such a row, and it has a key.
    #[inline]
    pub(super) fn has_key(&self, row: Row) -> bool {
        let at = row.0 as usize * self.size;
        self.bytes.get(at..at + self.size).is_some_and(|row| met(row) != FREE)
    }

    /// The walk in which it was last met.
    #[inline]
    pub(super) fn met(&self, row: Row) -> u32 {
        met(self.of(row))
    }

    /// Notes that it was met in this walk.
    #[inline]
    pub(super) fn set_met(&mut self, row: Row, walk: u32) {
        self.of_mut(row)[..4].copy_from_slice(&walk.to_ne_bytes());
    }

    /// How many of its labels could not be decoded.
    pub(super) fn errors(&self, row: Row) -> u16 {
        let row = self.of(row);
        u16::from_ne_bytes([row[4], row[5]])
    }

    /// Notes how many of its labels could not be decoded.
    pub(super) fn set_errors(&mut self, row: Row, errors: u16) {
        self.of_mut(row)[4..6].copy_from_slice(&errors.to_ne_bytes());
    }

    /// Whether its fates are to be decided.
    #[inline]
    pub(super) fn is_undecoded(&self, row: Row) -> bool {
        self.of(row)[6] != 0
    }

    /// Notes whether its fates are to be decided.
    pub(super) fn set_undecoded(&mut self, row: Row, undecoded: bool) {
        self.of_mut(row)[6] = undecoded.into();
    }

    /// What its fates were decided by.
    pub(super) fn grounds(&self, row: Row) -> Grounds {
        match self.of(row)[7] {
            0 => Grounds::Unknown,
            1 => Grounds::Known,
            _ => Grounds::Owing,
        }
    }

    /// Notes what its fates were decided by.
    pub(super) fn set_grounds(&mut self, row: Row, grounds: Grounds) {
        self.of_mut(row)[7] = match grounds {
            Grounds::Unknown => 0,
            Grounds::Known => 1,
            Grounds::Owing => 2,
        };
    }

    /// Looks at a row, if there is one, so that its memory is near when it is needed.
    #[inline]
    pub(super) fn touch(&self, row: Row) -> u8 {
        let at = row.0 as usize * self.size;
        let ends = self.bytes.get(at).zip(self.bytes.get(at + self.size - 1));
        ends.map_or(0, |(first, last)| first ^ last)
    }

    /// Notes that a row of one value was met in this walk, if all is as it was: there is such a row,
    /// it is not met yet, has this key and this value, and its fates are decided.
    #[inline]
    pub(super) fn meet_again(
        &mut self,
        row: Row,
        walk: u32,
        is_key: impl FnOnce(&[u8]) -> bool,
        value: u64,
    ) -> bool {
        let at = row.0 as usize * self.size;
        let Some(row) = self.bytes.get_mut(at..at + self.size) else { return false };
        let met = met(row);
        let again = met != FREE
            && met != walk
            && row[6] == 0
            && is_key(&row[HEAD..HEAD + self.key_size])
            && u64::from_ne_bytes(chunk(&row[self.values..])) == value;
        if again {
            row[..4].copy_from_slice(&walk.to_ne_bytes());
        }
        again
    }

    /// Its `n`-th value.
    #[inline]
    pub(super) fn value(&self, row: Row, n: usize) -> u64 {
        let at = self.values + n * WORD;
        u64::from_ne_bytes(chunk(&self.of(row)[at..]))
    }

    /// Gives it another `n`-th value, and says which it had.
    #[inline]
    pub(super) fn replace_value(&mut self, row: Row, n: usize, value: u64) -> u64 {
        let at = self.values + n * WORD;
        let place = &mut self.of_mut(row)[at..at + WORD];
        let before = u64::from_ne_bytes(chunk(place));
        if before != value {
            place.copy_from_slice(&value.to_ne_bytes());
        }
        before
    }

    #[inline]
    fn of(&self, row: Row) -> &[u8] {
        let at = row.0 as usize * self.size;
        &self.bytes[at..at + self.size]
    }

    #[inline]
    fn of_mut(&mut self, row: Row) -> &mut [u8] {
        let at = row.0 as usize * self.size;
        &mut self.bytes[at..at + self.size]
    }
}

#[inline]
fn met(row: &[u8]) -> u32 {
    u32::from_ne_bytes(chunk(row))
}

/// The first bytes; there are as many.
#[inline]
fn chunk<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}
