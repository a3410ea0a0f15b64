//! Whether a bundle proves itself: its parts fit, and its recording becomes what was packed.
//!
//! All of it is done with what is in the bundle. No name of this host is looked up, so that the recording
//! becomes the same wherever it is replayed.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Points;
use crate::advice::{Advice, Advise as _, plain};
use crate::bpf::MapSpec;
use crate::bundle::{Bundle, Part};
use crate::config::{ConfigFile, Fault, Severity};
use crate::plugin::{Gauge, Loader};
use crate::source::recording::{Head, Tape};
use crate::startup::replay::{Playback, PlaybackError};
use crate::startup::{self, Checking, Places};
use crate::system::System;
use crate::tools::{ToolError, lines};

/// Lines that are shown of those that differ, and bytes of each.
const MOST_LINES: usize = 3;
const LONGEST_LINE: usize = 200;
/// Metrics, and plugins, of which it is told by name that they are not proved.
const MOST_NAMES: usize = 8;
/// What to do about what is not proved.
const RECORD: &str = "record it while its programs count, and pack it again";

/// A bundle that is looked at, and what messages call it.
pub(super) struct Subject<'a> {
    pub(super) bundle: &'a Bundle,
    pub(super) called: &'a Path,
    /// What loads its plugins: each once.
    pub(super) loader: Loader,
    /// How long it may take until its recording is played.
    pub(super) timeout: Duration,
}

impl Subject<'_> {
    /// Notes what was found of each point, as far as it can be told.
    pub(super) fn prove(&mut self, points: &mut Points) {
        let maps = match self.maps() {
            Ok(maps) => maps,
            Err(faults) => return points.note("config", Err(lines(&faults))),
        };
        points.note("config", Ok("fits the object and the plugins".to_owned()));
        let tape = self.tape();
        let played = match tape.and_then(|tape| self.play(tape, &maps)) {
            Ok(played) => played,
            Err(error) => return points.note("recording", Err(error.advice().to_string())),
        };
        let readings = played.readings;
        points.note("recording", Ok(format!("{readings} readings of maps that the object has")));
        let packed = self.bundle.file(Part::Exposition).map(|file| &*file.bytes);
        let same = same(packed.unwrap_or_default(), &played.text);
        let proves = played.proves().map_err(|advice| advice.to_string());
        points.note("exposition", same.and_then(|said| proves.map(|()| said)));
        played.gaps().iter().for_each(|gap| points.hint("exposition", gap.to_string()));
    }

    /// The maps of the object, if config, object and plugins fit, as far as can be told without a kernel.
    pub(super) fn maps(&mut self) -> Result<Vec<MapSpec>, Vec<Fault>> {
        let files = (vec![self.config()], Vec::new());
        let (places, system) = (Places::default(), &System::nowhere());
        let checking = Checking { places, system, addresses: None, loader: &mut self.loader };
        let (checked, mut faults) = checking.files(files, false);
        faults.retain(|fault| fault.severity == Severity::Error);
        if faults.is_empty() {
            Ok(checked.iter().flat_map(startup::Checked::maps).collect())
        } else {
            Err(faults)
        }
    }

    /// The recording, of which nothing was played yet.
    pub(super) fn tape(&self) -> Result<Tape, ToolError> {
        let path = self.bundle.path(self.called, Part::Recording);
        let recording = self.bundle.file(Part::Recording).map(|file| file.bytes.clone());
        Ok(Tape::held(&path, recording.unwrap_or_default())?)
    }

    /// Plays the recording to its end. The maps have to be those of the object.
    pub(super) fn play(&mut self, tape: Tape, maps: &[MapSpec]) -> Result<Played, ToolError> {
        let (config, begun) = (self.config(), Instant::now());
        belong(&config, tape.head(), maps).map_err(|fault| ToolError::Configs(vec![*fault]))?;
        let tape = Arc::new(Mutex::new(tape));
        let (places, system) = (Places::default(), System::nowhere());
        let (units, mut faults) =
            startup::replay::units(&tape, vec![config], &places, &system, &mut self.loader);
        faults.retain(|fault| fault.severity == Severity::Error);
        if !faults.is_empty() {
            return Err(ToolError::Configs(faults));
        }
        let gauges: Vec<Gauge> = units.iter().flat_map(|unit| unit.plugins.clone()).collect();
        let metrics = units.iter().map(|unit| unit.metrics.len()).sum();
        let (mut playback, timeout) = (Playback::new(tape, units), self.timeout);
        let late = || {
            let problem = format!("the recording is not played within {timeout:?}");
            let remedy = "raise --timeout, or have it recorded for a shorter time";
            ToolError::Unplayed(Advice::new(problem, remedy))
        };
        loop {
            let left = timeout.checked_sub(begun.elapsed()).ok_or_else(late)?;
            // What does not get its turn on a slow machine would become something else.
            match playback.advance(Some(left)) {
                Ok(true) => {}
                Ok(false) => break,
                Err(PlaybackError::Late { .. }) if begun.elapsed() >= timeout => return Err(late()),
                Err(error) => return Err(ToolError::Unplayed(error.advice())),
            }
        }
        let unasked = gauges.iter().filter(|gauge| gauge.read().calls == 0);
        Ok(Played {
            readings: playback.tape().readings(),
            text: playback.text(),
            metrics,
            empty: playback.empty_metrics().into_iter().map(ToOwned::to_owned).collect(),
            unasked: unasked.map(|gauge| gauge.plugin().to_owned()).collect(),
        })
    }

    fn config(&self) -> ConfigFile {
        self.bundle.config(self.called, None)
    }
}

/// What a recording has become at its last reading.
pub(super) struct Played {
    pub(super) readings: u64,
    /// The exposition.
    pub(super) text: Vec<u8>,
    /// How many metrics the config has.
    metrics: usize,
    /// Those of them that have no series.
    empty: Vec<String>,
    /// Plugins that were not called.
    unasked: Vec<String>,
}

impl Played {
    /// Whether it proves anything, or why not.
    pub(super) fn proves(&self) -> Result<(), Advice> {
        if self.metrics == 0 || !self.text.is_empty() && self.empty.len() < self.metrics {
            return Ok(());
        }
        Err(Advice::new("no metric has a series at the end of the recording", RECORD))
    }

    /// What it does not prove.
    pub(super) fn gaps(&self) -> Vec<Advice> {
        if self.proves().is_err() {
            return Vec::new();
        }
        let gap = |names: &[String], what: &str| {
            let shown: Vec<_> =
                names.iter().take(MOST_NAMES).map(|name| plain(name, LONGEST_LINE)).collect();
            let more = match names.len().saturating_sub(MOST_NAMES) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let named = format!("{}{more}", shown.join(", "));
            (!names.is_empty()).then(|| Advice::new(format!("{what}: {named}"), RECORD))
        };
        let metrics = gap(&self.empty, "nothing is proved of metrics that have no series");
        let plugins = gap(&self.unasked, "nothing is proved of plugins that are not asked");
        metrics.into_iter().chain(plugins).collect()
    }
}

/// Whether the maps that were recorded of a config are those of its object.
fn belong(config: &ConfigFile, head: &Head, maps: &[MapSpec]) -> Result<(), Box<Fault>> {
    let name = config.name();
    let refuse = |problem: String, remedy: &str| {
        Err(Box::new(Fault::of_file(&config.path, Advice::new(problem, remedy))))
    };
    let Some(recorded) = head.configs.iter().find(|config| config.name == name) else {
        let all = head.names();
        return refuse(
            format!("the recording has no config `{name}`, it has {all}"),
            "record this config",
        );
    };
    for map in &recorded.maps {
        let shown = plain(&map.name, 64);
        match maps.iter().find(|spec| spec.name == map.name) {
            None => {
                let problem =
                    format!("the recording has a map `{shown}`, which the object has not");
                return refuse(problem, "record it again with this object");
            }
            Some(spec) if spec.kind != map.kind.into() => {
                let problem = format!(
                    "map `{shown}` is a {} in the object, and another one in the recording",
                    spec.kind
                );
                return refuse(problem, "record it again with this object");
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Whether what was packed is what it becomes now, or where they differ.
fn same(packed: &[u8], now: &[u8]) -> Result<String, String> {
    if packed == now {
        return Ok(format!("{} lines, as packed", lines_of(packed).count()));
    }
    let shown = |line: Option<&[u8]>| match line {
        None => "nothing".to_owned(),
        Some(line) => format!("`{}`", plain(&String::from_utf8_lossy(line), LONGEST_LINE)),
    };
    let mut said = "the recording becomes something else than what was packed".to_owned();
    let (mut one, mut other, mut differ) = (lines_of(packed), lines_of(now), 0usize);
    for n in 1usize.. {
        let (packed, now) = (one.next(), other.next());
        if packed.is_none() && now.is_none() {
            break;
        }
        if packed != now {
            differ += 1;
            if differ <= MOST_LINES {
                let (packed, now) = (shown(packed), shown(now));
                said.push_str(&format!("\nline {n}: packed {packed}, now {now}"));
            }
        }
    }
    match differ.saturating_sub(MOST_LINES) {
        0 => {}
        more => said.push_str(&format!("\nand {more} more")),
    }
    Err(said)
}

/// The lines of a text, the last with or without an end.
fn lines_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let is_empty = text.is_empty();
    text.split(|byte| *byte == b'\n').filter(move |_| !is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_proved_is_told() {
        let played = |metrics, empty: &[&str], unasked: &[&str]| {
            let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
            let text = if empty.len() < metrics { b"a 1\n".to_vec() } else { Vec::new() };
            let played =
                Played { readings: 2, text, metrics, empty: names(empty), unasked: names(unasked) };
            match played.proves() {
                Ok(()) => played.gaps().iter().map(|gap| format!("{gap}\n")).collect(),
                Err(advice) => format!("FAIL {advice}"),
            }
        };
        insta::assert_snapshot!(played(1, &["a"], &["zone"]), @"FAIL no metric has a series at the end of the recording; record it while its programs count, and pack it again");
        insta::assert_snapshot!(played(3, &["b", "c"], &[]), @"nothing is proved of metrics that have no series: b, c; record it while its programs count, and pack it again");
        insta::assert_snapshot!(played(1, &[], &["zone\u{1b}"]), @r"nothing is proved of plugins that are not asked: zone\u{1b}; record it while its programs count, and pack it again");
        let many: Vec<_> = "abcdefghij".split("").filter(|name| !name.is_empty()).collect();
        insta::assert_snapshot!(played(11, &many, &["zone"]), @"
        nothing is proved of metrics that have no series: a, b, c, d, e, f, g, h and 2 more; record it while its programs count, and pack it again
        nothing is proved of plugins that are not asked: zone; record it while its programs count, and pack it again
        ");
        // A config that has spans alone has no metric to prove.
        assert_eq!(played(0, &[], &[]), "");
        assert_eq!(played(2, &[], &[]), "");
    }

    #[test]
    fn few_lines_that_differ_are_told() {
        assert_eq!(same(b"a 1\nb 2\n", b"a 1\nb 2\n").as_deref(), Ok("2 lines, as packed"));
        insta::assert_snapshot!(same(b"a 1\nb 2\n", b"a 1\nb 3\nc 4\n").unwrap_err(), @"
        the recording becomes something else than what was packed
        line 2: packed `b 2`, now `b 3`
        line 3: packed nothing, now `c 4`
        ");
        insta::assert_snapshot!(same(b"1\n2\n3\n4\n5\n", b"\x1b[2J").unwrap_err(), @r"
        the recording becomes something else than what was packed
        line 1: packed `1`, now `\u{1b}[2J`
        line 2: packed `2`, now nothing
        line 3: packed `3`, now nothing
        and 2 more
        ");
        // The last line's end is part of it.
        assert!(same(b"a 1\n", b"a 1").is_err());
    }
}
