//! Programs that this kernel could never load: they are switched off before, so that they cost only
//! themselves. Those that libbpf cannot tell by their sections what they are, it is told.
//!
//! The kernel takes all programs of an object or none. Only what is certain before is switched off; what
//! the verifier may say is not known here.

use std::ffi::CString;

use libbpf_rs::libbpf_sys;
use libbpf_rs::{AsRawLibbpf, MapType, OpenObject, OpenProgramMut};

use super::attach::AttachError;
use super::hook::HookSpec;
use super::host::Host;
use super::reason::target;
use super::{log, text};
use crate::advice::Advice;

/// Sections whose hook is looked up by its type when the object is loaded; `.s` may stand behind each.
const BY_TYPE: [&str; 8] =
    ["fentry", "fexit", "fmod_ret", "fsession", "tp_btf", "lsm", "lsm_cgroup", "iter"];

/// Switches them off, and says why for each.
pub(super) fn switch_off(object: &mut OpenObject) -> Vec<AttachError> {
    let has_struct_ops = object.maps().any(|map| map.map_type() == MapType::StructOps);
    let mut off = Vec::new();
    for mut program in object.progs_mut().filter(|program| program.autoload()) {
        let reason = match HookSpec::of(&text(program.section())) {
            Some(Ok(hook)) => {
                hook.prepare(&mut program);
                None
            }
            Some(Err(advice)) => Some(advice),
            None => reason(&program, has_struct_ops),
        };
        let Some(advice) = reason else { continue };
        program.set_autoload(false);
        off.push(AttachError {
            program: text(program.name()),
            section: text(program.section()),
            advice,
        });
    }
    off
}

/// Why a program cannot be loaded, if that is certain.
fn reason(program: &OpenProgramMut<'_>, has_struct_ops: bool) -> Option<Advice> {
    let section = text(program.section());
    let (kind, hook) = match section.split_once('/') {
        Some((kind, hook)) => (kind, Some(hook).filter(|hook| !hook.is_empty())),
        None => (&*section, None),
    };
    let kind = kind.strip_suffix(".s").unwrap_or(kind);
    match (kind, hook) {
        ("freplace", _) => Some(target::replaces()),
        ("struct_ops", _) => (!has_struct_ops).then(target::unreferenced),
        (kind, None) if BY_TYPE.contains(&kind) => Some(target::unnamed(kind)),
        (kind, Some(hook)) if BY_TYPE.contains(&kind) => {
            is_missing(program, hook).then(|| target::missing(kind, hook, &Host::current()))
        }
        _ => None,
    }
}

/// Whether the kernel's types are known and lack this hook. libbpf remembers what it found for the load.
fn is_missing(program: &OpenProgramMut<'_>, hook: &str) -> bool {
    let Ok(hook) = CString::new(hook) else { return false };
    let raw = program.as_libbpf_object();
    let (code, log) = log::capture(|| {
        // SAFETY: `raw` is a program of an open object, which the caller keeps alive; the name is
        // terminated, and libbpf only reads it.
        unsafe { libbpf_sys::bpf_program__set_attach_target(raw.as_ptr(), 0, hook.as_ptr()) }
    });
    // Of types that cannot be read libbpf complains; of a hook that they lack it does not.
    code == -libc::ESRCH && log.is_empty()
}
