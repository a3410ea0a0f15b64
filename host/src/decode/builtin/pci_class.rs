//! `pci_class`: a class in decimal text → its name, or `unknown pci class: 0x…`.
//! Without a database everything is `missing pci.ids db`.

use std::io::Write;

use super::{Behaviour, Builtin, Form, Make, Sizes, number, pci};
use crate::decode::{DecodeError, Decoder, Outcome};
use crate::system::System;
use crate::system::pci_ids::PciId;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "pci_class",
    sizes: Sizes::Any,
    takes: Form::Decimal,
    gives: Form::Text,
    about: Behaviour {
        input: "decimal text",
        gives: "the class's name",
        otherwise: "`unknown pci class: 0x…`; no number: an error",
    },
    wants: |_| {},
    make: Make::Plain(|system| Box::new(PciClass { system: system.clone() })),
};

struct PciClass {
    system: System,
}

impl Decoder for PciClass {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let pci_ids = self.system.pci_ids();
        if !pci_ids.is_there() {
            return Ok(pci::missing(out));
        }
        let id = number::parse(input)?;
        let class = u8::try_from(id).ok().map(PciId::Class);
        if !class.is_some_and(|class| pci_ids.name(class, out)) {
            // Writing to a Vec does not fail.
            let _ = write!(out, "unknown pci class: {id:#04x}");
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
            "pci_class",
            &[
                (b"1", "Mass storage controller"),
                (b"253", "unknown pci class: 0xfd"),
                (b"9", "unknown pci class: 0x09"),
                (b"256", "unknown pci class: 0x100"),
                (b"18446744073709551615", "unknown pci class: 0xffffffffffffffff"),
                (b"", "ERROR expected a decimal number, got ``"),
                (b"0x8086", "ERROR expected a decimal number, got `0x8086`"),
            ],
        );
    }

    #[test]
    fn without_a_database() {
        testing::empty_host().check(
            "pci_class",
            &[
                (b"1", "missing pci.ids db"),
                (b"18446744073709551615", "missing pci.ids db"),
                (b"none", "missing pci.ids db"),
            ],
        );
    }
}
