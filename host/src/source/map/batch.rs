//! [`Way::Batch`](crate::source::Way::Batch): thousands of entries a system call.
//!
//! A hash map is read bucket by bucket, each under its lock, and a key never moves to another
//! bucket; so a key that stays is met once whatever happens to others.

use std::io;

use super::{CHUNK, Chunk, Target, Walk};
use crate::bpf::sys::{self, Cursor};

pub(super) struct Batch {
    cursor: Cursor,
    keys: Vec<u8>,
    values: Vec<u64>,
}

impl Batch {
    pub(super) fn new(map: &Target) -> Self {
        let mut batch =
            Self { cursor: Cursor::new(map.key_size), keys: Vec::new(), values: Vec::new() };
        batch.resize(map, CHUNK.min(map.max_entries));
        batch
    }

    fn resize(&mut self, map: &Target, entries: usize) {
        self.keys.resize(entries * map.key_size, 0);
        self.values.resize(entries * map.room, 0);
    }

    /// Makes room for a bucket that holds more entries than the buffers; `false` if they already
    /// have room for the whole map.
    fn grow(&mut self, map: &Target) -> bool {
        let entries = self.keys.len() / map.key_size;
        if entries >= map.max_entries {
            return false;
        }
        self.resize(map, (entries * 2).min(map.max_entries));
        true
    }
}

impl Walk for Batch {
    fn walk(&mut self, map: &Target, visit: &mut dyn FnMut(Chunk<'_>)) -> io::Result<()> {
        self.cursor.rewind();
        loop {
            let looked = sys::lookup_batch(
                map.raw_fd(),
                &mut self.cursor,
                (&mut self.keys, map.key_size),
                (&mut self.values, map.room),
            );
            let looked = match looked {
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) && self.grow(map) => {
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                looked => looked?,
            };
            let keys = &self.keys[..looked.count * map.key_size];
            let values = &self.values[..looked.count * map.cpus];
            visit(map.chunk(keys, values));
            if looked.end {
                return Ok(());
            }
        }
    }
}
