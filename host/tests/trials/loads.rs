//! Whether programs can be loaded here.

use std::path::Path;

use caps::{CapSet::Effective, Capability, has_cap};

/// Why none can be.
pub fn lacks() -> Option<&'static str> {
    let has = |capability| has_cap(None, Effective, capability).unwrap_or(false);
    let may_load = has(Capability::CAP_BPF) && has(Capability::CAP_PERFMON);
    if !may_load && !has(Capability::CAP_SYS_ADMIN) {
        return Some("loading programs takes root, or CAP_BPF and CAP_PERFMON");
    }
    (!Path::new("/sys/kernel/btf/vmlinux").exists()).then_some("this kernel has no BTF")
}
