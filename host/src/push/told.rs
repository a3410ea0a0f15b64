//! What a collector was told of each series: since when it counts, and, where only differences are told, up to which
//! numbers.
//!
//! It is as large as what was read last, and forgets series that were let go of. Numbers are taken as told only once the
//! collector has taken them: so what a push that failed was to tell, the next one does. Of a series that may have counted
//! long before, differences begin with the push that finds it: the rest may have been told before, by another exporter or
//! under another name.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::variables::Form;
use crate::series::{Family, Histogram, Kind, LabelSets};

/// What was told of all series but gauges, which are as they are.
#[derive(Debug)]
pub(super) struct Told {
    form: Form,
    /// By their names.
    families: HashMap<String, ToldFamily>,
    /// When maps were read last, or the exporter began: nanoseconds since 1970, as all times here.
    read: u64,
}

/// What was told of the series of a family, in the order of those that are there; others behind.
#[derive(Debug, Default)]
pub(super) struct ToldFamily {
    sets: LabelSets,
    series: Vec<ToldSeries>,
    /// The numbers that differences are told from, or that show whether a series began anew: as many for each
    /// series as [`numbers`] gives.
    numbers: Vec<u64>,
    /// What the family was when it was read: another one of its name has other numbers.
    like: Option<(Kind, Vec<String>)>,
    /// Which family of this name it was.
    made: u64,
}

/// What was told of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ToldSeries {
    /// Since when what is told next was counted; 0 if nobody knows.
    start: u64,
    life: u32,
}

/// Series of a family, to be made points of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen<'a> {
    pub(super) family: &'a Family,
    /// The place of the first among those that are there.
    pub(super) first: usize,
    pub(super) ids: &'a [u32],
}

/// A time as messages have it.
pub(super) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    u64::try_from(since).unwrap_or(u64::MAX)
}

impl Form {
    /// Whether families of this kind are told as differences.
    pub(super) fn is_delta(self, kind: &Kind) -> bool {
        match kind {
            Kind::Counter | Kind::RealCounter => self.delta_counters,
            Kind::Histogram(_) => self.delta_histograms,
            Kind::Gauge | Kind::IntegerGauge => false,
        }
    }
}

impl Told {
    /// Nothing was told yet. The exporter began at `began`.
    pub(super) fn new(form: Form, began: u64) -> Self {
        Self { form, families: HashMap::new(), read: began }
    }

    /// In which form all is told.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Follows a reading of this time: series come, go, and begin anew.
    pub(super) fn read(&mut self, families: &[Arc<Family>], time: u64) {
        let Self { form, families: told, read } = self;
        let mut before = mem::take(told);
        for family in families.iter().filter(|family| is_counted(family)) {
            let known = before.remove(&family.name).unwrap_or_default();
            told.insert(family.name.clone(), known.follow(family, *form, (*read, time)));
        }
        *read = time;
    }

    /// What was told of a family; none of gauges.
    pub(super) fn of(&self, family: &Family) -> Option<&ToldFamily> {
        self.families.get(&family.name)
    }

    /// Takes as told what these series were at this time.
    pub(super) fn acknowledge(&mut self, Chosen { family, first, ids }: Chosen<'_>, time: u64) {
        if !self.form.is_delta(&family.kind) {
            return;
        }
        let Some(told) = self.families.get_mut(&family.name) else { return };
        let width = family.kind.cells();
        let series = told.series.iter_mut().zip(told.numbers.chunks_exact_mut(width)).skip(first);
        for ((series, told), id) in series.zip(ids) {
            series.start = time;
            told.copy_from_slice(family.numbers(*id as usize));
        }
    }
}

/// Whether what was counted in its series adds up.
fn is_counted(family: &Family) -> bool {
    !matches!(family.kind, Kind::Gauge | Kind::IntegerGauge)
}

impl ToldFamily {
    /// Since when the series counts that is the `place`-th of those that are there, 0 if nobody knows, and the numbers
    /// that were kept of it.
    pub(super) fn series(&self, place: usize) -> Option<(u64, &[u64])> {
        let (series, numbers) = self.at(place)?;
        Some((series.start, numbers))
    }

    fn at(&self, place: usize) -> Option<(ToldSeries, &[u64])> {
        let series = self.series.get(place)?;
        let width = self.numbers.len() / self.series.len();
        Some((*series, self.numbers.get(place * width..(place + 1) * width)?))
    }

    /// The same of the series that the family has now. Series that are not there now, and may come back as they were,
    /// stand behind. `times` are when maps were read last, and this time.
    fn follow(self, family: &Family, form: Form, times: (u64, u64)) -> Self {
        let like = Some((family.kind.clone(), family.labels.clone()));
        let delta = form.is_delta(&family.kind);
        // What is made anew of a map may count under one name what was told under another.
        let is_another = delta && family.is_of_map() && self.made != family.made();
        let before = if self.like == like && !is_another { self } else { Self::default() };
        let mut now = Self { like, made: family.made(), ..Self::default() };
        let mut fresh = Vec::new();
        for (place, id) in family.live().enumerate() {
            numbers(family, id, delta, &mut fresh);
            match before.known(place, family, id) {
                Some((series, told)) if goes_on(told, &fresh) => {
                    now.push(family, id, series, if delta { told } else { &fresh });
                }
                _ => {
                    let start = start(family, id, delta, times);
                    if delta && !family.is_found(id) {
                        fresh.fill(0);
                    }
                    now.push(family, id, ToldSeries { start, life: 0 }, &fresh);
                }
            }
        }
        for id in (0..family.room()).filter(|id| !family.is_live(*id)) {
            if let Some((series, told)) = before.known(id, family, id) {
                now.push(family, id, series, told);
            }
        }
        now
    }

    fn push(&mut self, family: &Family, id: usize, series: ToldSeries, numbers: &[u64]) {
        self.sets.push(family.label_values(id));
        self.series.push(ToldSeries { life: family.life_of(id), ..series });
        self.numbers.extend_from_slice(numbers);
    }

    /// What was told of this series, if it was not let go of since. Mostly it stands where it stood. A family that
    /// has taken the place of another goes on as far as its numbers show.
    fn known(&self, place: usize, family: &Family, id: usize) -> Option<(ToldSeries, &[u64])> {
        let values = family.label_values(id);
        let stands = place < self.sets.len() && self.sets.get(place).same(values);
        let place = if stands { place } else { self.sets.find(values)? };
        let goes_on =
            |series: &ToldSeries| self.made != family.made() || series.life == family.life_of(id);
        self.at(place).filter(|(series, _)| goes_on(series))
    }
}

/// Since when a series counts that was not there when maps were `read` last, or began anew since. No point of it that
/// was told ends after that. Of one that may have counted before, nobody knows; its differences begin `now`.
fn start(family: &Family, id: usize, delta: bool, (read, now): (u64, u64)) -> u64 {
    match (family.is_found(id), delta) {
        (true, true) => now,
        (true, false) => 0,
        (false, _) => {
            family.begun(id).map_or(read, |time| time.saturating_mul(1_000_000).max(read))
        }
    }
}

/// The numbers of a series that are kept: all if differences are told, or one that shows whether it fell.
fn numbers(family: &Family, id: usize, delta: bool, into: &mut Vec<u64>) {
    into.clear();
    match &family.kind {
        Kind::Histogram(bounds) if !delta => {
            into.push(Histogram::new(bounds, family.numbers(id)).count());
        }
        _ => into.extend_from_slice(family.numbers(id)),
    }
}

/// Whether these numbers may be those, counted on. The bits of two real numbers that are not negative are ordered
/// as the numbers are.
fn goes_on(before: &[u64], now: &[u64]) -> bool {
    before.iter().zip(now).all(|(before, now)| before <= now)
}
