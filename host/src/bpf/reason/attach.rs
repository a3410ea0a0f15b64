//! Why a program could not be attached.

use caps::Capability;

use super::super::hook::HookSpec;
use super::super::host::Host;
use super::user::{self, InFile, Sought};
use super::{UNLOCK, forbidden, is_refusal, missing_capabilities, of_errno, quoting, target};
use crate::advice::Advice;
use crate::advice::near::suggest;
use crate::descriptors;

/// A program that could not be attached, and what was said about it.
#[derive(Debug)]
pub(in super::super) struct Attempt<'a> {
    /// The program's section.
    pub(in super::super) section: &'a str,
    /// libbpf's error number, positive.
    pub(in super::super) errno: i32,
    /// What libbpf warned of.
    pub(in super::super) log: &'a [String],
}

/// Programs that the kernel runs at one tracepoint (`BPF_TRACE_MAX_PROGS`).
const MOST_AT_TRACEPOINT: usize = 64;

/// What a section names.
#[derive(Debug, PartialEq, Eq)]
enum Hook<'a> {
    Tracepoint {
        group: &'a str,
        name: &'a str,
    },
    /// `tracepoint/NAME`, which libbpf does not take.
    Groupless {
        name: &'a str,
    },
    RawTracepoint {
        name: &'a str,
    },
    Function {
        name: &'a str,
    },
    Syscall {
        name: &'a str,
    },
    Functions {
        pattern: &'a str,
    },
    InFile {
        path: &'a str,
        sought: Sought<'a>,
    },
    /// Nothing of a file, or nothing whole.
    Incomplete {
        kind: &'a str,
    },
    Event,
    Packets {
        interface: String,
    },
    Traffic {
        interface: String,
    },
    Other,
}

/// What went wrong and what to do.
pub(in super::super) fn explain(attempt: &Attempt<'_>, host: &Host) -> Advice {
    let hook = Hook::of(attempt.section);
    if let Some(advice) = descriptors::explain(attempt.errno) {
        return advice;
    }
    let bare = attempt.section.strip_suffix('/').unwrap_or(attempt.section);
    let known = match attempt.errno {
        // libbpf refuses it, or passes an empty name on, which no hook has.
        _ if names_no_hook(bare) => Some(target::unnamed(bare)),
        errno if is_refusal(errno) && !user::is_closed(attempt.log) => Some(refused(&hook, host)),
        libc::EOPNOTSUPP if attempt.log.is_empty() => Some(Advice::new(
            "libbpf attaches no program by a section of this kind",
            "name a hook, as in tracepoint/GROUP/NAME",
        )),
        _ => too_new(attempt, host)
            .or_else(|| locked(&hook, host))
            .or_else(|| not_found(&hook, attempt, host)),
    };
    known.unwrap_or_else(|| quoting(of_errno(attempt.errno), attempt.log))
}

/// Whether libbpf would attach a program of this section if it named a hook.
fn names_no_hook(section: &str) -> bool {
    const KINDS: [&str; 13] = [
        "xdp",
        "perf_event",
        "tc",
        "tcx",
        "kprobe",
        "kretprobe",
        "ksyscall",
        "kretsyscall",
        "uprobe",
        "uretprobe",
        "tracepoint",
        "raw_tracepoint",
        "usdt",
    ];
    const SHORT: [&str; 2] = ["tp", "raw_tp"];
    if section.contains('/') {
        return matches!(section, "tc/ingress" | "tc/egress" | "tcx/ingress" | "tcx/egress");
    }
    let kind = section.split_once('.').map_or(section, |(kind, _)| kind);
    KINDS.contains(&kind) || SHORT.contains(&kind)
}

impl<'a> Hook<'a> {
    fn of(section: &'a str) -> Self {
        match HookSpec::of(section) {
            Some(Ok(HookSpec::Samples(_))) => return Self::Event,
            Some(Ok(HookSpec::Packets { interface, .. })) => return Self::Packets { interface },
            Some(Ok(HookSpec::Traffic { interface, .. })) => return Self::Traffic { interface },
            Some(Err(_)) | None => {}
        }
        let Some((kind, target)) = section.split_once('/') else { return Self::Other };
        match kind {
            "tracepoint" | "tp" => match target.split_once('/') {
                Some((group, name)) => Self::Tracepoint { group, name },
                None => Self::Groupless { name: target },
            },
            "raw_tracepoint" | "raw_tp" | "raw_tracepoint.w" | "raw_tp.w" => {
                Self::RawTracepoint { name: target }
            }
            "kprobe" | "kretprobe" => {
                Self::Function { name: target.split('+').next().unwrap_or(target) }
            }
            "ksyscall" | "kretsyscall" => Self::Syscall { name: target },
            "kprobe.multi" | "kretprobe.multi" | "kprobe.session" => {
                Self::Functions { pattern: target }
            }
            "usdt" | "usdt.s" => Self::in_file(kind, target, |rest| {
                let (provider, name) = rest.split_once(':')?;
                Some(Sought::Probe { provider, name })
            }),
            "uprobe" | "uprobe.s" | "uretprobe" | "uretprobe.s" => {
                Self::in_file(kind, target, |name| Some(Sought::Function(name)))
            }
            _ if kind.starts_with("uprobe.") || kind.starts_with("uretprobe.") => {
                Self::in_file(kind, target, |pattern| Some(Sought::Functions(pattern)))
            }
            _ => Self::Other,
        }
    }
}

impl<'a> Hook<'a> {
    /// What is sought in a file, which stands before the first colon.
    fn in_file(
        kind: &'a str,
        target: &'a str,
        sought: impl FnOnce(&'a str) -> Option<Sought<'a>>,
    ) -> Self {
        let named =
            target.split_once(':').filter(|(path, rest)| !path.is_empty() && !rest.is_empty());
        let found =
            named.and_then(|(path, rest)| Some(Self::InFile { path, sought: sought(rest)? }));
        found.unwrap_or(Self::Incomplete { kind })
    }
}

/// Why it is forbidden.
fn refused(hook: &Hook<'_>, host: &Host) -> Advice {
    let needed = match hook {
        Hook::Packets { .. } | Hook::Traffic { .. } => Capability::CAP_NET_ADMIN,
        _ => Capability::CAP_PERFMON,
    };
    if let Some(missing) = missing_capabilities(&[needed], host) {
        return missing;
    }
    if matches!(hook, Hook::Tracepoint { .. } | Hook::Functions { .. }) && !host.has_tracefs() {
        return Advice::new("tracefs cannot be read", "run as root or grant CAP_DAC_READ_SEARCH");
    }
    locked(hook, host).unwrap_or_else(|| forbidden(host))
}

/// That lockdown closes kprobes, of one. What libbpf makes of it differs: it may find no system call for want of them.
fn locked(hook: &Hook<'_>, host: &Host) -> Option<Advice> {
    let is_kprobe = matches!(hook, Hook::Function { .. } | Hook::Syscall { .. });
    (is_kprobe && host.is_confidential()).then(|| {
        Advice::new(
            "kernel lockdown (confidentiality) closes kprobes",
            format!("use fentry/FUNCTION, fexit/FUNCTION or kprobe.multi/FUNCTION, or {UNLOCK}"),
        )
    })
}

/// That this kernel is too old for a kind of hook, if that is the reason.
fn too_new(attempt: &Attempt<'_>, host: &Host) -> Option<Advice> {
    let kind = attempt.section.split('/').next()?;
    let (since, instead) = match kind.strip_suffix(".s").unwrap_or(kind) {
        "uprobe.multi" => ((6, 6), "uprobe for each function"),
        "uretprobe.multi" => ((6, 6), "uretprobe for each function"),
        "kprobe.session" => ((6, 10), "kprobe.multi and kretprobe.multi"),
        "uprobe.session" => ((6, 13), "uprobe.multi and uretprobe.multi"),
        _ => return None,
    };
    let old = host.version().is_some_and(|version| version < since);
    (old && matches!(attempt.errno, libc::EINVAL | libc::EOPNOTSUPP)).then(|| {
        let (release, (major, minor)) = (host.release(), since);
        let problem =
            format!("this kernel ({release}) has no {kind} (needs Linux {major}.{minor})");
        Advice::new(problem, format!("use {instead}"))
    })
}

/// What is not there, if that is the reason.
fn not_found(hook: &Hook<'_>, attempt: &Attempt<'_>, host: &Host) -> Option<Advice> {
    let absent = attempt.errno == libc::ENOENT;
    match hook {
        Hook::Tracepoint { group, name } if absent => Some(no_tracepoint(group, name, host)),
        Hook::Tracepoint { group, name } if attempt.errno == libc::E2BIG => Some(Advice::new(
            format!(
                "`{group}/{name}` has {MOST_AT_TRACEPOINT} programs already, as many as the kernel \
                 runs there for all processes together"
            ),
            "use raw_tp/NAME, which has no such bound, or see with `bpftool link` whose they are",
        )),
        Hook::Groupless { name } => Some(groupless(name, host)),
        Hook::RawTracepoint { name } if absent || attempt.errno == libc::EINVAL => {
            Some(no_raw_tracepoint(name, host))
        }
        Hook::Function { .. } | Hook::Syscall { .. } if !host.has_kprobes() => {
            Some(no_kprobes(host))
        }
        Hook::Function { name } => Some(no_function(name, host)),
        Hook::Syscall { name } if absent => {
            let problem = format!("this kernel ({}) has no syscall `{name}`", host.release());
            Some(Advice::plain(problem))
        }
        Hook::Functions { pattern } => Some(no_functions(pattern, attempt.errno, host)),
        Hook::InFile { path, sought } => {
            let Attempt { errno, log, .. } = *attempt;
            InFile { path, sought: *sought, errno, log }.explain(host)
        }
        Hook::Incomplete { kind } => Some(target::unnamed(kind)),
        Hook::Event => event(attempt.errno),
        Hook::Packets { interface } | Hook::Traffic { interface }
            if attempt.errno == libc::ENODEV =>
        {
            Some(no_interface(interface, host))
        }
        Hook::Packets { interface } => packets(interface, attempt.errno, host),
        Hook::Traffic { .. } => traffic(attempt.errno, host),
        _ => None,
    }
}

fn event(errno: i32) -> Option<Advice> {
    match errno {
        libc::ENOENT | libc::EOPNOTSUPP | libc::ENODEV => Some(Advice::new(
            "this machine has no such perf event; a virtual machine often has none of its hardware's",
            "see `perf list` for those that it has",
        )),
        libc::EINVAL => Some(Advice::new(
            "the kernel takes no such perf event, or not so often",
            "see `perf list`, and keep the frequency below kernel.perf_event_max_sample_rate",
        )),
        _ => None,
    }
}

fn no_interface(name: &str, host: &Host) -> Advice {
    let all = host.interfaces();
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    let problem = format!("this network namespace has no interface `{name}`");
    if all.is_empty() {
        Advice::plain(problem)
    } else {
        Advice::new(problem, suggest(name, &all, "name one of"))
    }
}

fn packets(interface: &str, errno: i32, host: &Host) -> Option<Advice> {
    match errno {
        libc::EBUSY | libc::EEXIST => Some(Advice::new(
            format!("`{interface}` has an XDP program already, and can have no other"),
            format!("see with `ip link show dev {interface}` whose it is"),
        )),
        libc::EINVAL if host.version().is_some_and(|version| version < (5, 9)) => {
            Some(Advice::plain(format!(
                "this kernel ({}) has no links to interfaces (needs Linux 5.9)",
                host.release()
            )))
        }
        _ => None,
    }
}

fn traffic(errno: i32, host: &Host) -> Option<Advice> {
    let old = host.version().is_some_and(|version| version < (6, 6));
    (errno == libc::EINVAL && old).then(|| {
        let problem = format!(
            "this kernel ({}) has no links to traffic control (needs Linux 6.6)",
            host.release()
        );
        Advice::new(
            problem,
            "use xdp/IFACE for packets that come in, or a tracepoint of group `net`",
        )
    })
}

fn no_tracepoint(group: &str, name: &str, host: &Host) -> Advice {
    if !host.has_tracefs() {
        return Advice::new(
            "tracefs is not mounted",
            "mount it: mount -t tracefs tracefs /sys/kernel/tracing",
        );
    }
    let release = host.release();
    let known_group = host.has_tracepoint_group(group);
    let (what, near) = if known_group {
        let near = host.tracepoints_like(Some(group), name);
        (format!("no tracepoint `{group}/{name}`"), near.map(|near| format!("{group}/{near}")))
    } else {
        (format!("no tracepoint group `{group}`"), host.tracepoints_like(None, group))
    };
    let near = near.or_else(|| host.tracepoint_anywhere_like(name));
    let remedy = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            "look for it under /sys/kernel/tracing/events, its module may not be loaded".to_owned()
        }
    };
    Advice::new(format!("this kernel ({release}) has {what}"), remedy)
}

fn groupless(name: &str, host: &Host) -> Advice {
    let near = host.tracepoint_anywhere_like(name);
    let remedy = match near {
        Some(near) => format!("did you mean `tracepoint/{near}`?"),
        None => "groups are the directories of /sys/kernel/tracing/events".to_owned(),
    };
    Advice::new("the section lacks the tracepoint's group, tracepoint/GROUP/NAME", remedy)
}

fn no_raw_tracepoint(name: &str, host: &Host) -> Advice {
    let near = host.tracepoint_anywhere_like(name);
    let near = near.as_deref().and_then(|near| near.split_once('/')).map(|(_, name)| name);
    let remedy = match near {
        Some(near) if near != name => format!("did you mean `{near}`?"),
        _ => "names are those under /sys/kernel/tracing/events without their group".to_owned(),
    };
    let release = host.release();
    Advice::new(format!("this kernel ({release}) has no raw tracepoint `{name}`"), remedy)
}

fn no_kprobes(host: &Host) -> Advice {
    let release = host.release();
    Advice::new(
        format!("this kernel ({release}) has no kprobes (CONFIG_KPROBES is off)"),
        "use a tracepoint, or fentry where the kernel offers it",
    )
}

fn no_function(name: &str, host: &Host) -> Advice {
    let release = host.release();
    let functions = host.functions(name);
    if functions.exact {
        let problem = format!(
            "this kernel ({release}) does not let `{name}` be probed (it is marked notrace or \
             blacklisted)"
        );
        return Advice::new(problem, "probe a function that calls it");
    }
    match functions.copies.first() {
        Some(copy) => Advice::new(
            format!(
                "this kernel ({release}) has no function `{name}`, but what the compiler made of it"
            ),
            format!("did you mean `{copy}`?"),
        ),
        None => Advice::new(
            format!(
                "this kernel ({release}) has no function `{name}`: renamed, inlined, or in a module \
                 that is not loaded"
            ),
            "look for it in /proc/kallsyms",
        ),
    }
}

fn no_functions(pattern: &str, errno: i32, host: &Host) -> Advice {
    let release = host.release();
    if errno == libc::ENOENT && host.has_tracefs() {
        let problem = format!("this kernel ({release}) has no function that matches `{pattern}`");
        return Advice::plain(problem);
    }
    let problem = format!(
        "this kernel ({release}) cannot probe many functions at once (needs Linux 5.18 and \
         CONFIG_FPROBE)"
    );
    Advice::new(problem, "use kprobe for each")
}

#[cfg(test)]
mod tests;
