//! How many bytes clients have not taken yet, of all answers together.
//!
//! Pages share the blocks that did not change between them, and clients share pages: a block counts
//! once, however many wait for it.

use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

/// The blocks that somebody waits for.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// How many wait for the block at an address, which nobody else has meanwhile.
    waiting: HashMap<usize, usize, RandomState>,
    bytes: usize,
}

impl Unsent {
    /// Notes that one more waits for this block.
    pub(super) fn add(&mut self, block: &Bytes) {
        let waiting = self.waiting.entry(address(block)).or_insert(0);
        *waiting += 1;
        if *waiting == 1 {
            self.bytes += block.len();
        }
    }

    /// Notes that one of them does not any more.
    pub(super) fn remove(&mut self, block: &Bytes) {
        if let Entry::Occupied(mut waiting) = self.waiting.entry(address(block)) {
            *waiting.get_mut() -= 1;
            if *waiting.get() == 0 {
                waiting.remove();
                self.bytes -= block.len();
            }
        }
    }

    /// The bytes of all of them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn address(block: &Bytes) -> usize {
    block.as_ptr() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_counts_once() {
        let (one, two) = (Bytes::from(vec![1; 10]), Bytes::from(vec![2; 100]));
        let mut unsent = Unsent::default();
        unsent.add(&one);
        unsent.add(&two);
        unsent.add(&one.clone());
        assert_eq!(unsent.bytes(), 110);
        unsent.remove(&one);
        assert_eq!(unsent.bytes(), 110);
        unsent.remove(&one);
        assert_eq!(unsent.bytes(), 100);
        unsent.remove(&one);
        unsent.remove(&two);
        assert_eq!((unsent.bytes(), unsent.waiting.len()), (0, 0));
    }
}
