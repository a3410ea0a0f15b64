//! Bounds the text of the labels that plugins make in a metric.
//!
//! Text counts as it stands in the lines of the metric's series. Rows that are merged into one series count once. A
//! histogram's labels count once for each of its lines. Text of series that have gone does not count any more.

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
    /// The labels that it makes.
    labels: Vec<Bounded>,
    /// Bytes of their names, if those are the plugin's too.
    names: usize,
}

/// A label that a plugin makes.
#[derive(Clone, Debug)]
struct Bounded {
    /// Its place in label sets.
    place: usize,
    /// Its place among the decoded labels.
    part: usize,
    /// What becomes of it beyond the bound.
    on_error: OnError,
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
            let bounded = |place| Bounded { place, part: place, on_error: on_error.clone() };
            let labels = (0..names.len()).map(bounded).collect();
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
            let Some(part) = place(metric, label) else { continue };
            // Labels that are left out are in no label set.
            let Some(place) = linked.place_of(&metric.labels[label].name) else { continue };
            let label = Bounded { place, part, on_error: step.on_error.clone() };
            match all.iter_mut().find(|bound| bound.plugin.plugin() == plugin.plugin()) {
                Some(bound) if bound.labels.iter().any(|known| known.place == place) => {}
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
        for Bounded { place, .. } in &self.labels {
            now += family.text_of(*place);
            new += lengths.get(*place).copied().unwrap_or(0);
        }
        let lines = family.kind.lines();
        (now + new).saturating_mul(lines) <= self.plugin.most_text() || family.has(set)
    }

    /// Counts a row beyond the bound, and gives the labels that it gets instead. `raw` gives the bytes of the key
    /// that a label is made of. None if the row is left out.
    pub(super) fn refuse<'k>(
        &self,
        set: &LabelSet,
        raw: impl Fn(usize) -> &'k [u8],
    ) -> Option<LabelSet> {
        self.plugin.refuse();
        let mut instead = LabelSet::default();
        for (place, value) in set.values().enumerate() {
            let bounded = self.labels.iter().find(|bounded| bounded.place == place);
            match bounded.map(|bounded| (&bounded.on_error, bounded.part)) {
                None => instead.push(value.as_bytes()),
                Some((OnError::Drop, _)) => return None,
                Some((OnError::Label(text), _)) => instead.push(text.as_bytes()),
                Some((OnError::Raw, part)) => {
                    let mut text = Vec::new();
                    hex::write(raw(part), &mut text);
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
