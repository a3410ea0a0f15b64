//! `pci_vendor`: a vendor id in decimal text → its name, or `unknown pci vendor: 0x…`.
//! Without a database everything is `missing pci.ids db`.

use std::io::Write;

use super::{Behaviour, Builtin, Form, Make, Sizes, number, pci};
use crate::decode::{DecodeError, Decoder, Outcome};
use crate::system::System;
use crate::system::pci_ids::PciId;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "pci_vendor",
    sizes: Sizes::Any,
    takes: Form::Decimal,
    gives: Form::Text,
    about: Behaviour {
        input: "decimal text",
        gives: "the vendor's name",
        otherwise: "`unknown pci vendor: 0x…`; no number: an error",
    },
    wants: |_| {},
    make: Make::Plain(|system| Box::new(PciVendor { system: system.clone() })),
};

struct PciVendor {
    system: System,
}

impl Decoder for PciVendor {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let pci_ids = self.system.pci_ids();
        if !pci_ids.is_there() {
            return Ok(pci::missing(out));
        }
        let id = number::parse(input)?;
        let vendor = u16::try_from(id).ok().map(PciId::Vendor);
        if !vendor.is_some_and(|vendor| pci_ids.name(vendor, out)) {
            // Writing to a Vec does not fail.
            let _ = write!(out, "unknown pci vendor: {id:#04x}");
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
            "pci_vendor",
            &[
                (b"32902", "Intel Corporation"),
                (b"48879", "unknown pci vendor: 0xbeef"),
                (b"1", "unknown pci vendor: 0x01"),
                (b"18446744073709551615", "unknown pci vendor: 0xffffffffffffffff"),
                (b"", "ERROR expected a decimal number, got ``"),
                (b"0x8086", "ERROR expected a decimal number, got `0x8086`"),
            ],
        );
    }

    #[test]
    fn without_a_database() {
        testing::empty_host().check(
            "pci_vendor",
            &[
                (b"1", "missing pci.ids db"),
                (b"18446744073709551615", "missing pci.ids db"),
                (b"none", "missing pci.ids db"),
            ],
        );
    }
}
