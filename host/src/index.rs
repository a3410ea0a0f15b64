//! Numbers, found by the hash of what each stands for.
//!
//! Never knows what that is: who asks compares. The hash is kept beside the number, so that a table that
//! grows looks at nothing else. To hash all again would be a look into memory for each.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::{FoldHasher, RandomState};
use hashbrown::HashTable;

/// Numbers by hashes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    table: HashTable<Entry>,
    state: RandomState,
}

/// A hash of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hash(u32);

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: Hash,
    number: u32,
}

impl Hash {
    /// As the table wants it, which looks at the highest and the lowest bits.
    fn spread(self) -> u64 {
        u64::from(self.0).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

impl Index {
    /// The hash of what is written.
    #[inline]
    pub(crate) fn hash(&self, write: impl FnOnce(&mut FoldHasher<'_>)) -> Hash {
        let mut hasher = self.state.build_hasher();
        write(&mut hasher);
        // The upper half is as good as the lower one.
        Hash((hasher.finish() >> 32) as u32)
    }

    /// The number of this hash that is the one.
    #[inline]
    pub(crate) fn find(&self, hash: Hash, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let is_it = |entry: &Entry| entry.hash == hash && is_it(entry.number);
        self.table.find(hash.spread(), is_it).map(|entry| entry.number)
    }

    /// Adds a number that is not there.
    pub(crate) fn insert(&mut self, hash: Hash, number: u32) {
        let entry = Entry { hash, number };
        self.table.insert_unique(hash.spread(), entry, |entry| entry.hash.spread());
    }

    /// Takes a number out.
    pub(crate) fn remove(&mut self, hash: Hash, number: u32) {
        let is_it = |entry: &Entry| entry.number == number;
        if let Ok(entry) = self.table.find_entry(hash.spread(), is_it) {
            entry.remove();
        }
    }

    /// How many numbers there are.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}
