//! How much text the labels may have that plugins make in a metric.
//!
//! Counted as it stands in the lines of the metric's series: rows that are merged into one series count
//! once, and a histogram's labels once for each of its lines. Text of series that have gone is free again.

use crate::config::{Metric, OnRowError};
use crate::decode::OnError;
use crate::decode::builtin::hex;
use crate::link::Linked;
use crate::plugin::Gauge;
use crate::series::{Family, LabelSet};

/// The bound of one plugin in one metric.
#[derive(Debug)]
pub(super) struct TextBound {
    plugin: Gauge,
    /// The labels that it makes, by their place in label sets, and what becomes of each beyond the bound.
    labels: Vec<(usize, OnError)>,
    /// Bytes of their names, if those are the plugin's too.
    names: usize,
}

impl TextBound {
    /// The bounds of a metric. What transforms are given is not exposed, so the last one counts alone.
    pub(super) fn all(linked: &Linked, plugins: &[&Gauge]) -> Vec<Self> {
        let Linked { metric, transforms, .. } = linked;
        let find =
            |name: &str| plugins.iter().find(|plugin| plugin.plugin() == name).copied().cloned();
        if let Some((step, names)) = metric.transforms.last().zip(transforms.labels()) {
            let on_error = match &step.on_error {
                OnRowError::Label(text) => OnError::Label(text.clone()),
                OnRowError::Drop => OnError::Drop,
            };
            let labels = (0..names.len()).map(|label| (label, on_error.clone())).collect();
            let names = names.iter().map(|name| name.as_str().len()).sum();
            return find(&step.plugin)
                .map(|plugin| Self { plugin, labels, names })
                .into_iter()
                .collect();
        }
        let mut all: Vec<Self> = Vec::new();
        let labels = metric.labels.iter().enumerate();
        for (label, step) in labels.flat_map(|(n, label)| label.plugins().map(move |p| (n, p))) {
            let Some(plugin) = find(&step.plugin) else { continue };
            let Some(place) = place(metric, label) else { continue };
            let label = (place, step.on_error.clone());
            match all.iter_mut().find(|bound| bound.plugin.plugin() == plugin.plugin()) {
                Some(bound) if bound.labels.iter().any(|(known, _)| *known == place) => {}
                Some(bound) => bound.labels.push(label),
                None => all.push(Self { plugin, labels: vec![label], names: 0 }),
            }
        }
        all
    }

    /// Whether there may be a series with these labels.
    pub(super) fn admits(&self, set: &LabelSet, family: &Family) -> bool {
        let lengths: Vec<usize> = set.values().map(str::len).collect();
        let (mut now, mut new) = (family.len() * self.names, self.names);
        for (label, _) in &self.labels {
            now += family.text_of(*label);
            new += lengths.get(*label).copied().unwrap_or(0);
        }
        let lines = family.kind.lines();
        (now + new).saturating_mul(lines) <= self.plugin.most_text() || family.has(set)
    }

    /// Counts a row beyond the bound. What its labels become, `raw` giving the bytes of the key that a
    /// label is made of; nothing if it is left out.
    pub(super) fn refuse<'k>(
        &self,
        set: &LabelSet,
        raw: impl Fn(usize) -> &'k [u8],
    ) -> Option<LabelSet> {
        self.plugin.refuse();
        let mut instead = LabelSet::default();
        for (place, value) in set.values().enumerate() {
            match self.labels.iter().find(|(label, _)| *label == place) {
                None => instead.push(value.as_bytes()),
                Some((_, OnError::Drop)) => return None,
                Some((_, OnError::Label(text))) => instead.push(text.as_bytes()),
                Some((_, OnError::Raw)) => {
                    let mut text = Vec::new();
                    hex::write(raw(place), &mut text);
                    instead.push(&text);
                }
            }
        }
        Some(instead)
    }
}

/// Where a label of a metric stands in its label sets; nowhere if it is the bucket.
fn place(metric: &Metric, label: usize) -> Option<usize> {
    match metric.bucket() {
        Some(bucket) if bucket == label => None,
        Some(bucket) if bucket < label => Some(label - 1),
        _ => Some(label),
    }
}
