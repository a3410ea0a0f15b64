//! How often each key came. Keys stand end to end, as a reading hands them out.

use std::hash::Hasher as _;

use crate::index::Index;
use crate::source::Chunk;

/// Counts by key.
#[derive(Debug)]
pub(super) struct Sums {
    /// Bytes at the front of a record that are its key.
    taken: usize,
    /// Bytes of a key as it is handed out: 4 zeros if nothing of a record is its key.
    key_size: usize,
    /// The most keys that are counted.
    most: usize,
    index: Index,
    keys: Vec<u8>,
    counts: Vec<u64>,
    /// The sweep before which each key came last.
    seen: Vec<u32>,
    /// Sweeps so far.
    sweeps: u32,
    received: u64,
    short: u64,
    beyond: u64,
}

impl Sums {
    /// No keys yet, of so many bytes.
    pub(super) fn new(taken: usize, most: usize) -> Self {
        let key_size = if taken == 0 { size_of::<u32>() } else { taken };
        Self {
            taken,
            key_size,
            most,
            index: Index::default(),
            keys: Vec::new(),
            counts: Vec::new(),
            seen: Vec::new(),
            sweeps: 0,
            received: 0,
            short: 0,
            beyond: 0,
        }
    }

    pub(super) fn key_size(&self) -> usize {
        self.key_size
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Records that were handed in.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Those of them that had no whole key.
    pub(super) fn short(&self) -> u64 {
        self.short
    }

    /// Those of them whose keys found no room.
    pub(super) fn beyond(&self) -> u64 {
        self.beyond
    }

    /// Counts a record.
    #[inline]
    pub(super) fn add(&mut self, record: &[u8]) {
        self.received += 1;
        let Some(key) = record.get(..self.taken) else {
            self.short += 1;
            return;
        };
        match self.place(key) {
            Some(at) => {
                self.counts[at] += 1;
                self.seen[at] = self.sweeps;
            }
            None => self.beyond += 1,
        }
    }

    /// Where a key is counted. A new key is taken in. None if it is new and there is no room.
    #[inline]
    fn place(&mut self, key: &[u8]) -> Option<usize> {
        let key = if key.is_empty() { &[0; size_of::<u32>()][..] } else { key };
        let hash = self.index.hash(|hasher| hasher.write(key));
        if let Some(at) = self.index.find(hash, |at| self.key(at as usize) == key) {
            return Some(at as usize);
        }
        let at = self.counts.len();
        if at >= self.most {
            return None;
        }
        self.index.insert(hash, at as u32);
        self.keys.extend_from_slice(key);
        self.counts.push(0);
        self.seen.push(0);
        Some(at)
    }

    /// Counts by so many bytes at the front of a record from now on. What was counted by more of them goes on. What was
    /// counted by fewer is forgotten, since nobody knows the others.
    pub(super) fn count_by(&mut self, taken: usize) {
        if taken == self.taken {
            return;
        }
        let Self { most, sweeps, received, short, beyond, .. } = *self;
        let before = std::mem::replace(
            self,
            Self { sweeps, received, short, beyond, ..Self::new(taken, most) },
        );
        if taken > before.taken {
            return;
        }
        for (at, count) in before.counts.iter().enumerate() {
            // There are no more keys than before.
            if let Some(place) = self.place(&before.key(at)[..taken]) {
                self.counts[place] += count;
                self.seen[place] = self.seen[place].max(before.seen[at]);
            }
        }
    }

    /// How often a key came, if it did.
    pub(super) fn count(&self, key: &[u8]) -> Option<u64> {
        let hash = self.index.hash(|hasher| hasher.write(key));
        let at = self.index.find(hash, |at| self.key(at as usize) == key)?;
        Some(self.counts[at as usize])
    }

    /// All keys with their counts.
    pub(super) fn chunk(&self) -> Chunk<'_> {
        Chunk::new(&self.keys, self.key_size, &self.counts, 1)
    }

    /// Forgets the keys of which nothing came since the last sweep.
    pub(super) fn sweep(&mut self) {
        let mut at = 0;
        while at < self.counts.len() {
            if self.seen[at] < self.sweeps { self.forget(at) } else { at += 1 }
        }
        self.sweeps += 1;
    }

    /// Puts the last key in the place of this one.
    fn forget(&mut self, at: usize) {
        let last = self.counts.len() - 1;
        self.index.remove(self.hash_at(at), at as u32);
        if at != last {
            let hash = self.hash_at(last);
            self.index.remove(hash, last as u32);
            self.index.insert(hash, at as u32);
            self.keys.copy_within(last * self.key_size.., at * self.key_size);
        }
        self.keys.truncate(last * self.key_size);
        self.counts.swap_remove(at);
        self.seen.swap_remove(at);
    }

    fn hash_at(&self, at: usize) -> crate::index::Hash {
        self.index.hash(|hasher| hasher.write(self.key(at)))
    }

    fn key(&self, at: usize) -> &[u8] {
        &self.keys[at * self.key_size..][..self.key_size]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn counts(sums: &Sums) -> BTreeMap<Vec<u8>, u64> {
        if sums.is_empty() {
            return BTreeMap::new();
        }
        sums.chunk().entries().map(|entry| (entry.key.to_vec(), entry.values[0])).collect()
    }

    #[test]
    fn the_first_bytes_are_the_key() {
        let mut sums = Sums::new(2, 10);
        for record in [&b"ab"[..], b"abc", b"b", b"", b"bc"] {
            sums.add(record);
        }
        assert_eq!(counts(&sums), [(b"ab".to_vec(), 2), (b"bc".to_vec(), 1)].into());
        assert_eq!((sums.received(), sums.short(), sums.beyond()), (5, 2, 0));
        assert_eq!((sums.count(b"ab"), sums.count(b"xx")), (Some(2), None));
    }

    #[test]
    fn records_without_a_key_are_one() {
        let mut sums = Sums::new(0, 10);
        sums.add(b"");
        sums.add(b"x");
        assert_eq!(counts(&sums), [(vec![0; 4], 2)].into());
    }

    #[test]
    fn too_many_keys_are_counted_as_such() {
        let mut sums = Sums::new(1, 2);
        b"abcab".iter().for_each(|key| sums.add(&[*key]));
        assert_eq!(counts(&sums), [(vec![b'a'], 2), (vec![b'b'], 2)].into());
        assert_eq!(sums.beyond(), 1);
    }

    #[test]
    fn what_was_counted_by_more_bytes_goes_on_by_fewer() {
        let mut sums = Sums::new(2, 10);
        for record in [&b"ab"[..], b"ac", b"ac", b"bc", b"b"] {
            sums.add(record);
        }
        sums.sweep();
        sums.add(b"ab");
        sums.count_by(1);
        assert_eq!(counts(&sums), [(vec![b'a'], 4), (vec![b'b'], 1)].into());
        sums.sweep();
        assert_eq!(counts(&sums), [(vec![b'a'], 4)].into(), "one came lately");
        sums.add(b"bx");
        sums.count_by(0);
        assert_eq!(counts(&sums), [(vec![0; 4], 5)].into());
        sums.count_by(2);
        assert!(sums.is_empty());
        sums.add(b"ab");
        assert_eq!(counts(&sums), [(b"ab".to_vec(), 1)].into());
        assert_eq!((sums.received(), sums.short(), sums.beyond()), (8, 1, 0));
    }

    proptest! {
        /// As a map that forgets what did not come between two sweeps.
        #[test]
        fn as_the_plain_one(steps in prop::collection::vec(prop::option::weighted(0.9, 0u8..8), 0..200)) {
            let mut sums = Sums::new(1, 6);
            let mut plain: BTreeMap<u8, (u64, bool)> = BTreeMap::new();
            for step in steps {
                match step {
                    Some(key) => {
                        sums.add(&[key]);
                        if plain.len() < 6 || plain.contains_key(&key) {
                            let entry = plain.entry(key).or_default();
                            *entry = (entry.0 + 1, true);
                        }
                    }
                    None => {
                        sums.sweep();
                        plain.retain(|_, (_, came)| std::mem::take(came));
                    }
                }
                let expected = plain.iter().map(|(key, (count, _))| (vec![*key], *count)).collect();
                prop_assert_eq!(counts(&sums), expected);
            }
        }
    }
}
