//! What configs that were read again differ by from those at work.
//!
//! Compares values, and touches nothing.

use std::collections::HashSet;

use crate::bpf::{Anew, Layout, MapRef};
use crate::config::{Config, DecoderStep, Label, Metric, SpanPlan};
use crate::scrape::Renewal;
use crate::startup::{Checked, MadeOf, Making, Running};

/// A config at work.
#[derive(Debug)]
pub struct Standing {
    /// What it was made of.
    pub(super) made_of: MadeOf,
    /// How each of its metrics reads its map.
    pub(super) layouts: Vec<Layout>,
    /// The maps of its object.
    pub(super) maps: Vec<MapRef>,
}

/// What becomes of configs.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// Those that go.
    pub(super) gone: Vec<String>,
    /// Those that come.
    pub(super) new: Vec<Checked>,
    /// Those whose object stays, of which something else has changed.
    pub(super) renewed: Vec<(Checked, Comparison)>,
    /// Those whose object is another one.
    pub(super) replaced: Vec<(Checked, Comparison)>,
}

/// What a config has in common with what it was.
#[derive(Debug)]
pub(super) struct Comparison {
    /// Of each of its metrics, in its order.
    pub(super) metrics: Vec<Likeness>,
    /// Whether its plugins go on.
    pub(super) keeps_plugins: bool,
    /// The buffers of records whose counts begin anew: nobody knows more bytes of them than were kept.
    pub(super) anew: Vec<Anew>,
    spans: SpanLikeness,
}

/// What the spans of a config have in common with those of before: names of ring buffers.
#[derive(Debug)]
struct SpanLikeness {
    /// Those that spans were made of.
    before: Vec<String>,
    /// Those of them whose spans go on.
    kept: Vec<String>,
    /// Those that spans are made of whose records were counted, or the other way round.
    turned: Vec<String>,
}

/// What a metric has in common with one that was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// It is the same.
    Same,
    /// It reads the same map, or counts the records of the same buffer.
    Map,
    /// There was none like it.
    None,
}

impl Standing {
    /// The config that runs.
    pub fn of(running: &Running) -> Self {
        Self {
            made_of: running.made_of.clone(),
            layouts: running.metrics.iter().map(|(_, layout)| layout.clone()).collect(),
            maps: running.attached.maps().to_vec(),
        }
    }

    /// The config's name.
    pub(super) fn name(&self) -> &str {
        &self.made_of.config.name
    }

    /// The ring buffers that its spans are made of, by its name.
    pub(super) fn rings(&self) -> impl Iterator<Item = (String, String)> {
        let spans = self.made_of.config.spans.iter();
        spans.map(|span| (self.name().to_owned(), span.ringbuf.clone()))
    }
}

impl Difference {
    /// What differs between these.
    pub(super) fn of(standing: &[Standing], checked: Vec<Checked>) -> Self {
        let names: HashSet<_> = checked.iter().map(|checked| checked.name().to_owned()).collect();
        let gone = standing.iter().map(Standing::name).filter(|name| !names.contains(*name));
        let mut difference = Self { gone: gone.map(str::to_owned).collect(), ..Self::default() };
        for checked in checked {
            let Some(before) = standing.iter().find(|before| before.name() == checked.name())
            else {
                difference.new.push(checked);
                continue;
            };
            let made_of = checked.made_of();
            if made_of == before.made_of {
                continue;
            }
            let comparison = Comparison::of(before, &made_of, checked.layouts());
            match has_same_object(&before.made_of, &made_of) {
                true => difference.renewed.push((checked, comparison)),
                false => difference.replaced.push((checked, comparison)),
            }
        }
        difference
    }

    /// Whether nothing differs.
    pub(super) fn is_none(&self) -> bool {
        let Self { gone, new, renewed, replaced } = self;
        gone.is_empty() && new.is_empty() && renewed.is_empty() && replaced.is_empty()
    }

    /// The configs whose objects are to be loaded.
    pub(super) fn to_load(&self) -> impl Iterator<Item = &Checked> {
        self.new.iter().chain(self.replaced.iter().map(|(checked, _)| checked))
    }

    /// All configs that come or change.
    pub(super) fn checked(&self) -> impl Iterator<Item = &Checked> {
        self.to_load().chain(self.renewed.iter().map(|(checked, _)| checked))
    }

    /// Whether a metric of an object that stays opens perf events that were not open.
    pub(super) fn opens_events(&self) -> bool {
        let opens = |(checked, comparison): &(Checked, Comparison)| {
            comparison.newly_read(checked).any(|layout| checked.opens_events(&layout.map))
        };
        self.renewed.iter().any(opens)
    }

    /// The maps of metrics that were not read before, by their configs.
    pub(super) fn newly_read(&self) -> impl Iterator<Item = (&str, &str)> {
        let compared = self.renewed.iter().chain(&self.replaced);
        let compared = compared.flat_map(|(checked, comparison)| {
            comparison.newly_read(checked).map(|layout| (checked.name(), &*layout.map))
        });
        let new = self.new.iter().flat_map(|checked| {
            checked.layouts().iter().map(|layout| (checked.name(), &*layout.map))
        });
        compared.chain(new)
    }
}

/// Whether what was loaded for one serves for the other.
fn has_same_object(before: &MadeOf, now: &MadeOf) -> bool {
    let loaded = |made: &MadeOf| {
        let Config { kaddrs, cgroup_id_map, .. } = &made.config;
        let symbols: Vec<_> = kaddrs.iter().map(|kaddr| kaddr.symbol.clone()).collect();
        (made.object, symbols, cgroup_id_map.clone())
    };
    loaded(before) == loaded(now)
}

impl Comparison {
    fn of(before: &Standing, now: &MadeOf, layouts: &[Layout]) -> Self {
        let old = &before.made_of.config;
        let metrics: Vec<_> = now
            .config
            .metrics
            .iter()
            .zip(layouts)
            .map(|(metric, layout)| {
                // A metric has the name of its map, so one metric of a config at most reads it.
                let pairs = old.metrics.iter().zip(&before.layouts);
                let mut pairs = pairs.filter(|(_, before)| before.map == layout.map);
                pairs.next().map_or(Likeness::None, |(old, before)| {
                    likeness((old, before), (metric, layout))
                })
            })
            .collect();
        let keeps_plugins =
            old.plugins == now.config.plugins && before.made_of.plugins == now.plugins;
        let spans = SpanLikeness::of(old, &now.config);
        let pairs = now.config.metrics.iter().zip(layouts).zip(&metrics);
        let pairs = pairs.filter(|((metric, _), likeness)| {
            metric.events.is_some() && **likeness == Likeness::Map
        });
        let anew = pairs.filter_map(|((_, layout), _)| wider(layout, &before.layouts)).collect();
        let mut comparison = Self { metrics, keeps_plugins, anew, spans };
        comparison.settle_plugins(now.config.metrics.iter(), &now.config.spans);
        comparison
    }

    /// The same of an object that has taken over these maps alone.
    pub(super) fn of_taken(mut self, taken: &[String], checked: &Checked) -> Self {
        for (likeness, layout) in self.metrics.iter_mut().zip(checked.layouts()) {
            if !taken.contains(&layout.map) {
                *likeness = Likeness::None;
            }
        }
        self.anew.retain(|anew| taken.contains(&anew.map));
        self.spans.kept.retain(|ring| taken.contains(ring));
        self.spans.turned.retain(|ring| taken.contains(ring));
        self.settle_plugins(checked.metrics(), checked.spans());
        self
    }

    /// Has plugins go on only if nothing that asks one is made anew; all that ask plugins ask the new ones
    /// otherwise: a plugin that is there twice would be told twice.
    fn settle_plugins<'a>(
        &mut self,
        metrics: impl Iterator<Item = &'a Metric> + Clone,
        spans: &[SpanPlan],
    ) {
        let asks = |metric: &Metric| {
            metric.decoder_plugins().next().is_some() || !metric.transforms.is_empty()
        };
        let asking = spans
            .iter()
            .filter(|span| span.labels.iter().flat_map(Label::plugins).next().is_some());
        let asking: Vec<_> = asking.map(|span| &span.ringbuf).collect();
        let mut pairs = metrics.clone().zip(&self.metrics);
        let remade = pairs.any(|(metric, likeness)| *likeness != Likeness::Same && asks(metric))
            || asking.iter().any(|ring| !self.spans.kept.contains(ring));
        self.keeps_plugins &= !remade;
        if !self.keeps_plugins {
            let all = metrics.zip(&mut self.metrics).filter(|(metric, _)| asks(metric));
            let same = all.filter(|(_, likeness)| **likeness == Likeness::Same);
            same.for_each(|(_, likeness)| *likeness = Likeness::Map);
            self.spans.kept.retain(|ring| !asking.contains(&ring));
        }
    }

    /// What is read of the config's metrics whose maps were not read before.
    fn newly_read<'a>(&self, checked: &'a Checked) -> impl Iterator<Item = &'a Layout> {
        let pairs = self.metrics.iter().zip(checked.layouts());
        pairs.filter(|(likeness, _)| **likeness == Likeness::None).map(|(_, layout)| layout)
    }

    /// The ring buffers of spans that go on.
    pub(super) fn kept_spans(&self) -> &[String] {
        &self.spans.kept
    }

    /// A ring buffer that another thread would have to read from now on.
    pub(super) fn turned(&self) -> Option<&str> {
        self.spans.turned.first().map(String::as_str)
    }

    /// The ring buffers of spans that do not go on, by their config.
    pub(super) fn left_spans(&self, config: &str) -> impl Iterator<Item = (String, String)> {
        let SpanLikeness { before, kept, .. } = &self.spans;
        let left = before.iter().filter(|ring| !kept.contains(ring));
        left.map(|ring| (config.to_owned(), ring.clone()))
    }

    /// The renewal, without the plugins that go on.
    pub(super) fn keep(&self, renewal: Renewal) -> Renewal {
        let plugins = renewal.plugins.filter(|_| !self.keeps_plugins);
        Renewal { plugins, ..renewal }
    }

    /// How each metric comes to be of the config.
    pub(super) fn how(&self) -> Vec<Making> {
        let how = |likeness: &Likeness| match likeness {
            Likeness::Same => Making::Kept,
            Likeness::Map => Making::Linked,
            Likeness::None => Making::Fed,
        };
        self.metrics.iter().map(how).collect()
    }

    /// The maps that are read already.
    pub(super) fn read(&self, layouts: &[Layout]) -> Vec<String> {
        let pairs = self.metrics.iter().zip(layouts);
        let read = pairs.filter(|(likeness, _)| **likeness != Likeness::None);
        let read = read.map(|(_, layout)| &layout.map);
        read.chain(&self.spans.kept).cloned().collect()
    }
}

fn likeness((old, before): (&Metric, &Layout), (metric, layout): (&Metric, &Layout)) -> Likeness {
    if before == layout && without_places(old) == without_places(metric) {
        return Likeness::Same;
    }
    let kind = |metric: &Metric| metric.events.map(|events| events.kind);
    if kind(old) == kind(metric) { Likeness::Map } else { Likeness::None }
}

/// That records are told apart by more bytes than before, if they are.
fn wider(layout: &Layout, before: &[Layout]) -> Option<Anew> {
    let was = before.iter().find(|before| before.map == layout.map)?.decoded();
    let is = layout.decoded();
    (is > was).then(|| Anew {
        map: layout.map.clone(),
        why: format!("labels take {is} bytes of a record, was {was}"),
    })
}

impl SpanLikeness {
    /// Which records are counted is told by names: a metric has the name of its map, which is the ring buffer here.
    fn of(before: &Config, now: &Config) -> Self {
        let rings = |config: &Config| {
            config.spans.iter().map(|span| span.ringbuf.clone()).collect::<Vec<_>>()
        };
        let is_counted = |config: &Config, ring: &String| {
            config
                .metrics
                .iter()
                .any(|metric| metric.events.is_some() && metric.name.as_str() == ring)
        };
        let same = |span: &&SpanPlan| {
            let mut old = before.spans.iter().filter(|old| old.ringbuf == span.ringbuf);
            old.any(|old| unplaced(old) == unplaced(span))
        };
        let kept = now.spans.iter().filter(same).map(|span| span.ringbuf.clone()).collect();
        let came = rings(now).into_iter().filter(|ring| is_counted(before, ring));
        let went = rings(before).into_iter().filter(|ring| is_counted(now, ring));
        Self { before: rings(before), kept, turned: came.chain(went).collect() }
    }
}

/// The metric, wherever it stands in its file.
fn without_places(metric: &Metric) -> Metric {
    let mut metric = metric.clone();
    metric.path.clear();
    metric.transforms.iter_mut().for_each(|step| step.path.clear());
    unplace(&mut metric.labels);
    metric
}

/// The spans, wherever they stand in their file.
fn unplaced(span: &SpanPlan) -> SpanPlan {
    let mut span = span.clone();
    span.path.clear();
    unplace(&mut span.labels);
    span
}

fn unplace(labels: &mut [Label]) {
    for step in labels.iter_mut().flat_map(|label| &mut label.steps) {
        if let DecoderStep::Plugin(step) = step {
            step.path.clear();
        }
    }
}
