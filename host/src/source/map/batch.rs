//! [`Way::Batch`](crate::source::Way::Batch): thousands of entries a system call.
//!
//! A hash map is read bucket by bucket, each under its lock, and a key never moves to another
//! bucket; so a key that stays is met once whatever happens to others.

use std::io;

use super::{CHUNK, Chunk, Target, Walk};
use crate::bpf::sys::{self, Cursor, Looked};

pub(super) struct Batch {
    cursor: Cursor,
    keys: Vec<u8>,
    values: Vec<u64>,
    /// What the buffers hold of a walk that has begun.
    begun: Option<Looked>,
}

impl Batch {
    pub(super) fn new(map: &Target) -> Self {
        let (keys, values) = (Vec::new(), Vec::new());
        let mut batch = Self { cursor: Cursor::new(map.key_size), keys, values, begun: None };
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

impl Batch {
    /// Asks for the next entries.
    fn look(&mut self, map: &Target) -> io::Result<Looked> {
        loop {
            let looked = sys::lookup_batch(
                map.raw_fd(),
                &mut self.cursor,
                (&mut self.keys, map.key_size),
                (&mut self.values, map.room),
            );
            match looked {
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) && self.grow(map) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                looked => return looked,
            }
        }
    }

    fn first(&mut self, map: &Target) -> io::Result<Looked> {
        self.cursor.rewind();
        self.look(map)
    }
}

impl Walk for Batch {
    fn outgrows(&mut self, map: &Target, known: usize) -> bool {
        // What cannot be read is told by the walk.
        self.begun = self.first(map).ok();
        let grown = self.begun.take_if(|looked| !looked.end && looked.count > 2 * known);
        grown.is_some()
    }

    fn walk(&mut self, map: &Target, visit: &mut dyn FnMut(Chunk<'_>)) -> io::Result<()> {
        let mut looked = match self.begun.take() {
            Some(looked) => looked,
            None => self.first(map)?,
        };
        loop {
            let keys = &self.keys[..looked.count * map.key_size];
            let values = &self.values[..looked.count * map.cpus];
            visit(map.chunk(keys, values));
            if looked.end {
                return Ok(());
            }
            looked = self.look(map)?;
        }
    }
}
