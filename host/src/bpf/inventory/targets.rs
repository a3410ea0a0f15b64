//! The names of what tracing programs are attached to, which links give as numbers of the kernel's types.
//!
//! Knows those of the kernel itself, and none of modules or of other programs. Never keeps the kernel's
//! types, which take megabytes: they are read when a number comes that was not asked for before.

use std::collections::HashMap;
use std::os::fd::AsFd as _;

use libbpf_rs::btf::{Btf, BtfType};

use crate::bpf::log;
use crate::bpf::sys::{self, Numbered};

/// The kernel's description of its own types.
pub const TYPES: &str = "/sys/kernel/btf/vmlinux";

/// Names that were found, by number.
#[derive(Debug, Default)]
pub(super) struct Targets {
    names: HashMap<u32, Option<String>>,
    /// Read in this round.
    types: Option<Btf<'static>>,
}

impl Targets {
    /// The name of a function or type of the kernel's, if `object` is the kernel's own BTF.
    pub(super) fn name(&mut self, object: u32, id: u32) -> Option<String> {
        if !is_kernels(object) {
            return None;
        }
        if let Some(known) = self.names.get(&id) {
            return known.clone();
        }
        if self.types.is_none() {
            self.types = log::capture(|| Btf::from_path(TYPES)).0.ok();
        }
        let named = self.types.as_ref()?.type_by_id::<BtfType<'_>>(id.into());
        let name = named.and_then(|named| Some(named.name()?.to_string_lossy().into_owned()));
        self.names.insert(id, name.clone());
        name
    }

    /// Ends a round.
    pub(super) fn rest(&mut self) {
        self.types = None;
    }
}

/// Whether this BTF is that of the kernel itself. Before Linux 5.13 a link does not say whose it is.
fn is_kernels(object: u32) -> bool {
    let name = || sys::btf_name(sys::by_id(Numbered::Btf, object).ok()??.as_fd()).ok();
    object == 0 || name().is_some_and(|name| name == "vmlinux")
}
