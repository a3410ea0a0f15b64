//! `majorminor`: a block device's number as a u32, in the kernel's own encoding (12 bits major, 20
//! bits minor) → its name as in `/proc/partitions`, or `unknown:MAJOR:MINOR`.

use super::{Builtin, Form, Sizes, holds, number};
use crate::decode::{DecodeError, Decoder, Outcome};
use crate::system::System;
use crate::system::partitions::MINOR_BITS;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "majorminor",
    sizes: Sizes::OneOf(&[4]),
    takes: Form::Bytes,
    gives: Form::Text,
    build: |_, system| Ok(Box::new(MajorMinor { system: system.clone() })),
};

struct MajorMinor {
    system: System,
}

impl Decoder for MajorMinor {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let device = u32::from_ne_bytes(number::exactly(input)?);
        if self.system.partitions().name(device, out) {
            return Ok(holds::REUSED);
        }
        out.extend_from_slice(b"unknown:");
        number::write(device >> MINOR_BITS, out);
        out.push(b':');
        number::write(device & ((1 << MINOR_BITS) - 1), out);
        Ok(holds::UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;

    #[test]
    fn table() {
        testing::host().check(
            "majorminor",
            &[
                (&(254_u32 << 20).to_ne_bytes(), "vda"),
                (&(259_u32 << 20 | 1).to_ne_bytes(), "nvme0n1p1"),
                (&(254_u32 << 20 | 1).to_ne_bytes(), "unknown:254:1"),
                (&0_u32.to_ne_bytes(), "unknown:0:0"),
                (&u32::MAX.to_ne_bytes(), "unknown:4095:1048575"),
                (b"", "ERROR expected 4 bytes, got 0"),
                (&[0; 8], "ERROR expected 4 bytes, got 8"),
            ],
        );
    }
}
