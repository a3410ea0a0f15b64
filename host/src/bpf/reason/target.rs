//! Why a program has no hook that it could be loaded for.

use super::super::host::Host;
use crate::advice::Advice;

/// What to do with a program that is never loaded.
pub(super) const TAKE_OUT: &str = "take it out of the object, or put `?` in front of its section";

/// Of `freplace/…`.
pub(in super::super) fn replaces() -> Advice {
    Advice::new("it replaces a function of another program, which no config can name", TAKE_OUT)
}

/// Of `struct_ops/…`.
pub(in super::super) fn unreferenced() -> Advice {
    let problem = "no map in `SEC(\".struct_ops\")` or `SEC(\".struct_ops.link\")` refers to it, so \
                   there is nothing to load it for";
    Advice::new(problem, TAKE_OUT)
}

/// A section of this kind without anything behind it.
pub(in super::super) fn unnamed(kind: &str) -> Advice {
    let example = match kind.split_once('.').map_or(kind, |(kind, _)| kind) {
        "tp_btf" | "raw_tp" | "raw_tracepoint" => "NAME",
        "lsm" | "lsm_cgroup" => "HOOK",
        "iter" => "KIND",
        "tp" | "tracepoint" => "GROUP/NAME",
        "usdt" => "PATH:PROVIDER:NAME",
        "uprobe" | "uretprobe" => "PATH:FUNCTION",
        "xdp" => "IFACE",
        "tc" | "tcx" => "ingress/IFACE",
        "tc/ingress" | "tc/egress" | "tcx/ingress" | "tcx/egress" => "IFACE",
        "perf_event" => "type=T,config=C,frequency=F",
        _ => "FUNCTION",
    };
    Advice::new("the section names no hook", format!("write one, as in {kind}/{example}"))
}

/// A hook that the kernel's types lack. `kind` is one that is looked up there.
pub(in super::super) fn missing(kind: &str, hook: &str, host: &Host) -> Advice {
    let release = host.release();
    let name = hook.rsplit_once(':').map_or(hook, |(_, name)| name);
    match kind {
        "tp_btf" => tracepoint(name, host),
        "lsm" | "lsm_cgroup" => {
            Advice::plain(format!("this kernel ({release}) has no LSM hook `{name}`"))
        }
        "iter" => Advice::plain(format!("this kernel ({release}) has no iterator `{name}`")),
        _ => function(name, host),
    }
}

fn tracepoint(name: &str, host: &Host) -> Advice {
    let problem = format!("this kernel ({}) has no tracepoint `{name}`", host.release());
    match host.tracepoint_anywhere_like(name).as_deref().and_then(|near| near.split_once('/')) {
        Some((_, near)) if near != name => Advice::new(problem, format!("did you mean `{near}`?")),
        _ => Advice::plain(problem),
    }
}

fn function(name: &str, host: &Host) -> Advice {
    let release = host.release();
    let functions = host.functions(name);
    if functions.exact {
        let problem = format!(
            "this kernel ({release}) has the function `{name}`, but no type of it, without which it \
             cannot be hooked"
        );
        return Advice::new(problem, format!("use kprobe/{name}"));
    }
    match functions.copies.first() {
        Some(copy) => Advice::new(
            format!(
                "this kernel ({release}) has no function `{name}`, but what the compiler made of it, \
                 which cannot be hooked"
            ),
            format!("use kprobe/{copy}"),
        ),
        None => Advice::new(
            format!(
                "this kernel ({release}) has no function `{name}` to hook: renamed, inlined, or in a \
                 module that is not loaded"
            ),
            "look for it in /proc/kallsyms",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::host::fake::Fake;

    #[test]
    fn hooks_that_are_not_there() {
        let fake = Fake::new("6.1.0-9-amd64\n");
        fake.write("sys/kernel/tracing/events/sched/sched_switch/id", "1\n");
        fake.write(
            "proc/kallsyms",
            "ffffffff81000000 T vfs_read\nffffffff81000010 t do_accept.isra.0\n",
        );
        let missing = |kind, hook| missing(kind, hook, &fake.host(&[]));
        insta::assert_snapshot!(missing("fentry", "vfs_raed"), @"this kernel (6.1.0-9-amd64) has no function `vfs_raed` to hook: renamed, inlined, or in a module that is not loaded; look for it in /proc/kallsyms");
        insta::assert_snapshot!(missing("fexit", "vmlinux:vfs_read"), @"this kernel (6.1.0-9-amd64) has the function `vfs_read`, but no type of it, without which it cannot be hooked; use kprobe/vfs_read");
        insta::assert_snapshot!(missing("fentry", "do_accept"), @"this kernel (6.1.0-9-amd64) has no function `do_accept`, but what the compiler made of it, which cannot be hooked; use kprobe/do_accept.isra.0");
        insta::assert_snapshot!(missing("tp_btf", "sched_swich"), @"this kernel (6.1.0-9-amd64) has no tracepoint `sched_swich`; did you mean `sched_switch`?");
        insta::assert_snapshot!(missing("tp_btf", "xyz"), @"this kernel (6.1.0-9-amd64) has no tracepoint `xyz`");
        insta::assert_snapshot!(missing("lsm", "file_opne"), @"this kernel (6.1.0-9-amd64) has no LSM hook `file_opne`");
        insta::assert_snapshot!(missing("iter", "tasks"), @"this kernel (6.1.0-9-amd64) has no iterator `tasks`");
    }

    #[test]
    fn sections_without_a_hook() {
        insta::assert_snapshot!(unnamed("fentry"), @"the section names no hook; write one, as in fentry/FUNCTION");
        insta::assert_snapshot!(unnamed("uprobe.multi"), @"the section names no hook; write one, as in uprobe.multi/PATH:FUNCTION");
        insta::assert_snapshot!(unnamed("tp"), @"the section names no hook; write one, as in tp/GROUP/NAME");
    }
}
