//! From what libbpf and the kernel said of a failure to what a person can do about it.
//!
//! Pure but for [`Host`], which tests replace: every message here has a snapshot.

use std::io;

use caps::Capability;

use super::host::Host;
use crate::descriptors;

pub(super) mod attach;
pub(super) mod load;

/// Why an object's file could not be read.
pub(super) fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "no such file; compile NAME.bpf.c to NAME.bpf.o beside NAME.yaml".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "permission denied; make the file readable for the user the exporter runs as".to_owned()
        }
        _ => of_system(error),
    }
}

/// What an error of the system means.
pub(super) fn of_system(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), errno_text)
}

/// Why libbpf does not take the bytes of an object.
pub(super) fn malformed(error: &io::Error, log: &[String]) -> String {
    let said = |words: &str| log.iter().any(|line| line.contains(words));
    if said("legacy map definitions") {
        return "its maps are defined the way libbpf 1.0 gave up; define them in `SEC(\".maps\")`"
            .to_owned();
    }
    if said("BTF is required, but is missing") {
        return "its BTF is missing or damaged; compile it with `clang -target bpf -g`".to_owned();
    }
    if said("failed to get section names strings") {
        return "its end is missing or damaged; compile it again".to_owned();
    }
    let empty = log.is_empty() && error.raw_os_error() == Some(libc::EINVAL);
    let other = ["ELF file", "ELF object", "ELF header", "not a valid eBPF object"];
    if empty || other.into_iter().any(said) {
        return "not a BPF object; compile it with `clang -target bpf -g`".to_owned();
    }
    quoting(of_system(error), log)
}

/// The capabilities among `needed` that are missing, in words with a remedy.
fn missing_capabilities(needed: &[Capability], host: &Host) -> Option<String> {
    let missing: Vec<String> =
        needed.iter().filter(|cap| host.lacks(**cap)).map(ToString::to_string).collect();
    if missing.is_empty() {
        return None;
    }
    let plural = if missing.len() > 1 { "capabilities" } else { "capability" };
    Some(format!(
        "missing {plural} {}; run as root or grant what is missing (before Linux 5.8: \
         CAP_SYS_ADMIN)",
        missing.join(" and ")
    ))
}

/// Why something is forbidden although no capability is missing.
fn forbidden(host: &Host) -> String {
    match host.lockdown() {
        Some(mode) => format!(
            "kernel lockdown ({mode}) forbids it; boot with lockdown off or without Secure Boot"
        ),
        None => "the kernel forbids it although no capability is missing; look for a security \
                 module, a seccomp filter or a container runtime that does"
            .to_owned(),
    }
}

/// Whether the kernel refused for want of privilege.
fn is_refusal(errno: i32) -> bool {
    errno == libc::EPERM || errno == libc::EACCES
}

/// What an error number means: lowercase, without the number.
fn errno_text(errno: i32) -> String {
    /// The kernel's own "not supported", which libc does not know.
    const ENOTSUPP: i32 = 524;
    if errno == ENOTSUPP {
        return "not supported by this kernel".to_owned();
    }
    if let Some(text) = descriptors::explain(errno) {
        return text;
    }
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
    let text = String::from_utf8_lossy(text);
    // Words begin in lowercase, but BPF stays BPF.
    match text.as_bytes() {
        [first, second, ..] if second.is_ascii_lowercase() => {
            format!("{}{}", first.to_ascii_lowercase() as char, &text[1..])
        }
        _ => text.into_owned(),
    }
}

/// `text` with the last thing that libbpf said, if it said any.
fn quoting(text: String, log: &[String]) -> String {
    let line = log.iter().rev().find(|line| !line.starts_with("failed to load object"));
    match line {
        Some(line) => format!("{text}; libbpf says: {line}"),
        None => text,
    }
}

/// The part of `line` between `before` and `after`.
fn between<'line>(line: &'line str, before: &str, after: &str) -> Option<&'line str> {
    let (_, rest) = line.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(errno: i32, log: &[&str]) -> String {
        let log: Vec<String> = log.iter().map(|line| (*line).to_owned()).collect();
        malformed(&io::Error::from_raw_os_error(errno), &log)
    }

    #[test]
    fn unreadable_files() {
        let read = |errno| unreadable(&io::Error::from_raw_os_error(errno));
        insta::assert_snapshot!(read(libc::ENOENT), @"no such file; compile NAME.bpf.c to NAME.bpf.o beside NAME.yaml");
        insta::assert_snapshot!(read(libc::EACCES), @"permission denied; make the file readable for the user the exporter runs as");
        insta::assert_snapshot!(read(libc::EISDIR), @"is a directory");
    }

    #[test]
    fn malformed_objects() {
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
            parsed(libc::EINVAL, &["map 'x': map type isn't specified."]),
            @"invalid argument; libbpf says: map 'x': map type isn't specified."
        );
    }

    #[test]
    fn errno_texts() {
        assert_eq!(errno_text(libc::EPERM), "operation not permitted");
        assert_eq!(errno_text(524), "not supported by this kernel");
        assert_eq!(errno_text(4005), "relocation failed");
        assert_eq!(errno_text(4001), "BPF object format invalid");
    }
}
