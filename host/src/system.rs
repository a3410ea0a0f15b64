//! What the host knows by number and people know by name: kernel symbols, PCI devices, block
//! devices, cgroups, network interfaces.
//!
//! Tables are read when first asked and read again when a name is not found, at most once in a
//! while each, so that a flood of unknown numbers costs nothing. Nothing here fails a scrape: a
//! table that cannot be read is an empty one, and says so once in the log.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::files::{self, Readable};

pub mod cgroups;
pub mod interfaces;
pub mod kallsyms;
pub mod partitions;
pub mod pci_ids;
mod table;

pub use cgroups::Cgroups;
pub use interfaces::Interfaces;
pub use kallsyms::{Kallsyms, Printer};
pub use partitions::Partitions;
pub use pci_ids::PciIds;

/// Below a file there is nothing.
const NOWHERE: &str = "/dev/null";
/// What the kernel calls the time since its last start.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Handles to all tables of this host, shared by all configs. Cheap to clone.
#[derive(Clone)]
pub struct System {
    tables: Arc<Tables>,
}

struct Tables {
    kallsyms: Kallsyms,
    pci_ids: PciIds,
    partitions: Partitions,
    cgroups: Cgroups,
    interfaces: Interfaces,
    /// Whether there is no host.
    nowhere: AtomicBool,
    /// The thread of [`System::prepare_ahead`].
    ahead: Mutex<Option<JoinHandle<()>>>,
}

impl Default for System {
    /// This host.
    fn default() -> Self {
        Self::at(Path::new("/"))
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").finish_non_exhaustive()
    }
}

impl System {
    /// The host whose file system is mounted at `root`. Reads nothing yet.
    ///
    /// Interfaces are always those of the exporter's own network namespace: they are asked of
    /// the kernel, not of a file.
    pub fn at(root: &Path) -> Self {
        Self::with(root, root)
    }

    /// The same, with the names of PCI devices that stand below another root.
    fn with(root: &Path, pci_root: &Path) -> Self {
        let pci_ids = pci_ids::PATHS.iter().map(|path| pci_root.join(path)).collect();
        let tables = Tables {
            kallsyms: Kallsyms::new(root.join("proc/kallsyms")),
            pci_ids: PciIds::new(pci_ids),
            partitions: Partitions::new(root.join("proc/partitions")),
            cgroups: Cgroups::new(root.to_owned()),
            interfaces: Interfaces::default(),
            nowhere: AtomicBool::new(false),
            ahead: Mutex::new(None),
        };
        Self { tables: Arc::new(tables) }
    }

    /// A host that knows no name, and does not complain of it. What is decoded there is the same on every host, and
    /// no file of it is read for plugins.
    pub fn nowhere() -> Self {
        let system = Self::without_names(NOWHERE);
        system.tables.pci_ids.hush();
        system.tables.nowhere.store(true, Ordering::Relaxed);
        system
    }

    /// A host that knows no name of its own: of interfaces, devices, cgroups or kernel symbols. Those of PCI devices
    /// are the same everywhere.
    pub fn nameless() -> Self {
        Self::without_names("/")
    }

    fn without_names(pci_root: &str) -> Self {
        let system = Self::with(Path::new(NOWHERE), Path::new(pci_root));
        let Tables { kallsyms, partitions, cgroups, interfaces, .. } = &*system.tables;
        kallsyms.hush();
        partitions.hush();
        cgroups.hush();
        interfaces.hush();
        system
    }

    /// Which of its starts this host's kernel is in, by what it calls it.
    pub fn boot_id() -> Option<String> {
        let id = files::read(Path::new(BOOT_ID), 256).ok()?;
        let id = String::from_utf8(id).ok()?.trim().to_owned();
        Some(id).filter(|id| !id.is_empty())
    }

    /// Whether it is [`System::nowhere`].
    pub fn is_nowhere(&self) -> bool {
        self.tables.nowhere.load(Ordering::Relaxed)
    }

    /// Gets what takes privileges that the exporter may give up after its start: the kernel's
    /// symbols and a socket to ask for interfaces, if a decoder that was built wants them. To be
    /// called before they are dropped; without it they would be got when first asked, in vain.
    pub fn prepare(&self) {
        if let Some(ahead) = self.ahead().take() {
            // A thread that panicked has got nothing.
            let _ = ahead.join();
        }
        self.tables.kallsyms.prepare();
        self.tables.interfaces.prepare();
    }

    /// What tables are read from, again and again.
    pub fn readable(&self) -> Vec<Readable> {
        let Tables { kallsyms, pci_ids, partitions, cgroups, .. } = &*self.tables;
        let mut all = vec![kallsyms.readable(), partitions.readable()];
        all.extend(pci_ids.readable());
        all.extend(cgroups.readable());
        all
    }

    /// Begins with [`System::prepare`] on a thread of its own, which that then waits for. `printer`
    /// is how the kernel can be asked for single symbols, if it can: their list is not read then.
    pub fn prepare_ahead(&self, printer: fn() -> Option<Printer>) {
        if !self.tables.kallsyms.is_wanted() {
            return;
        }
        let system = self.clone();
        let prepare = move || {
            let kallsyms = system.kallsyms();
            printer().into_iter().for_each(|print| kallsyms.ask(print));
            kallsyms.prepare();
        };
        // Without a thread the list is read later.
        let thread = thread::Builder::new().name("symbols".to_owned());
        *self.ahead() = thread.spawn(prepare).ok();
    }

    fn ahead(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.tables.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kernel symbols.
    pub fn kallsyms(&self) -> &Kallsyms {
        &self.tables.kallsyms
    }

    /// The PCI database.
    pub fn pci_ids(&self) -> &PciIds {
        &self.tables.pci_ids
    }

    /// Block devices.
    pub fn partitions(&self) -> &Partitions {
        &self.tables.partitions
    }

    /// Cgroups.
    pub fn cgroups(&self) -> &Cgroups {
        &self.tables.cgroups
    }

    /// Network interfaces.
    pub fn interfaces(&self) -> &Interfaces {
        &self.tables.interfaces
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What remains to be known if privileges are dropped after `prepare`: the address of a symbol,
    /// and the name at one that only the kernel itself knows.
    fn known_after_drop(want: bool, printer: fn() -> Option<Printer>) -> (bool, bool) {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("proc/kallsyms");
        fs::create_dir(root.path().join("proc")).unwrap();
        fs::write(&file, "ffffffff81000000 T _text\n").unwrap();
        let system = System::at(root.path());
        if want {
            system.kallsyms().want();
        }
        system.prepare_ahead(printer);
        system.clone().prepare();
        fs::write(&file, "0000000000000000 T _text\n").unwrap();
        let kallsyms = system.kallsyms();
        (kallsyms.addresses_of(&["_text"])[0] != 0, kallsyms.name(1, &mut Vec::new()))
    }

    #[test]
    fn what_decoders_want_is_got_before_privileges_go_and_nothing_else() {
        assert_eq!(known_after_drop(true, || None), (true, false));
        assert_eq!(known_after_drop(false, || None), (false, false));
    }

    #[test]
    fn of_a_kernel_that_can_be_asked_no_list_is_read() {
        let printer: fn() -> Option<Printer> = || {
            Some(Box::new(|_, out| {
                out.extend(b"f+0x0/0x1");
                Ok(())
            }))
        };
        assert_eq!(known_after_drop(true, printer), (false, true));
        assert_eq!(known_after_drop(false, printer), (false, false));
    }
}
