//! A start, as a person reads it: a line for the exporter, one for each config, and what
//! `--config.check` says last. However much there is, a line stays a line.

use std::time::Duration;

use super::Running;
use crate::advice;
use crate::bpf::AttachError;
use crate::config::{Fault, Severity};
use crate::logging::{self, Level};
use crate::process;
use crate::version;

/// How many names a line has.
const MOST: usize = 8;
/// How many characters a name has.
const LONGEST: usize = 64;

/// Which build this is, and where it runs.
pub fn announcement() -> String {
    format!(
        "ebpf_wasm_exporter {} (branch {}, revision {}) on {}",
        version::VERSION,
        version::BRANCH,
        version::REVISION,
        process::system(),
    )
}

/// What a config has come to.
pub fn line(config: &Running) -> String {
    let programs = config.attached.programs();
    let attached = programs.iter().filter(|program| program.attached).count();
    let mut text =
        format!("config {}: {attached} of {} attached", config.name, programs_of(programs.len()));
    let maps = config.metrics.iter().filter_map(|(_, layout)| {
        let spec = &config.attached.map(&layout.map)?.spec;
        Some(format!("{} ({}, {})", spec.name, spec.kind, spec.max_entries))
    });
    append(&mut text, "map", &listed(maps));
    let spans = config.made_of.config.spans.iter().map(|span| span.name.clone());
    append(&mut text, "span", &listed(spans));
    let plugins = config.plugins.iter().map(|plugin| plugin.plugin().to_owned());
    append(&mut text, "plugin", &listed(plugins));
    let bundle = config.bundle.as_ref().map(|bundle| bundle.digest.tagged());
    bundle.iter().for_each(|digest| text.push_str(&format!(", of bundle {digest}")));
    text.push_str(&format!("; {}", spent(config.times.took())));
    text
}

/// The last line of `--config.check` for these configs. `left_out` are those of the default set that
/// do not load.
pub fn verdict(running: &[Running], left_out: &[String]) -> String {
    let configs = running.len() + left_out.len();
    let mut faults = Vec::new();
    if !left_out.is_empty() {
        let names = listed(left_out.iter().cloned()).text;
        let n = left_out.len();
        faults.push(format!("{n} of {} did not load: {names}", counted(configs, "config")));
    }
    let programs = running.iter().map(|config| config.attached.programs().len()).sum();
    faults.extend(unattached(programs, running.iter().flat_map(|it| it.attached.failures())));
    if faults.is_empty() { "ok".to_owned() } else { format!("ok, but {}", faults.join("; and ")) }
}

/// Which of so many programs did not attach, if any.
pub fn unattached<'a>(
    programs: usize,
    failures: impl Iterator<Item = &'a AttachError>,
) -> Option<String> {
    let failures: Vec<_> = failures.map(named).collect();
    let n = failures.len();
    let names = listed(failures.into_iter()).text;
    (n > 0).then(|| format!("{n} of {} did not attach: {names}", programs_of(programs)))
}

/// Says every fault, and how many of them are fatal.
pub fn faults(faults: &[Fault], is_fatal: impl Fn(&Fault) -> bool) -> usize {
    for fault in faults {
        let level = match fault.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warn,
        };
        logging::say(level, "", &fault.to_string());
    }
    faults.iter().filter(|fault| is_fatal(fault)).map(|fault| fault.count as usize).sum()
}

/// How long something took.
pub fn spent(time: Duration) -> String {
    let milliseconds = time.as_millis();
    if milliseconds < 1000 {
        format!("{milliseconds} ms")
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

fn named(AttachError { program, section, .. }: &AttachError) -> String {
    format!("{program} ({section})")
}

fn programs_of(n: usize) -> String {
    counted(n, "program")
}

/// `1 config`, `2 configs`.
pub fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Names in a line, and how many there are.
struct Listed {
    text: String,
    count: usize,
}

/// The first of these names, each cut short where it is too long.
fn listed(names: impl Iterator<Item = String>) -> Listed {
    let names: Vec<_> = names.map(|name| advice::cut(name, LONGEST)).collect();
    Listed { count: names.len(), text: advice::few(names, MOST) }
}

fn append(text: &mut String, what: &str, Listed { text: names, count }: &Listed) {
    match count {
        0 => {}
        1 => text.push_str(&format!("; {what} {names}")),
        _ => text.push_str(&format!("; {what}s {names}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> impl Iterator<Item = String> {
        (0..count).map(|n| format!("name_{n}"))
    }

    #[test]
    fn a_line_stays_a_line() {
        let mut text = String::new();
        append(&mut text, "map", &listed(names(0)));
        append(&mut text, "map", &listed(names(1)));
        append(&mut text, "map", &listed(names(MOST)));
        append(&mut text, "plugin", &listed(names(1000)));
        append(&mut text, "map", &listed(std::iter::once("é".repeat(100))));
        insta::assert_snapshot!(text.replace("; ", "\n"), @"
        map name_0
        maps name_0, name_1, name_2, name_3, name_4, name_5, name_6, name_7
        plugins name_0, name_1, name_2, name_3, name_4, name_5, name_6, name_7, and 992 more
        map éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé…
        ");
    }

    #[test]
    fn times_have_a_unit() {
        let times = [0, 999, 1000, 12_345].map(|n| spent(Duration::from_millis(n)));
        assert_eq!(times, ["0 ms", "999 ms", "1.0 s", "12.3 s"]);
    }

    #[test]
    fn the_verdict_names_what_is_missing() {
        assert_eq!(verdict(&[], &[]), "ok");
        let left_out: Vec<_> = names(2).collect();
        insta::assert_snapshot!(verdict(&[], &left_out), @"ok, but 2 of 2 configs did not load: name_0, name_1");
    }
}
