//! Decides rows that are new, and rows whose answers have ended, within the time that a scrape has for guests. Metrics
//! that ask no plugin come first. The others take turns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use super::families::Families;
use super::feed::Feed;
use super::stats::{ConfigStats, Phases};
use super::turns::{Asker, Turns, time_for_guests};
use super::unit::Active;
use crate::plugin::Budget;

/// How long all guests together may run in a scrape, if nothing else was said.
pub const PLUGIN_BUDGET: Duration = Duration::from_secs(2);

/// The time that guests have.
#[derive(Debug)]
pub(super) struct Guests {
    /// How long they may run in a scrape.
    pub(super) most: Duration,
    /// What is left of that in this one.
    pub(super) budget: Arc<Budget>,
    turns: Turns,
}

impl Default for Guests {
    fn default() -> Self {
        Self { most: PLUGIN_BUDGET, budget: Arc::default(), turns: Turns::default() }
    }
}

/// Decides rows in one scrape.
pub(super) struct Deciding<'a> {
    pub(super) units: &'a mut [Active],
    pub(super) families: &'a mut Families,
    pub(super) phases: &'a mut Phases,
    pub(super) guests: &'a mut Guests,
}

/// A metric that waits for a turn.
struct Waiting {
    place: Place,
    asker: Asker,
}

/// Where a feed stands: its unit, and its place in that.
#[derive(Clone, Copy)]
struct Place(usize, usize);

impl Deciding<'_> {
    /// Decides all, in a scrape that began at `start` and whose client waits so long.
    pub(super) fn all(&mut self, start: Instant, patience: Option<Duration>) {
        let asks = |feed: &Feed| !feed.asker.plugins.is_empty() && feed.has_work();
        let (asking, quick): (Vec<_>, Vec<_>) =
            self.places().into_iter().partition(|place| asks(self.feed(*place)));
        for place in quick {
            while self.feed(place).has_work() && self.step(place) {}
            self.finish(place);
        }
        if asking.is_empty() {
            return;
        }
        let rows = asking.iter().map(|place| self.feed(*place).new_rows()).sum();
        let time = time_for_guests(self.guests.most, patience, start.elapsed(), rows);
        self.guests.budget.begin(self.guests.most, time);
        self.take_turns(&asking);
        for place in asking {
            self.finish(place);
        }
        self.guests.budget.end();
    }

    fn places(&self) -> Vec<Place> {
        let units = self.units.iter().enumerate().filter(|(_, unit)| unit.chosen);
        let places =
            units.flat_map(|(n, unit)| (0..unit.feeds.len()).map(move |feed| Place(n, feed)));
        places.collect()
    }

    fn feed(&self, Place(unit, feed): Place) -> &Feed {
        &self.units[unit].feeds[feed]
    }

    /// Has the plugins of these feeds asked, until all is answered or no time is left.
    fn take_turns(&mut self, asking: &[Place]) {
        let waiting =
            |place: &Place| Waiting { place: *place, asker: self.feed(*place).asker.clone() };
        let mut waiting: Vec<_> = asking.iter().map(waiting).collect();
        let most = self.guests.most;
        self.guests.turns.begin(waiting.iter().map(|waiting| &waiting.asker), most);
        while !self.guests.budget.is_spent()
            && let Some(next) = self.guests.turns.next(waiting.iter().map(|waiting| &waiting.asker))
        {
            let Waiting { place, asker } = &waiting[next];
            let before = self.times(*place);
            let more = self.step(*place);
            for ((plugin, before), (_, after)) in before.into_iter().zip(self.times(*place)) {
                self.guests.turns.note(plugin, after.saturating_sub(before));
            }
            if self.guests.budget.is_spent() {
                self.guests.turns.cut(asker.metric);
            }
            if !more {
                waiting.remove(next);
            }
        }
    }

    /// The time that the guests of a feed's plugins have taken so far.
    fn times(&self, place: Place) -> Vec<(u64, Duration)> {
        let asks = self.feed(place).asks.iter();
        asks.map(|plugin| (plugin.id, plugin.gauge.time())).collect()
    }

    /// Decides some rows of a feed; whether it has more.
    fn step(&mut self, Place(unit, feed): Place) -> bool {
        let Active { feeds, stats, .. } = &mut self.units[unit];
        let feed = &mut feeds[feed];
        let family = self.families.of(&feed.filled);
        feed.step(family, stats, self.phases)
    }

    /// Decides what is to be decided of a feed without waiting for guests.
    fn finish(&mut self, Place(unit, feed): Place) {
        let Active { feeds, stats, .. } = &mut self.units[unit];
        let feed = &mut feeds[feed];
        let family = self.families.of(&feed.filled);
        let waiting = feed.finish(family, stats, self.phases);
        if waiting > 0 {
            feed.asks.iter().for_each(|plugin| plugin.gauge.defer(waiting));
            tell_of_waiting(feed, waiting, stats);
        }
    }
}

fn tell_of_waiting(feed: &mut Feed, waiting: usize, stats: &ConfigStats) {
    if feed.tell() {
        warn!(
            config = stats.name,
            "{waiting} keys of {} wait for their turn at a plugin: it, or all plugins of a scrape \
             together (--plugins.scrape-budget), had used up their time; they keep the labels they \
             have, or get those of `on_error`, and come first in the next scrape; this is said once, \
             ebpf_exporter_plugin_deferred_total counts on",
            feed.map()
        );
    }
}
