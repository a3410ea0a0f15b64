//! `record`: what the maps of running programs hold, into a file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::advice::Advise;
use crate::bpf::MapSpec;
use crate::config::ConfigFile;
use crate::scrape::{Fed, Unit};
use crate::source::Source;
use crate::source::recording::{Head, RecordedConfig, RecordedMap, Recorder};
use crate::source::redacted::{Redacted, texts};
use crate::version;

/// How a recording is made.
#[derive(Clone, Copy, Debug)]
pub struct Recording<'a> {
    /// The file.
    pub file: &'a Path,
    /// How long to record.
    pub time: Duration,
    /// From one reading to the next.
    pub interval: Duration,
    /// What texts in keys are hidden with, if they are.
    pub secret: Option<[u8; 32]>,
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
        Some("give --output a file that can be written".to_owned())
    }
}

impl Recording<'_> {
    /// Reads all maps of these units again and again, whose configs have these texts; how many readings it
    /// has made, and the file's size in bytes.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn make(
        &self,
        configs: &[ConfigFile],
        units: &mut [Unit],
    ) -> Result<(u64, u64), Unwritten> {
        let unwritten = |source| Unwritten { file: self.file.to_owned(), source };
        self.write(configs, units).map_err(unwritten)
    }

    fn write(&self, configs: &[ConfigFile], units: &mut [Unit]) -> io::Result<(u64, u64)> {
        let file = BufWriter::new(File::create(self.file)?);
        let mut recorder = Recorder::begin(file, &head(configs, units))?;
        let began = Instant::now();
        let mut rounds = 0;
        loop {
            let at = began.elapsed();
            self.round(&mut recorder, at, units)?;
            rounds += 1;
            if at >= self.time {
                break;
            }
            let next = self.interval.saturating_sub(began.elapsed().saturating_sub(at));
            thread::sleep(next.min(self.time.saturating_sub(began.elapsed())));
        }
        let file = recorder.end()?.into_inner().map_err(io::Error::from)?;
        file.sync_all()?;
        Ok((rounds, file.metadata()?.len()))
    }
}

impl Recording<'_> {
    fn round<W: Write>(
        &self,
        recorder: &mut Recorder<W>,
        at: Duration,
        units: &mut [Unit],
    ) -> io::Result<()> {
        let metrics = units.iter_mut().flat_map(|unit| &mut unit.metrics);
        let Some(secret) = self.secret else {
            return recorder.round(at, metrics.map(|fed| &mut *fed.source as &mut dyn Source));
        };
        let hidden = metrics.map(|Fed { linked, layout, source }| {
            Redacted::new(&mut **source, texts(&linked.metric, layout), secret)
        });
        let mut hidden: Vec<_> = hidden.collect();
        recorder.round(at, hidden.iter_mut().map(|source| source as &mut dyn Source))
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
    Head { exporter: version::VERSION.to_owned(), kernel, configs: configs.collect() }
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
