//! Where a program hangs, as a number: whether one that hangs already hangs where another is to.
//!
//! A section says it, but the same words may mean another file or another interface tomorrow. Never attaches
//! anything.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::bpf::hook::HookSpec;
use crate::bpf::host::Host;
use crate::bpf::sys;
use crate::digest::Digest;

/// The place of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bpf) struct HookPlace {
    /// Its section.
    section: [u8; 8],
    /// What the section names, now; none if that is not known.
    target: Option<[u8; 8]>,
}

impl HookPlace {
    /// The place that a section names now.
    pub(in crate::bpf) fn of(section: &str) -> Self {
        Self { section: short(section), target: target(section).map(|target| short(&target)) }
    }

    /// Whether both have the same section, whatever that means.
    pub(in crate::bpf) fn has_section_of(&self, other: &Self) -> bool {
        self.section == other.section
    }

    /// Whether both are known to be one and the same place.
    pub(in crate::bpf) fn is(&self, other: &Self) -> bool {
        self.section == other.section && self.target.is_some() && self.target == other.target
    }

    /// Whether both have the same section, which is known to mean two places.
    pub(in crate::bpf) fn is_apart_from(&self, other: &Self) -> bool {
        let targets = (self.target, other.target);
        self.section == other.section
            && matches!(targets, (Some(own), Some(others)) if own != others)
    }

    /// What [`HookPlace`]s display as.
    pub(in crate::bpf) fn parse(text: &str) -> Option<Self> {
        let (section, target) = text.split_once('-')?;
        let target = match target {
            UNKNOWN => None,
            target => Some(hex(target)?),
        };
        Some(Self { section: hex(section)?, target })
    }
}

const UNKNOWN: &str = "unknown";

/// Two numbers in hexadecimal digits.
impl fmt::Display for HookPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write = |f: &mut fmt::Formatter<'_>, bytes: [u8; 8]| {
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        };
        write(f, self.section)?;
        f.write_str("-")?;
        match self.target {
            Some(target) => write(f, target),
            None => f.write_str(UNKNOWN),
        }
    }
}

/// Whether it is certain that what a section names is not there: a tracepoint, a file or an interface.
pub(in crate::bpf) fn is_missing(section: &str) -> bool {
    let (kind, what) = section.split_once('/').unwrap_or((section, ""));
    match (kind, what.split_once('/')) {
        ("tracepoint" | "tp", Some((group, name))) => {
            let host = Host::current();
            host.has_tracefs() && host.tracepoint_id(group, name).is_none()
        }
        // Of other names libbpf knows places to look in.
        _ if what.starts_with('/') => target(section).is_none(),
        _ => {
            let hook = HookSpec::of(section);
            let of_interface =
                matches!(hook, Some(Ok(HookSpec::Packets { .. } | HookSpec::Traffic { .. })));
            of_interface && target(section).is_none()
        }
    }
}

/// Another section that names the same hook, if there is one.
pub(in crate::bpf) fn synonym(section: &str) -> Option<String> {
    const KINDS: [[&str; 2]; 4] =
        [["tracepoint", "tp"], ["raw_tracepoint", "raw_tp"], ["xdp", "xdp.frags"], ["tc", "tcx"]];
    let (kind, what) = section.split_once('/')?;
    let others = KINDS.iter().find_map(|[one, other]| match kind {
        _ if kind == *one => Some(other),
        _ if kind == *other => Some(one),
        _ => None,
    });
    others.map(|other| format!("{other}/{what}"))
}

/// What a section names, told so that it is another text once it is another thing.
fn target(section: &str) -> Option<String> {
    if let Some(Ok(HookSpec::Packets { interface, .. } | HookSpec::Traffic { interface, .. })) =
        HookSpec::of(section)
    {
        let index = sys::interface_index(&std::ffi::CString::new(interface).ok()?);
        let network = fs::metadata("/proc/self/ns/net").ok()?;
        return (index != 0).then(|| format!("{index} {} {}", network.dev(), network.ino()));
    }
    let (kind, what) = section.split_once('/').unwrap_or((section, ""));
    if !["uprobe", "uretprobe", "usdt"].iter().any(|of_file| kind.starts_with(of_file)) {
        return Some(String::new());
    }
    // libbpf looks for names that are no paths, in places of its own.
    let file = what.split(':').next().filter(|file| file.starts_with('/'))?;
    let file = fs::metadata(file).ok()?;
    Some(format!("{} {} {}.{}", file.dev(), file.ino(), file.ctime(), file.ctime_nsec()))
}

fn short(text: &str) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&Digest::of(text.as_bytes()).as_bytes()[..8]);
    first
}

fn hex(text: &str) -> Option<[u8; 8]> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u64::from_str_radix(text, 16).ok().filter(|_| digits)?;
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_again() {
        for section in [
            "kprobe/x",
            "tracepoint/a/b",
            "xdp/lo",
            "uprobe//proc/self/exe:f",
            "perf_event/type=1,config=1,frequency=1",
        ] {
            let place = HookPlace::of(section);
            assert_eq!(HookPlace::parse(&place.to_string()), Some(place), "{section}");
            assert!(place.is(&HookPlace::of(section)), "{section}");
            assert!(!place.is(&HookPlace::of("kprobe/y")), "{section}");
            assert!(!is_missing(section) || section.starts_with("tracepoint/"), "{section}");
        }
        for text in ["", "-", "0-unknown", "0123456789abcdef", "0123456789abcdef-0"] {
            assert_eq!(HookPlace::parse(text), None, "{text}");
        }
    }

    #[test]
    fn other_words_for_a_hook_are_known() {
        for (one, other) in [("tp/a/b", "tracepoint/a/b"), ("xdp/lo", "xdp.frags/lo")] {
            assert_eq!(synonym(one).as_deref(), Some(other));
            assert_eq!(synonym(other).as_deref(), Some(one));
        }
        assert_eq!(["kprobe/f", "tp"].map(synonym), [None, None]);
    }

    #[test]
    fn what_is_not_known_is_never_the_same() {
        for section in ["uprobe/libc:malloc", "uprobe//no/such/file:f", "xdp/nosuchinterface"] {
            let place = HookPlace::of(section);
            assert!(place.has_section_of(&place) && !place.is(&place), "{section}");
            assert!(!place.is_apart_from(&place), "{section}");
            assert_eq!(is_missing(section), section != "uprobe/libc:malloc", "{section}");
            assert_eq!(HookPlace::parse(&place.to_string()), Some(place), "{section}");
        }
    }

    #[test]
    fn another_file_of_the_same_name_is_another_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("program");
        let section = format!("uprobe/{}:f", file.display());
        fs::write(&file, "1").unwrap();
        let before = HookPlace::of(&section);
        assert!(before.is(&HookPlace::of(&section)));
        let other = dir.path().join("other");
        fs::write(&other, "1").unwrap();
        fs::rename(other, &file).unwrap();
        let after = HookPlace::of(&section);
        assert!(after.has_section_of(&before) && !after.is(&before));
        assert!(after.is_apart_from(&before) && !after.is_apart_from(&after));
    }
}
