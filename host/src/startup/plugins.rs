//! Plugins of configs: loaded, configured, and put where their steps are.
//!
//! Every fault of every plugin is found before the kernel sees anything.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::config::name::LabelName;
use crate::config::near;
use crate::config::{self, Config, DecoderStep, Fault, Kind, Metric};
use crate::decode;
use crate::plugin::{Gauge, Loader, MetricShape, Plugin, PluginError, Request};
use crate::transform::{self, Transforms};

/// Has the plugins of all these configs compiled, some at a time.
pub(super) fn prepare(configs: &[Config], loader: &mut Loader, dir: Option<&Path>) {
    let places: Vec<_> = configs.iter().map(|config| places(config, dir)).collect();
    let each = configs.iter().zip(&places);
    let requests = each.flat_map(|(config, places)| {
        config.plugins.iter().map(move |plan| request(config, plan, places))
    });
    loader.prepare(&requests.collect::<Vec<_>>());
}

/// Where the files of a config's plugins may be.
fn places<'a>(config: &'a Config, dir: Option<&'a Path>) -> Vec<&'a Path> {
    let folder = config.source.file.parent().unwrap_or(Path::new(""));
    [folder].into_iter().chain(dir).collect()
}

fn request<'a>(
    config: &'a Config,
    plan: &'a config::Plugin,
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

/// Loads the plugins of `config` and makes decoders and transforms of them. Their files are looked
/// for beside the config, then in `dir`. What they will cost can be read from the gauges.
pub(super) fn bind(
    config: &mut Config,
    loader: &mut Loader,
    dir: Option<&Path>,
) -> (Vec<Gauge>, Vec<Fault>) {
    let mut binding = Binding { plugins: HashMap::new(), told: HashSet::new(), faults: Vec::new() };
    let places = places(config, dir);
    for plan in &config.plugins {
        let request = request(config, plan, &places);
        match loader.load(&request) {
            Ok(plugin) => drop(binding.plugins.insert(plan.name.clone(), plugin)),
            Err(error) => binding.faults.push(fault(config, &at(&plan.path, &error), &error)),
        }
    }
    let mut metrics = std::mem::take(&mut config.metrics);
    for metric in &mut metrics {
        binding.decoders(config, metric);
        binding.transforms(config, metric);
    }
    config.metrics = metrics;
    let gauges = config.plugins.iter().filter_map(|plan| binding.plugins.get(&plan.name));
    (gauges.map(Plugin::gauge).collect(), binding.faults)
}

/// The file of the first plugin of `config` that is not in `dir`, as the config calls it.
pub(super) fn missing(config: &Config, dir: Option<&Path>) -> Option<String> {
    let is_there = |file: &Path| dir.is_some_and(|dir| dir.join(file).exists());
    let missing = config.plugins.iter().find(|plan| !is_there(&plan.file));
    missing.map(|plan| plan.file.display().to_string())
}

struct Binding {
    plugins: HashMap<String, Plugin>,
    /// The plugins whose failure to start was told.
    told: HashSet<String>,
    faults: Vec<Fault>,
}

impl Binding {
    fn decoders(&mut self, config: &Config, metric: &mut Metric) {
        for DecoderStep { label, at: place, step } in &metric.decoder_steps {
            let Some(plugin) = self.plugins.get_mut(&step.plugin) else { continue };
            match plugin.decoder() {
                Ok(decoder) => {
                    let on_error = step.on_error.clone();
                    let step = decode::Step { name: "wasm", decoder, on_error };
                    metric.labels[*label].chain.insert(*place, step);
                }
                Err(error @ PluginError::World { .. }) => {
                    let path = format!("{}.plugin", step.path);
                    self.faults.push(fault(config, &path, &error));
                }
                Err(error) if self.told.insert(step.plugin.clone()) => {
                    let path = at(&format!("plugins.{}", step.plugin), &error);
                    self.faults.push(fault(config, &path, &error));
                }
                Err(_) => {}
            }
        }
    }

    fn transforms(&mut self, config: &Config, metric: &mut Metric) {
        let mut labels: Vec<LabelName> = metric.label_names().cloned().collect();
        let mut steps = Vec::with_capacity(metric.transform_steps.len());
        for step in &metric.transform_steps {
            let Some(plugin) = self.plugins.get(&step.plugin) else { return };
            let shape = MetricShape {
                name: metric.name.exposed(),
                histogram: metric.kind != Kind::Counter,
                labels,
            };
            match plugin.transform(shape) {
                Ok((transform, agreed)) => {
                    labels = agreed.clone();
                    let (name, on_error) = (step.plugin.clone(), step.on_error.clone());
                    steps.push(transform::Step { name, transform, labels: agreed, on_error });
                }
                Err(error) => {
                    self.faults.push(fault(config, &format!("{}.plugin", step.path), &error));
                    return;
                }
            }
        }
        metric.transforms = Transforms::new(steps);
    }
}

/// Tells of metrics that several configs have, and that transforms give other labels in each.
pub(super) fn compare(configs: &[&Config]) -> Vec<Fault> {
    let mut first: HashMap<&str, &Metric> = HashMap::new();
    let mut faults = Vec::new();
    let all = configs.iter().flat_map(|config| config.metrics.iter().map(move |m| (config, m)));
    for (config, metric) in all {
        let earlier = *first.entry(metric.name.as_str()).or_insert(metric);
        let transformed = !metric.transforms.is_empty() || !earlier.transforms.is_empty();
        if transformed && exposed(metric) != exposed(earlier) {
            let [here, there] = [metric, earlier].map(|metric| listed(&exposed(metric)));
            let name = metric.name.as_str();
            let problem = format!("`{name}` has the labels {here}, and {there} in another config");
            let remedy = "make them equal, or rename one and its map";
            faults.push(config.fault(&metric.path, problem, remedy));
        }
    }
    faults
}

/// The labels that a metric's series have, after its transforms.
fn exposed(metric: &Metric) -> Vec<&LabelName> {
    match metric.transforms.labels() {
        Some(labels) => labels.iter().collect(),
        None => metric.label_names().collect(),
    }
}

fn listed(labels: &[&LabelName]) -> String {
    let names: Vec<_> = labels.iter().map(|label| label.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { format!("`{}`", near::listed(&names)) }
}

/// The key below a plugin that an error is about.
fn at(path: &str, error: &PluginError) -> String {
    let key = match error {
        PluginError::Pin { .. } => ".sha256",
        PluginError::Configure(_) => ".settings",
        PluginError::Start { .. } | PluginError::Engine(_) => "",
        _ => ".file",
    };
    format!("{path}{key}")
}

fn fault(config: &Config, path: &str, error: &PluginError) -> Fault {
    config.fault(path, error.to_string(), error.remedy())
}

#[cfg(test)]
mod tests;
