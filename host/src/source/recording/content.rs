//! What a map of a recording holds, and what a reading changes of it.
//!
//! A reading is read as a whole before anything of it counts, and takes no more memory than it may.

use std::collections::{HashMap, HashSet};

use super::RecordedMap;
use super::fault::RecordingFault;
use super::unpack::Unpacked;

/// Bytes that all maps may take together, with what becomes of them.
pub(super) const LARGEST_MAPS: usize = 1 << 30;
/// What an entry takes beside twice its key and its values, in bytes.
const ENTRY: usize = 96;
/// What a line of an exposition takes, in bytes: that of its text, and its series.
const LINE: usize = 256;

/// What a map holds now.
pub(super) struct Content {
    pub(super) key_size: usize,
    pub(super) cpus: usize,
    pub(super) keys: Vec<u8>,
    pub(super) values: Vec<u64>,
    /// Which of the entries each key is.
    index: HashMap<Vec<u8>, usize>,
    /// Whether the last reading could read it.
    pub(super) readable: bool,
    /// Lines that an entry may become.
    pub(super) lines: usize,
}

/// What a reading changes of a map.
pub(super) struct Changes {
    readable: bool,
    gone: HashSet<Vec<u8>>,
    /// Keys that are new or have new values.
    keys: Vec<u8>,
    values: Vec<u64>,
    /// What the map takes then, in bytes.
    pub(super) bytes: usize,
}

impl Content {
    pub(super) fn new(map: &RecordedMap) -> Self {
        Self {
            key_size: map.key_size as usize,
            cpus: map.cpus as usize,
            keys: Vec::new(),
            values: Vec::new(),
            index: HashMap::new(),
            readable: true,
            lines: 0,
        }
    }

    /// What an entry takes, in bytes: its key twice, its values, and what becomes of it.
    fn entry(&self) -> usize {
        let values = self.cpus * size_of::<u64>();
        (self.key_size * 2 + values + ENTRY).saturating_add(self.lines.saturating_mul(LINE))
    }

    /// The values of a key, one a CPU, if it is there.
    pub(super) fn of(&self, key: &[u8]) -> Option<&[u64]> {
        let at = *self.index.get(key)?;
        Some(&self.values[at * self.cpus..(at + 1) * self.cpus])
    }

    /// Reads what a reading changes, in which the map may come to so many bytes.
    pub(super) fn changes(
        &self,
        input: &mut Unpacked,
        room: usize,
    ) -> Result<Changes, RecordingFault> {
        let readable = match input.byte()? {
            0 => false,
            1 => true,
            other => return Err(RecordingFault::damaged(format!("no map begins with {other}"))),
        };
        let (gone, keys, values) = (HashSet::new(), Vec::new(), Vec::new());
        let mut changes = Changes { readable, gone, keys, values, bytes: 0 };
        let mut count = self.index.len();
        if readable {
            changes.gone = self.gone(input)?;
            count -= changes.gone.len();
            let mut met = HashSet::new();
            for _ in 0..input.number()? {
                let key = input.bytes(self.key_size)?;
                let values = input.bytes(self.cpus * size_of::<u64>())?;
                count += usize::from(!self.index.contains_key(&key));
                if count.saturating_mul(self.entry()) > room {
                    return Err(too_large());
                }
                changes.keys.extend_from_slice(&key);
                let values = values.chunks_exact(8).filter_map(|value| value.first_chunk());
                changes.values.extend(values.map(|value| u64::from_le_bytes(*value)));
                if changes.gone.contains(&key) || !met.insert(key) {
                    return Err(RecordingFault::damaged("a key comes twice in a reading"));
                }
            }
        }
        changes.bytes = count.saturating_mul(self.entry());
        if changes.bytes > room { Err(too_large()) } else { Ok(changes) }
    }

    fn gone(&self, input: &mut Unpacked) -> Result<HashSet<Vec<u8>>, RecordingFault> {
        let mut gone = HashSet::new();
        for _ in 0..input.number()? {
            let key = input.bytes(self.key_size)?;
            if !self.index.contains_key(&key) || !gone.insert(key) {
                return Err(RecordingFault::damaged("a key is gone that was not there"));
            }
        }
        Ok(gone)
    }

    /// Follows a reading.
    pub(super) fn follow(&mut self, changes: Changes) {
        let Changes { readable, gone, keys, values, .. } = changes;
        self.readable = readable;
        self.remove(&gone);
        for (key, values) in keys.chunks_exact(self.key_size).zip(values.chunks_exact(self.cpus)) {
            self.set(key, values);
        }
    }

    fn remove(&mut self, gone: &HashSet<Vec<u8>>) {
        if gone.is_empty() {
            return;
        }
        let (keys, values) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.values));
        self.index.clear();
        for (key, values) in keys.chunks_exact(self.key_size).zip(values.chunks_exact(self.cpus)) {
            if !gone.contains(key) {
                self.set(key, values);
            }
        }
    }

    fn set(&mut self, key: &[u8], values: &[u64]) {
        if let Some(at) = self.index.get(key) {
            self.values[at * self.cpus..(at + 1) * self.cpus].copy_from_slice(values);
            return;
        }
        self.keys.extend_from_slice(key);
        self.values.extend_from_slice(values);
        self.index.insert(key.to_vec(), self.index.len());
    }
}

fn too_large() -> RecordingFault {
    let text = format!("its maps take more than {LARGEST_MAPS} bytes, with what becomes of them");
    RecordingFault::TooLarge(text)
}
