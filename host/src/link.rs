//! From plans to what decodes: the one place where what a config asks for becomes live things.
//!
//! Plans are data and plugins are loaded before. Never reads a map, and never looks at a file.

use std::collections::{HashMap, HashSet};

use crate::advice::{Advise as _, near};
use crate::config::name::LabelName;
use crate::config::plan::WASM;
use crate::config::{Config, DecoderStep, Fault, Label, Metric, MetricKind, OnRowError, SpanPlan};
use crate::decode::{Chain, Step};
use crate::plugin::{MetricShape, Plugin, PluginError};
use crate::system::System;
use crate::transform::{TransformStep, Transforms, Without};

/// The plugins of a config that could be loaded, by their names in its file.
pub type Plugins = HashMap<String, Plugin>;

/// A metric and what makes labels of its keys.
#[derive(Debug)]
pub struct Linked {
    /// What was asked for.
    pub metric: Metric,
    /// What decodes each of its labels, in their order.
    pub chains: Vec<Chain>,
    /// What makes other label sets of the decoded ones.
    pub transforms: Transforms,
}

impl Linked {
    /// The labels that its series have, after its transforms.
    pub fn label_names(&self) -> Vec<&LabelName> {
        match self.transforms.labels() {
            Some(labels) => labels.iter().collect(),
            None => self.metric.label_names().collect(),
        }
    }
}

impl Linked {
    /// Where a label of this name stands in its label sets, if it does.
    pub fn place_of(&self, label: &LabelName) -> Option<usize> {
        self.label_names().iter().position(|name| *name == label)
    }
}

/// Spans of one kind and what makes texts of their records.
#[derive(Debug)]
pub struct LinkedSpan {
    /// What was asked for.
    pub plan: SpanPlan,
    /// What decodes each of its labels, in their order.
    pub chains: Vec<Chain>,
}

/// Has the system get what the decoders of these configs will ask it.
pub fn want(configs: &[Config], system: &System) {
    let metrics = configs.iter().flat_map(|config| &config.metrics).map(|metric| &metric.labels);
    let spans = configs.iter().flat_map(|config| &config.spans).map(|span| &span.labels);
    for step in metrics.chain(spans).flatten().flat_map(|label| &label.steps) {
        if let DecoderStep::Builtin(spec, _) = step {
            spec.want(system);
        }
    }
}

/// Makes decoders and transforms for all metrics of a config, in their order. A config that has faults
/// then is not to be served: steps that have one are left out.
pub fn metrics(
    config: &Config,
    plugins: &mut Plugins,
    system: &System,
) -> (Vec<Linked>, Vec<Fault>) {
    let mut linking = Linking { config, plugins, system, told: HashSet::new(), faults: Vec::new() };
    let linked = config.metrics.iter().map(|metric| linking.metric(metric)).collect();
    (linked, linking.faults)
}

/// As [`metrics`], for the spans of a config.
pub fn spans(
    config: &Config,
    plugins: &mut Plugins,
    system: &System,
) -> (Vec<LinkedSpan>, Vec<Fault>) {
    let mut linking = Linking { config, plugins, system, told: HashSet::new(), faults: Vec::new() };
    let linked = config.spans.iter().map(|span| linking.span(span)).collect();
    (linked, linking.faults)
}

struct Linking<'a> {
    config: &'a Config,
    plugins: &'a mut Plugins,
    system: &'a System,
    /// The plugins whose failure to start was told.
    told: HashSet<String>,
    faults: Vec<Fault>,
}

impl Linking<'_> {
    fn metric(&mut self, metric: &Metric) -> Linked {
        let chains = self.chains(&metric.labels);
        Linked { metric: metric.clone(), chains, transforms: self.transforms(metric) }
    }

    fn span(&mut self, plan: &SpanPlan) -> LinkedSpan {
        LinkedSpan { chains: self.chains(&plan.labels), plan: plan.clone() }
    }

    fn chains(&mut self, labels: &[Label]) -> Vec<Chain> {
        let chain = |label: &Label| {
            let steps = label.steps.iter().filter_map(|step| self.step(step));
            Chain::new(steps.collect())
        };
        labels.iter().map(chain).collect()
    }

    fn step(&mut self, step: &DecoderStep) -> Option<Step> {
        let step = match step {
            DecoderStep::Builtin(spec, on_error) => {
                let decoder = spec.decoder(self.system);
                return Some(Step { name: spec.name(), decoder, on_error: on_error.clone() });
            }
            DecoderStep::Plugin(step) => step,
        };
        match self.plugins.get_mut(&step.plugin)?.decoder() {
            Ok(decoder) => Some(Step { name: WASM, decoder, on_error: step.on_error.clone() }),
            Err(error @ PluginError::World { .. }) => {
                self.fault(&format!("{}.plugin", step.path), &error);
                None
            }
            Err(error) => {
                if self.told.insert(step.plugin.clone()) {
                    self.fault(&self.place(&step.plugin, &error), &error);
                }
                None
            }
        }
    }

    fn transforms(&mut self, metric: &Metric) -> Transforms {
        let mut labels: Vec<LabelName> = metric.label_names().cloned().collect();
        let mut steps = Vec::with_capacity(metric.transforms.len());
        for step in &metric.transforms {
            let Some(plugin) = self.plugins.get(&step.plugin) else { break };
            let shape = MetricShape {
                name: metric.name.exposed(),
                histogram: metric.kind != MetricKind::Counter,
                labels: labels.clone(),
            };
            match plugin.transform(shape) {
                Ok((transform, agreed)) => {
                    labels = agreed.clone();
                    let (name, on_error) = (step.plugin.clone(), step.on_error.clone());
                    steps.push(TransformStep { name, transform, labels: agreed, on_error });
                }
                Err(error @ PluginError::Data { .. }) => {
                    if self.told.insert(step.plugin.clone()) {
                        self.fault(&self.place(&step.plugin, &error), &error);
                    }
                    break;
                }
                Err(error) => {
                    self.fault(&format!("{}.plugin", step.path), &error);
                    break;
                }
            }
        }
        steps.extend(self.dropped(metric, labels));
        Transforms::new(steps)
    }

    /// What leaves out the labels of a metric that flags name, of those that it has after its plugins.
    fn dropped(&mut self, metric: &Metric, labels: Vec<LabelName>) -> Option<TransformStep> {
        if metric.dropped.is_empty() {
            return None;
        }
        let missing = metric.dropped.iter().find(|dropped| !labels.contains(dropped));
        if let Some(missing) = missing {
            let problem =
                format!("it has no label `{}`, which --metrics.label-drop names", missing.as_str());
            let remedy =
                format!("name one that it has: {}", listed(&labels.iter().collect::<Vec<_>>()));
            self.faults.push(self.config.fault(&metric.path, problem, remedy));
            return None;
        }
        let is_dropped = |label: &LabelName| metric.dropped.contains(label);
        let places = (0..labels.len()).filter(|place| is_dropped(&labels[*place])).collect();
        let labels = labels.into_iter().filter(|label| !is_dropped(label)).collect();
        let (name, on_error) = ("label-drop".to_owned(), OnRowError::default());
        let transform = Box::new(Without::new(places));
        Some(TransformStep { name, transform, labels, on_error })
    }

    /// What an error of this plugin is about.
    fn place(&self, plugin: &str, error: &PluginError) -> String {
        let plan = self.config.plugins.iter().find(|plan| plan.name == plugin);
        let origin = plan.map_or("", |plan| plan.origin.key());
        error.place(&format!("plugins.{plugin}"), origin)
    }

    fn fault(&mut self, path: &str, error: &PluginError) {
        self.faults.push(self.config.refuse(path, error.advice()));
    }
}

/// Tells of metrics that several configs have, and that transforms give other labels in each.
pub fn compare<'a>(configs: impl IntoIterator<Item = (&'a Config, &'a [Linked])>) -> Vec<Fault> {
    let mut first: HashMap<&str, &Linked> = HashMap::new();
    let mut faults = Vec::new();
    for (config, metrics) in configs {
        for linked in metrics {
            let name = linked.metric.name.as_str();
            let earlier = *first.entry(name).or_insert(linked);
            let transformed = !linked.transforms.is_empty() || !earlier.transforms.is_empty();
            if transformed && linked.label_names() != earlier.label_names() {
                let [here, there] = [linked, earlier].map(|linked| listed(&linked.label_names()));
                let problem =
                    format!("`{name}` has the labels {here}, and {there} in another config");
                let remedy = "make them equal, or rename one and its map";
                faults.push(config.fault(&linked.metric.path, problem, remedy));
            }
        }
    }
    faults
}

fn listed(labels: &[&LabelName]) -> String {
    let names: Vec<_> = labels.iter().map(|label| label.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { format!("`{}`", near::listed(&names)) }
}

#[cfg(test)]
mod tests;
