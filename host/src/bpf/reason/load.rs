//! Why the kernel did not take an object.

use std::path::PathBuf;

use caps::Capability;
use libbpf_rs::MapType;

use super::super::MapSpec;
use super::super::check::kind_name;
use super::super::host::Host;
use super::{between, errno_text, forbidden, is_refusal, missing_capabilities, quoting};

/// How many of the verifier's last lines are quoted.
const QUOTED_LINES: usize = 4;

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
    /// `--btf.path`.
    pub(in super::super) btf_path: Option<PathBuf>,
}

/// What went wrong and what to do.
pub(in super::super) fn explain(failure: &Failure, host: &Host) -> String {
    let rules =
        [capabilities, memlock, kernel_types, hook, relocation, symbol, map, license, helper];
    rules
        .into_iter()
        .find_map(|rule| rule(failure, host))
        .or_else(|| verifier(failure))
        .or_else(|| is_refusal(failure.errno).then(|| failure.at_program(&forbidden(host))))
        .unwrap_or_else(|| failure.at_program(&quoting(errno_text(failure.errno), &failure.log)))
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

    /// `reason`, with the program in front if it is known.
    fn at_program(&self, reason: &str) -> String {
        match self.program() {
            Some((name, section)) => format!("program `{name}` ({section}): {reason}"),
            None => reason.to_owned(),
        }
    }
}

fn capabilities(failure: &Failure, host: &Host) -> Option<String> {
    if !is_refusal(failure.errno) {
        return None;
    }
    missing_capabilities(&[Capability::CAP_BPF, Capability::CAP_PERFMON], host)
}

fn memlock(failure: &Failure, host: &Host) -> Option<String> {
    // Since 5.11 BPF's memory is counted by cgroups; libbpf speaks of the limit all the same.
    let counted = host.version().is_some_and(|version| version < (5, 11));
    let hit = failure.said("ulimit -l") || failure.errno == libc::ENOMEM;
    (counted && hit).then(|| {
        "the limit on locked memory is too low; raise it (LimitMEMLOCK=infinity in a systemd \
         unit, ulimit -l unlimited in a shell)"
            .to_owned()
    })
}

fn kernel_types(failure: &Failure, host: &Host) -> Option<String> {
    if failure.said("failed to parse target BTF") {
        let path = failure.btf_path.as_ref()?;
        return Some(format!(
            "failed to read the kernel's types from {} (--btf.path): {}; give the BTF of this \
             kernel, {}",
            path.display(),
            errno_text(failure.errno),
            host.release()
        ));
    }
    let wanted = failure.said("kernel BTF is missing")
        || failure.said("failed to find valid kernel BTF")
        || failure.said("Error loading vmlinux BTF")
        || failure.said("vmlinux BTF is not found");
    if !wanted {
        return None;
    }
    if host.has_btf() {
        return Some("failed to read the kernel's types from /sys/kernel/btf/vmlinux".to_owned());
    }
    let remedy = match failure.btf_path {
        None => "give it with --btf.path, or use a kernel with CONFIG_DEBUG_INFO_BTF=y",
        // Programs that hook by type (fentry, tp_btf) ask the kernel itself.
        Some(_) => {
            "--btf.path does not do for this config: use a kernel with \
                    CONFIG_DEBUG_INFO_BTF=y"
        }
    };
    Some(format!(
        "this kernel ({}) does not tell its types: no BTF at /sys/kernel/btf/vmlinux; {remedy}",
        host.release()
    ))
}

/// Hooks that are looked up by their type when the object is loaded: fentry, tp_btf, lsm.
fn hook(failure: &Failure, host: &Host) -> Option<String> {
    let name = failure.find("failed to find kernel BTF type ID of '", "'")?;
    let (_, section) = failure.program()?;
    let release = host.release();
    let reason = if section.starts_with("tp_btf") {
        match host.tracepoint_anywhere_like(name).as_deref().and_then(|near| near.split_once('/')) {
            Some((_, near)) if near != name => {
                format!(
                    "this kernel ({release}) has no tracepoint `{name}`; did you mean `{near}`?"
                )
            }
            _ => format!("this kernel ({release}) has no tracepoint `{name}`"),
        }
    } else {
        format!(
            "this kernel ({release}) has no function `{name}` to hook: renamed, inlined, or in a \
             module that is not loaded; look for it in /proc/kallsyms"
        )
    };
    Some(failure.at_program(&reason))
}

fn relocation(failure: &Failure, host: &Host) -> Option<String> {
    let line = failure
        .log
        .iter()
        .find_map(|line| line.strip_prefix("failed to resolve CO-RE relocation "))?;
    // As in `<byte_off> [24] struct task_struct.nope (0:1 @ offset 8)`.
    let (_, what) = line.split_once("] ")?;
    let what = what.split(" (").next().unwrap_or(what);
    Some(failure.at_program(&format!(
        "it uses `{what}`, which this kernel ({}) does not have; guard it with \
         bpf_core_field_exists() and the like, or use a config made for this kernel",
        host.release()
    )))
}

fn symbol(failure: &Failure, host: &Host) -> Option<String> {
    let line = failure.log.iter().find(|line| {
        line.starts_with("extern ") && (line.contains("not found") || line.contains("not resolved"))
    })?;
    let name = between(line, "'", "'")?;
    Some(format!(
        "this kernel ({}) has no symbol `{name}`, which the object needs; declare it `__weak` and \
         do without, or use a config made for this kernel",
        host.release()
    ))
}

fn map(failure: &Failure, host: &Host) -> Option<String> {
    let line = failure.log.iter().find(|line| line.contains("failed to create: "))?;
    let name = between(line, "map '", "'")?;
    let map = failure.maps.iter().find(|map| map.name == name)?;
    let MapSpec { kind, key_size, value_size, max_entries, .. } = map;
    let type_name = kind_name(*kind);
    let what = format!("failed to create map `{name}`");
    let reason = match failure.errno {
        libc::E2BIG | libc::ENOMEM => format!(
            "{type_name} of {max_entries} entries of {key_size} and {value_size} bytes is too \
             large; lower its max_entries"
        ),
        libc::EINVAL => match (since(*kind), host.version()) {
            (Some(since), Some(now)) if now < since => format!(
                "{type_name} needs Linux {}.{}, this is {}",
                since.0,
                since.1,
                host.release()
            ),
            _ => format!(
                "the kernel does not take a {type_name} of {max_entries} entries of {key_size} and \
                 {value_size} bytes; check its definition"
            ),
        },
        errno if is_refusal(errno) => forbidden(host),
        errno => errno_text(errno),
    };
    Some(format!("{what}: {reason}"))
}

/// The first kernel with maps of this type, for those younger than what the exporter needs anyway.
fn since(kind: MapType) -> Option<(u32, u32)> {
    match kind {
        MapType::SkStorage => Some((5, 2)),
        MapType::StructOps => Some((5, 6)),
        MapType::RingBuf => Some((5, 8)),
        MapType::InodeStorage => Some((5, 10)),
        MapType::TaskStorage => Some((5, 11)),
        MapType::BloomFilter => Some((5, 16)),
        MapType::UserRingBuf => Some((6, 1)),
        MapType::CGrpStorage => Some((6, 2)),
        MapType::Arena => Some((6, 9)),
        _ => None,
    }
}

fn license(failure: &Failure, _: &Host) -> Option<String> {
    let refused = |line: &String| line.contains("GPL-restricted function");
    let at = failure.log.iter().position(refused)?;
    let calls = failure.log[..at].iter().rev().find_map(|line| between(line, "call ", "#"));
    let helper = calls.map_or_else(|| "a helper".to_owned(), |name| format!("the helper `{name}`"));
    Some(failure.at_program(&format!(
        "it calls {helper}, which the kernel keeps for programs under the GPL; if this one is, say \
         so in its source: `char LICENSE[] SEC(\"license\") = \"GPL\";`"
    )))
}

fn helper(failure: &Failure, host: &Host) -> Option<String> {
    let name = ["unknown func ", "invalid func ", "cannot use helper "]
        .into_iter()
        .find_map(|before| failure.find(before, "#"))?;
    let why = match host.lockdown() {
        Some(mode) => format!("kernel lockdown ({mode}) keeps it back, or the kernel is too old"),
        None => "the kernel is too old for it".to_owned(),
    };
    Some(failure.at_program(&format!(
        "it calls the helper `{name}`, which this kernel ({}) does not offer here; {why}",
        host.release()
    )))
}

/// The end of what the verifier said, its statistics left out.
fn verifier(failure: &Failure) -> Option<String> {
    let begin = failure.log.iter().rposition(|line| line.contains("BEGIN PROG LOAD LOG"));
    let end = failure.log.iter().rposition(|line| line.contains("END PROG LOAD LOG"))?;
    // A long log has lost its beginning.
    let said = failure.log.get(begin.map_or(0, |begin| begin + 1)..end)?;
    let statistics = ["processed ", "verification time ", "stack depth "];
    let lines: Vec<&str> = said
        .iter()
        .map(String::as_str)
        .filter(|line| !statistics.iter().any(|prefix| line.starts_with(prefix)))
        .collect();
    let quoted = lines.get(lines.len().saturating_sub(QUOTED_LINES)..)?;
    if quoted.is_empty() {
        return None;
    }
    let refusal = "the kernel's verifier refuses it; its last lines (all: RUST_LOG=libbpf=debug)";
    Some(failure.at_program(&format!("{refusal}:\n  {}", quoted.join("\n  "))))
}

#[cfg(test)]
mod tests;
