//! The files of plugins that configs name: found, compiled and loaded.

use std::path::Path;

use crate::config::{self, Config, Fault};
use crate::link::Plugins;
use crate::plugin::{Gauge, Loader, Request};

/// Has the plugins of all these configs compiled, some at a time.
pub(crate) fn prepare(configs: &[Config], loader: &mut Loader, dir: Option<&Path>) {
    let places: Vec<_> = configs.iter().map(|config| places(config, dir)).collect();
    let each = configs.iter().zip(&places);
    let requests = each.flat_map(|(config, places)| {
        config.plugins.iter().map(move |plan| request(config, plan, places))
    });
    loader.prepare(&requests.collect::<Vec<_>>());
}

/// Where the files of a config's plugins may be.
fn places<'a>(config: &'a Config, dir: Option<&'a Path>) -> Vec<&'a Path> {
    let folder = config.file.path.parent().unwrap_or(Path::new(""));
    [folder].into_iter().chain(dir).collect()
}

fn request<'a>(
    config: &'a Config,
    plan: &'a config::PluginPlan,
    places: &'a [&'a Path],
) -> Request<'a> {
    Request {
        config: &config.name,
        name: &plan.name,
        file: &plan.file,
        places,
        pin: plan.sha256,
        settings: plan.settings.as_str(),
        limits: plan.limits,
    }
}

/// Loads the plugins of `config` whose settings fit what they say that they take. Their files are looked for
/// beside the config, then in `dir`.
pub(crate) fn load(
    config: &Config,
    loader: &mut Loader,
    dir: Option<&Path>,
) -> (Plugins, Vec<Fault>) {
    let (mut plugins, mut faults) = (Plugins::new(), Vec::new());
    let places = places(config, dir);
    for plan in &config.plugins {
        match loader.load(&request(config, plan, &places)) {
            Ok(plugin) => {
                let misfits = plugin.misfits();
                let settings = |below: &str| format!("{}.settings{below}", plan.path);
                if misfits.is_empty() {
                    plugins.insert(plan.name.clone(), plugin);
                }
                let told = misfits.into_iter();
                faults.extend(told.map(|(below, advice)| config.refuse(&settings(&below), advice)));
            }
            Err(error) => {
                let path = error.place(&plan.path);
                faults.push(config.refuse(&path, error));
            }
        }
    }
    (plugins, faults)
}

/// What plugins will cost, in the order in which the config has them.
pub(crate) fn gauges(config: &Config, plugins: &Plugins) -> Vec<Gauge> {
    let loaded = config.plugins.iter().filter_map(|plan| plugins.get(&plan.name));
    loaded.map(|plugin| plugin.gauge()).collect()
}

/// The file of the first plugin of `config` that is not in `dir`, as the config calls it.
pub(crate) fn missing(config: &Config, dir: Option<&Path>) -> Option<String> {
    let is_there = |file: &Path| dir.is_some_and(|dir| dir.join(file).exists());
    let missing = config.plugins.iter().find(|plan| !is_there(&plan.file));
    missing.map(|plan| plan.file.display().to_string())
}
