//! `ifname`: a network interface's index as a u32, in the first 4 bytes → its name now, or
//! `unknown:N`.

use super::{Behaviour, Builtin, Form, Make, Sizes, holds, number};
use crate::decode::{DecodeError, Decoder, Outcome};
use crate::system::System;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "ifname",
    sizes: Sizes::AtLeast(4),
    takes: Form::Bytes,
    gives: Form::Text,
    about: Behaviour {
        input: "an interface's index, in the first 4 bytes",
        gives: "its name now, `eth0`",
        otherwise: "`unknown:N`; fewer bytes: an error",
    },
    wants: |system| system.interfaces().want(),
    make: Make::Plain(|system| Box::new(Ifname { system: system.clone() })),
};

struct Ifname {
    system: System,
}

impl Decoder for Ifname {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let index = u32::from_ne_bytes(number::first(input)?);
        if self.system.interfaces().name(index, out) {
            return Ok(holds::REUSED);
        }
        out.extend_from_slice(b"unknown:");
        number::write(index, out);
        Ok(holds::UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;

    #[test]
    fn table() {
        testing::check(
            "ifname",
            &[
                (&1_u32.to_ne_bytes(), "lo"),
                (&0_u32.to_ne_bytes(), "unknown:0"),
                (&u32::MAX.to_ne_bytes(), "unknown:4294967295"),
                (&[1_u32, 7].map(u32::to_ne_bytes).concat(), "lo"),
                (b"", "ERROR expected at least 4 bytes, got 0"),
                (&[1, 0], "ERROR expected at least 4 bytes, got 2"),
            ],
        );
    }
}
