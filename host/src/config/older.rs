//! Keys of configs that were written for `ebpf_exporter` before 2.0, where programs were C code in the
//! YAML that BCC compiled.
//!
//! Whoever has such a file is told what took the key's place, and never to remove it: that would
//! leave nothing of the file.

use crate::advice::near;

/// A key of the older format, and what is written in its place.
pub(super) struct Older {
    pub(super) key: &'static str,
    pub(super) remedy: &'static str,
}

const OBJECT: &str = "compile the C code to NAME.bpf.o beside NAME.yaml, as libbpf takes it";
const SECTION: &str = "programs say themselves where they attach, by `SEC(\"tracepoint/GROUP/NAME\")`, `SEC(\"kprobe/FUNCTION\")` and so on in the BPF source";
const SAMPLING: &str =
    "name the event in the BPF source, by `SEC(\"perf_event/type=T,config=C,frequency=F\")`";
const TABLE: &str = "give the map in the BPF object and the metric the same name, in `name`";

/// Every key that only the older format has, at whatever level.
const ALL: &[Older] = &[
    Older {
        key: "programs",
        remedy: "write what is in its `metrics` as `metrics` of the file, and the programs as C code of NAME.bpf.o",
    },
    Older { key: "code", remedy: OBJECT },
    Older { key: "cflags", remedy: OBJECT },
    Older { key: "kprobes", remedy: SECTION },
    Older { key: "kretprobes", remedy: SECTION },
    Older { key: "uprobes", remedy: SECTION },
    Older { key: "uretprobes", remedy: SECTION },
    Older { key: "tracepoints", remedy: SECTION },
    Older { key: "raw_tracepoints", remedy: SECTION },
    Older { key: "perf_events", remedy: SAMPLING },
    Older { key: "sample_period", remedy: SAMPLING },
    Older { key: "sample_frequency", remedy: SAMPLING },
    Older { key: "table", remedy: TABLE },
    Older {
        key: "perf_map",
        remedy: "write `perf_event_array: true`, and give the map and the metric the same name",
    },
    Older { key: "perf_map_flush_duration", remedy: "write `flush_interval`" },
];

/// What a program had beside its code, and a file has in its name.
const NAME: Older =
    Older { key: "name", remedy: "a config has the name of its file: name that so" };

/// The key of the older format that `key`, in a mapping whose keys are `known`, is or is a slip
/// for; none if one that is known is nearer.
pub(super) fn find(key: &str, known: &[&str]) -> Option<&'static Older> {
    if known.contains(&"metrics") && key == NAME.key {
        return Some(&NAME);
    }
    // `table` is a key of today among a plugin's limits.
    let gone = || ALL.iter().filter(|older| !known.contains(&older.key));
    let exact = gone().find(|older| older.key.eq_ignore_ascii_case(key));
    exact.or_else(|| {
        let keys = gone().map(|older| older.key);
        let near = near::nearest(key, keys.chain(known.iter().copied()))?;
        gone().find(|older| older.key == near)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_what_is_nearer_to_a_key_of_today_is_not() {
        let known = ["metrics", "help", "labels", "perf_event_array"];
        for (key, older) in [
            ("table", Some("table")),
            ("Programs", Some("programs")),
            ("program", Some("programs")),
            ("kprobe", Some("kprobes")),
            ("label", None),
            ("metric", None),
            ("perf_event_aray", None),
            ("x-common", None),
            ("name", Some("name")),
        ] {
            assert_eq!(find(key, &known).map(|older| older.key), older, "{key}");
        }
        for slip in ["tabel", "Table"] {
            assert!(find(slip, &["memory", "table"]).is_none(), "{slip}");
        }
    }
}
