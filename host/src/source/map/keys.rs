//! [`Way::Keys`](crate::source::Way::Keys): key by key, for kernels without the batch call.
//!
//! When the key that the kernel is to continue from has been deleted, it starts again with the
//! first key. So the walk continues from the last key it knows to have been there, remembers
//! which keys it has handed out, and gives up when the map changes faster than it can walk.

use std::hash::BuildHasher;
use std::io;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::{CHUNK, Chunk, Target, Walk};
use crate::bpf::sys;

/// Steps for each entry the map can hold, before a walk that keeps starting again is given up.
const PATIENCE: usize = 16;

#[derive(Default)]
pub(super) struct Keys {
    /// Every key handed out in this walk, end to end.
    keys: Vec<u8>,
    /// Values of the keys that are not handed out yet.
    values: Vec<u64>,
    /// Numbers of the keys in `keys`.
    seen: HashTable<usize>,
    hasher: RandomState,
}

impl Keys {
    fn is_new(&self, key: &[u8]) -> bool {
        let size = key.len();
        self.seen
            .find(self.hasher.hash_one(key), |&n| &self.keys[n * size..(n + 1) * size] == key)
            .is_none()
    }

    fn remember(&mut self, key: &[u8]) {
        let Self { keys, seen, hasher, .. } = self;
        let size = key.len();
        let number = keys.len() / size;
        keys.extend_from_slice(key);
        seen.insert_unique(hasher.hash_one(key), number, |&n| {
            hasher.hash_one(&keys[n * size..(n + 1) * size])
        });
    }

    /// Hands out what has been read since the last time.
    fn flush(&mut self, map: &Target, visit: &mut dyn FnMut(Chunk<'_>)) {
        let entries = self.values.len() / map.cpus;
        let keys = &self.keys[self.keys.len() - entries * map.key_size..];
        visit(map.chunk(keys, &self.values));
        self.values.clear();
    }
}

impl Walk for Keys {
    fn walk(&mut self, map: &Target, visit: &mut dyn FnMut(Chunk<'_>)) -> io::Result<()> {
        self.keys.clear();
        self.values.clear();
        self.seen.clear();
        let mut value = vec![0; map.room];
        let mut next = vec![0; map.key_size];
        let mut last: Option<Vec<u8>> = None;
        for _ in 0..map.max_entries.saturating_add(64).saturating_mul(PATIENCE) {
            if !sys::next_key(map.raw_fd(), last.as_deref(), &mut next)? {
                self.flush(map, visit);
                return Ok(());
            }
            if !sys::lookup(map.raw_fd(), &next, &mut value)? {
                continue;
            }
            if self.is_new(&next) {
                self.remember(&next);
                self.values.extend_from_slice(&value[..map.cpus]);
                if self.values.len() == CHUNK * map.cpus {
                    self.flush(map, visit);
                }
            }
            std::mem::swap(last.get_or_insert_with(|| vec![0; map.key_size]), &mut next);
        }
        Err(io::Error::other("its keys change faster than they can be read one by one"))
    }
}
