//! From a recording and configs to units, without a kernel: the metrics that read recorded maps.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::plugins::Shelf;
use super::{Admitted, Places, admit, plugins};
use crate::bpf::{self, MapSpec};
use crate::config::{self, Config, ConfigFile, Fault, Severity};
use crate::link;
use crate::plugin::Loader;
use crate::scrape::{Fed, Unit};
use crate::source::recording::{Head, Player, RecordedConfig, RecordedMap, Tape};
use crate::system::System;

/// The configs of a recording, as if their files stood beside it.
pub fn recorded(head: &Head, file: &Path) -> Vec<ConfigFile> {
    let recorded = |config: &RecordedConfig| {
        let path = file.with_file_name(&config.name).with_extension("yaml");
        ConfigFile::new(path, config.yaml.as_str())
    };
    head.configs.iter().map(recorded).collect()
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
    let mut units = Vec::new();
    for config in &configs {
        let Some(maps) = maps.get(config.name.as_str()) else {
            let problem = format!("the recording has no config `{}`", config.name);
            faults.push(config.fault("", problem, "name one that it has in --config.names"));
            continue;
        };
        let (unit, found) = unit(config, maps, loader, (&shelf, system, tape));
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

/// A config's unit, if it has no fault but warnings.
fn unit(
    config: &Config,
    maps: &[(usize, &RecordedMap)],
    loader: &mut Loader,
    (shelf, system, tape): (&Shelf<'_>, &System, &Arc<Mutex<Tape>>),
) -> (Option<Unit>, Vec<Fault>) {
    // The files of a recorded config are those of another host.
    let (mut loaded, mut faults) = plugins::load(config, loader, shelf, Severity::Warning);
    let (linked, found) = link::metrics(config, &mut loaded, system);
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
        let Some((n, map)) = maps.iter().find(|(_, map)| map.name == layout.map) else { continue };
        let kind = spec(map).kind.to_string();
        let source = Box::new(Player::new(tape, *n, map, kind));
        metrics.push(Fed { linked, layout, source });
    }
    let plugins = plugins::gauges(config, &loaded);
    let bundle = config.file.bundle().map(|held| held.id().clone());
    let (name, file) = (config.name.clone(), config.file.path.clone());
    (Some(Unit { name, metrics, attached: None, plugins, enrolled: None, bundle, file }), faults)
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
