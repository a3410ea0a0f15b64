//! `pci_device`: vendor id << 16 | device id in decimal text → the product, or
//! `unknown pci device: 0x…`.
//! Without a database everything is `missing pci.ids db`.

use std::io::Write;

use super::{Behaviour, Builtin, Form, Make, Sizes, number, pci};
use crate::decode::{DecodeError, Decoder, Outcome};
use crate::system::System;
use crate::system::pci_ids::PciId;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "pci_device",
    sizes: Sizes::Any,
    takes: Form::Decimal,
    gives: Form::Text,
    about: Behaviour {
        input: "decimal text: vendor << 16 | device",
        gives: "the product's name",
        otherwise: "`unknown pci device: 0x…`; no number: an error",
    },
    wants: |_| {},
    make: Make::Plain(|system| Box::new(PciDevice { system: system.clone() })),
};

struct PciDevice {
    system: System,
}

impl Decoder for PciDevice {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let pci_ids = self.system.pci_ids();
        if !pci_ids.is_there() {
            return Ok(pci::missing(out));
        }
        let id = number::parse(input)?;
        let device = u32::try_from(id).ok().map(|id| PciId::Device((id >> 16) as u16, id as u16));
        if !device.is_some_and(|device| pci_ids.name(device, out)) {
            // Writing to a Vec does not fail.
            let _ = write!(out, "unknown pci device: {id:#06x}");
        }
        Ok(Outcome::Label)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;

    #[test]
    fn table() {
        testing::host().check(
            "pci_device",
            &[
                (b"2156269568", "82542 Gigabit Ethernet Controller (Fiber)"),
                (b"3735928559", "unknown pci device: 0xdeadbeef"),
                (b"4096", "unknown pci device: 0x1000"),
                (b"18446744073709551615", "unknown pci device: 0xffffffffffffffff"),
                (b"", "ERROR expected a decimal number, got ``"),
                (b"0x8086", "ERROR expected a decimal number, got `0x8086`"),
            ],
        );
    }

    #[test]
    fn without_a_database() {
        testing::empty_host().check(
            "pci_device",
            &[
                (b"1", "missing pci.ids db"),
                (b"18446744073709551615", "missing pci.ids db"),
                (b"none", "missing pci.ids db"),
            ],
        );
    }
}
