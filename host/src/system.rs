//! What the host knows by number and people know by name: kernel symbols, PCI devices, block
//! devices, cgroups, network interfaces.
//!
//! Tables are read when first asked and read again when a name is not found, at most once in a
//! while each, so that a flood of unknown numbers costs nothing. Nothing here fails a scrape: a
//! table that cannot be read is an empty one, and says so once in the log.

/// Handles to all tables of this host, shared by all configs. Cheap to clone.
#[derive(Clone, Default)]
pub struct System {}
