//! Read → decode → series → exposition: the only place that joins them.
//!
//! One thread owns the [`Scraper`] and scrapes one at a time. A map that cannot be read, or a key
//! that cannot be decoded, costs its own series; never the scrape.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::time::Instant;

use bytes::Bytes;

use crate::bpf::read::{Entry, MapReader, ReadError, Way};
use crate::bpf::{Attached, Layout, stats};
use crate::config::buckets::Slot;
use crate::config::{Kind, Metric};
use crate::decode::builtin::hex;
use crate::exposition::text;
use crate::series::{Counters, Family, Histograms, Series};
use crate::serve;
use crate::telemetry::{self, ConfigStats, ProgramStats};

mod rows;

use rows::Rows;

/// What all metrics of all configs are prefixed with.
pub const NAMESPACE: &str = "ebpf_exporter";

/// A config whose programs run.
#[derive(Debug)]
pub struct Running {
    /// The config's name.
    pub name: String,
    /// Its metrics, each with the layout of its map.
    pub metrics: Vec<(Metric, Layout)>,
    /// Its object in the kernel.
    pub attached: Attached,
}

/// Turns the maps of all configs into an exposition, again and again.
#[derive(Debug)]
pub struct Scraper {
    feeds: Vec<Feed>,
    families: Vec<Family>,
    stats: Vec<ConfigStats>,
    objects: Vec<Attached>,
}

/// One metric of one config: where its rows come from and which family they go to.
#[derive(Debug)]
struct Feed {
    config: usize,
    family: usize,
    reader: MapReader,
    rows: Rows,
}

impl Scraper {
    /// A scraper of these configs. Metrics of the same name are one family.
    ///
    /// # Errors
    ///
    /// If a map cannot be made ready for reading.
    pub fn new(configs: Vec<Running>) -> Result<Self, ReadError> {
        let mut scraper = Self {
            feeds: Vec::new(),
            families: Vec::new(),
            stats: Vec::new(),
            objects: Vec::new(),
        };
        let mut known = BTreeMap::new();
        for (config, Running { name, metrics, attached }) in configs.into_iter().enumerate() {
            for (metric, layout) in metrics {
                let map = attached.map(&layout.map).ok_or_else(|| ReadError {
                    map: layout.map.clone(),
                    way: Way::Batch,
                    source: io::ErrorKind::NotFound.into(),
                })?;
                let reader = MapReader::new(&map)?;
                let full_name = format!("{NAMESPACE}_{}", metric.name.as_str());
                let family = *known.entry(full_name.clone()).or_insert(scraper.families.len());
                let (help, kind) = (metric.help.clone(), metric.kind.clone());
                let (rows, labels) = Rows::new(metric, &layout);
                if family == scraper.families.len() {
                    let series = series(&kind);
                    scraper.families.push(Family { name: full_name, help, labels, series });
                }
                scraper.feeds.push(Feed { config, family, reader, rows });
            }
            scraper.stats.push(ConfigStats::new(&name));
            scraper.objects.push(attached);
        }
        Ok(scraper)
    }

    /// Reads every map once and returns the exposition, families sorted by name.
    pub fn scrape(&mut self) -> Vec<u8> {
        self.read();
        let programs = self.programs();
        let own = telemetry::families(&self.stats, &programs);
        let mut all: Vec<&Family> = self.families.iter().chain(&own).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        let mut out = Vec::new();
        text::encode(all, &mut out);
        out
    }

    /// Every entry of every map as it is, with the series it adds to: what `/maps` shows.
    pub fn maps(&mut self) -> String {
        let mut out = String::new();
        for feed in &mut self.feeds {
            let config = &self.stats[feed.config].name;
            feed.describe(config, &self.families[feed.family], &mut out);
        }
        out
    }

    fn read(&mut self) {
        for family in &mut self.families {
            family.series.clear();
        }
        for stats in &mut self.stats {
            stats.begin_scrape();
        }
        for feed in &mut self.feeds {
            feed.read(&mut self.families[feed.family], &mut self.stats[feed.config]);
        }
    }

    fn programs(&self) -> Vec<ProgramStats<'_>> {
        let costs = stats::enabled();
        let mut all = Vec::new();
        for (config, object) in self.stats.iter().zip(&self.objects) {
            let costs = if costs { object.stats().unwrap_or_default() } else { Vec::new() };
            let costs = costs.into_iter().map(Some).chain(std::iter::repeat(None));
            all.extend(object.programs().iter().zip(costs).map(|(program, cost)| ProgramStats {
                config: &config.name,
                program,
                cost,
            }));
        }
        all
    }
}

impl serve::Scraper for Scraper {
    fn metrics(&mut self) -> Bytes {
        self.scrape().into()
    }

    fn maps(&mut self) -> Bytes {
        self.maps().into()
    }
}

impl Feed {
    fn read(&mut self, family: &mut Family, stats: &mut ConfigStats) {
        let start = Instant::now();
        let known = family.series.sets().len();
        let result = self.reader.read(|chunk| {
            let entries = chunk.entries();
            stats.entries += entries.len() as u64;
            for entry in entries {
                self.rows.add(entry, &mut family.series);
            }
        });
        stats.series += (family.series.sets().len() - known) as u64;
        stats.duration += start.elapsed();
        if let Err(error) = result {
            stats.read_failed(&error);
        }
        let (errors, first) = self.rows.take_errors();
        stats.decoder_failed(self.reader.name(), errors, first);
    }

    fn describe(&mut self, config: &str, family: &Family, out: &mut String) {
        let Self { reader, rows, .. } = self;
        let mut lines = Vec::new();
        let result = reader.read(|chunk| {
            lines.extend(chunk.entries().map(|entry| describe(entry, rows, family)));
        });
        lines.sort();
        let (name, way) = (reader.name(), reader.way());
        let _ = writeln!(out, "# map {name} of config {config}, {} entries by {way}", lines.len());
        out.extend(lines);
        if let Err(error) = result {
            let _ = writeln!(out, "# {error}: {}", error.source);
        }
        out.push('\n');
        // Looking at rows is no scrape: what fails here was counted there.
        rows.take_errors();
    }
}

/// An entry as a person reads it: its key in hex, then a line for each series it adds to.
fn describe(entry: Entry<'_>, rows: &mut Rows, family: &Family) -> String {
    let mut key = Vec::new();
    hex::write(entry.key, &mut key);
    let mut line = format!("{} {:?}\n", String::from_utf8_lossy(&key), entry.values);
    rows.each(entry, |labels, slot, value| {
        let labels = family.labels.iter().zip(labels.values());
        let labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value:?}")).collect();
        let slot = match slot {
            None => String::new(),
            Some(Slot::Bucket(bucket)) => format!(" bucket {bucket}"),
            Some(Slot::Sum) => " sum".to_owned(),
        };
        let _ = writeln!(line, "    {}{{{}}}{slot} {value}", family.name, labels.join(","));
    });
    line
}

fn series(kind: &Kind) -> Series {
    match kind {
        Kind::Counter => Series::Counters(Counters::default()),
        Kind::Histogram(buckets) => Series::Histograms(Histograms::new(buckets)),
    }
}
