//! `pci_subclass`: class << 8 | subclass in decimal text → the subclass, or
//! `unknown pci subclass: 0x… (class 0x…)`, or `unknown pci class: 0x…` if not even that is known.
//! Without a database everything is `missing pci.ids db`.

use std::io::Write;

use super::{Behaviour, Builtin, Form, Make, Sizes, number, pci};
use crate::decode::{DecodeError, Decoder, Outcome};
use crate::system::System;
use crate::system::pci_ids::PciId;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "pci_subclass",
    sizes: Sizes::Any,
    takes: Form::Decimal,
    gives: Form::Text,
    about: Behaviour {
        input: "decimal text: class << 8 | subclass",
        gives: "the subclass's name",
        otherwise: "`unknown pci subclass: 0x… (class 0x…)`, or `unknown pci class: 0x…` if not even the class is known; no number: an error",
    },
    wants: |_| {},
    make: Make::Plain(|system| Box::new(PciSubclass { system: system.clone() })),
};

struct PciSubclass {
    system: System,
}

impl Decoder for PciSubclass {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let pci_ids = self.system.pci_ids();
        if !pci_ids.is_there() {
            return Ok(pci::missing(out));
        }
        let id = number::parse(input)?;
        let (class, subclass) = (id >> 8, id as u8);
        let known = u8::try_from(class).ok();
        if known.is_some_and(|class| pci_ids.name(PciId::Subclass(class, subclass), out)) {
            return Ok(Outcome::Label);
        }
        // Writing to a Vec does not fail.
        let _: std::io::Result<()> = if known.is_some_and(|class| pci_ids.has(PciId::Class(class)))
        {
            write!(out, "unknown pci subclass: {subclass:#04x} (class {class:#04x})")
        } else {
            write!(out, "unknown pci class: {class:#04x}")
        };
        Ok(Outcome::Label)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;

    #[test]
    fn table() {
        testing::host().check(
            "pci_subclass",
            &[
                (b"264", "Non-Volatile memory controller"),
                (b"267", "unknown pci subclass: 0x0b (class 0x01)"),
                (b"64768", "unknown pci class: 0xfd"),
                (b"65800", "unknown pci class: 0x101"),
                (b"18446744073709551615", "unknown pci class: 0xffffffffffffff"),
                (b"", "ERROR expected a decimal number, got ``"),
                (b"0x8086", "ERROR expected a decimal number, got `0x8086`"),
            ],
        );
    }

    #[test]
    fn without_a_database() {
        testing::empty_host().check(
            "pci_subclass",
            &[
                (b"1", "missing pci.ids db"),
                (b"18446744073709551615", "missing pci.ids db"),
                (b"none", "missing pci.ids db"),
            ],
        );
    }
}
