//! Where the kernel keeps the elements of its hash maps, and which of them are entries.
//!
//! A hash map that was made without `BPF_F_NO_PREALLOC` has all its elements in one piece of memory.
//! An element that is an entry is linked into a bucket: its link backwards points to the head of a
//! bucket or to another element. Of an element that is free, the same word points elsewhere: to the
//! same word of another free element, to the kernel's poison, or nowhere.
//!
//! Behind the key an element has its value or, in a per-CPU map, a pointer to its values, which stays
//! while the map does. Added to the offset of a CPU, it is the address of that CPU's value.
//!
//! Addresses are only compared here; nothing is ever read by them.

use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;

use libbpf_rs::{Iter, Object, ObjectBuilder};

use super::window::Program;

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/elements.bpf.o"));
/// The programs in it: the one that finds elements, and the one that finds a CPU's offset.
const FIND: &str = "ewe_elements";
const OFFSET: &str = "ewe_offset";

const WORD: usize = size_of::<u64>();
/// Bytes of a record of the program that finds them.
const RECORD: usize = 48;

/// The elements of one map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Elements {
    /// The address of the first.
    pub(super) first: u64,
    /// The addresses of the buckets.
    buckets: Range<u64>,
    /// How many entries the map can hold.
    pub(super) max_entries: usize,
    /// u64s of an element.
    pub(super) words: usize,
    /// The u64 that links backwards.
    pub(super) link: usize,
    /// The u64 that the key begins with.
    pub(super) key: usize,
    /// The u64 that points to the values of all CPUs, if each has its own.
    pub(super) values: Option<usize>,
}

/// Tells entries by their links backwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    /// The address of the first bucket, and bytes of all buckets.
    buckets: u64,
    bytes: u64,
    /// The address of the first element.
    first: u64,
    /// An element's size is an odd number times 2 to the power of `twos`. This is that number's inverse.
    inverse: u64,
    twos: u32,
    /// How many elements there are.
    count: u64,
}

/// What was found in the kernel's memory.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The elements of all hash maps of this kernel that have theirs in one piece, by the maps' ids.
    pub(super) elements: HashMap<u32, Elements>,
    /// The offsets of all possible CPUs, in their order; none if they were not asked for, or are not
    /// to be known.
    pub(super) offsets: Vec<u64>,
}

impl Elements {
    /// What tells entries by their links backwards, of so many elements.
    pub(super) fn links(&self, count: usize) -> Links {
        let size = (self.words * WORD) as u64;
        let twos = size.trailing_zeros();
        Links {
            buckets: self.buckets.start,
            bytes: self.buckets.end.saturating_sub(self.buckets.start),
            first: self.first,
            inverse: inverse(size >> twos),
            twos,
            count: count as u64,
        }
    }
}

impl Links {
    /// Whether an element with this link backwards is an entry. It is asked of each element, so it has no jump
    /// and no division.
    #[inline]
    pub(super) fn is_entry(&self, link: u64) -> bool {
        let in_bucket = link.wrapping_sub(self.buckets) < self.bytes;
        // An element that is linked is so many elements behind the first. All other links give larger numbers.
        let element = link.wrapping_sub(self.first).wrapping_mul(self.inverse);
        in_bucket | (element.rotate_right(self.twos) < self.count)
    }
}

/// The inverse of an odd number: their product is 1, modulo 2^64. It begins with the number itself, whose three lowest
/// bits are right. Each step doubles how many bits are right.
fn inverse(odd: u64) -> u64 {
    (0..5)
        .fold(odd, |inverse, _| inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse))))
}

/// The elements of all maps, and if maps that are `per_cpu` are among those that are wanted, the offsets of
/// the CPUs.
///
/// # Errors
///
/// When the kernel does not run the program (before Linux 5.8, without its BTF or the capabilities).
pub(super) fn find(per_cpu: bool) -> libbpf_rs::Result<Found> {
    let mut object = ObjectBuilder::default().name("ewe_elements")?.open_memory(OBJECT)?;
    for mut program in object.progs_mut().filter(|program| program.name() == OFFSET) {
        program.set_autoload(per_cpu);
    }
    let object = object.load()?;
    let mut records = Vec::new();
    for program in object.progs_mut().filter(|program| program.name() == FIND) {
        let link = program.attach()?;
        Iter::new(&link)?.read_to_end(&mut records)?;
    }
    let elements = records.chunks_exact(RECORD).filter_map(parse).collect();
    let offsets = if per_cpu { offsets(&object)? } else { Vec::new() };
    Ok(Found { elements, offsets })
}

/// The offsets of all possible CPUs. Their numbers have no gap but on odd machines, where the trial fails.
fn offsets(object: &Object) -> libbpf_rs::Result<Vec<u64>> {
    let program = Program::named(OFFSET, object)?;
    let mut offsets = Vec::new();
    for cpu in 0..libbpf_rs::num_possible_cpus()? {
        let mut question = [cpu as u64, 0, 0];
        if program.run(&mut question)? != 0 {
            return Ok(Vec::new());
        }
        let [_, value, pointer] = question;
        offsets.push(value.wrapping_sub(pointer));
    }
    Ok(offsets)
}

/// A record; `None` if an element is not what is expected of one.
fn parse(record: &[u8]) -> Option<(u32, Elements)> {
    let (long, short) = record.split_at(3 * WORD);
    let long = |n: usize| Some(u64::from_ne_bytes(*long[n * WORD..].first_chunk()?));
    let short = |n: usize| Some(u32::from_ne_bytes(*short[n * 4..].first_chunk()?));
    let words = |n| short(n).map(|bytes| bytes as usize).filter(|bytes| bytes % WORD == 0);
    let elements = Elements {
        first: long(0)?,
        buckets: long(1)?..long(2)?,
        max_entries: short(1)? as usize,
        words: words(2)? / WORD,
        link: words(3)? / WORD,
        key: words(4)? / WORD,
        values: Some(words(5)? / WORD).filter(|values| *values > 0),
    };
    let Elements { words, link, key, values, .. } = elements;
    let in_order = link < key && key < words;
    let is_last = values.is_none_or(|values| key < values && values + 1 == words);
    (in_order && is_last).then_some((short(0)?, elements))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(long: [u64; 3], short: [u32; 6]) -> Vec<u8> {
        let long = long.map(u64::to_ne_bytes).concat();
        [long, short.map(u32::to_ne_bytes).concat()].concat()
    }

    #[test]
    fn entries_are_told_by_their_links() {
        let record = record([0x1000, 0x9000, 0x9100], [7, 3, 64, 8, 48, 0]);
        assert_eq!(record.len(), RECORD);
        let (id, elements) = parse(&record).unwrap();
        let Elements { max_entries, words, link, key, .. } = elements;
        assert_eq!((id, max_entries, words, link, key), (7, 3, 8, 1, 6));
        let links = elements.links(4);
        let entry = |link| links.is_entry(link);
        // The heads of buckets, and the elements before it in one.
        assert!(entry(0x9000) && entry(0x90f0) && entry(0x1000) && entry(0x10c0));
        // Never used, a free element, the poison, and what lies behind.
        assert!(
            ![0, 0x1008, 0x10c8, 0xdead_0000_0000_0122, 0x1100, 0x9100, 0xfff].map(entry)[..]
                .contains(&true)
        );
    }

    #[test]
    fn only_whole_elements_link_whatever_their_size() {
        for words in 1..=40u64 {
            let record = record([1 << 40, 0, 0], [7, 1000, words as u32 * 8, 8, 16, 0]);
            let Some((_, elements)) = parse(&record) else { continue };
            let links = elements.links(1000);
            for bytes in (0..1010 * words * 8).chain([1 << 63, u64::MAX]) {
                let is_one = bytes % (words * 8) == 0 && bytes / (words * 8) < 1000;
                let link = bytes.wrapping_add(1 << 40);
                assert_eq!(links.is_entry(link), is_one, "{words} words, {bytes}");
            }
        }
    }

    #[test]
    fn what_is_not_made_of_words_is_left_alone() {
        let parsed = |size, link, key| parse(&record([1, 2, 3], [7, 3, size, link, key, 0]));
        assert!(parsed(64, 8, 48).is_some());
        for (size, link, key) in [(60, 8, 48), (64, 4, 48), (64, 8, 44), (64, 48, 8), (48, 8, 48)] {
            assert_eq!(parsed(size, link, key), None);
        }
    }

    #[test]
    fn the_pointer_to_the_values_stands_last() {
        let values = |values| {
            let (_, elements) = parse(&record([1, 2, 3], [7, 3, 80, 8, 48, values]))?;
            elements.values
        };
        assert_eq!(values(72), Some(9));
        for other in [8, 48, 64, 76, 80] {
            assert_eq!(values(other), None);
        }
    }
}
