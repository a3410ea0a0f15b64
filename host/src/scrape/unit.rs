//! One config at work: its metrics with what feeds them, its object in the kernel, its plugins.

use std::sync::Arc;

use super::families::Families;
use super::feed::{Asked, Fed, Feed};
use super::stats::{ConfigStats, MapStats};
use crate::bpf::Attached;
use crate::bpf::stats::ProgramStats;
use crate::plugin::{Budget, Gauge};
use crate::system::cgroups::Enrolled;

/// What a config at work is made of.
#[derive(Debug)]
pub struct Unit {
    /// The config's name.
    pub name: String,
    /// Its metrics.
    pub metrics: Vec<Fed>,
    /// Its object in the kernel; none if what it counted is replayed.
    pub attached: Option<Attached>,
    /// What its plugins cost.
    pub plugins: Vec<Gauge>,
    /// What keeps its map of cgroups in step.
    pub enrolled: Option<Enrolled>,
}

/// A config at work.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) stats: ConfigStats,
    pub(super) feeds: Vec<Feed>,
    pub(super) plugins: Vec<Asked>,
    attached: Option<Attached>,
    /// Held for its drop.
    _enrolled: Option<Enrolled>,
}

/// Gives numbers that were not given before.
#[derive(Debug, Default)]
pub(super) struct Ids(u64);

impl Ids {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

impl Active {
    /// This unit at work, whose plugins share this budget.
    pub(super) fn new(unit: Unit, ids: &mut Ids, budget: &Arc<Budget>) -> Self {
        let Unit { name, metrics, attached, plugins, enrolled } = unit;
        plugins.iter().for_each(|plugin| plugin.join(budget));
        let plugin = |gauge| Asked { id: ids.next(), gauge };
        let plugins: Vec<_> = plugins.into_iter().map(plugin).collect();
        let feed = |fed| Feed::new(fed, ids.next(), &plugins);
        let feeds = metrics.into_iter().map(feed).collect();
        Self { stats: ConfigStats::new(&name), feeds, plugins, attached, _enrolled: enrolled }
    }

    /// The config's name.
    pub(super) fn name(&self) -> &str {
        &self.stats.name
    }

    /// Takes all that it has counted out of its families.
    pub(super) fn leave(&mut self, families: &mut Families) {
        for feed in &mut self.feeds {
            feed.leave(families.of(&feed.filled));
        }
    }

    /// How its maps were read.
    pub(super) fn maps(&self) -> impl Iterator<Item = MapStats<'_>> {
        let config = self.name();
        self.feeds.iter().map(move |feed| MapStats { config, map: feed.map(), way: feed.way() })
    }

    /// What its programs are, and what they cost if the kernel counts it.
    pub(super) fn programs(&self, counted: bool) -> impl Iterator<Item = ProgramStats<'_>> {
        let config = self.name();
        self.attached.iter().flat_map(move |object| {
            let counted = counted.then(|| object.costs().unwrap_or_default());
            let costs = counted.unwrap_or_default().into_iter().chain(std::iter::repeat(None));
            let programs = object.programs().iter().zip(costs);
            programs.map(move |(program, cost)| ProgramStats { config, program, cost })
        })
    }
}
