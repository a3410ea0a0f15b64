//! An object that takes none of the kernel's types and reads none of its memory (`plain.bpf.c`): what it counts, and
//! how that is read, wherever others are refused.

use std::thread;

use crate::configs::Configs;
use crate::exporter::{Exporter, sample};
use crate::machine::is_at_least;

const YAML: &str = "metrics:
  counters:
    - name: renames_total
      help: Names that threads were given, by those that they had
      labels: [{name: name, size: 16, decoders: [{name: string}]}]
";

/// How many names threads are given: enough that a map of them could be copied.
const NAMES: u64 = 60;

/// A directory with its config alone.
pub fn configs() -> Configs {
    let mut configs = Configs::new();
    configs.add_object("plain", YAML);
    configs
}

/// Has an exporter of [`configs`] count, and asserts that it serves that to the number, read in another way than a
/// copy. Returns what it has logged of that; nothing where maps are never copied.
pub fn counts_and_is_not_copied(exporter: Exporter) -> Option<String> {
    for _ in 0..2 {
        let before = exporter.metrics();
        // A thread of its own: this one keeps its name.
        thread::spawn(|| (0..=NAMES).for_each(rename)).join().unwrap();
        let after = exporter.metrics();
        for n in 0..NAMES {
            let series = format!("ebpf_exporter_renames_total{{name=\"plain {n}\"}}");
            let [before, after] = [&before, &after].map(|page| sample(page, &series));
            assert_eq!(after, Some(before.unwrap_or(0) + n + 1), "{series}\n{after:?}");
        }
        let way = after.lines().find(|line| line.starts_with("ebpf_exporter_map_read_info{"));
        let others = ["way=\"harvest\"", "way=\"batch\"", "way=\"keys\""];
        assert!(others.iter().any(|other| way.is_some_and(|way| way.contains(other))), "{way:?}");
    }
    exporter.terminate();
    let (status, log) = exporter.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    let told: Vec<_> = log.lines().filter(|line| line.contains("copied")).collect();
    let told = (!told.is_empty()).then(|| told.join("\n"));
    assert_eq!(told.is_some(), cfg!(target_arch = "x86_64") && is_at_least((5, 14)), "{log}");
    told
}

/// Gives this thread the `n`th name `n + 1` times. The first of these counts for the name before, as that of the next
/// name does for this one.
fn rename(n: u64) {
    let name = format!("plain {n}\0");
    for _ in 0..=n {
        // SAFETY: the name ends in NUL and is shorter than 16 bytes.
        assert_eq!(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) }, 0);
    }
}
