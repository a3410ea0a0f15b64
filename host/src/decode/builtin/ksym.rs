//! `ksym`: a kernel address as a u64, in the first 8 bytes → the symbol that starts there, or
//! `unknown_addr:0x…`.

use std::io::Write;

use super::{Behaviour, Builtin, Form, Make, Sizes, holds, number};
use crate::decode::{DecodeError, Decoder, Outcome};
use crate::system::System;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "ksym",
    sizes: Sizes::AtLeast(8),
    takes: Form::Bytes,
    gives: Form::Text,
    about: Behaviour {
        input: "a kernel address, in the first 8 bytes",
        gives: "the symbol that starts exactly there",
        otherwise: "`unknown_addr:0x…`; fewer bytes: an error",
    },
    wants: |system| system.kallsyms().want(),
    make: Make::Plain(|system| Box::new(Ksym { system: system.clone() })),
};

struct Ksym {
    system: System,
}

impl Decoder for Ksym {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let address = u64::from_ne_bytes(number::first(input)?);
        if self.system.kallsyms().name(address, out) {
            return Ok(holds::MODULES);
        }
        // Writing to a Vec does not fail.
        let _ = write!(out, "unknown_addr:{address:#x}");
        Ok(holds::UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;

    #[test]
    fn table() {
        testing::host().check(
            "ksym",
            &[
                (&0xffff_ffff_8100_0100_u64.to_ne_bytes(), "do_one"),
                (&0xffff_ffff_c020_1000_u64.to_ne_bytes(), "commit_timeout\t[jbd2]"),
                (&0xffff_ffff_8100_0101_u64.to_ne_bytes(), "unknown_addr:0xffffffff81000101"),
                (&0_u64.to_ne_bytes(), "unknown_addr:0x0"),
                (&[0xffff_ffff_8100_0100_u64, 7].map(u64::to_ne_bytes).concat(), "do_one"),
                (b"", "ERROR expected at least 8 bytes, got 0"),
                (&[0; 4], "ERROR expected at least 8 bytes, got 4"),
            ],
        );
    }

    #[test]
    fn without_symbols_every_address_is_unknown() {
        testing::empty_host().check("ksym", &[(&1_u64.to_ne_bytes(), "unknown_addr:0x1")]);
    }
}
