//! `syscall`: decimal text → the name of the system call on this architecture, or
//! `unknown_syscall:N`.

// Both tables are held against libc's numbers wherever tests run.
#[cfg(any(target_arch = "aarch64", test))]
mod aarch64;
#[cfg(any(target_arch = "x86_64", test))]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64::NAMES;
#[cfg(target_arch = "x86_64")]
use x86_64::NAMES;

use super::{Behaviour, Builtin, Form, Make, Sizes, number};
use crate::decode::{DecodeError, Decoder, Outcome};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "syscall",
    sizes: Sizes::Any,
    takes: Form::Decimal,
    gives: Form::Text,
    about: Behaviour {
        input: "decimal text",
        gives: "the call's name on the machine's architecture",
        otherwise: "`unknown_syscall:N`; no number: an error",
    },
    wants: |_| {},
    make: Make::Plain(|_| Box::new(Syscall)),
};

struct Syscall;

impl Decoder for Syscall {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let syscall = number::parse(input)?;
        if let Some(name) = number::name(NAMES, syscall) {
            out.extend_from_slice(name.as_bytes());
        } else {
            out.extend_from_slice(b"unknown_syscall:");
            number::write(syscall, out);
        }
        Ok(Outcome::Label)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn table() {
        let openat = libc::SYS_openat.to_string();
        testing::check(
            "syscall",
            &[
                (openat.as_bytes(), "openat"),
                (b"435", "clone3"),
                (b"469", "file_setattr"),
                (b"400", "unknown_syscall:400"),
                (b"65536", "unknown_syscall:65536"),
                (b"1073741824", "unknown_syscall:1073741824"),
                (b"", "ERROR expected a decimal number, got ``"),
                (b"read", "ERROR expected a decimal number, got `read`"),
            ],
        );
    }

    #[test]
    fn tables_are_in_order() {
        for table in [aarch64::NAMES, x86_64::NAMES] {
            assert!(table.is_sorted_by(|(a, _), (b, _)| a < b));
        }
    }

    #[test]
    fn each_architecture_has_its_own_numbers() {
        for (name, x86, arm) in [
            ("read", Some(0), Some(63)),
            ("open", Some(2), None),
            ("newfstatat", Some(262), Some(79)),
            ("fstat", Some(5), Some(80)),
            ("mmap", Some(9), Some(222)),
            ("renameat", Some(264), Some(38)),
            ("getrlimit", Some(97), Some(163)),
            ("uprobe", Some(336), None),
            ("memfd_secret", Some(447), Some(447)),
        ] {
            for (table, number) in [(x86_64::NAMES, x86), (aarch64::NAMES, arm)] {
                let found = table.iter().find(|(_, other)| *other == name);
                assert_eq!(found.map(|(number, _)| *number), number, "{name}");
            }
        }
    }

    #[test]
    fn this_architecture_agrees_with_libc() {
        for (number, name) in [
            (libc::SYS_write, "write"),
            (libc::SYS_execve, "execve"),
            (libc::SYS_futex, "futex"),
            (libc::SYS_prlimit64, "prlimit64"),
            (libc::SYS_bpf, "bpf"),
            (libc::SYS_statx, "statx"),
            (libc::SYS_io_uring_enter, "io_uring_enter"),
            (libc::SYS_mseal, "mseal"),
        ] {
            assert!(NAMES.contains(&(number as u16, name)), "{name}");
        }
    }
}
