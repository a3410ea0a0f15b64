//! Block devices by number, from `/proc/partitions`.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::table::{Source, Table};
use crate::files::Readable;

/// The number of a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Device {
    /// Which driver has it; 12 bits.
    pub major: u32,
    /// Which of the driver's devices it is; 20 bits.
    pub minor: u32,
}

impl Device {
    /// A number in the encoding that user space sees, in `stat(2)` for one. It is the kernel's
    /// `new_encode_dev()`: bits 0 to 7 are the minor's low ones, 8 to 19 the major, 20 to 31 the
    /// minor's high ones. The kernel's own `dev_t` is another encoding.
    pub fn decode(number: u32) -> Self {
        let low = number & 0xff;
        Self { major: number >> 8 & 0xfff, minor: number >> 20 << 8 | low }
    }
}

/// The block devices of this host.
pub struct Partitions(Table<Devices>);

struct Devices {
    path: PathBuf,
    /// With their names, ascending.
    devices: Vec<(Device, Box<str>)>,
}

impl Partitions {
    /// The devices that the file at `path` lists. Reads nothing yet.
    pub fn new(path: PathBuf) -> Self {
        Self(Table::new(Devices { path, devices: Vec::new() }))
    }

    /// Appends the name of this device to `out` and says whether there is one.
    pub fn name(&self, device: Device, out: &mut Vec<u8>) -> bool {
        self.name_at(Instant::now(), device, out)
    }

    /// Does not complain from now on that nothing can be read.
    pub(super) fn hush(&self) {
        self.0.hush();
    }

    /// The file.
    pub(super) fn readable(&self) -> Readable {
        Readable::Content(self.0.source().path.clone())
    }

    fn name_at(&self, now: Instant, device: Device, out: &mut Vec<u8>) -> bool {
        let found = self.0.find(now, |rows| {
            let index = rows.devices.binary_search_by_key(&device, |(number, _)| *number).ok()?;
            out.extend_from_slice(rows.devices[index].1.as_bytes());
            Some(())
        });
        found.is_some()
    }
}

impl Source for Devices {
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
fn parse(line: &str) -> Option<(Device, Box<str>)> {
    let mut words = line.split_ascii_whitespace();
    let major = words.next()?.parse().ok()?;
    let minor = words.next()?.parse().ok()?;
    let name = words.nth(1)?;
    Some((Device { major, minor }, name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VDA: Device = Device { major: 254, minor: 0 };
    const LAST: Device = Device { major: 259, minor: 1_048_575 };
    const HEADING: &str = "major minor  #blocks  name\n\n";

    fn name(partitions: &Partitions, now: Instant, device: Device) -> Option<String> {
        let mut out = Vec::new();
        partitions.name_at(now, device, &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn numbers_are_read_as_user_space_has_them() {
        // Major and minor of the same files in ls(1), number in `stat --format=%D`.
        let cases =
            [(0xfe00, 254, 0), (0x0810, 8, 16), (0x10_0301, 3, 257), (u32::MAX, 4095, 1_048_575)];
        for (number, major, minor) in cases {
            assert_eq!(Device::decode(number), Device { major, minor }, "{number:#x}");
        }
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
        assert_eq!(name(&partitions, soon, LAST), None);
        let later = start + Devices::MAX_AGE;
        assert_eq!(name(&partitions, later, VDA).as_deref(), Some("vdb"));
        assert_eq!(name(&partitions, later, LAST).as_deref(), Some("nvme0n1p1"));
    }

    #[test]
    fn no_file_is_a_complaint_and_no_devices() {
        let mut rows = Devices { path: "/nowhere/partitions".into(), devices: Vec::new() };
        insta::assert_snapshot!(
            rows.read(Instant::now()).unwrap_err(),
            @"failed to read /nowhere/partitions: No such file or directory (os error 2), so block devices stay unknown; mount /proc"
        );
    }
}
