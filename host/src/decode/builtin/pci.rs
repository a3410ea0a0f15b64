//! What the four PCI decoders share. No decoder of its own.

use crate::system::System;
use crate::system::pci_ids::{Entry, Found};

/// Appends the name of `entry` to `out`, or that there is no database, and says whether it did
/// either. `None` stands for a number that is no id.
pub(super) fn write(system: &System, entry: Option<Entry>, out: &mut Vec<u8>) -> bool {
    match entry.map_or(Found::Nothing, |entry| system.pci_ids().name(entry, out)) {
        Found::Name => true,
        Found::Nothing => false,
        Found::NoDatabase => {
            out.extend_from_slice(b"missing pci.ids db");
            true
        }
    }
}
