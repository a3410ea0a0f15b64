//! Why a function or a probe of user space could not be hooked: what its file is, or what that lacks.
//!
//! libbpf finds the file of a bare name by itself, and says where only in passing. So the file that it took is read
//! out of what it said, and looked at again.

use std::fmt;

use super::super::host::Host;
use super::is_refusal;
use crate::advice::Advice;
use crate::files::Unread;

/// What a section names of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sought<'a> {
    /// A function.
    Function(&'a str),
    /// All functions that match a pattern.
    Functions(&'a str),
    /// A USDT probe.
    Probe { provider: &'a str, name: &'a str },
}

/// A program that could not be attached to something of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFile<'a> {
    /// The file as the section names it.
    pub(super) path: &'a str,
    pub(super) sought: Sought<'a>,
    /// libbpf's error number, positive.
    pub(super) errno: i32,
    /// What libbpf warned of.
    pub(super) log: &'a [String],
}

/// What a file turns out to be.
enum Found {
    /// For an interpreter.
    Script,
    /// A text that names libraries for the linker, and the first of them.
    LinkerText(String),
    Directory,
    Elf(Machine),
    Other,
}

/// What kind of machine an ELF file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Machine {
    /// `e_ident[EI_CLASS]`: 1 is 32-bit, 2 is 64-bit.
    class: u8,
    /// `e_ident[EI_DATA]`: 1 is little-endian, 2 is big-endian.
    order: u8,
    /// `e_machine`.
    number: u16,
}

/// Where programs are, but for `PATH`.
const PROGRAMS: [&str; 3] = ["/usr/bin", "/usr/local/bin", "/usr/sbin"];

/// Whether it was the file that was refused, and not the hook.
pub(super) fn is_closed(log: &[String]) -> bool {
    log.iter().any(|line| line.contains("elf: failed to open"))
}

impl InFile<'_> {
    /// What went wrong and what to do, if that is known.
    pub(super) fn explain(&self, host: &Host) -> Option<Advice> {
        self.not_there()
            .or_else(|| self.not_elf(host))
            .or_else(|| self.of_another_machine(host))
            .or_else(|| self.not_in_it())
            .or_else(|| self.unsupported(host))
    }

    fn said(&self, words: &str) -> bool {
        self.log.iter().any(|line| line.contains(words))
    }

    /// The file that libbpf took.
    fn file(&self) -> &str {
        let Self { path, log, .. } = *self;
        if path.contains('/') {
            return path;
        }
        let taken = |line| {
            let end = str::rfind(line, &format!("/{path}"))? + 1 + path.len();
            let from = line[..end].rfind([' ', '\'']).map_or(0, |at| at + 1);
            line.get(from..end)
        };
        log.iter().find_map(|line| taken(line)).unwrap_or(path)
    }

    fn not_there(&self) -> Option<Advice> {
        let path = self.path;
        if self.said("failed to resolve full path") {
            let places = if is_library(path) {
                "where libraries are (LD_LIBRARY_PATH, /usr/lib64, /usr/lib and this machine's in /lib)"
            } else {
                "in PATH, /usr/bin or /usr/sbin that may be run"
            };
            let problem = format!("no file `{path}` {places}");
            return Some(Advice::new(problem, "give the full path"));
        }
        if !is_closed(self.log) {
            return None;
        }
        Some(if is_refusal(self.errno) {
            Advice::new(
                format!("{} may not be read by the exporter", self.named()),
                "let its user read it; under systemd, ProtectHome= keeps homes from everyone",
            )
        } else {
            let problem = format!("no file `{path}` that could be opened");
            let remedy = if path.starts_with('/') {
                "see that it is there where the exporter runs: a container has files of its own"
            } else {
                "give the full path"
            };
            Advice::new(problem, remedy)
        })
    }

    /// That the file is no ELF file.
    fn not_elf(&self, host: &Host) -> Option<Advice> {
        let said = ["unrecognized ELF kind", "failed to get ehdr from", "could not read elf from"];
        if !said.into_iter().any(|words| self.said(words)) {
            return None;
        }
        let named = self.named();
        Some(match Found::at(self.file(), host) {
            Found::Script => {
                let problem =
                    format!("{named} is a script, no ELF file: it has nothing that can be hooked");
                Advice::new(problem, self.another_program(host))
            }
            Found::LinkerText(library) => Advice::new(
                format!("{named} is a text for the linker, no ELF file"),
                format!("write the path that it names, {library}, in the section"),
            ),
            Found::Directory => {
                Advice::new(format!("{named} is a directory"), "write the path of a file")
            }
            Found::Elf(_) | Found::Other => Advice::new(
                format!("{named} is no whole ELF file: it has nothing that can be hooked"),
                self.another_program(host),
            ),
        })
    }

    /// Which file to write in its place.
    fn another_program(&self, host: &Host) -> String {
        let (file, path) = (self.file(), self.path);
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        let program = PROGRAMS
            .into_iter()
            .map(|dir| format!("{dir}/{name}"))
            .find(|at| at != file && matches!(Found::at(at, host), Found::Elf(_)));
        let write = "write the full path of the program itself in the section";
        program.map_or_else(|| write.to_owned(), |at| format!("{write}, such as {at}"))
    }

    /// That the file is for another kind of machine than this.
    fn of_another_machine(&self, host: &Host) -> Option<Advice> {
        // The probes of another machine's programs are described by registers that this one lacks.
        let said = [
            "-bit ELF binary",
            "unsupported ELF class",
            "ELF endianness mismatch",
            "unrecognized register",
            "unrecognized arg",
        ];
        if !said.into_iter().any(|words| self.said(words)) {
            return None;
        }
        let (own, there) = (Found::at("/proc/self/exe", host), Found::at(self.file(), host));
        match (own, there) {
            (Found::Elf(own), Found::Elf(there)) if own != there => {
                let problem = format!(
                    "{} is for {there}, and libbpf takes USDT probes of files for {own} alone here",
                    self.named()
                );
                Some(Advice::new(problem, "write the path of one that is for this machine"))
            }
            _ => None,
        }
    }

    /// That the file has not what is looked for.
    fn not_in_it(&self) -> Option<Advice> {
        let named = self.named();
        if self.said("ambiguous match") {
            return Some(Advice::new(
                format!("{named} has several functions of this name"),
                "say which, FUNCTION@VERSION as in `readelf -s`, or hook all with uprobe.multi",
            ));
        }
        if self.said("failed to find symbol") || self.said("in symtab for") {
            return Some(Advice::new(
                format!("{named} has no such symbol: stripped, inlined, or in another file"),
                "look for it with `nm -D` or `readelf -s`",
            ));
        }
        // libbpf says nothing of what it found nothing for.
        let absent = self.errno == libc::ENOENT && self.log.is_empty();
        match self.sought {
            Sought::Functions(pattern) if absent => Some(Advice::new(
                format!(
                    "{named} has no function that matches `{pattern}`: stripped, inlined, or in \
                     another file"
                ),
                "look for them with `nm -D` or `readelf -s`",
            )),
            Sought::Probe { provider, name } if absent || self.said("no USDT notes section") => {
                let problem = format!(
                    "{named} has no probe `{provider}:{name}`: built without USDT probes, or named \
                     otherwise"
                );
                Some(Advice::new(problem, "look for it with `readelf -n`"))
            }
            _ => None,
        }
    }

    /// That libbpf or this kernel cannot have it.
    fn unsupported(&self, host: &Host) -> Option<Advice> {
        if !matches!(self.sought, Sought::Probe { .. }) {
            return None;
        }
        // libbpf says it of the first program of an object.
        if self.errno == libc::ESRCH && (self.log.is_empty() || self.said("USDT support BPF maps"))
        {
            return Some(Advice::new(
                "the object lacks the maps that USDT probes need",
                "include <bpf/usdt.bpf.h>, and define the program with BPF_USDT()",
            ));
        }
        if self.said("invalid section 'usdt.s/") {
            let problem = "libbpf attaches no USDT probe that may sleep by its section";
            return Some(Advice::new(problem, "write `usdt` in place of `usdt.s`"));
        }
        self.said("shared libraries without specific PID").then(|| {
            let problem = format!(
                "this kernel ({}) has no USDT probes of libraries, nor of programs that are loaded \
                 anywhere (needs Linux 5.15)",
                host.release()
            );
            Advice::new(problem, "use uprobe for a function near by")
        })
    }

    /// The file as the section names it, and where it was found.
    fn named(&self) -> String {
        let (path, file) = (self.path, self.file());
        if path == file { format!("`{path}`") } else { format!("`{path}`, which is {file},") }
    }
}

fn is_library(path: &str) -> bool {
    path.ends_with(".so") || path.contains(".so.")
}

impl Found {
    fn at(path: &str, host: &Host) -> Self {
        let start = match host.start_of(path) {
            Ok(start) => start,
            Err(Unread::Directory) => return Self::Directory,
            Err(_) => return Self::Other,
        };
        if let Some(machine) = Machine::of(&start) {
            return Self::Elf(machine);
        }
        if start.starts_with(b"#!") {
            return Self::Script;
        }
        let text = String::from_utf8_lossy(&start);
        let library =
            text.split_ascii_whitespace().find(|word| word.starts_with('/') && is_library(word));
        library.map_or(Self::Other, |library| Self::LinkerText(library.to_owned()))
    }
}

impl Machine {
    /// What an ELF file that starts so is for.
    fn of(start: &[u8]) -> Option<Self> {
        if !start.starts_with(b"\x7fELF") {
            return None;
        }
        let (class, order) = (*start.get(4)?, *start.get(5)?);
        let number = [*start.get(18)?, *start.get(19)?];
        let number =
            if order == 2 { u16::from_be_bytes(number) } else { u16::from_le_bytes(number) };
        Some(Self { class, order, number })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            3 => f.write_str("i386"),
            40 => f.write_str("arm"),
            62 => f.write_str("x86-64"),
            183 => f.write_str("arm64"),
            number => write!(
                f,
                "{}-bit {}-endian (ELF machine {number})",
                if self.class == 1 { 32 } else { 64 },
                if self.order == 2 { "big" } else { "little" },
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::host::fake::Fake;

    const PROBE: Sought<'_> = Sought::Probe { provider: "python", name: "gc__start" };

    /// A host with a file of each kind.
    fn machine() -> Fake {
        let fake = Fake::new("5.10.0-30-amd64\n");
        fake.write("proc/self/exe", elf(2, 1, 62));
        fake.write("usr/bin/python3", elf(2, 1, 62));
        fake.write("root/.pyenv/shims/python3", "#!/usr/bin/env bash\nset -e\n");
        fake.write("opt/run", "#!/bin/sh\nexec /opt/app\n");
        fake.write("usr/lib/libc.so", "/* GNU ld script */\nGROUP ( /lib/libc.so.6 )\n");
        fake.write("opt/notes.txt", "see /usr/share\n");
        fake.write("opt/small", elf(1, 1, 3));
        fake.write("opt/arm", elf(2, 1, 183));
        fake.write("opt/odd", elf(2, 2, 22));
        fake
    }

    fn elf(class: u8, order: u8, machine: u8) -> Vec<u8> {
        let mut start = b"\x7fELF\0\0\x01\0\0\0\0\0\0\0\0\0\x02\0\0\0".to_vec();
        (start[4], start[5]) = (class, order);
        start[if order == 2 { 19 } else { 18 }] = machine;
        start
    }

    fn explained(path: &str, sought: Sought<'_>, errno: i32, log: &[&str]) -> Advice {
        let log: Vec<String> = log.iter().map(|line| (*line).to_owned()).collect();
        let advice = InFile { path, sought, errno, log: &log }.explain(&machine().host(&[]));
        advice.unwrap()
    }

    #[test]
    fn files_that_are_not_there() {
        let explain = |path, errno, line| explained(path, Sought::Function("f"), errno, &[line]);
        insta::assert_snapshot!(explain("/opt/app", libc::ENOENT, "elf: failed to open /opt/app: -ENOENT"), @"no file `/opt/app` that could be opened; see that it is there where the exporter runs: a container has files of its own");
        insta::assert_snapshot!(explain("./app", libc::ENOENT, "elf: failed to open ./app: -ENOENT"), @"no file `./app` that could be opened; give the full path");
        insta::assert_snapshot!(explain("/root/app", libc::EACCES, "elf: failed to open /root/app: -EACCES"), @"`/root/app` may not be read by the exporter; let its user read it; under systemd, ProtectHome= keeps homes from everyone");
        insta::assert_snapshot!(explain("libz.so", libc::ENOENT, "prog 'x': failed to resolve full path for 'libz.so': -ENOENT"), @"no file `libz.so` where libraries are (LD_LIBRARY_PATH, /usr/lib64, /usr/lib and this machine's in /lib); give the full path");
        insta::assert_snapshot!(explain("pythn", libc::ENOENT, "prog 'x': failed to resolve full path for 'pythn': -ENOENT"), @"no file `pythn` in PATH, /usr/bin or /usr/sbin that may be run; give the full path");
    }

    #[test]
    fn files_that_are_no_elf() {
        let function = |path, line| explained(path, Sought::Function("f"), 4001, &[line]);
        insta::assert_snapshot!(explained("python3", PROBE, libc::EBADF, &["usdt: unrecognized ELF kind 0 for '/root/.pyenv/shims/python3'"]), @"`python3`, which is /root/.pyenv/shims/python3, is a script, no ELF file: it has nothing that can be hooked; write the full path of the program itself in the section, such as /usr/bin/python3");
        insta::assert_snapshot!(function("/opt/run", "elf: failed to get ehdr from /opt/run: invalid `Elf' handle"), @"`/opt/run` is a script, no ELF file: it has nothing that can be hooked; write the full path of the program itself in the section");
        insta::assert_snapshot!(function("libc.so", "elf: failed to get ehdr from /usr/lib/libc.so: invalid `Elf' handle"), @"`libc.so`, which is /usr/lib/libc.so, is a text for the linker, no ELF file; write the path that it names, /lib/libc.so.6, in the section");
        insta::assert_snapshot!(function("/opt", "elf: could not read elf from /opt: invalid file descriptor"), @"`/opt` is a directory; write the path of a file");
        insta::assert_snapshot!(function("/opt/notes.txt", "elf: failed to get ehdr from /opt/notes.txt: invalid `Elf' handle"), @"`/opt/notes.txt` is no whole ELF file: it has nothing that can be hooked; write the full path of the program itself in the section");
        insta::assert_snapshot!(function("/opt/gone", "elf: failed to get ehdr from /opt/gone: invalid `Elf' handle"), @"`/opt/gone` is no whole ELF file: it has nothing that can be hooked; write the full path of the program itself in the section");
    }

    #[test]
    fn files_of_other_machines() {
        let probe = |path, errno, line: &str| explained(path, PROBE, errno, &[line]);
        insta::assert_snapshot!(probe("/opt/small", libc::EBADF, "usdt: attaching to 32-bit ELF binary '/opt/small' is not supported"), @"`/opt/small` is for i386, and libbpf takes USDT probes of files for x86-64 alone here; write the path of one that is for this machine");
        insta::assert_snapshot!(probe("/opt/odd", libc::EBADF, "usdt: ELF endianness mismatch for '/opt/odd'"), @"`/opt/odd` is for 64-bit big-endian (ELF machine 22), and libbpf takes USDT probes of files for x86-64 alone here; write the path of one that is for this machine");
        insta::assert_snapshot!(probe("/opt/arm", libc::ENOENT, "usdt: unrecognized register 'x0'"), @"`/opt/arm` is for arm64, and libbpf takes USDT probes of files for x86-64 alone here; write the path of one that is for this machine");
    }

    #[test]
    fn what_a_file_has_not() {
        let function = |path, line| explained(path, Sought::Function("f"), libc::ENOENT, &[line]);
        insta::assert_snapshot!(function("/proc/self/exe", "elf: failed to find symbol 'f' in '/proc/self/exe'"), @"`/proc/self/exe` has no such symbol: stripped, inlined, or in another file; look for it with `nm -D` or `readelf -s`");
        insta::assert_snapshot!(function("libc.so.6", "elf: 'f' is 0 in symtab for '/lib/libc.so.6': should not be 0 in a shared library"), @"`libc.so.6`, which is /lib/libc.so.6, has no such symbol: stripped, inlined, or in another file; look for it with `nm -D` or `readelf -s`");
        insta::assert_snapshot!(explained("libc.so.6", Sought::Function("pthread_cond_wait"), 4001, &["elf: ambiguous match for 'pthread_cond_wait', 'pthread_cond_wait' in '/lib/libc.so.6'"]), @"`libc.so.6`, which is /lib/libc.so.6, has several functions of this name; say which, FUNCTION@VERSION as in `readelf -s`, or hook all with uprobe.multi");
        insta::assert_snapshot!(explained("libc.so.6", Sought::Functions("mallok*"), libc::ENOENT, &[]), @"`libc.so.6` has no function that matches `mallok*`: stripped, inlined, or in another file; look for them with `nm -D` or `readelf -s`");
        insta::assert_snapshot!(explained("python3", PROBE, libc::ENOENT, &["usdt: no USDT notes section (.note.stapsdt) found in '/opt/python3/bin/python3'"]), @"`python3`, which is /opt/python3/bin/python3, has no probe `python:gc__start`: built without USDT probes, or named otherwise; look for it with `readelf -n`");
        insta::assert_snapshot!(explained("/usr/bin/python3", PROBE, libc::ENOENT, &[]), @"`/usr/bin/python3` has no probe `python:gc__start`: built without USDT probes, or named otherwise; look for it with `readelf -n`");
    }

    #[test]
    fn probes_that_cannot_be_had() {
        let probe = |errno, log: &[&str]| explained("/usr/bin/python3", PROBE, errno, log);
        insta::assert_snapshot!(probe(libc::ESRCH, &["usdt: failed to find USDT support BPF maps, did you forget to include bpf/usdt.bpf.h?"]), @"the object lacks the maps that USDT probes need; include <bpf/usdt.bpf.h>, and define the program with BPF_USDT()");
        assert_eq!(
            probe(libc::ESRCH, &[]),
            probe(libc::ESRCH, &["usdt: failed to find USDT support BPF maps"])
        );
        insta::assert_snapshot!(probe(libc::EINVAL, &["invalid section 'usdt.s//usr/bin/python3:python:gc__start', expected SEC(\"usdt/<path>:<provider>:<name>\")"]), @"libbpf attaches no USDT probe that may sleep by its section; write `usdt` in place of `usdt.s`");
        insta::assert_snapshot!(probe(libc::ENOTSUP, &["usdt: attaching to shared libraries without specific PID is not supported on current kernel"]), @"this kernel (5.10.0-30-amd64) has no USDT probes of libraries, nor of programs that are loaded anywhere (needs Linux 5.15); use uprobe for a function near by");
    }
}
