//! What becomes of configs at work when they are read again: some go, some come, and of some only what has
//! changed is made anew.
//!
//! What does not change is not touched: its rows, its series and its programs go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender};

use super::Scraper;
use super::families::Filled;
use super::feed::Fed;
use super::unit::{Active, Unit};
use crate::bpf::{Attached, Layout};
use crate::files::BundleId;
use crate::link::Linked;
use crate::plugin::Gauge;
use crate::source::{Drained, Source};
use crate::system::cgroups::Enrolled;

/// What changes at once, between two scrapes.
#[derive(Debug)]
pub struct Exchange {
    /// The configs whose programs others are to take the place of.
    pub wanted: Vec<String>,
    /// Where those programs go. Nothing is scraped until the changes have come.
    pub lent: Sender<BTreeMap<String, Attached>>,
    /// What is to change. If the sender is dropped, nothing changes, and the programs that were lent are gone.
    pub changes: Receiver<Vec<Change>>,
}

/// What becomes of one config.
#[derive(Debug)]
pub enum Change {
    /// It comes.
    Add(Unit),
    /// It goes, with all series that no other config has a part in.
    Remove(String),
    /// Some of it is made anew.
    Renew(Renewal),
    /// It gets its programs back: nothing took their place.
    Return(String, Attached),
}

impl Change {
    /// The plugins that come with it.
    pub fn plugins(&self) -> &[Gauge] {
        match self {
            Self::Add(unit) => &unit.plugins,
            Self::Remove(_) | Self::Return(..) => &[],
            Self::Renew(renewal) => renewal.plugins.as_deref().unwrap_or_default(),
        }
    }

    /// The buffers that come with it.
    pub fn drained(&self) -> Vec<Drained> {
        let fed: Vec<&Fed> = match self {
            Self::Add(unit) => unit.metrics.iter().collect(),
            Self::Remove(_) | Self::Return(..) => Vec::new(),
            Self::Renew(renewal) => renewal.metrics.iter().filter_map(Renewed::fed).collect(),
        };
        fed.into_iter().filter_map(|fed| fed.source.drained()).collect()
    }
}

/// A config of which some is made anew.
#[derive(Debug)]
pub struct Renewal {
    /// The config's name.
    pub name: String,
    /// Its metrics, in its order. Those of before that are not among them go.
    pub metrics: Vec<Renewed>,
    /// Its object in the kernel, if that is another one, or was lent.
    pub attached: Option<Attached>,
    /// Its plugins, if they were loaded anew.
    pub plugins: Option<Vec<Gauge>>,
    /// What keeps its map of cgroups in step, if that is another one.
    pub enrolled: Option<Enrolled>,
    /// The bundle that it is of, if it is of one.
    pub bundle: Option<BundleId>,
}

/// A metric of a config of which some is made anew.
#[derive(Debug)]
pub enum Renewed {
    /// The metric of this map goes on.
    Kept(String),
    /// It is another one, and its map is read as before.
    Linked(Box<(Linked, Layout)>),
    /// It is another one, of a map that was not read before.
    Fed(Box<Fed>),
}

impl Renewed {
    /// What comes with it.
    fn fed(&self) -> Option<&Fed> {
        match self {
            Self::Fed(fed) => Some(fed),
            Self::Kept(_) | Self::Linked(_) => None,
        }
    }

    /// The name of its map.
    fn map(&self) -> &str {
        match self {
            Self::Kept(map) => map,
            Self::Linked(linked) => &linked.1.map,
            Self::Fed(fed) => &fed.layout.map,
        }
    }
}

/// The feeds of metrics that were taken out, and their families, by the names of their configs and maps.
type Sources = BTreeMap<(String, String), (Filled, Box<dyn Source>)>;

impl Scraper {
    /// The same, which changes as it is told by these.
    pub fn changed_by(self, exchanges: Receiver<Exchange>) -> Self {
        Self { exchanges: Some(exchanges), ..self }
    }

    /// Makes the changes that wait to be made.
    pub(super) fn settle(&mut self) {
        while let Some(exchange) = self.exchanges.as_ref().and_then(|all| all.try_recv().ok()) {
            let Exchange { wanted, lent, changes } = exchange;
            let taken =
                self.units.iter_mut().filter(|unit| wanted.iter().any(|it| it == unit.name()));
            let taken = taken.filter_map(|unit| Some((unit.name().to_owned(), unit.lend()?)));
            // If nobody waits for them any more, they are dropped here, which detaches them.
            let _ = lent.send(taken.collect());
            self.change_all(changes.recv().unwrap_or_default());
        }
    }

    /// Configs go before others come, so that a new config never finds a family of one that goes.
    pub(super) fn change_all(&mut self, changes: Vec<Change>) {
        let mut sources = BTreeMap::new();
        for change in &changes {
            match change {
                Change::Remove(config) => _ = self.remove(config),
                Change::Renew(renewal) => self.take_out(renewal, &mut sources),
                Change::Add(_) | Change::Return(..) => {}
            }
        }
        self.forget_unfilled();
        self.begin_shared_anew(&sources);
        for change in changes {
            match change {
                Change::Add(unit) => self.add(unit),
                Change::Remove(_) => {}
                Change::Renew(renewal) => self.renew(renewal, &mut sources),
                Change::Return(config, attached) => {
                    let unit = self.units.iter_mut().find(|unit| unit.name() == config);
                    if let Some(unit) = unit {
                        unit.take_back(attached);
                    }
                }
            }
        }
    }

    /// Takes the metrics out of a config that do not go on; what fed them may feed others.
    fn take_out(&mut self, renewal: &Renewal, sources: &mut Sources) {
        let Self { units, families, .. } = self;
        let Some(unit) = units.iter_mut().find(|unit| unit.name() == renewal.name) else { return };
        let kept = |map: &str| {
            let mut metrics = renewal.metrics.iter();
            metrics.any(|metric| matches!(metric, Renewed::Kept(kept) if kept == map))
        };
        let (stay, leave): (Vec<_>, Vec<_>) =
            std::mem::take(&mut unit.feeds).into_iter().partition(|feed| kept(feed.map()));
        unit.feeds = stay;
        for mut feed in leave {
            feed.leave(families.of(&feed.filled));
            let place = (renewal.name.clone(), feed.map().to_owned());
            sources.insert(place, (feed.filled.clone(), feed.into_source()));
        }
    }

    /// Has a family begin anew if one of its metrics is made anew and others fill it too. What each of them has
    /// counted in it is not known apart, so the part of the new one would count twice.
    fn begin_shared_anew(&mut self, sources: &Sources) {
        let touched: BTreeSet<_> =
            sources.values().map(|(filled, _)| filled.name().to_owned()).collect();
        let Self { units, families, .. } = self;
        let feeds = units.iter_mut().flat_map(|unit| &mut unit.feeds);
        for feed in feeds.filter(|feed| touched.contains(feed.filled.name())) {
            feed.forget();
        }
        families.forget(&touched);
    }

    fn renew(&mut self, renewal: Renewal, sources: &mut Sources) {
        let Self { units, ids, guests, .. } = self;
        let Some(unit) = units.iter_mut().find(|unit| unit.name() == renewal.name) else { return };
        let Renewal { metrics, attached, plugins, enrolled, bundle, .. } = renewal;
        unit.stats.bundle = bundle;
        unit.exchange_object(attached, enrolled);
        unit.exchange_plugins(plugins, ids, &guests.budget);
        let mut stay: BTreeMap<_, _> = std::mem::take(&mut unit.feeds)
            .into_iter()
            .map(|feed| (feed.map().to_owned(), feed))
            .collect();
        for metric in metrics {
            let map = metric.map().to_owned();
            let feed = match metric {
                Renewed::Kept(_) => stay.remove(&map),
                Renewed::Fed(fed) => Some(unit.feed(*fed, ids)),
                Renewed::Linked(linked) => {
                    let source = sources.remove(&(unit.name().to_owned(), map));
                    source.map(|(_, mut source)| {
                        let (linked, layout) = *linked;
                        if let Some(events) = linked.metric.events {
                            source.count_by(layout.decoded(), events.flush_interval);
                        }
                        unit.feed(Fed { linked, layout, source }, ids)
                    })
                }
            };
            unit.feeds.extend(feed);
        }
    }

    /// Lets go of families that no metric fills any more.
    pub(super) fn forget_unfilled(&mut self) {
        self.let_go();
        let feeds = self.units.iter().flat_map(|unit: &Active| &unit.feeds);
        self.families.keep(feeds.map(|feed| &feed.filled));
    }
}
