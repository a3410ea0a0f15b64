//! Who speaks in the log: the exporter and libbpf, from the level on that is asked for. A library does not, unless
//! `RUST_LOG` names it.
//!
//! | target | speaks from |
//! |---|---|
//! | one of [`OWN`] | the level without a target in `RUST_LOG`, else that of the flags |
//! | any that `RUST_LOG` names | the level that stands there with it |
//! | any other: a library's | never |
//!
//! A library says what it likes, as often as whoever is at the other end of a connection has it say so. Nothing bounds
//! its lines, and nobody has read them before a release.

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::Level;

/// What targets of the exporter's own begin with. `bpf::log` speaks for libbpf, and only at debug level.
const OWN: [&str; 2] = ["ebpf_wasm_exporter", "libbpf"];

/// Whom to let speak, and what to say if `RUST_LOG` makes no sense.
pub(super) fn filter(level: Level, wanted: Option<&str>) -> (Targets, Option<String>) {
    let level = LevelFilter::from_level(level.in_events());
    match wanted.map(|text| (text, parts(text).parse::<Targets>())) {
        None => (own(level), None),
        Some((_, Ok(wanted))) => {
            let level = wanted.default_level().unwrap_or(LevelFilter::OFF);
            (own(level).with_targets(wanted.iter()), None)
        }
        Some((text, Err(error))) => {
            let refused = format!("ignored RUST_LOG={text:?}: {error}; write RUST_LOG=debug");
            (own(level), Some(refused))
        }
    }
}

/// Whether a target is the exporter's own.
pub(super) fn is_own(target: &str) -> bool {
    OWN.iter().any(|own| target.starts_with(own))
}

fn own(level: LevelFilter) -> Targets {
    Targets::new().with_targets(OWN.map(|target| (target, level)))
}

/// The same without parts that are empty: each would stand for a level of its own.
fn parts(text: &str) -> String {
    let parts: Vec<_> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use tracing::Level as L;

    use super::*;

    /// The levels from which on these targets speak.
    fn levels(wanted: Option<&str>) -> [Option<L>; 3] {
        let (filter, _) = filter(Level::Info, wanted);
        ["ebpf_wasm_exporter::serve", "libbpf", "h2::proto"].map(|target| {
            let all = [L::TRACE, L::DEBUG, L::INFO, L::WARN, L::ERROR];
            all.into_iter().find(|level| filter.would_enable(target, level))
        })
    }

    #[test]
    fn a_library_speaks_if_it_is_named() {
        assert_eq!(levels(None), [Some(L::INFO), Some(L::INFO), None]);
        assert_eq!(levels(Some("trace")), [Some(L::TRACE), Some(L::TRACE), None]);
        assert_eq!(levels(Some("warn,")), [Some(L::WARN), Some(L::WARN), None]);
        assert_eq!(levels(Some("warn, h2=debug")), [Some(L::WARN), Some(L::WARN), Some(L::DEBUG)]);
        assert_eq!(levels(Some("h2")), [None, None, Some(L::TRACE)]);
        assert_eq!(levels(Some("libbpf=debug")), [None, Some(L::DEBUG), None]);
        assert_eq!(levels(Some("ebpf_wasm_exporter::serve=debug")), [Some(L::DEBUG), None, None]);
        assert_eq!(levels(Some("off")), [None; 3]);
        assert_eq!(levels(Some("=b=c")), levels(None));
    }

    #[test]
    fn nobody_is_taken_for_the_exporter() {
        assert!(is_own(module_path!()) && is_own("libbpf"));
        assert!(!is_own("h2::proto::streams") && !is_own(""));
    }
}
