//! `majorminor`: a block device's number as a u32 → its name as in `/proc/partitions`, or
//! `unknown:MAJOR:MINOR`.
//!
//! The number is the first 4 bytes, in the encoding that the kernel shows to user space: see
//! [`Device::decode`].

use super::{Behaviour, Builtin, Form, Make, Sizes, holds, number};
use crate::decode::{DecodeError, Decoder, Outcome};
use crate::system::System;
use crate::system::partitions::Device;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "majorminor",
    sizes: Sizes::AtLeast(4),
    takes: Form::Bytes,
    gives: Form::Text,
    about: Behaviour {
        input: "a block device's number, in the first 4 bytes",
        gives: "its name in `/proc/partitions`, `sda`",
        otherwise: "`unknown:MAJOR:MINOR`; fewer bytes: an error",
    },
    wants: |_| {},
    make: Make::Plain(|system| Box::new(MajorMinor { system: system.clone() })),
};

struct MajorMinor {
    system: System,
}

impl Decoder for MajorMinor {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let device = Device::decode(u32::from_ne_bytes(number::first(input)?));
        if self.system.partitions().name(device, out) {
            return Ok(holds::REUSED);
        }
        out.extend_from_slice(b"unknown:");
        number::write(device.major, out);
        out.push(b':');
        number::write(device.minor, out);
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
                (&(254_u32 << 8).to_ne_bytes(), "vda"),
                (&(259_u32 << 8 | 1).to_ne_bytes(), "nvme0n1p1"),
                (&(254_u32 << 8 | 1).to_ne_bytes(), "unknown:254:1"),
                (&(8_u32 << 8 | 0x10).to_ne_bytes(), "unknown:8:16"),
                (&(1_u32 << 20 | 254 << 8).to_ne_bytes(), "unknown:254:256"),
                (&(254_u32 << 20).to_ne_bytes(), "unknown:0:65024"),
                (&0_u32.to_ne_bytes(), "unknown:0:0"),
                (&u32::MAX.to_ne_bytes(), "unknown:4095:1048575"),
                (&[254_u32 << 8, 7].map(u32::to_ne_bytes).concat(), "vda"),
                (b"", "ERROR expected at least 4 bytes, got 0"),
                (&[0; 3], "ERROR expected at least 4 bytes, got 3"),
            ],
        );
    }
}
