//! Block devices by number, from `/proc/partitions`.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::table::{Source, Table};

/// How many bits of a device number are its minor: the kernel's `MINORBITS`.
pub const MINOR_BITS: u32 = 20;

/// The block devices of this host.
pub struct Partitions(Table<Rows>);

struct Rows {
    path: PathBuf,
    /// Device number and name, ascending.
    devices: Vec<(u32, Box<str>)>,
}

impl Partitions {
    /// The devices that the file at `path` lists. Reads nothing yet.
    pub fn new(path: PathBuf) -> Self {
        Self(Table::new(Rows { path, devices: Vec::new() }))
    }

    /// Appends the name of the device with this number, in the kernel's own encoding, to `out`
    /// and says whether there is one.
    pub fn name(&self, device: u32, out: &mut Vec<u8>) -> bool {
        self.name_at(Instant::now(), device, out)
    }

    fn name_at(&self, now: Instant, device: u32, out: &mut Vec<u8>) -> bool {
        let found = self.0.find(now, |rows| {
            let index = rows.devices.binary_search_by_key(&device, |(number, _)| *number).ok()?;
            out.extend_from_slice(rows.devices[index].1.as_bytes());
            Some(())
        });
        found.is_some()
    }
}

impl Source for Rows {
    const RETRY: Duration = Duration::from_secs(1);
    /// Numbers are reused as devices come and go.
    const MAX_AGE: Duration = Duration::from_secs(5);

    fn read(&mut self, _: Instant) -> Result<(), String> {
        let text = fs::read_to_string(&self.path).map_err(|error| {
            let path = self.path.display();
            format!("failed to read {path}: {error}, so block devices stay unknown; mount /proc")
        })?;
        self.devices = text.lines().filter_map(parse).collect();
        self.devices.sort_unstable();
        Ok(())
    }
}

/// A device out of a line ` 254        0  268435456 vda`; the heading is none.
fn parse(line: &str) -> Option<(u32, Box<str>)> {
    let mut words = line.split_ascii_whitespace();
    let major: u32 = words.next()?.parse().ok()?;
    let minor: u32 = words.next()?.parse().ok()?;
    let name = words.nth(1)?;
    Some((major << MINOR_BITS | minor, name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VDA: u32 = 254 << 20;
    const HEADING: &str = "major minor  #blocks  name\n\n";

    fn name(partitions: &Partitions, now: Instant, device: u32) -> Option<String> {
        let mut out = Vec::new();
        partitions.name_at(now, device, &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_number_that_is_reused_gets_its_new_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let partitions = Partitions::new(file.path().to_owned());
        let start = Instant::now();
        fs::write(&file, format!("{HEADING} 254        0  268435456 vda\n")).unwrap();
        assert_eq!(name(&partitions, start, VDA).as_deref(), Some("vda"));

        fs::write(&file, format!("{HEADING} 254 0 1 vdb\n 259 1048575 1 nvme0n1p1\n")).unwrap();
        let soon = start + Duration::from_millis(10);
        assert_eq!(name(&partitions, soon, VDA).as_deref(), Some("vda"));
        assert_eq!(name(&partitions, soon, 259 << 20 | 0xf_ffff), None);
        let later = start + Rows::MAX_AGE;
        assert_eq!(name(&partitions, later, VDA).as_deref(), Some("vdb"));
        assert_eq!(name(&partitions, later, 259 << 20 | 0xf_ffff).as_deref(), Some("nvme0n1p1"));
    }

    #[test]
    fn no_file_is_a_complaint_and_no_devices() {
        let mut rows = Rows { path: "/nowhere/partitions".into(), devices: Vec::new() };
        insta::assert_snapshot!(
            rows.read(Instant::now()).unwrap_err(),
            @"failed to read /nowhere/partitions: No such file or directory (os error 2), so block devices stay unknown; mount /proc"
        );
    }
}
