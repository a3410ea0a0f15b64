//! Whose turn it is: which metric has its plugins asked next, so that none takes the time of others.
//!
//! Before each turn, that metric is chosen whose plugins have had the least time of guests so far. What
//! one has had counts in later scrapes too, up to a scrape's budget, so that who comes late in one scrape
//! comes early in the next. How long all may run in a scrape is decided here too. Both go by the times
//! that they are told; nothing here ever looks at a clock.

use std::collections::BTreeMap;
use std::time::Duration;

/// How much of a client's patience is kept for all that guests do not do. If the client waits less than twice as long,
/// half of its patience is.
const MARGIN: Duration = Duration::from_millis(500);
/// How long it takes to decide and write a new row, guests apart: twice what was measured on a busy machine. So much of
/// a scrape is kept free of guests for each new row.
const ROW: Duration = Duration::from_micros(2);

/// Who takes turns: a metric that asks plugins. Metrics and plugins are numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asker {
    /// The metric.
    pub(super) metric: u64,
    /// The plugins that it asks.
    pub(super) plugins: Vec<u64>,
}

/// The order of turns.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// How much more time each plugin has had than the one that has had least. One that is not here has had no more.
    had: BTreeMap<u64, Duration>,
    /// Who comes first in the next scrape, however much time it has had. Its turn in the last scrape was cut short,
    /// and was not the first of that scrape.
    first: Option<u64>,
    /// Who had the first turn of this scrape.
    began: Option<u64>,
}

impl Turns {
    /// Begins a scrape in which these have something to ask, and guests at most `most` time. What a plugin
    /// has had beyond that is forgotten: one that asks for the first time in a while is not before all
    /// others for long.
    pub(super) fn begin<'a>(&mut self, waiting: impl Iterator<Item = &'a Asker>, most: Duration) {
        let asked = waiting.flat_map(|asker| &asker.plugins);
        let least = asked.map(|plugin| self.had(*plugin)).min().unwrap_or_default();
        for had in self.had.values_mut() {
            *had = had.saturating_sub(least).min(most);
        }
        self.had.retain(|_, had| !had.is_zero());
        self.began = None;
    }

    /// Which of `waiting` has the next turn.
    pub(super) fn next<'a>(
        &mut self,
        waiting: impl Iterator<Item = &'a Asker> + Clone,
    ) -> Option<usize> {
        let first = self.first.take();
        let is_first = |asker: &Asker| Some(asker.metric) == first;
        let had = |asker: &Asker| asker.plugins.iter().map(|plugin| self.had(*plugin)).max();
        let mut all = waiting.enumerate();
        let next = match all.clone().find(|(_, asker)| is_first(asker)) {
            Some(first) => first,
            None => all.by_ref().min_by_key(|(_, asker)| had(asker))?,
        };
        self.began = self.began.or(Some(next.1.metric));
        Some(next.0)
    }

    fn had(&self, plugin: u64) -> Duration {
        self.had.get(&plugin).copied().unwrap_or_default()
    }

    /// Notes that a plugin had so much time in a turn.
    pub(super) fn note(&mut self, plugin: u64, took: Duration) {
        *self.had.entry(plugin).or_default() += took;
    }

    /// Notes that all time was spent in the turn of this metric.
    pub(super) fn cut(&mut self, metric: u64) {
        self.first = Some(metric).filter(|metric| self.began != Some(*metric));
    }
}

/// How long guests may run in a scrape that has taken `so_far` and has so many new rows to decide: what
/// the client's patience leaves of the budget, less what is not theirs, but at least a quarter of it.
pub(super) fn time_for_guests(
    budget: Duration,
    patience: Option<Duration>,
    so_far: Duration,
    rows: usize,
) -> Duration {
    let most = patience.map_or(budget, |patience| budget.min(patience - MARGIN.min(patience / 2)));
    let rows = ROW.saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX));
    most.saturating_sub(so_far.saturating_add(rows)).max(most / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const BUDGET: Duration = Duration::from_millis(2000);

    /// Metrics that always have something to ask, and how many turns and how much time each has had.
    struct Play {
        turns: Turns,
        askers: Vec<Asker>,
        /// How long a turn of each metric takes.
        takes: Vec<u64>,
        whole: Vec<u32>,
        time: Vec<Duration>,
    }

    impl Play {
        /// Each metric has a plugin of its own.
        fn of(takes: &[u64]) -> Self {
            let count = takes.len();
            let askers = (0..count as u64).map(|n| Asker { metric: n, plugins: vec![n] }).collect();
            let time = vec![Duration::ZERO; count];
            let turns = Turns::default();
            Self { turns, askers, takes: takes.to_vec(), whole: vec![0; count], time }
        }

        /// A scrape in which these ask without end; the order of the turns.
        fn scrape(&mut self, waiting: &[usize]) -> Vec<usize> {
            let (mut left, mut order) = (BUDGET, Vec::new());
            let askers: Vec<_> = waiting.iter().map(|n| self.askers[*n].clone()).collect();
            self.turns.begin(askers.iter(), BUDGET);
            while let Some(next) = self.turns.next(askers.iter()) {
                let metric = waiting[next];
                order.push(metric);
                let wanted = MS * self.takes[metric] as u32;
                let took = wanted.min(left);
                self.whole[metric] += u32::from(took == wanted);
                self.time[metric] += took;
                left -= took;
                for plugin in &self.askers[metric].plugins {
                    self.turns.note(*plugin, took);
                }
                if left.is_zero() {
                    self.turns.cut(metric as u64);
                    break;
                }
            }
            order
        }
    }

    #[test]
    fn ten_that_are_slow_have_the_same_time() {
        let mut play = Play::of(&[90; 10]);
        let all: Vec<_> = (0..10).collect();
        for _ in 0..10 {
            play.scrape(&all);
        }
        let [least, most] = [play.time.iter().min(), play.time.iter().max()].map(Option::unwrap);
        assert!(*most - *least <= MS * 180, "{:?}", play.time);
        assert!(play.whole.iter().all(|turns| *turns >= 19), "{:?}", play.whole);
    }

    #[test]
    fn a_quick_one_waits_for_no_slow_one() {
        let mut play = Play::of(&[990, 990, 1, 990]);
        for scrape in 0..20 {
            let before = play.whole[2];
            play.scrape(&[0, 1, 2, 3]);
            assert!(play.whole[2] > before, "it has a turn in scrape {scrape}");
        }
    }

    #[test]
    fn who_is_cut_comes_first_and_so_comes_to_an_end() {
        // Each needs more than what the other leaves.
        let mut play = Play::of(&[1200, 1200, 1200]);
        for _ in 0..30 {
            play.scrape(&[0, 1, 2]);
        }
        assert!(play.whole.iter().all(|turns| *turns >= 9), "{:?}", play.whole);
        let order = play.scrape(&[0, 1, 2]);
        assert_eq!(play.scrape(&[0, 1, 2])[0], order[order.len() - 1]);
    }

    #[test]
    fn who_takes_all_of_a_scrape_is_not_first_again() {
        let mut play = Play::of(&[5000, 5000, 10]);
        let firsts: Vec<_> = (0..6).map(|_| play.scrape(&[0, 1, 2])[0]).collect();
        assert!(firsts.windows(2).all(|pair| pair[0] != pair[1]), "{firsts:?}");
        assert!(play.whole[2] > 100, "{:?}", play.whole);
    }

    #[test]
    fn who_was_idle_has_no_more_than_a_scrape_before_the_others() {
        let mut play = Play::of(&[100, 100]);
        for _ in 0..50 {
            play.scrape(&[0]);
        }
        play.scrape(&[0, 1]);
        let before = play.time[0];
        play.scrape(&[0, 1]);
        assert!(play.time[0] > before);
    }

    #[test]
    fn metrics_of_one_plugin_count_together() {
        let mut play = Play::of(&[100; 4]);
        for (asker, plugin) in play.askers.iter_mut().zip([0, 0, 0, 1]) {
            asker.plugins = vec![plugin];
        }
        for _ in 0..10 {
            play.scrape(&[0, 1, 2, 3]);
        }
        let of_the_first: Duration = play.time[..3].iter().sum();
        let apart = of_the_first.abs_diff(play.time[3]);
        assert!(apart <= MS * 200, "{:?}", play.time);
    }

    #[test]
    fn nobody_waiting_is_nobodys_turn() {
        let mut turns = Turns::default();
        turns.begin([].iter(), BUDGET);
        assert_eq!(turns.next([].iter()), None);
        let one = Asker { metric: 7, plugins: vec![1] };
        assert_eq!(turns.next([one].iter()), Some(0));
    }

    #[test]
    fn guests_have_what_a_scrape_can_spare() {
        let ms = Duration::from_millis;
        let time = |patience, so_far, rows| {
            time_for_guests(ms(2000), patience, ms(so_far), rows).as_millis()
        };
        assert_eq!(time(None, 0, 0), 2000);
        assert_eq!(time(None, 300, 100_000), 1500);
        assert_eq!(time(Some(ms(10_000)), 300, 0), 1700);
        assert_eq!(time(Some(ms(1000)), 0, 0), 500);
        assert_eq!(time(Some(ms(300)), 50, 1000), 98);
        // They always come on.
        assert_eq!(time(None, 9000, usize::MAX), 500);
        assert_eq!(time(Some(ms(0)), 0, 0), 0);
    }
}
