//! What a map holds, as a part of its pin's name: what stands in the kernel need not be read to know it.

use std::collections::BTreeMap;

use libbpf_rs::{AsRawLibbpf, OpenMap, OpenObject, libbpf_sys};

use super::super::names;
use crate::bpf::form::EntryForm;
use crate::bpf::{MapKind, MapSpec, Opened, handover, is_users, text};
use crate::digest::Digest;

/// What stands for types that nobody told of.
const UNTYPED: &str = "untyped";
/// What libbpf fills in when it loads, from the kernel's own config.
const OPTIONS: &str = ".kconfig";

/// What a map holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    text: String,
    /// Whether nobody counts in it.
    silent: bool,
}

impl Mark {
    fn counts(form: Option<EntryForm>) -> Self {
        let text = form.map_or_else(|| UNTYPED.to_owned(), |form| form.to_string());
        Self { text, silent: false }
    }

    fn silent(parts: &[&[u8]]) -> Self {
        let digest = Digest::of(&parts.concat()).to_string();
        Self { text: digest.chars().take(16).collect(), silent: true }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether its beginning anew is nothing that a person has to know.
    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    /// How it differs from what a pin says, if it does.
    pub(super) fn difference(&self, pinned: &str) -> Option<String> {
        let unknown = !self.silent && [&*self.text, pinned].contains(&UNTYPED);
        (self.text != pinned && !unknown).then(|| handover::OTHER_FIELDS.to_owned())
    }
}

/// What each map of an object holds that is to be pinned: not those that its author has libbpf pin, and none that means
/// nothing to the next exporter.
pub(super) fn of(opened: &Opened) -> BTreeMap<String, Mark> {
    let code = code(&opened.object);
    let mark = |map: OpenMap<'_>| {
        let (name, kind) = (text(map.name()), MapSpec::of_open(&map).kind);
        let form = opened.forms.get(&name).copied();
        let means_nothing = handover::is_of_libbpf(&name)
            || matches!(kind, MapKind::STRUCT_OPS | MapKind::ARENA | MapKind::INSN_ARRAY);
        if means_nothing || !map.autocreate() || has_own_pin(&map) {
            return None;
        }
        let mark = match (is_users(&map), kind.holds_data()) {
            (true, true) => Mark::counts(form),
            // Its entries are programs or maps of this very code.
            (true, false) => Mark::silent(&[&code]),
            (false, _) if name.contains(OPTIONS) => return None,
            // The same variables, which begin with the same values.
            (false, _) => {
                let form = form.map_or_else(|| code.clone(), |form| form.to_string().into_bytes());
                Mark::silent(&[&form, map.initial_value().unwrap_or_default()])
            }
        };
        Some((name, mark))
    };
    opened.object.maps().filter_map(mark).collect()
}

/// The name of a pin.
pub(super) fn pin_of(name: &str, mark: &str) -> String {
    format!("{}-{mark}", names::part(name))
}

/// What the name of a pin stands for, and its mark.
pub(super) fn parts(file: &str) -> Option<(String, String)> {
    let (name, mark) = file.split_once('-')?;
    Some((names::text(name)?, mark.to_owned()))
}

/// All instructions of an object, before anything was made of them.
fn code(object: &OpenObject) -> Vec<u8> {
    let mut all = Vec::new();
    for program in object.progs() {
        all.extend(program.name().as_encoded_bytes());
        for instruction in program.insns() {
            all.extend([instruction.code, instruction.dst_reg() | instruction.src_reg() << 4]);
            all.extend(instruction.off.to_le_bytes());
            all.extend(instruction.imm.to_le_bytes());
        }
    }
    Digest::of(&all).to_string().into_bytes()
}

fn has_own_pin(map: &OpenMap<'_>) -> bool {
    // SAFETY: the map belongs to an object that is alive.
    unsafe { !libbpf_sys::bpf_map__pin_path(map.as_libbpf_object().as_ptr()).is_null() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_pins_are_read_again() {
        for (name, mark) in [("hits_total", "0123"), ("x.bss", "untyped"), ("a-b", "1-2")] {
            let file = pin_of(name, mark);
            assert_eq!(parts(&file), Some((name.to_owned(), mark.to_owned())), "{file}");
        }
        assert_eq!(parts("hits_total"), None);
    }

    #[test]
    fn what_is_not_known_does_not_differ() {
        let form = |told: &str| Some(EntryForm::of(told));
        let (one, other) = (Mark::counts(form("1")), Mark::counts(form("2")));
        assert_eq!(one.difference(one.as_str()), None);
        assert!(one.difference(other.as_str()).is_some());
        assert_eq!(one.difference(UNTYPED), None);
        assert_eq!(Mark::counts(None).difference(other.as_str()), None);
        assert!(Mark::silent(&[b"1"]).difference(UNTYPED).is_some());
    }
}
