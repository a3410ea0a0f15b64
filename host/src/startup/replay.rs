//! From a recording and configs to units, without a kernel: the metrics that read recorded maps.
//!
//! A config of a recording is text from anywhere: no file of this host is read for it but plugins of `--plugins.dir`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::plugins::Shelf;
use super::{Admitted, Places, admit, plugins};
use crate::bpf::{self, Layout, MapSpec};
use crate::config::{
    self, Beside, Config, ConfigFile, DecoderStep, Fault, Metric, MetricKind, Severity,
};
use crate::link;
use crate::plugin::Loader;
use crate::scrape::{Fed, Unit};
use crate::source::recording::{Head, Player, RecordedConfig, RecordedMap, Tape};
use crate::system::System;

mod playback;

pub use playback::{Playback, PlaybackError};

/// Decoders whose names for numbers are those of one host as long as its kernel runs.
const OF_A_HOST: [&str; 5] = ["cgroup", "ifname", "kstack", "ksym", "majorminor"];
/// Lines of a histogram beside those of its buckets: all, sum and count.
const MORE_LINES: usize = 3;

/// The configs of a recording. Nothing stands beside them.
pub fn recorded(head: &Head, file: &Path) -> Vec<ConfigFile> {
    let recorded = |config: &RecordedConfig| {
        let path = file.join(format!("{}.yaml", config.name));
        let beside = Beside::Recording;
        ConfigFile { beside, ..ConfigFile::new(path, config.yaml.as_str()) }
    };
    head.configs.iter().map(recorded).collect()
}

/// Whether a recording was made while this host's kernel runs: what was a name for a number then is still.
pub fn is_of_this_boot(head: &Head) -> bool {
    System::boot_id().is_some_and(|boot| boot == head.boot)
}

/// The names that a recording is to be replayed with: those of this host if they are those of the recording, else none.
pub fn names_for(head: &Head) -> System {
    if is_of_this_boot(head) { System::default() } else { System::nameless() }
}

/// Whether these configs decode what only the host knows on which they were recorded.
pub fn ask_the_host(units: &[Unit]) -> bool {
    let metrics = units.iter().flat_map(|unit| &unit.metrics);
    let labels = metrics.flat_map(|fed| &fed.linked.metric.labels);
    labels.flat_map(|label| &label.steps).any(|step| match step {
        DecoderStep::Builtin(spec, _) => OF_A_HOST.contains(&spec.name()),
        DecoderStep::Plugin(_) => false,
    })
}

/// The units of these configs, whose maps are those of the recording's configs of the same names; and
/// every fault. Plugins are looked for beside their configs, then where `places` says; `loader` loads them.
pub fn units(
    tape: &Arc<Mutex<Tape>>,
    files: Vec<ConfigFile>,
    places: &Places<'_>,
    system: &System,
    loader: &mut Loader,
) -> (Vec<Unit>, Vec<Fault>) {
    let head = tape.lock().unwrap_or_else(PoisonError::into_inner).head().clone();
    let maps = recorded_maps(&head);
    let Admitted { configs, policy, mut faults } = admit(files, places, system);
    let shelf = Shelf::of(&configs, places.plugins, policy.as_ref());
    plugins::prepare(&configs, loader, &shelf);
    let mut making = Making { tape, shelf: &shelf, system, loader };
    let mut units = Vec::new();
    for config in &configs {
        let Some(maps) = maps.get(config.name.as_str()) else {
            let problem = format!("the recording has no config `{}`", config.name);
            faults.push(config.fault("", problem, "name one that it has in --config.names"));
            continue;
        };
        let (unit, found) = making.unit(config, maps);
        units.extend(unit);
        faults.extend(found);
    }
    loader.rest();
    (units, config::shown(faults))
}

/// The maps of each config, with their numbers among all.
fn recorded_maps(head: &Head) -> HashMap<&str, Vec<(usize, &RecordedMap)>> {
    let mut all = head.maps().enumerate();
    let mut of = |config: &RecordedConfig| all.by_ref().take(config.maps.len()).collect();
    head.configs.iter().map(|config| (config.name.as_str(), of(config))).collect()
}

/// What units are made with.
struct Making<'a> {
    tape: &'a Arc<Mutex<Tape>>,
    shelf: &'a Shelf<'a>,
    system: &'a System,
    loader: &'a mut Loader,
}

impl Making<'_> {
    /// The unit of a config with these maps, if it has no fault but warnings.
    fn unit(
        &mut self,
        config: &Config,
        maps: &[(usize, &RecordedMap)],
    ) -> (Option<Unit>, Vec<Fault>) {
        // The files of a recorded config are those of another host.
        let (mut loaded, mut faults) =
            plugins::load(config, self.loader, self.shelf, Severity::Warning);
        let (linked, found) = link::metrics(config, &mut loaded, self.system);
        faults.extend(found);
        let specs: Vec<_> = maps.iter().map(|(_, map)| spec(map)).collect();
        let is_faulty = faults.iter().any(|fault| fault.severity == Severity::Error);
        let layouts = match bpf::check_maps(config, &specs) {
            Ok(layouts) if !is_faulty => layouts,
            layouts => {
                faults.extend(layouts.err().into_iter().flatten());
                return (None, faults);
            }
        };
        let mut metrics = Vec::new();
        for (linked, layout) in linked.into_iter().zip(layouts) {
            // A layout is of a map that was found among these.
            let Some((n, map)) = maps.iter().find(|(_, map)| map.name == layout.map) else {
                continue;
            };
            let (kind, lines) = (spec(map).kind.to_string(), lines(&linked.metric, &layout, map));
            let source = Box::new(Player::new(self.tape, *n, map, kind, lines));
            metrics.push(Fed { linked, layout, source });
        }
        let plugins = plugins::gauges(config, &loaded);
        let bundle = config.file.bundle().map(|held| held.id().clone());
        let (name, file) = (config.name.clone(), config.file.path.clone());
        (
            Some(Unit { name, metrics, attached: None, plugins, enrolled: None, bundle, file }),
            faults,
        )
    }
}

/// Lines of an exposition that an entry may become: of each CPU if that is a label, and of each bucket if it is alone in
/// its histogram.
fn lines(metric: &Metric, layout: &Layout, map: &RecordedMap) -> usize {
    let cpus = if layout.cpu().is_some() { map.cpus as usize } else { 1 };
    let lines = match &metric.kind {
        MetricKind::Counter => 1,
        MetricKind::Histogram(buckets) => buckets.bounds().len() + MORE_LINES,
    };
    lines.saturating_mul(cpus)
}

fn spec(map: &RecordedMap) -> MapSpec {
    let RecordedMap { name, kind, key_size, max_entries, flags, .. } = map;
    MapSpec {
        name: name.clone(),
        kind: (*kind).into(),
        key_size: *key_size,
        value_size: 8,
        max_entries: *max_entries,
        flags: *flags,
    }
}
