//! One config at work: its metrics with what feeds them, its object in the kernel, its plugins.

use std::path::PathBuf;
use std::sync::Arc;

use super::families::Families;
use super::feed::{Asked, Fed, Feed};
use super::stats::{ConfigStats, EventStats, MapStats};
use crate::bpf::stats::{Misses, ProgramCost, ProgramStats};
use crate::bpf::{Admitted, Attached};
use crate::files::BundleId;
use crate::plugin::{Budget, Gauge};
use crate::surveyor::Ours;
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
    /// The bundle that it is of, if it is of one.
    pub bundle: Option<BundleId>,
    /// Its file, as the user gave it.
    pub file: PathBuf,
}

impl Unit {
    /// Whether it opens perf events on CPUs that come.
    pub fn opens_events(&self) -> bool {
        let streams = self.metrics.iter().any(|fed| fed.source.opens_events());
        streams || self.attached.as_ref().is_some_and(Attached::opens_events)
    }
}

/// A config at work.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) stats: ConfigStats,
    pub(super) file: PathBuf,
    pub(super) feeds: Vec<Feed>,
    pub(super) plugins: Vec<Asked>,
    /// Whether this reading is of it.
    pub(super) chosen: bool,
    attached: Option<Attached>,
    /// What its programs had cost when the kernel was last asked, in the order of the programs.
    costs: Vec<(Option<ProgramCost>, Option<Misses>)>,
    /// Held so that it is dropped with this.
    enrolled: Option<Enrolled>,
}

/// Hands out numbers, each once.
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
        let Unit { name, metrics, attached, plugins, enrolled, bundle, file } = unit;
        let plugins = asked(plugins, ids, budget);
        let feed = |fed| Feed::new(fed, ids.next(), &plugins);
        let feeds = metrics.into_iter().map(feed).collect();
        let mut stats = ConfigStats::new(&name);
        stats.bundle = bundle;
        let (chosen, costs) = (true, Vec::new());
        Self { stats, file, feeds, plugins, chosen, attached, costs, enrolled }
    }

    /// A metric of it, at work.
    pub(super) fn feed(&self, fed: Fed, ids: &mut Ids) -> Feed {
        Feed::new(fed, ids.next(), &self.plugins)
    }

    /// Has another object from now on, and what keeps its map of cgroups in step, if they are given.
    pub(super) fn exchange_object(
        &mut self,
        attached: Option<Attached>,
        enrolled: Option<Enrolled>,
    ) {
        if attached.is_some() {
            (self.attached, self.enrolled) = (attached, enrolled);
        }
    }

    /// Has other plugins from now on, if they are given, which share this budget.
    pub(super) fn exchange_plugins(
        &mut self,
        plugins: Option<Vec<Gauge>>,
        ids: &mut Ids,
        budget: &Arc<Budget>,
    ) {
        if let Some(plugins) = plugins {
            self.plugins = asked(plugins, ids, budget);
        }
    }

    /// Gives away its object in the kernel.
    pub(super) fn lend(&mut self) -> Option<Attached> {
        self.attached.take()
    }

    /// Takes back what it has lent.
    pub(super) fn take_back(&mut self, attached: Attached) {
        self.attached = Some(attached);
    }

    /// The config's name.
    pub(super) fn name(&self) -> &str {
        &self.stats.name
    }

    /// Has its programs run on CPUs that have come.
    pub(super) fn follow_cpus(&mut self) {
        self.attached.iter_mut().for_each(Attached::follow_cpus);
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
        self.feeds.iter().map(move |feed| feed.map_stats(config))
    }

    /// What its programs say themselves that they could not count.
    pub(super) fn admitted(&self) -> Option<(&str, &Admitted)> {
        Some((self.name(), self.attached.as_ref()?.admitted()))
    }

    /// What has come of the records that it counts.
    pub(super) fn events(&self) -> impl Iterator<Item = EventStats<'_>> {
        let config = self.name();
        let stats = move |feed| {
            let counts = Feed::events(feed)?;
            Some(EventStats { config, map: feed.map(), counts })
        };
        self.feeds.iter().filter_map(stats)
    }

    /// Its programs, as far as the kernel has them.
    pub(super) fn ours(&self) -> impl Iterator<Item = Ours<'_>> {
        let programs = self.attached.iter().flat_map(|object| object.programs());
        programs.filter_map(|program| {
            Some(Ours { id: program.id?, name: &program.name, config: self.name() })
        })
    }

    /// Asks the kernel what its programs have cost. What it says of costs means nothing unless it counts them.
    pub(super) fn ask_costs(&mut self, counted: bool) {
        let stats = self.attached.iter().flat_map(|object| object.stats(&self.stats.name));
        self.costs.clear();
        self.costs.extend(stats.map(|stats| (stats.cost.filter(|_| counted), stats.misses)));
    }

    /// What its programs are, and what they had cost when the kernel was asked.
    pub(super) fn programs(&self) -> impl Iterator<Item = ProgramStats<'_>> {
        let programs = self
            .attached
            .iter()
            .flat_map(|object| object.programs().iter().zip(std::iter::repeat(object)));
        programs.zip(&self.costs).map(|((program, object), (cost, misses))| ProgramStats {
            config: self.name(),
            program,
            cost: *cost,
            misses: *misses,
            failure: object.failure(program),
        })
    }
}

/// These plugins, which share this budget from now on.
fn asked(plugins: Vec<Gauge>, ids: &mut Ids, budget: &Arc<Budget>) -> Vec<Asked> {
    plugins.iter().for_each(|plugin| plugin.join(budget));
    plugins.into_iter().map(|gauge| Asked { id: ids.next(), gauge }).collect()
}
