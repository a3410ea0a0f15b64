//! Where programs are attached, as far as links tell.
//!
//! What was attached without a link (by netlink, by an older call of cgroups') has no place here. Never
//! gives names to interfaces or cgroups: the host has those.

use std::ffi::OsString;

use libbpf_rs::query::{LinkInfo, LinkTypeInfo, PerfEventType};
use libbpf_rs::{ProgramAttachType, libbpf_sys};
use serde::{Deserialize, Serialize};

use super::targets::Targets;
use crate::bpf::sys;

/// Where a program is attached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Place {
    /// As a section of an object would say it: `kprobe/do_unlinkat`.
    Section(String),
    /// At an interface.
    Interface {
        /// How: `xdp`.
        hook: String,
        /// The interface's number, in the network namespace that the program was attached in.
        index: u32,
    },
    /// To a cgroup.
    Cgroup {
        /// How: `cgroup_inet_ingress`.
        hook: String,
        /// The cgroup's id.
        id: u64,
    },
}

impl Place {
    /// Where this link attaches its program.
    pub(super) fn of(link: LinkInfo, targets: &mut Targets) -> Self {
        use Place::{Cgroup, Interface, Section};

        match link.info {
            LinkTypeInfo::RawTracepoint(at) => Section(format!("raw_tp/{}", at.name)),
            LinkTypeInfo::Tracing(at) => {
                let hook = hook(&at.attach_type);
                let target = targets.name(at.target_obj_id, at.target_btf_id);
                Section(joined(&hook, target.as_deref().map(|target| bare(&hook, target))))
            }
            LinkTypeInfo::Cgroup(at) => Cgroup { hook: hook(&at.attach_type), id: at.cgroup_id },
            LinkTypeInfo::Iter(at) => Section(format!("iter/{}", at.target_name.to_string_lossy())),
            LinkTypeInfo::NetNs(at) => {
                Section(format!("{}/net:[{}]", hook(&at.attach_type), at.ino))
            }
            LinkTypeInfo::Xdp(at) => Interface { hook: "xdp".to_owned(), index: at.ifindex },
            LinkTypeInfo::Tcx(at) => Interface { hook: hook(&at.attach_type), index: at.ifindex },
            LinkTypeInfo::Netkit(at) => {
                Interface { hook: hook(&at.attach_type), index: at.ifindex }
            }
            LinkTypeInfo::StructOps(at) => Section(format!("struct_ops/map {}", at.map_id)),
            LinkTypeInfo::SockMap(at) => {
                Section(format!("{}/map {}", hook(&at.attach_type), at.map_id))
            }
            LinkTypeInfo::Netfilter(at) => {
                Section(format!("netfilter/family {}, hook {}", at.protocol_family, at.hooknum))
            }
            LinkTypeInfo::KprobeMulti(at) => {
                let returns = at.flags & libbpf_sys::BPF_F_KPROBE_MULTI_RETURN != 0;
                let hook = if returns { "kretprobe.multi" } else { "kprobe.multi" };
                Section(many(hook, at.count, "function"))
            }
            LinkTypeInfo::UprobeMulti(at) => {
                let returns = at.flags & libbpf_sys::BPF_F_UPROBE_MULTI_RETURN != 0;
                let hook = if returns { "uretprobe.multi" } else { "uprobe.multi" };
                let file = at.path.map(|path| path.display().to_string());
                Section(many(&joined(hook, file.as_deref()), at.count, "place"))
            }
            LinkTypeInfo::PerfEvent(at) => Section(event(at.event_type)),
            LinkTypeInfo::Unknown => Section("a link of unknown type".to_owned()),
        }
    }
}

impl Place {
    /// The place of a program of this type: links do not tell tracepoints with types from those without.
    pub(super) fn of_kind(self, kind: &str) -> Self {
        match self {
            Self::Section(section) if kind == "tracing" => {
                let name = section.strip_prefix("raw_tp/");
                Self::Section(name.map_or(section.clone(), |name| format!("tp_btf/{name}")))
            }
            other => other,
        }
    }
}

/// Whether a link always attaches the same program to the same place. Others may be given another one.
pub(super) fn is_fixed(link: &LinkInfo) -> bool {
    matches!(
        link.info,
        LinkTypeInfo::RawTracepoint(_)
            | LinkTypeInfo::Tracing(_)
            | LinkTypeInfo::Iter(_)
            | LinkTypeInfo::KprobeMulti(_)
            | LinkTypeInfo::UprobeMulti(_)
            | LinkTypeInfo::PerfEvent(_)
    )
}

/// Where a program runs that is attached to a perf event.
fn event(event: PerfEventType) -> String {
    let named = |hook: &str, name: Option<OsString>, offset: u32| {
        let name = name.map(|name| name.to_string_lossy().into_owned());
        let at = joined(hook, name.as_deref());
        if offset == 0 { at } else { format!("{at}+{offset:#x}") }
    };
    let returning =
        |hook: &'static str, is: bool, other: &'static str| if is { other } else { hook };
    match event {
        PerfEventType::Tracepoint { name, .. } => named("tracepoint", name, 0),
        PerfEventType::Kprobe { func_name, is_retprobe, offset, .. } => {
            named(returning("kprobe", is_retprobe, "kretprobe"), func_name, offset)
        }
        PerfEventType::Uprobe { file_name, is_retprobe, offset, .. } => {
            named(returning("uprobe", is_retprobe, "uretprobe"), file_name, offset)
        }
        PerfEventType::Event { config, event_type, .. } => {
            format!("perf_event/type={event_type},config={config}")
        }
        // Before Linux 6.6 a link does not say at what.
        PerfEventType::Unknown(_) => "perf_event".to_owned(),
    }
}

/// How a program of this kind is attached, as sections say it where they have a word for it.
fn hook(kind: &ProgramAttachType) -> String {
    match sys::attach_type_name(kind.clone() as u32).unwrap_or("a hook of unknown type") {
        "trace_fentry" => "fentry",
        "trace_fexit" => "fexit",
        "trace_raw_tp" => "tp_btf",
        "trace_iter" => "iter",
        "modify_return" => "fmod_ret",
        "lsm_mac" => "lsm",
        "lsm_cgroup" => "lsm_cgroup",
        other => other,
    }
    .to_owned()
}

/// What a function or type of the kernel is called where programs of this kind are attached to it.
fn bare<'a>(hook: &str, target: &'a str) -> &'a str {
    let prefix = match hook {
        "tp_btf" => "btf_trace_",
        "lsm" | "lsm_cgroup" => "bpf_lsm_",
        _ => "",
    };
    target.strip_prefix(prefix).unwrap_or(target)
}

fn joined(hook: &str, target: Option<&str>) -> String {
    target.map_or_else(|| hook.to_owned(), |target| format!("{hook}/{target}"))
}

/// `kprobe.multi (2 functions)`; the bare hook if the kernel does not say how many (before Linux 6.6).
fn many(hook: &str, count: u32, what: &str) -> String {
    match count {
        0 => hook.to_owned(),
        1 => format!("{hook} (1 {what})"),
        _ => format!("{hook} ({count} {what}s)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_have_the_words_of_sections() {
        for (kind, word) in [
            (ProgramAttachType::TraceFentry, "fentry"),
            (ProgramAttachType::TraceRawTp, "tp_btf"),
            (ProgramAttachType::LsmMac, "lsm"),
            (ProgramAttachType::CgroupInetIngress, "cgroup_inet_ingress"),
        ] {
            assert_eq!(hook(&kind), word);
        }
        assert_eq!(bare("tp_btf", "btf_trace_sched_switch"), "sched_switch");
        assert_eq!(bare("fentry", "bpf_lsm_file_open"), "bpf_lsm_file_open");
    }

    #[test]
    fn events_are_told_by_what_they_are() {
        let kprobe = |offset, is_retprobe| PerfEventType::Kprobe {
            func_name: Some("do_unlinkat".into()),
            is_retprobe,
            addr: 0,
            offset,
            missed: 0,
            cookie: 0,
        };
        assert_eq!(event(kprobe(0, false)), "kprobe/do_unlinkat");
        assert_eq!(event(kprobe(0x10, true)), "kretprobe/do_unlinkat+0x10");
        let tracepoint = PerfEventType::Tracepoint { name: None, cookie: 0 };
        assert_eq!(event(tracepoint), "tracepoint");
        let clock = PerfEventType::Event { config: 0, event_type: 1, cookie: 0 };
        assert_eq!(event(clock), "perf_event/type=1,config=0");
    }

    #[test]
    fn numbers_are_counted() {
        assert_eq!(many("kprobe.multi", 0, "function"), "kprobe.multi");
        assert_eq!(many("kprobe.multi", 1, "function"), "kprobe.multi (1 function)");
        assert_eq!(many("kprobe.multi", 12, "function"), "kprobe.multi (12 functions)");
    }
}
