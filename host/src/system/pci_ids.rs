//! Names of PCI vendors, devices and classes, from the database `pci.ids`.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::table::{Source, Table};
use crate::files::Readable;

/// Where distributions put the database, below the root; the first that is there is taken.
pub const PATHS: [&str; 5] = [
    "usr/share/misc/pci.ids",
    "usr/share/hwdata/pci.ids",
    "usr/share/pci.ids",
    "usr/local/share/pci.ids",
    "var/lib/pciutils/pci.ids",
];

/// The PCI database of this host.
pub struct PciIds(Table<Database>);

/// What the database has names for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PciId {
    /// A vendor by its id.
    Vendor(u16),
    /// A device by the ids of its vendor and its own.
    Device(u16, u16),
    /// A class.
    Class(u8),
    /// A class and a subclass of it.
    Subclass(u8, u8),
}

#[derive(Default)]
struct Database {
    paths: Vec<PathBuf>,
    /// Ascending by id.
    index: Vec<Row>,
    /// All names, end to end.
    names: Vec<u8>,
}

/// Where the name of an id stands.
struct Row {
    id: PciId,
    start: u32,
    len: u16,
}

impl PciIds {
    /// The database at the first of these paths that can be read. Reads nothing yet.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self(Table::new(Database { paths, ..Database::default() }))
    }

    /// Does not complain from now on that nothing can be read.
    pub(super) fn hush(&self) {
        self.0.hush();
    }

    /// Whether this host has a database.
    pub fn is_there(&self) -> bool {
        self.is_there_at(Instant::now())
    }

    /// The database, wherever a package may put another one in its place.
    pub(super) fn readable(&self) -> Vec<Readable> {
        // A directory of such files; the rest of `share` is none of our business.
        let place = |path: &PathBuf| match path.parent() {
            Some(dir) if !dir.ends_with("share") => dir.to_owned(),
            _ => path.clone(),
        };
        self.0.source().paths.iter().map(place).map(Readable::Content).collect()
    }

    /// Whether the database has a name for this id.
    pub fn has(&self, id: PciId) -> bool {
        self.0.find(Instant::now(), |rows| rows.get(id).map(|_| ())).is_some()
    }

    /// Appends the name of this id to `out` and says whether there is one.
    pub fn name(&self, id: PciId, out: &mut Vec<u8>) -> bool {
        let found = self.0.find(Instant::now(), |rows| {
            out.extend_from_slice(rows.get(id)?);
            Some(())
        });
        found.is_some()
    }

    fn is_there_at(&self, now: Instant) -> bool {
        self.0.find(now, |rows| (!rows.index.is_empty()).then_some(())).is_some()
    }
}

impl Source for Database {
    /// The file changes when an administrator installs it or a newer one.
    const RETRY: Duration = Duration::from_secs(60);
    const MAX_AGE: Duration = Duration::MAX;

    fn read(&mut self, _: Instant) -> Result<(), String> {
        let text = self.paths.iter().find_map(|path| fs::read(path).ok()).ok_or_else(|| {
            let paths: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
            format!(
                "failed to read a PCI database from {}, so PCI devices have no names; \
                 install the package pci.ids or hwdata",
                paths.join(", ")
            )
        })?;
        self.index.clear();
        self.names.clear();
        self.parse(&text);
        Ok(())
    }
}

impl Database {
    fn get(&self, id: PciId) -> Option<&[u8]> {
        let row = &self.index[self.index.binary_search_by_key(&id, |row| row.id).ok()?];
        self.names.get(row.start as usize..)?.get(..usize::from(row.len))
    }

    fn parse(&mut self, text: &[u8]) {
        let mut above = None;
        for line in text.split(|byte| *byte == b'\n') {
            let named = match line {
                // A comment, or what stands two levels down: subsystems, programming interfaces.
                [b'#', ..] | [b'\t', b'\t', ..] => continue,
                [b'\t', line @ ..] => above.and_then(|above| below(above, line)),
                _ => {
                    let named = top(line);
                    above = named.map(|(id, _)| id);
                    named
                }
            };
            if let Some((id, name)) = named {
                self.push(id, name.trim_ascii());
            }
        }
        self.index.sort_unstable_by_key(|row| row.id);
        self.index.shrink_to_fit();
        self.names.shrink_to_fit();
    }

    fn push(&mut self, id: PciId, name: &[u8]) {
        if let (Ok(start), Ok(len)) = (u32::try_from(self.names.len()), u16::try_from(name.len())) {
            self.index.push(Row { id, start, len });
            self.names.extend_from_slice(name);
        }
    }
}

/// The id and its name on a line that starts at its left end: `8086  NAME` or `C 01  NAME`.
fn top(line: &[u8]) -> Option<(PciId, &[u8])> {
    if let Some(class) = line.strip_prefix(b"C ") {
        let (class, name) = number(class, 2)?;
        return Some((PciId::Class(class as u8), name));
    }
    let (vendor, name) = number(line, 4)?;
    Some((PciId::Vendor(vendor), name))
}

/// The id and its name on an indented line, below a vendor or a class.
fn below(above: PciId, line: &[u8]) -> Option<(PciId, &[u8])> {
    match above {
        PciId::Vendor(vendor) => {
            let (device, name) = number(line, 4)?;
            Some((PciId::Device(vendor, device), name))
        }
        PciId::Class(class) => {
            let (subclass, name) = number(line, 2)?;
            Some((PciId::Subclass(class, subclass as u8), name))
        }
        PciId::Device(..) | PciId::Subclass(..) => None,
    }
}

/// The hexadecimal number of `digits` digits at the start of `line` and what follows it, if that
/// is a space.
fn number(line: &[u8], digits: usize) -> Option<(u16, &[u8])> {
    let (number, rest) = line.split_at_checked(digits)?;
    let number = u16::from_str_radix(str::from_utf8(number).ok()?, 16).ok()?;
    rest.starts_with(b" ").then_some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
#\tList of PCI ID's
8086  Intel Corporation
\t1000  82542 Gigabit Ethernet Controller (Fiber)
\t\t0e11 b0df  NC1020 Gigabit Ethernet Controller
\t1001  82543GC
 not an entry
\t1002  below nothing

C 01  Mass storage controller
\t08  Non-Volatile memory controller
\t\t02  NVM Express
";

    #[test]
    fn every_kind_of_entry_is_read_and_nothing_else() {
        let mut rows = Database::default();
        rows.parse(TEXT.as_bytes());
        for (id, expected) in [
            (PciId::Vendor(0x8086), Some("Intel Corporation")),
            (PciId::Device(0x8086, 0x1000), Some("82542 Gigabit Ethernet Controller (Fiber)")),
            (PciId::Device(0x8086, 0x1001), Some("82543GC")),
            (PciId::Device(0x8086, 0x1002), None),
            (PciId::Vendor(0x0e11), None),
            (PciId::Class(1), Some("Mass storage controller")),
            (PciId::Subclass(1, 8), Some("Non-Volatile memory controller")),
            (PciId::Subclass(8, 2), None),
        ] {
            assert_eq!(rows.get(id), expected.map(str::as_bytes), "{id:?}");
        }
        assert_eq!(rows.index.len(), 5);
    }

    #[test]
    fn a_database_that_is_installed_later_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pci.ids");
        let pci_ids = PciIds::new(vec!["/nowhere/pci.ids".into(), path.clone()]);
        let (start, mut out) = (Instant::now(), Vec::new());
        assert!(!pci_ids.is_there_at(start));
        fs::write(&path, TEXT).unwrap();
        let later = start + Database::RETRY;
        assert!(pci_ids.is_there_at(later));
        assert!(pci_ids.name(PciId::Class(1), &mut out));
        assert!(pci_ids.has(PciId::Class(1)) && !pci_ids.has(PciId::Class(2)));
        assert!(!pci_ids.name(PciId::Class(2), &mut out));
        assert_eq!(out, b"Mass storage controller");
    }

    #[test]
    fn no_database_is_a_complaint() {
        let mut rows = Database {
            paths: vec!["/nowhere/a".into(), "/nowhere/b".into()],
            ..Database::default()
        };
        insta::assert_snapshot!(
            rows.read(Instant::now()).unwrap_err(),
            @"failed to read a PCI database from /nowhere/a, /nowhere/b, so PCI devices have no names; install the package pci.ids or hwdata"
        );
    }
}
