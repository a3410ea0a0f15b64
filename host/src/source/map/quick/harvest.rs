//! Harvest: a small program walks the map inside the kernel and leaves the rows in mapped memory.
//!
//! It costs a third of the batch call, which copies every row twice and takes a lock for each
//! bucket. This walk takes none: while other CPUs delete and insert, it may miss a row, meet one
//! twice, or read a key while it is written. So what it says of keys that come or go has to be
//! confirmed by [`Source::lookup`](crate::source::Source::lookup) before it is believed; keys that stay are read right.
//!
//! Needs Linux 5.14, and 5.19 to run once capabilities are dropped.

use std::io;

use super::window::{Program, Window};
use super::{Target, Walk};
use crate::bpf::{MapKind, MapSpec, sys};
use crate::source::{Chunk, Reading, Way, Why};

/// Entries of a map that is read this way at most, unless it is pinned: the walk has no point at which
/// the kernel could run something else on its CPU, and at up to 150 ns an entry this bounds it to
/// 40 ms.
const MOST_ENTRIES: u32 = 262_144;
/// Bytes of the longest key that the program can copy.
const LONGEST_KEY: u32 = 96;
/// Rows beyond a map's size to have room for: elements that are on their way in or out.
const SLACK: usize = 256;

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/harvest.bpf.o"));

/// Walks one map.
pub(super) struct Harvest {
    program: Program,
    window: Window,
    key_words: usize,
}

/// The u64s that a walk over the map may fill, or why it cannot be harvested.
pub(super) fn room(map: &MapSpec, reading: Reading) -> Result<usize, Why> {
    let kind = matches!(map.kind, MapKind::HASH | MapKind::LRU_HASH | MapKind::ARRAY);
    if !kind || map.flags & libbpf_sys::BPF_F_MMAPABLE != 0 {
        return Err(Why::Type);
    }
    if !map.key_size.is_multiple_of(4) || map.key_size > LONGEST_KEY {
        return Err(Why::KeySize);
    }
    match reading {
        Reading::Auto if map.max_entries > MOST_ENTRIES => Err(Why::Size),
        Reading::Auto | Reading::Pinned(Way::Harvest) => {
            Ok((map.max_entries as usize + SLACK) * row_words(map.key_size as usize))
        }
        Reading::Pinned(_) => Err(Why::Pinned),
    }
}

fn row_words(key_size: usize) -> usize {
    key_size.div_ceil(size_of::<u64>()) + 1
}

impl Harvest {
    /// A walk over `map`, or why it cannot be made.
    pub(super) fn new(
        reading: Reading,
        map: &Target,
        window: Option<&Window>,
    ) -> Result<Self, Why> {
        let spec = &map.map.spec;
        let room = room(spec, reading)?;
        // Without a window, or with too small a one, the kernel refused the memory.
        let window = window.ok_or(Why::Kernel)?;
        let memory = window.lock();
        if room > memory.words.len() {
            return Err(Why::Kernel);
        }
        // The last place where a row may begin.
        let last = room - row_words(map.key_size) + 1;
        let constants = [map.key_size as u32, last as u32].map(u32::to_ne_bytes).concat();
        let object = memory.load(("ewe_harvest", OBJECT), &constants, |name, of_program| {
            if name == "target" { of_program.reuse_fd(map.fd()) } else { Ok(()) }
        });
        let program = object.and_then(|object| Ok(Program::of(&object)?));
        let program = program.map_err(|error| {
            tracing::debug!(map = spec.name, "cannot be harvested: {error}");
            Why::Kernel
        })?;
        drop(memory);
        let key_words = row_words(map.key_size) - 1;
        Ok(Self { program, window: window.clone(), key_words })
    }
}

impl Walk for Harvest {
    fn walk(&mut self, map: &Target, visit: &mut dyn FnMut(Chunk<'_>)) -> io::Result<()> {
        let mut memory = self.window.lock();
        let written = self.program.run(&mut [])? as usize;
        let stride = self.key_words + 1;
        let rows = &memory.words.still()[..written];
        if !rows.is_empty() {
            visit(Chunk {
                keys: sys::bytes(rows),
                key_stride: stride * size_of::<u64>(),
                key_size: map.key_size,
                values: &rows[self.key_words..],
                value_stride: stride,
                cpus: 1,
                places: None,
            });
        }
        Ok(())
    }
}
