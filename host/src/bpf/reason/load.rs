//! Why the kernel did not take an object.

use std::path::PathBuf;

use caps::Capability;

use super::super::host::Host;
use super::super::pins::Pin;
use super::super::{MapKind, MapSpec};
use super::target::TAKE_OUT;
use super::{
    UNLOCK, between, forbidden, is_refusal, missing_capabilities, of_errno, passes_on, quoting,
    untyped,
};
use crate::advice::Advice;
use crate::descriptors;

mod verifier;

/// A load that failed, and what was said about it.
#[derive(Debug)]
pub(in super::super) struct Failure {
    /// libbpf's error number, positive.
    pub(in super::super) errno: i32,
    /// What libbpf warned of, the verifier's log included.
    pub(in super::super) log: Vec<String>,
    /// The object's programs: name and section.
    pub(in super::super) sections: Vec<(String, String)>,
    /// All of the object's maps.
    pub(in super::super) maps: Vec<MapSpec>,
    /// Those of them that are to be pinned.
    pub(in super::super) pins: Vec<Pin>,
    /// `--btf.path`.
    pub(in super::super) btf_path: Option<PathBuf>,
}

/// What went wrong and what to do.
pub(in super::super) fn explain(failure: &Failure, host: &Host) -> Advice {
    let rules = [
        out_of_descriptors,
        capabilities,
        memlock,
        kernel_types,
        relocation,
        option,
        symbol,
        pin,
        map,
        license,
        helper,
    ];
    rules
        .into_iter()
        .find_map(|rule| rule(failure, host))
        .or_else(|| verifier::explain(failure))
        .or_else(|| unknown_kind(failure, host))
        .or_else(|| is_refusal(failure.errno).then(|| failure.at_program(forbidden(host))))
        .unwrap_or_else(|| failure.at_program(quoting(of_errno(failure.errno), &failure.log)))
}

impl Failure {
    /// The first part of a line between `before` and `after`.
    fn find(&self, before: &str, after: &str) -> Option<&str> {
        self.log.iter().find_map(|line| between(line, before, after))
    }

    fn said(&self, words: &str) -> bool {
        self.log.iter().any(|line| line.contains(words))
    }

    /// The program that libbpf stumbled on: its name and section.
    fn program(&self) -> Option<(&str, &str)> {
        let name = self
            .log
            .iter()
            .filter(|line| line.contains("failed") || line.contains("BEGIN PROG LOAD LOG"))
            .find_map(|line| between(line, "prog '", "'"))?;
        let (_, section) = self.sections.iter().find(|(known, _)| known == name)?;
        Some((name, section))
    }

    /// `advice`, with the program in front if it is known.
    fn at_program(&self, advice: Advice) -> Advice {
        match self.program() {
            Some((name, section)) => advice.about(format_args!("program `{name}` ({section})")),
            None => advice,
        }
    }
}

fn out_of_descriptors(failure: &Failure, _: &Host) -> Option<Advice> {
    let said = |words, errno| failure.said(words).then_some(errno);
    let errno = said("-EMFILE", libc::EMFILE).or(said("-ENFILE", libc::ENFILE));
    descriptors::explain(errno.unwrap_or(failure.errno))
}

fn capabilities(failure: &Failure, host: &Host) -> Option<Advice> {
    if !is_refusal(failure.errno) {
        return None;
    }
    let mut needed = vec![Capability::CAP_BPF, Capability::CAP_PERFMON];
    if failure.program().is_some_and(|(_, section)| is_of_network(section)) {
        needed.push(Capability::CAP_NET_ADMIN);
    }
    missing_capabilities(&needed, host)
}

/// Whether programs of this section take CAP_NET_ADMIN to load.
fn is_of_network(section: &str) -> bool {
    const KINDS: [&str; 13] = [
        "xdp",
        "tc",
        "tcx",
        "netkit",
        "classifier",
        "action",
        "lwt_",
        "sk_skb",
        "sk_msg",
        "flow_dissector",
        "cgroup/",
        "sockops",
        "netfilter",
    ];
    KINDS.iter().any(|kind| section.starts_with(kind))
}

fn memlock(failure: &Failure, host: &Host) -> Option<Advice> {
    // Since 5.11 BPF's memory is counted by cgroups; libbpf speaks of the limit all the same.
    let counted = host.version().is_some_and(|version| version < (5, 11));
    (counted && failure.said("ulimit -l")).then(|| {
        Advice::new(
            "the limit on locked memory is too low",
            "raise it (LimitMEMLOCK=infinity in a systemd unit, ulimit -l unlimited in a shell)",
        )
    })
}

fn kernel_types(failure: &Failure, host: &Host) -> Option<Advice> {
    if failure.said("failed to parse target BTF") {
        let path = failure.btf_path.as_ref()?.display();
        let problem = format!("failed to read the kernel's types from {path} (--btf.path)");
        let remedy = format!("give the BTF of this kernel, {}", host.release());
        let Advice { problem: why, .. } = of_errno(failure.errno);
        return Some(Advice::new(why, remedy).about(problem));
    }
    let wanted = failure.said("kernel BTF is missing")
        || failure.said("failed to find valid kernel BTF")
        || failure.said("Error loading vmlinux BTF")
        || failure.said("vmlinux BTF is not found");
    if !wanted {
        return None;
    }
    if host.has_btf() {
        let problem = "failed to read the kernel's types from /sys/kernel/btf/vmlinux";
        return Some(Advice::plain(problem));
    }
    let remedy = match failure.btf_path {
        None => "give it with --btf.path, or use a kernel with CONFIG_DEBUG_INFO_BTF=y",
        // Programs that hook by type (fentry, tp_btf) ask the kernel itself.
        Some(_) => {
            "--btf.path does not do for this config: use a kernel with \
                    CONFIG_DEBUG_INFO_BTF=y"
        }
    };
    Some(Advice::new(untyped(host), remedy))
}

fn relocation(failure: &Failure, host: &Host) -> Option<Advice> {
    let line = failure
        .log
        .iter()
        .find_map(|line| line.strip_prefix("failed to resolve CO-RE relocation "))?;
    // As in `<byte_off> [24] struct task_struct.nope (0:1 @ offset 8)`.
    let (_, what) = line.split_once("] ")?;
    let what = what.split(" (").next().unwrap_or(what);
    let release = host.release();
    Some(failure.at_program(Advice::new(
        format!("it uses `{what}`, which this kernel ({release}) does not have"),
        "guard it with bpf_core_field_exists() and the like, or use a config made for this kernel",
    )))
}

/// An option of the kernel's build that the object reads (`__kconfig`).
fn option(failure: &Failure, host: &Host) -> Option<Advice> {
    let release = host.release();
    if failure.said("failed to open system Kconfig") {
        let problem = format!(
            "the object reads options of the kernel's build, and this kernel ({release}) does not tell \
             them: there is neither /boot/config-{release} nor /proc/config.gz"
        );
        let remedy = "put the first there, or use a kernel with CONFIG_IKCONFIG_PROC=y";
        return Some(Advice::new(problem, remedy));
    }
    let name = failure.find("extern 'CONFIG_", "' (strong): not resolved")?;
    let problem = format!(
        "this kernel ({release}) is built without the option `CONFIG_{name}`, which the object reads"
    );
    Some(Advice::new(problem, "declare it `__weak` and do without, or use a kernel with it"))
}

fn symbol(failure: &Failure, host: &Host) -> Option<Advice> {
    let of_libbpf = failure.log.iter().find(|line| {
        line.starts_with("extern ") && (line.contains("not found") || line.contains("not resolved"))
    });
    let name = of_libbpf.and_then(|line| between(line, "'", "'"));
    let name = name.or_else(|| failure.find("kfunc '", "' is referenced but wasn't resolved"))?;
    let release = host.release();
    Some(Advice::new(
        format!("this kernel ({release}) has no symbol `{name}`, which the object needs"),
        "declare it `__weak` and do without, or use a config made for this kernel",
    ))
}

fn pin(failure: &Failure, host: &Host) -> Option<Advice> {
    let at = |words: &str| {
        let of = |pin: &&Pin| failure.said(&format!("map '{}': {words}", pin.map));
        failure.pins.iter().find(of)
    };
    if let Some(pin) = at("failed to auto-pin at ") {
        return Some(unpinnable(pin, failure));
    }
    let pin = at("error reusing pinned map")?;
    let Pin { map, path, found } = pin;
    if !failure.said("parameter mismatch") {
        let why = match failure.errno {
            // The kernel says the same of what is no BPF object.
            errno if is_refusal(errno) => "permission denied, or it is no map".to_owned(),
            errno => of_errno(errno).problem,
        };
        return Some(Advice::new(
            format!("map `{map}` cannot be had from what is pinned at {path}: {why}"),
            format!("run as who pinned it, or remove it: rm {path}"),
        ));
    }
    let here = failure.maps.iter().find(|spec| spec.name == *map);
    let problem = match (found, here) {
        (Some(there), Some(here)) => {
            format!("the map pinned at {path} has another shape{}", differences(there, here))
        }
        // The kernel's lockdown and modules have no part in this: it was opened.
        _ => {
            let release = host.release();
            format!("what is pinned at {path} is no map that this kernel ({release}) describes")
        }
    };
    Some(Advice::new(problem, format!("remove it: rm {path}")))
}

/// Why a new map cannot be pinned.
fn unpinnable(pin: &Pin, failure: &Failure) -> Advice {
    let Pin { map, path, .. } = pin;
    let dir = path.rsplit_once('/').map_or(".", |(dir, _)| dir);
    let why = match failure.errno {
        _ if failure.said("is not on BPF FS") => {
            Advice::new("not a BPF file system", format!("mount -t bpf bpf {dir}"))
        }
        libc::ENOENT | libc::ENOTDIR => Advice::new(
            "its directory cannot be made",
            format!("mount -t bpf bpf {dir} where there is one"),
        ),
        errno if is_refusal(errno) => Advice::new(
            "permission denied",
            format!(
                "run as a user who may write to {dir}, or mount a BPF file system for this one: mount \
                 -t bpf -o uid=USER bpf {dir}"
            ),
        ),
        libc::EROFS => Advice::new("mounted read-only", format!("mount -o remount,rw {dir}")),
        errno => of_errno(errno),
    };
    why.about(format_args!("map `{map}` cannot be pinned at {path}"))
}

/// In what two maps differ, in brackets; nothing if in nothing that is known of them.
fn differences(there: &MapSpec, here: &MapSpec) -> String {
    let mut all = Vec::new();
    if there.kind != here.kind {
        let (there, here) = (there.kind.to_string(), here.kind.to_string());
        all.push(format!(
            "it is {} {there} there, {} {here} here",
            article(&there),
            article(&here)
        ));
    }
    for (what, there, here) in
        [("key", there.key_size, here.key_size), ("value", there.value_size, here.value_size)]
    {
        if there != here {
            all.push(format!("its {what}s have {there} bytes there, {here} here"));
        }
    }
    for (what, there, here) in [
        ("max_entries", there.max_entries, here.max_entries),
        ("map_flags", there.flags, here.flags),
    ] {
        if there != here {
            all.push(format!("its {what} is {there} there, {here} here"));
        }
    }
    if all.is_empty() { String::new() } else { format!(" ({})", all.join("; ")) }
}

/// `a` or `an`.
fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" }
}

fn map(failure: &Failure, host: &Host) -> Option<Advice> {
    let line = failure.log.iter().find(|line| line.contains("failed to create: "))?;
    let name = between(line, "map '", "'")?;
    let map = failure.maps.iter().find(|map| map.name == name)?;
    let MapSpec { kind, key_size, value_size, max_entries, flags, .. } = map;
    let type_name = kind.to_string();
    let advice = match failure.errno {
        libc::E2BIG | libc::ENOMEM => Advice::new(
            format!(
                "{type_name} of {max_entries} entries of {key_size} and {value_size} bytes is too large"
            ),
            "lower its max_entries",
        ),
        libc::EINVAL => match (since(*kind), host.version()) {
            (Some(since), Some(now)) if now < since => {
                let (major, minor) = since;
                let release = host.release();
                Advice::plain(format!("{type_name} needs Linux {major}.{minor}, this is {release}"))
            }
            _ => {
                let flags = match flags {
                    0 => String::new(),
                    flags => format!(" with map_flags {flags:#x}"),
                };
                let problem = format!(
                    "the kernel does not take {} {type_name} of {max_entries} entries of {key_size} \
                     and {value_size} bytes{flags}",
                    article(&type_name)
                );
                Advice::new(problem, "check its definition")
            }
        },
        errno if is_refusal(errno) => forbidden(host),
        errno => of_errno(errno),
    };
    Some(advice.about(format_args!("failed to create map `{name}`")))
}

/// The first kernel with maps of this type, for those younger than what the exporter needs anyway.
fn since(kind: MapKind) -> Option<(u32, u32)> {
    match kind {
        MapKind::SK_STORAGE => Some((5, 2)),
        MapKind::STRUCT_OPS => Some((5, 6)),
        MapKind::RINGBUF => Some((5, 8)),
        MapKind::INODE_STORAGE => Some((5, 10)),
        MapKind::TASK_STORAGE => Some((5, 11)),
        MapKind::BLOOM_FILTER => Some((5, 16)),
        MapKind::USER_RINGBUF => Some((6, 1)),
        MapKind::CGRP_STORAGE => Some((6, 2)),
        MapKind::ARENA => Some((6, 9)),
        _ => None,
    }
}

fn license(failure: &Failure, _: &Host) -> Option<Advice> {
    let refused = |line: &String| line.contains("GPL-restricted function");
    let at = failure.log.iter().position(refused)?;
    let calls = failure.log[..at].iter().rev().find_map(|line| between(line, "call ", "#"));
    let helper = calls.map_or_else(|| "a helper".to_owned(), |name| format!("the helper `{name}`"));
    Some(failure.at_program(Advice::new(
        format!("it calls {helper}, which the kernel keeps for programs under the GPL"),
        "if this one is, say so in its source: `char LICENSE[] SEC(\"license\") = \"GPL\";`",
    )))
}

/// Helpers that read the kernel's memory, which lockdown keeps back.
const READING_HELPERS: [&str; 5] = [
    "bpf_probe_read",
    "bpf_probe_read_str",
    "bpf_probe_read_kernel",
    "bpf_probe_read_kernel_str",
    "bpf_copy_from_user_task",
];

fn helper(failure: &Failure, host: &Host) -> Option<Advice> {
    let release = host.release();
    // A number that the kernel has no name for is newer than it.
    if let Some(number) = failure
        .log
        .iter()
        .find_map(|line| line.split_once("invalid func unknown#")?.1.split(' ').next())
    {
        return Some(failure.at_program(Advice::plain(format!(
            "it calls helper number {number}, which this kernel ({release}) does not have: it is too \
             old for it"
        ))));
    }
    if let Some(name) = failure.find("calling kernel function ", " is not allowed") {
        return Some(failure.at_program(Advice::plain(format!(
            "it calls the kernel's function `{name}`, which this kernel ({release}) does not give to \
             programs of this kind"
        ))));
    }
    let name = ["unknown func ", "invalid func ", "cannot use helper "]
        .into_iter()
        .find_map(|before| failure.find(before, "#"))?;
    if host.is_confidential() && READING_HELPERS.contains(&name) {
        return Some(failure.at_program(Advice::new(
            "it reads the kernel's memory, as BPF_CORE_READ() and bpf_probe_read_kernel() do, which \
             kernel lockdown (confidentiality) keeps from all programs",
            format!("take what the hook itself gives (tp_btf, fentry), or {UNLOCK}"),
        )));
    }
    Some(failure.at_program(Advice::plain(format!(
        "it calls the helper `{name}`, which this kernel ({release}) does not give to programs of \
         this kind"
    ))))
}

/// A program that the kernel refuses without a word, before its verifier looks at it.
fn unknown_kind(failure: &Failure, host: &Host) -> Option<Advice> {
    let refused = failure.errno == libc::EINVAL && failure.said("': BPF program load failed: ");
    let silent = !failure.log.iter().any(|line| !passes_on(line));
    (refused && silent).then(|| {
        let problem = format!(
            "this kernel ({}) refuses it before it looks at its code, as it does programs of kinds that it \
             is too old or not built for",
            host.release()
        );
        failure.at_program(Advice::new(problem, TAKE_OUT))
    })
}

#[cfg(test)]
mod tests;
