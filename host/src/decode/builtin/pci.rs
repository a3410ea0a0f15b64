//! What the four PCI decoders share. No decoder of its own.

use super::holds;
use crate::decode::Outcome;
use crate::system::System;
use crate::system::pci_ids::{Entry, Found};

/// Appends the name of `entry` to `out`, or that there is no database; the outcome of either.
/// Nothing if the database does not have it; `None` stands for a number that is no id.
pub(super) fn write(system: &System, entry: Option<Entry>, out: &mut Vec<u8>) -> Option<Outcome> {
    match entry.map_or(Found::Nothing, |entry| system.pci_ids().name(entry, out)) {
        Found::Name => Some(Outcome::Label),
        Found::Nothing => None,
        Found::NoDatabase => {
            out.extend_from_slice(b"missing pci.ids db");
            Some(holds::NO_DATABASE)
        }
    }
}
