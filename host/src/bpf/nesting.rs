//! How the types of an object lie in one another: whether each of them comes to an end.
//!
//! libbpf goes on for as long as a type leads to another, and so never comes back from one that leads to itself.
//! That is why the bytes are looked at before libbpf has them. Whatever else is wrong with them is for libbpf to say:
//! what cannot be read here is taken for good.

use object::elf::FileHeader64;
use object::read::elf::{FileHeader as _, SectionHeader as _};

/// Types that may lie in one another, the outermost with them. The deepest of the kernel has 33.
const DEEPEST: usize = 64;
/// Parts that a type may come to, those of its parts with them. The largest of the kernel has some five thousand.
const MOST_PARTS: u32 = 1 << 20;

/// The section of types.
const SECTION: &[u8] = b".BTF";
const MAGIC: u16 = 0xeb9f;
/// Bytes of what each type begins with: its name, what it is, its size or the type that it is made of.
const HEAD: usize = 12;
const WORD: usize = size_of::<u32>();

/// Whether all types of an object come to an end, none too far.
pub(super) fn has_ends(object: &[u8]) -> bool {
    let Ok(header) = FileHeader64::<object::Endianness>::parse(object) else { return true };
    let Ok(endian) = header.endian() else { return true };
    let Ok(sections) = header.sections(endian, object) else { return true };
    let of_types = sections
        .iter()
        .filter(|section| sections.section_name(endian, section).is_ok_and(|name| name == SECTION));
    let mut of_types = of_types.filter_map(|section| section.data(endian, object).ok());
    of_types.all(|types| Types::read(types).unwrap_or_default().have_ends())
}

/// All types of an object. The first one has the number 1, and the type 0 is no type.
#[derive(Default)]
struct Types {
    /// The types that each is made of, those that it only points to left out: end to end.
    parts: Vec<u32>,
    /// Where those of each end.
    ends: Vec<usize>,
    /// How far each goes that was measured.
    extents: Vec<Option<Extent>>,
}

/// How far a type goes.
#[derive(Clone, Copy)]
struct Extent {
    /// Levels of types in it, with itself.
    depth: usize,
    /// Types in it, each as often as it is there, with itself.
    parts: u32,
}

/// Where a type says what it is made of.
enum Parts {
    None,
    /// In its head.
    Head,
    /// Behind its head: in the first word, then each so many bytes on.
    Behind {
        first: usize,
        step: usize,
        count: usize,
    },
}

impl Types {
    /// The types of a section, up to the first that makes no sense.
    fn read(section: &[u8]) -> Option<Self> {
        let is_swapped = u16::from_ne_bytes(*section.first_chunk()?) == MAGIC.swap_bytes();
        let word = |at: usize| {
            let word = u32::from_ne_bytes(*section.get(at..)?.first_chunk()?);
            Some(if is_swapped { word.swap_bytes() } else { word })
        };
        let field = |n: usize| word(n * WORD).map(|word| word as usize);
        let start = field(1)? + field(2)?;
        let (mut at, end) = (start, start + field(3)?);
        let mut types = Self::default();
        while at < end
            && let (Some(what), Some(of)) = (word(at + WORD), word(at + 2 * WORD))
        {
            let (size, parts) = shape(what >> 24 & 0x1f, (what & 0xffff) as usize);
            match parts {
                Parts::None => {}
                Parts::Head => types.parts.push(of),
                Parts::Behind { first, step, count } => {
                    let place = |n: usize| word(at + HEAD + first + n * step);
                    types.parts.extend((0..count).map_while(place));
                }
            }
            types.ends.push(types.parts.len());
            at += HEAD + size;
        }
        types.extents = vec![None; types.ends.len()];
        Some(types)
    }

    /// Whether all of them come to an end.
    fn have_ends(&mut self) -> bool {
        (0..self.ends.len()).all(|number| self.measure(number, DEEPEST).is_some())
    }

    /// How far this one goes, unless it leads to itself, to more `levels` than these, or to too many parts.
    fn measure(&mut self, number: usize, levels: usize) -> Option<Extent> {
        let mut extent = Extent { depth: 1, parts: 1 };
        let Some(known) = self.extents.get(number) else { return Some(extent) };
        if let Some(known) = *known {
            return (known.depth <= levels).then_some(known);
        }
        let levels = levels.checked_sub(1)?;
        let first = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        for place in first..self.ends[number] {
            let Some(part) = self.parts[place].checked_sub(1) else { continue };
            let part = self.measure(part as usize, levels)?;
            extent.depth = extent.depth.max(part.depth + 1);
            extent.parts = extent.parts.checked_add(part.parts).filter(|all| *all <= MOST_PARTS)?;
        }
        self.extents[number] = Some(extent);
        Some(extent)
    }
}

/// Bytes behind the head of a type of this kind with so many members, and where its parts are. Pointers and functions
/// have none: nobody follows those without counting.
fn shape(kind: u32, members: usize) -> (usize, Parts) {
    match kind {
        libbpf_sys::BTF_KIND_TYPEDEF
        | libbpf_sys::BTF_KIND_VOLATILE
        | libbpf_sys::BTF_KIND_CONST
        | libbpf_sys::BTF_KIND_RESTRICT
        | libbpf_sys::BTF_KIND_TYPE_TAG => (0, Parts::Head),
        libbpf_sys::BTF_KIND_VAR => (WORD, Parts::Head),
        libbpf_sys::BTF_KIND_ARRAY => (3 * WORD, Parts::Behind { first: 0, step: WORD, count: 1 }),
        libbpf_sys::BTF_KIND_STRUCT | libbpf_sys::BTF_KIND_UNION => {
            let (first, step) = (WORD, 3 * WORD);
            (members * step, Parts::Behind { first, step, count: members })
        }
        libbpf_sys::BTF_KIND_INT | libbpf_sys::BTF_KIND_DECL_TAG => (WORD, Parts::None),
        libbpf_sys::BTF_KIND_ENUM | libbpf_sys::BTF_KIND_FUNC_PROTO => {
            (members * 2 * WORD, Parts::None)
        }
        libbpf_sys::BTF_KIND_ENUM64 | libbpf_sys::BTF_KIND_DATASEC => {
            (members * 3 * WORD, Parts::None)
        }
        _ => (0, Parts::None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRUCT: u32 = libbpf_sys::BTF_KIND_STRUCT;
    const TYPEDEF: u32 = libbpf_sys::BTF_KIND_TYPEDEF;

    /// Whether types of these kinds come to an end, each made of those with these numbers.
    fn have_ends(types: &[(u32, &[u32])]) -> bool {
        let mut words = Vec::new();
        for (kind, parts) in types {
            let members = if *kind == STRUCT { parts.len() as u32 } else { 0 };
            words.extend([0, kind << 24 | members]);
            match *kind {
                STRUCT => {
                    words.push(0);
                    parts.iter().for_each(|part| words.extend([0, *part, 0]));
                }
                libbpf_sys::BTF_KIND_ARRAY => words.extend([0, parts[0], 0, 1]),
                _ => words.extend(*parts),
            }
        }
        let section = |swap: bool| -> Vec<u8> {
            let turn = |word: u32| if swap { word.swap_bytes() } else { word };
            let magic = if swap { MAGIC.swap_bytes() } else { MAGIC };
            let head = [24, 0, 4 * words.len() as u32, 0, 0].map(|word| turn(word).to_ne_bytes());
            let words = words.iter().map(|word| turn(*word).to_ne_bytes());
            let magic = [magic.to_ne_bytes(), [1, 0]].concat();
            magic.into_iter().chain(head.into_iter().chain(words).flatten()).collect()
        };
        let [native, swapped] =
            [false, true].map(|swap| Types::read(&section(swap)).unwrap().have_ends());
        assert_eq!(native, swapped);
        native
    }

    #[test]
    fn types_that_lead_to_themselves_have_no_end() {
        assert!(have_ends(&[(TYPEDEF, &[2]), (STRUCT, &[0, 0])]));
        assert!(!have_ends(&[(TYPEDEF, &[1])]));
        assert!(!have_ends(&[(TYPEDEF, &[2]), (libbpf_sys::BTF_KIND_CONST, &[1])]));
        assert!(!have_ends(&[(STRUCT, &[0, 2]), (STRUCT, &[0, 3]), (TYPEDEF, &[1])]));
        assert!(!have_ends(&[(libbpf_sys::BTF_KIND_ARRAY, &[1])]));
    }

    #[test]
    fn a_pointer_may_lead_back() {
        assert!(have_ends(&[(STRUCT, &[2]), (libbpf_sys::BTF_KIND_PTR, &[1])]));
    }

    #[test]
    fn no_type_is_too_deep_wherever_it_is_begun() {
        let chain = |length: u32, backwards: bool| {
            let next = |n: u32| if backwards { n - 1 } else { (n + 1) % (length + 1) };
            let parts: Vec<_> = (1..=length).map(|n| [next(n)]).collect();
            let types: Vec<_> = parts.iter().map(|parts| (TYPEDEF, &parts[..])).collect();
            have_ends(&types)
        };
        let deepest = DEEPEST as u32;
        for backwards in [false, true] {
            assert!(chain(deepest, backwards));
            assert!(!chain(deepest + 1, backwards));
            assert!(!chain(100_000, backwards));
        }
    }

    #[test]
    fn a_type_that_doubles_at_each_level_has_too_many_parts() {
        let doubling = |levels: u32| {
            let parts: Vec<_> = (0..levels).map(|n| [n, n]).collect();
            have_ends(&parts.iter().map(|parts| (STRUCT, &parts[..])).collect::<Vec<_>>())
        };
        assert!(doubling(19));
        assert!(!doubling(21));
    }

    #[test]
    fn what_makes_no_sense_is_for_libbpf() {
        for bytes in [&b""[..], b"\x7fELF", &[0xff; 64], &[0x9f, 0xeb, 1, 0]] {
            assert!(has_ends(bytes));
            assert!(Types::read(bytes).is_none_or(|mut types| types.have_ends()));
        }
    }
}
