//! `record`: what the maps of running programs hold, into a file.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::bpf::MapSpec;
use crate::config::Source;
use crate::scrape::Unit;
use crate::source::recording::{Head, RecordedConfig, RecordedMap, Recorder};
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
}

impl Recording<'_> {
    /// Reads all maps of these units again and again, whose configs have these texts; how many readings it
    /// has made, and the file's size in bytes.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn make(&self, configs: &[Source], units: &mut [Unit]) -> io::Result<(u64, u64)> {
        let file = BufWriter::new(File::create(self.file)?);
        let mut recorder = Recorder::begin(file, &head(configs, units))?;
        let began = Instant::now();
        let mut rounds = 0;
        loop {
            let at = began.elapsed();
            let metrics = units.iter_mut().flat_map(|unit| &mut unit.metrics);
            recorder.round(at, metrics.map(|fed| &mut *fed.source))?;
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

/// What a recording of these units begins with, whose configs have these texts.
pub fn head(configs: &[Source], units: &[Unit]) -> Head {
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let configs = units.iter().map(|unit| {
        let source = configs.iter().find(|source| source.name() == unit.name);
        RecordedConfig {
            name: unit.name.clone(),
            yaml: source.map_or_else(String::new, |source| source.text.to_string()),
            maps: unit.metrics.iter().map(|fed| map(unit, &*fed.source)).collect(),
        }
    });
    Head { exporter: version::VERSION.to_owned(), kernel, configs: configs.collect() }
}

fn map(unit: &Unit, source: &dyn crate::source::Source) -> RecordedMap {
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
