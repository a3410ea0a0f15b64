//! From what libbpf and the kernel said of a failure to what a person can do about it.
//!
//! Pure but for [`Host`], which tests replace: every message here has a snapshot.

use std::io;

use caps::Capability;

use super::LARGEST_OBJECT;
use super::host::Host;
use crate::advice::{Advice, lowered, words};
use crate::descriptors;
use crate::files::Unread;

pub(super) mod attach;
pub(super) mod load;
pub(super) mod target;
mod user;

/// Why an object's file could not be read.
pub(super) fn unreadable(unread: &Unread) -> Advice {
    let error = match unread {
        Unread::Refused(error) => error,
        Unread::Directory | Unread::NoFile => {
            return Advice::new("no regular file", "put the compiled object in its place");
        }
        Unread::TooLarge(size) => {
            return Advice::new(
                format!("it has {size} bytes, more than {LARGEST_OBJECT}"),
                "strip it (llvm-strip -g keeps its BTF)",
            );
        }
    };
    match error.kind() {
        io::ErrorKind::NotFound => {
            Advice::new("no such file", "compile NAME.bpf.c to NAME.bpf.o beside NAME.yaml")
        }
        io::ErrorKind::PermissionDenied => Advice::new(
            "permission denied",
            "make the file readable for the user the exporter runs as",
        ),
        _ => of_system(error),
    }
}

/// What is wrong with an object of the other byte order. libbpf opens such a one, and refuses to load it.
pub(super) fn byte_order(bytes: &[u8]) -> Option<Advice> {
    // ELFDATA2LSB, ELFDATA2MSB.
    let (native, other) = if cfg!(target_endian = "little") { (1, 2) } else { (2, 1) };
    let foreign =
        bytes.starts_with(b"\x7fELF") && bytes.get(5).is_some_and(|order| *order == other);
    let name = |order| if order == 1 { "little" } else { "big" };
    foreign.then(|| {
        let (other, native) = (name(other), name(native));
        Advice::new(
            format!("it is for machines that are {other}-endian, and this one is {native}-endian"),
            "compile it with `clang -target bpf` on a machine of this kind",
        )
    })
}

/// What an error of the system means.
pub(super) fn of_system(error: &io::Error) -> Advice {
    error.raw_os_error().map_or_else(|| Advice::plain(error.to_string()), of_errno)
}

const COMPILE: &str = "compile it with `clang -target bpf -g`";

/// What is wrong with an object that libbpf would never come back from.
pub(super) fn endless() -> Advice {
    Advice::new("a type in its BTF leads to itself, or to more types than any program has", COMPILE)
}

/// Why libbpf does not take the bytes of an object.
pub(super) fn malformed(error: &io::Error, log: &[String]) -> Advice {
    let said = |words: &str| log.iter().any(|line| line.contains(words));
    if said("legacy map definitions") {
        return Advice::new(
            "its maps are defined the way libbpf 1.0 gave up",
            "define them in `SEC(\".maps\")`",
        );
    }
    if said("BTF is required, but is missing") {
        return Advice::new("its BTF is missing or damaged", COMPILE);
    }
    if said("failed to get section names strings") {
        return Advice::new("its end is missing or damaged", "compile it again");
    }
    let empty = log.is_empty() && error.raw_os_error() == Some(libc::EINVAL);
    let other = ["ELF file", "ELF object", "ELF header", "not a valid eBPF object"];
    if empty || other.into_iter().any(said) {
        return Advice::new("not a BPF object", COMPILE);
    }
    quoting(of_system(error), log)
}

/// The capabilities among `needed` that are missing, if any is.
fn missing_capabilities(needed: &[Capability], host: &Host) -> Option<Advice> {
    let missing: Vec<String> =
        needed.iter().filter(|cap| host.lacks(**cap)).map(ToString::to_string).collect();
    if missing.is_empty() {
        return None;
    }
    let plural = if missing.len() > 1 { "capabilities" } else { "capability" };
    Some(Advice::new(
        format!("missing {plural} {}", missing.join(" and ")),
        "run as root or grant what is missing (before Linux 5.8: CAP_SYS_ADMIN)",
    ))
}

/// Why something may be forbidden although no capability is missing: the kernel does not say, so this
/// is what could be looked at, and what is worth a try.
fn forbidden(host: &Host) -> Advice {
    let lockdown = host.lockdown();
    let seccomp = host.has_seccomp_filter();
    let modules = host.security_modules().join(", ");
    let mut known = vec!["no capability is missing".to_owned()];
    known.extend(lockdown.as_deref().map(|mode| match mode {
        "none" => "kernel lockdown is off".to_owned(),
        mode => format!("kernel lockdown is on ({mode})"),
    }));
    known.extend(seccomp.map(|on| match on {
        true => "a seccomp filter is on".to_owned(),
        false => "no seccomp filter is on".to_owned(),
    }));
    if !modules.is_empty() {
        known.push(format!("security modules: {modules}"));
    }
    let remedy = if seccomp == Some(true) {
        "try it without that filter (docker: --security-opt seccomp=unconfined)".to_owned()
    } else if lockdown.is_some_and(|mode| mode != "none") {
        "try it with lockdown off, without Secure Boot".to_owned()
    } else if !modules.is_empty() {
        format!("see whether {modules} logged a denial (dmesg)")
    } else {
        "some kernels are built without this kind of hook: try another, as in \
         tracepoint/GROUP/NAME"
            .to_owned()
    };
    let known = known.join(", ");
    Advice::new(format!("the kernel forbids it and does not say why; known is: {known}"), remedy)
}

/// What gives back what lockdown takes from programs that look at the kernel.
const UNLOCK: &str = "start the kernel with lockdown=integrity or none";

/// Why no program of the exporter's own can read the kernel's memory, if this host is one where that is known.
pub(super) fn unreadable_memory(host: &Host) -> Option<Advice> {
    if host.is_confidential() {
        let why = "kernel lockdown (confidentiality) keeps the kernel's memory from all programs";
        return Some(Advice::new(why, UNLOCK));
    }
    // They find by it what they look for.
    let remedy = "use a kernel with CONFIG_DEBUG_INFO_BTF=y";
    (!host.has_btf()).then(|| Advice::new(untyped(host), remedy))
}

/// Why no map is copied, on a kernel that is new enough for it.
pub(super) fn uncopied(host: &Host) -> Option<Advice> {
    let is_new = host.version().is_some_and(|version| version >= (5, 14));
    let why = if is_new { unreadable_memory(host) } else { None };
    why.map(|why| why.about("maps are not copied but read in other ways, which take longer"))
}

/// That the kernel has no BTF.
fn untyped(host: &Host) -> String {
    let release = host.release();
    format!("this kernel ({release}) does not tell its types: no BTF at /sys/kernel/btf/vmlinux")
}

/// Whether the kernel refused for want of privilege.
fn is_refusal(errno: i32) -> bool {
    errno == libc::EPERM || errno == libc::EACCES
}

/// What an error number of the system or of libbpf means.
fn of_errno(errno: i32) -> Advice {
    /// The kernel's own "not supported", which libc does not know.
    const ENOTSUPP: i32 = 524;
    /// The first of libbpf's own (`__LIBBPF_ERRNO__START`).
    const OF_LIBBPF: i32 = 4000;
    let known = match errno {
        ENOTSUPP => Some(Advice::plain("not supported by this kernel")),
        OF_LIBBPF.. => Some(Advice::plain(libbpf_text(errno))),
        errno => descriptors::explain(errno),
    };
    known.unwrap_or_else(|| Advice::plain(words(&io::Error::from_raw_os_error(errno))))
}

/// What libbpf calls an error of its own.
fn libbpf_text(errno: i32) -> String {
    let mut buffer = [0u8; 128];
    // SAFETY: libbpf writes at most as many bytes as it is told of, the last one NUL.
    unsafe {
        libbpf_rs::libbpf_sys::libbpf_strerror(
            errno,
            buffer.as_mut_ptr().cast(),
            buffer.len() as libbpf_rs::libbpf_sys::size_t,
        )
    };
    let text = buffer.split(|byte| *byte == 0).next().unwrap_or_default();
    lowered(&String::from_utf8_lossy(text))
}

/// `advice` with the line of libbpf's that names the cause, if one does: the last but for those that only
/// pass on that something failed.
fn quoting(advice: Advice, log: &[String]) -> Advice {
    let Some(line) = log.iter().rev().find(|line| !passes_on(line)) else { return advice };
    // Whoever quotes it has named the program.
    let of_program = line.strip_prefix("prog '").and_then(|rest| rest.split_once("': "));
    let said = of_program.map_or(line.as_str(), |(_, said)| said);
    advice.said(format!("libbpf says: {}", said.trim_end_matches('.')))
}

/// Whether a line of libbpf's only passes on that something failed, which a line before it explains.
fn passes_on(line: &str) -> bool {
    const OF_OBJECT: [&str; 4] = [
        "failed to load object",
        "failed to perform CO-RE relocations",
        "failed to pin map: ",
        // The verifier's, of a program that it did not look at.
        "processed 0 insns",
    ];
    const OF_PART: [&str; 12] = [
        "': failed to load: ",
        "': BPF program load failed: ",
        "': failed to prepare load attributes: ",
        "': failed to initialize: ",
        "': failed to relocate",
        "': failed to attach: ",
        "': failed to attach to ",
        "': failed to create: ",
        "': failed to auto-pin at ",
        "': error reusing pinned map",
        "Retrying without BTF",
        "PROG LOAD LOG --",
    ];
    OF_OBJECT.iter().any(|start| line.starts_with(start))
        || OF_PART.iter().any(|part| line.contains(part))
}

/// The part of `line` between `before` and `after`.
fn between<'line>(line: &'line str, before: &str, after: &str) -> Option<&'line str> {
    let (_, rest) = line.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::host::fake::Fake;

    fn parsed(errno: i32, log: &[&str]) -> Advice {
        let log: Vec<String> = log.iter().map(|line| (*line).to_owned()).collect();
        malformed(&io::Error::from_raw_os_error(errno), &log)
    }

    #[test]
    fn memory_that_cannot_be_read() {
        let fake = Fake::new("6.1.0-9-amd64");
        let told = || unreadable_memory(&fake.host(&[])).map(|told| told.to_string());
        insta::assert_snapshot!(told().unwrap(), @"this kernel (6.1.0-9-amd64) does not tell its types: no BTF at /sys/kernel/btf/vmlinux; use a kernel with CONFIG_DEBUG_INFO_BTF=y");
        fake.write("sys/kernel/btf/vmlinux", "");
        assert_eq!(told(), None);
        fake.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
        assert_eq!(told(), None);
        fake.write("sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
        insta::assert_snapshot!(told().unwrap(), @"kernel lockdown (confidentiality) keeps the kernel's memory from all programs; start the kernel with lockdown=integrity or none");
    }

    #[test]
    fn maps_that_are_not_copied() {
        let told = |release| uncopied(&Fake::new(release).host(&[])).map(|told| told.to_string());
        assert_eq!(told("5.10.0-32-amd64"), None);
        insta::assert_snapshot!(told("5.14.0-1-amd64").unwrap(), @"maps are not copied but read in other ways, which take longer: this kernel (5.14.0-1-amd64) does not tell its types: no BTF at /sys/kernel/btf/vmlinux; use a kernel with CONFIG_DEBUG_INFO_BTF=y");
    }

    #[test]
    fn unreadable_files() {
        let read = |errno| unreadable(&io::Error::from_raw_os_error(errno).into());
        insta::assert_snapshot!(read(libc::ENOENT), @"no such file; compile NAME.bpf.c to NAME.bpf.o beside NAME.yaml");
        insta::assert_snapshot!(read(libc::EACCES), @"permission denied; make the file readable for the user the exporter runs as");
        insta::assert_snapshot!(read(libc::EISDIR), @"no regular file; put the compiled object in its place");
        insta::assert_snapshot!(unreadable(&Unread::TooLarge(300 << 20)), @"it has 314572800 bytes, more than 268435456; strip it (llvm-strip -g keeps its BTF)");
    }

    #[test]
    fn objects_of_the_other_byte_order() {
        let header = |order: u8| [b"\x7fELF\x02", &[order, 1][..]].concat();
        assert_eq!(byte_order(&header(if cfg!(target_endian = "little") { 1 } else { 2 })), None);
        assert_eq!(byte_order(b"\x7fELF"), None);
        #[cfg(target_endian = "little")]
        insta::assert_snapshot!(byte_order(&header(2)).unwrap(), @"it is for machines that are big-endian, and this one is little-endian; compile it with `clang -target bpf` on a machine of this kind");
    }

    #[test]
    fn malformed_objects() {
        insta::assert_snapshot!(endless(), @"a type in its BTF leads to itself, or to more types than any program has; compile it with `clang -target bpf -g`");
        insta::assert_snapshot!(
            parsed(4001, &["elf: 'x' is not a proper ELF object"]),
            @"not a BPF object; compile it with `clang -target bpf -g`"
        );
        insta::assert_snapshot!(
            parsed(libc::ENOTSUP, &["elf: legacy map definitions in 'maps' section are not supported by libbpf v1.0+"]),
            @r#"its maps are defined the way libbpf 1.0 gave up; define them in `SEC(".maps")`"#
        );
        insta::assert_snapshot!(
            parsed(libc::ENOENT, &["BTF is required, but is missing or corrupted."]),
            @"its BTF is missing or damaged; compile it with `clang -target bpf -g`"
        );
        insta::assert_snapshot!(
            parsed(libc::EINVAL, &["map 'x': map type isn't specified.", "failed to load object 'x'"]),
            @"invalid argument; libbpf says: map 'x': map type isn't specified"
        );
    }

    #[test]
    fn the_line_that_names_the_cause_is_quoted() {
        let quote = |log: &[&str]| {
            let log: Vec<String> = log.iter().map(|line| (*line).to_owned()).collect();
            quoting(Advice::plain("invalid argument"), &log)
        };
        insta::assert_snapshot!(
            quote(&[
                "prog 'prog': SEC(\"struct_ops\") program isn't referenced anywhere, did you forget to use it?",
                "prog 'prog': failed to load: -EINVAL",
                "failed to load object 'x'",
            ]),
            @r#"invalid argument; libbpf says: SEC("struct_ops") program isn't referenced anywhere, did you forget to use it?"#
        );
        insta::assert_snapshot!(
            quote(&[
                "prog 'prog': attach program FD is not set",
                "prog 'prog': failed to prepare load attributes: -EINVAL",
                "prog 'prog': failed to load: -EINVAL",
                "failed to load object 'x'",
            ]),
            @"invalid argument; libbpf says: attach program FD is not set"
        );
        insta::assert_snapshot!(
            quote(&[
                "map 'x': failed to set initial contents: -EPERM",
                "map 'x': failed to create: -EPERM",
                "failed to load object 'x'",
            ]),
            @"invalid argument; libbpf says: map 'x': failed to set initial contents: -EPERM"
        );
        insta::assert_snapshot!(quote(&["prog 'x': failed to attach: -524"]), @"invalid argument");
    }

    #[test]
    fn what_is_known_of_a_refusal() {
        let fake = Fake::new("6.1.0");
        let explain = || forbidden(&fake.host(&[]));
        insta::assert_snapshot!(explain(), @"the kernel forbids it and does not say why; known is: no capability is missing; some kernels are built without this kind of hook: try another, as in tracepoint/GROUP/NAME");
        fake.write("sys/kernel/security/lsm", "lockdown,capability,yama,selinux,bpf");
        fake.write("sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
        fake.write("proc/self/status", "Name:\tx\nSeccomp:\t0\n");
        insta::assert_snapshot!(explain(), @"the kernel forbids it and does not say why; known is: no capability is missing, kernel lockdown is off, no seccomp filter is on, security modules: selinux; see whether selinux logged a denial (dmesg)");
        fake.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
        insta::assert_snapshot!(explain(), @"the kernel forbids it and does not say why; known is: no capability is missing, kernel lockdown is on (integrity), no seccomp filter is on, security modules: selinux; try it with lockdown off, without Secure Boot");
        fake.write("proc/self/status", "Name:\tx\nSeccomp:\t2\n");
        insta::assert_snapshot!(explain(), @"the kernel forbids it and does not say why; known is: no capability is missing, kernel lockdown is on (integrity), a seccomp filter is on, security modules: selinux; try it without that filter (docker: --security-opt seccomp=unconfined)");
    }

    #[test]
    fn errno_texts() {
        for (errno, text) in [
            (libc::EPERM, "operation not permitted"),
            (524, "not supported by this kernel"),
            (4005, "relocation failed"),
            (4001, "BPF object format invalid"),
        ] {
            assert_eq!(of_errno(errno), Advice::plain(text), "{errno}");
        }
    }
}
