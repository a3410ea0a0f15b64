//! `kstack`: kernel addresses as u64, up to the first 0 → the functions they lie in, joined by
//! newlines, `??` for each that lies in none.

use super::{Behaviour, Builtin, Form, Make, Sizes, holds, number};
use crate::decode::{DecodeError, Decoder, Outcome};
use crate::system::System;

const ADDRESS: usize = size_of::<u64>();

pub(super) const BUILTIN: Builtin = Builtin {
    name: "kstack",
    sizes: Sizes::MultipleOf(ADDRESS),
    takes: Form::Bytes,
    gives: Form::Text,
    about: Behaviour {
        input: "u64 addresses, up to the first 0",
        gives: "the functions they lie in, joined by newlines",
        otherwise: "`??` for each that lies in none; not a multiple of 8 bytes: an error",
    },
    wants: |system| system.kallsyms().want(),
    make: Make::Plain(|system| Box::new(Kstack { system: system.clone() })),
};

struct Kstack {
    system: System,
}

impl Decoder for Kstack {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        if !input.len().is_multiple_of(ADDRESS) {
            let text = format!("expected a multiple of 8 bytes, got {}", input.len());
            return Err(DecodeError::new(text));
        }
        let mut outcome = holds::MODULES;
        for (frame, address) in input.chunks_exact(ADDRESS).enumerate() {
            let address = u64::from_ne_bytes(number::exactly(address)?);
            if address == 0 {
                break;
            }
            if frame > 0 {
                out.push(b'\n');
            }
            if !self.system.kallsyms().name_around(address, out) {
                out.extend_from_slice(b"??");
                outcome = holds::UNKNOWN;
            }
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;

    fn stack(addresses: &[u64]) -> Vec<u8> {
        addresses.iter().flat_map(|address| address.to_ne_bytes()).collect()
    }

    #[test]
    fn table() {
        const DO_ONE: u64 = 0xffff_ffff_8100_0100;
        const JBD2: u64 = 0xffff_ffff_c020_1000;
        testing::host().check(
            "kstack",
            &[
                (b"", ""),
                (&stack(&[0, 0]), ""),
                (&stack(&[DO_ONE]), "do_one"),
                (&stack(&[DO_ONE + 4, JBD2 + 1, 0, 0]), "do_one\ncommit_timeout\t[jbd2]"),
                (&stack(&[1, DO_ONE, u64::MAX, 0]), "??\ndo_one\n??"),
                (&stack(&[DO_ONE, 0, DO_ONE]), "do_one"),
                (&[1; 7], "ERROR expected a multiple of 8 bytes, got 7"),
            ],
        );
    }

    #[test]
    fn without_symbols_every_frame_is_unknown() {
        testing::empty_host().check("kstack", &[(&stack(&[1, 2]), "??\n??")]);
    }
}
