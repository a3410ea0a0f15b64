//! Which CPUs are online: they come and go while the exporter runs.

use std::fs;
use std::io;

const ONLINE: &str = "/sys/devices/system/cpu/online";

/// The numbers of the CPUs that are online, ascending. Reads the file that the kernel lists them in.
///
/// # Errors
///
/// When it cannot be read, or lists anything else.
pub(super) fn online() -> io::Result<Vec<u32>> {
    let text = fs::read_to_string(ONLINE)?;
    parse(text.trim_end()).ok_or_else(|| io::Error::other(format!("{ONLINE} holds `{text}`")))
}

/// A list such as `0-3,6`.
fn parse(list: &str) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        // The kernel has no more than 8,192.
        if last > u32::from(u16::MAX) {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        for (list, expected) in [
            ("0", Some(vec![0])),
            ("0-3", Some(vec![0, 1, 2, 3])),
            ("0,2-3,8", Some(vec![0, 2, 3, 8])),
            ("", None),
            ("0-4294967295", None),
            ("x", None),
        ] {
            assert_eq!(parse(list), expected, "{list:?}");
        }
        assert!(!online().unwrap().is_empty());
    }
}
