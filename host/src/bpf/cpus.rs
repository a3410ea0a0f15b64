//! Which CPUs are online, and what there is of each: they come and go while the exporter runs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Whether nothing is opened any more on CPUs that come.
static STAYS: AtomicBool = AtomicBool::new(false);

/// Leaves it from now on to what there is: the process may open no event any more, and would end if it tried. What
/// begins then still begins on all CPUs that are online.
pub(crate) fn stay() {
    STAYS.store(true, Ordering::Relaxed);
}

/// Something of each CPU that is online, nothing where it could not be had.
#[derive(Debug)]
pub(super) struct PerCpu<T>(BTreeMap<u32, Option<T>>);

impl<T> Default for PerCpu<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> PerCpu<T> {
    /// Opens one for each of these CPUs that is new, and drops those of all that are not among them. What could
    /// not be opened: it is not tried again before its CPU has gone and come.
    pub(super) fn follow(
        &mut self,
        cpus: &[u32],
        mut open: impl FnMut(u32) -> io::Result<T>,
    ) -> Vec<(u32, io::Error)> {
        let stays = STAYS.load(Ordering::Relaxed) && !self.0.is_empty();
        if stays || cpus.iter().eq(self.0.keys()) {
            return Vec::new();
        }
        self.0.retain(|cpu, _| cpus.contains(cpu));
        let mut failed = Vec::new();
        for cpu in cpus {
            if !self.0.contains_key(cpu) {
                let opened = open(*cpu).map_err(|error| failed.push((*cpu, error)));
                self.0.insert(*cpu, opened.ok());
            }
        }
        failed
    }

    /// Each that could be had, with its CPU.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        self.0.iter_mut().filter_map(|(cpu, of)| Some((*cpu, of.as_mut()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_had_is_tried_when_its_cpu_comes_again() {
        let mut all = PerCpu::default();
        let mut tried = Vec::new();
        let mut follow = |cpus: &[u32], refused: Option<u32>| {
            let open = |cpu| {
                tried.push(cpu);
                if Some(cpu) == refused { Err(io::ErrorKind::NotFound.into()) } else { Ok(cpu) }
            };
            let failed = all.follow(cpus, open).into_iter().map(|(cpu, _)| cpu);
            let failed: Vec<_> = failed.collect();
            (failed, all.iter_mut().map(|(cpu, _)| cpu).collect::<Vec<_>>())
        };
        assert_eq!(follow(&[0, 1, 2], Some(1)), (vec![1], vec![0, 2]));
        assert_eq!(follow(&[0, 1, 2], None), (vec![], vec![0, 2]));
        assert_eq!(follow(&[0, 2], None), (vec![], vec![0, 2]));
        assert_eq!(follow(&[0, 1], None), (vec![], vec![0, 1]));
        assert_eq!(tried, [0, 1, 2, 1]);
    }

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
