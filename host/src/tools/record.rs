//! `record`: what the maps of running programs hold, into a file.
//!
//! The file holds all keys, so nobody else may read it. Nothing is written through a link.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::advice::Advise;
use crate::bpf::MapSpec;
use crate::config::ConfigFile;
use crate::files;
use crate::scrape::{Fed, Unit};
use crate::signals::Ending;
use crate::source::Source;
use crate::source::recording::{Head, MOST_READINGS, RecordedConfig, RecordedMap, Recorder};
use crate::source::redacted::{Disguise, Redacted, parts};
use crate::system::System;
use crate::version;

/// The least time from one reading to the next.
const LEAST: Duration = Duration::from_millis(1);

/// How a recording is made.
#[derive(Debug)]
pub struct Recording<'a> {
    /// The file.
    pub file: &'a Path,
    /// How long to record.
    pub time: Duration,
    /// From one reading to the next.
    pub interval: Duration,
    /// What texts in keys are hidden with, if they are.
    pub disguise: Option<Disguise>,
}

/// What was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// How many readings.
    pub readings: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Whether a signal ended it before its time.
    pub interrupted: bool,
}

/// A recording that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{}", .file.display())]
pub struct Unwritten {
    /// The file.
    pub file: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

impl Advise for Unwritten {
    fn remedy(&self) -> Option<String> {
        Some("give --output a file that can be written, on a disk with room".to_owned())
    }
}

/// Why no recording of such a time is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitTime {
    /// It would be read too often.
    #[error("--interval={0:?} is less than {LEAST:?}")]
    Interval(Duration),
    /// It would have too many readings.
    #[error("--for={time:?} and --interval={interval:?} are more than {MOST_READINGS} readings")]
    Readings {
        /// How long.
        time: Duration,
        /// From one reading to the next.
        interval: Duration,
    },
}

impl Advise for UnfitTime {
    fn remedy(&self) -> Option<String> {
        Some("write a longer --interval, or a shorter --for".to_owned())
    }
}

impl Recording<'_> {
    /// Whether a replay takes as many readings as this may have.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn fits(&self) -> Result<(), UnfitTime> {
        let Self { time, interval, .. } = *self;
        if interval < LEAST {
            return Err(UnfitTime::Interval(interval));
        }
        // The first is at its beginning.
        let readings = time.as_nanos().div_ceil(interval.as_nanos()) + 1;
        match readings > u128::from(MOST_READINGS) {
            true => Err(UnfitTime::Readings { time, interval }),
            false => Ok(()),
        }
    }

    /// Reads all maps of these units again and again, whose configs have these texts, until its time is over or the
    /// process is to end.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn make(
        &self,
        configs: &[ConfigFile],
        units: &mut [Unit],
        ending: &Ending,
    ) -> Result<Recorded, Unwritten> {
        let unwritten = |source| Unwritten { file: self.file.to_owned(), source };
        self.write(configs, units, ending).map_err(unwritten)
    }

    fn write(
        &self,
        configs: &[ConfigFile],
        units: &mut [Unit],
        ending: &Ending,
    ) -> io::Result<Recorded> {
        let file = BufWriter::new(files::anew(self.file)?);
        let mut recorder = Recorder::begin(file, &head(configs, units))?;
        let began = Instant::now();
        let mut recorded = Recorded { readings: 0, bytes: 0, interrupted: false };
        loop {
            let at = began.elapsed();
            self.reading(&mut recorder, at, units)?;
            recorded.readings += 1;
            if at >= self.time {
                break;
            }
            let next = self.interval.saturating_sub(began.elapsed().saturating_sub(at));
            if ending.within(next.min(self.time.saturating_sub(began.elapsed())))? {
                recorded.interrupted = true;
                break;
            }
        }
        let file = recorder.end()?.into_inner().map_err(io::Error::from)?;
        file.sync_all()?;
        Ok(Recorded { bytes: file.metadata()?.len(), ..recorded })
    }

    fn reading(
        &self,
        recorder: &mut Recorder<impl Write>,
        at: Duration,
        units: &mut [Unit],
    ) -> io::Result<()> {
        let metrics = units.iter_mut().flat_map(|unit| &mut unit.metrics);
        let Some(disguise) = &self.disguise else {
            return recorder.reading(at, metrics.map(|fed| &mut *fed.source as &mut dyn Source));
        };
        let hidden = metrics.map(|Fed { linked, layout, source }| {
            Redacted::new(&mut **source, parts(&linked.metric, layout), disguise)
        });
        let mut hidden: Vec<_> = hidden.collect();
        recorder.reading(at, hidden.iter_mut().map(|source| source as &mut dyn Source))
    }
}

/// What a recording of these units begins with, whose configs have these texts.
pub fn head(configs: &[ConfigFile], units: &[Unit]) -> Head {
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let configs = units.iter().map(|unit| {
        let file = configs.iter().find(|file| file.name() == unit.name);
        RecordedConfig {
            name: unit.name.clone(),
            yaml: file.map_or_else(String::new, |file| file.text.to_string()),
            maps: unit.metrics.iter().map(|fed| map(unit, &*fed.source)).collect(),
        }
    });
    let (exporter, boot) = (version::VERSION.to_owned(), System::boot_id().unwrap_or_default());
    Head { exporter, kernel, boot, configs: configs.collect() }
}

fn map(unit: &Unit, source: &dyn Source) -> RecordedMap {
    let map = unit.attached.as_ref().and_then(|attached| attached.map(source.name()));
    let (kind, flags) = map.map_or((0, 0), |map| {
        let MapSpec { kind, flags, .. } = map.spec;
        (kind.into(), flags)
    });
    RecordedMap {
        name: source.name().to_owned(),
        kind,
        key_size: source.key_size() as u32,
        max_entries: source.max_entries() as u32,
        flags,
        cpus: source.cpus() as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is recorded can be replayed: no more readings are made than are played.
    #[test]
    fn no_recording_has_more_readings_than_are_played() {
        let fits = |time: u64, interval: u64| {
            let [time, interval] = [time, interval].map(Duration::from_nanos);
            let recording = Recording { file: Path::new("x"), time, interval, disguise: None };
            recording.fits().map_err(|unfit| unfit.advice().to_string())
        };
        let (second, most) = (1_000_000_000, 999_999);
        assert_eq!(fits(0, second), Ok(()));
        assert_eq!(fits(most * second, second), Ok(()));
        insta::assert_snapshot!(fits(most * second + 1, second).unwrap_err(), @"--for=999999.000000001s and --interval=1s are more than 1000000 readings; write a longer --interval, or a shorter --for");
        insta::assert_snapshot!(fits(second, 0).unwrap_err(), @"--interval=0ns is less than 1ms; write a longer --interval, or a shorter --for");
    }
}
