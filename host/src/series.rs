//! Families of series: label sets and the numbers that are summed under them. Plain values, no I/O.
//!
//! A family that is fed from a map lives as long as the exporter. Its label sets stay while any row
//! of a map belongs to them. Its numbers are the sums of what rows have counted in them, those that
//! have gone too: so no number falls while its series stays. It knows which series changed since it was
//! last written out. Label sets are compared value by value, never as joined text.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::buckets::Slot;

mod begun;
mod kind;
mod labels;
mod marks;
mod native;

use begun::Begun;
use marks::Marks;

pub use kind::{Bounds, Histogram, Kind};
pub use labels::{LabelSet, LabelSets, LabelValues};

/// A metric as it is exposed: name, help, type and its series.
#[derive(Clone, Debug)]
pub struct Family {
    /// The full name, prefix included.
    pub name: String,
    /// The help text.
    pub help: String,
    /// The names of its labels, in the order of the values in its label sets.
    pub labels: Vec<String>,
    /// Its type.
    pub kind: Kind,
    sets: LabelSets,
    /// The numbers of each series, [`Kind::cells`] of them.
    cells: Vec<u64>,
    /// How many rows belong to each series; a series without rows is not exposed.
    rows: Vec<u32>,
    /// How often each series was let go of, and more for those that came after others were forgotten.
    lives: Vec<u32>,
    /// When each series began.
    begun: Begun,
    /// What a new series begins with of that: more than any that was forgotten had.
    first_life: u32,
    /// Which of all families that were made this is, and its clones.
    made: u64,
    /// How many series have no rows.
    dead: usize,
    /// Series whose last row has gone since [`Family::let_go`].
    emptied: Vec<usize>,
    /// Series of which a number may have changed since [`Family::settle`].
    changed: Marks,
    /// Series that have come or gone since then.
    turned: Marks,
    /// Series that a row has left and others not, since [`Family::let_go`] or [`Family::hold`].
    thinned: Marks,
    /// For each label, the bytes of its values in all series that have rows, if they are counted.
    text: Option<Vec<usize>>,
}

/// How many families were made.
static MADE: AtomicU64 = AtomicU64::new(0);

/// Bytes of label sets without rows that are kept, beside as many as those with rows have.
const SPARE_TEXT: usize = 1 << 20;

/// A number of a series of a family: where a row's value is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell(u32);

/// A series for as long as it is not let go of: what comes after that with its labels is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    id: u32,
    life: u32,
}

impl Family {
    /// A family without series.
    pub fn new(name: String, help: String, labels: Vec<String>, kind: Kind) -> Self {
        let sets = LabelSets::default();
        Self {
            name,
            help,
            labels,
            kind,
            sets,
            cells: Vec::new(),
            rows: Vec::new(),
            lives: Vec::new(),
            begun: Begun::default(),
            first_life: 0,
            made: MADE.fetch_add(1, Ordering::Relaxed),
            dead: 0,
            emptied: Vec::new(),
            changed: Marks::default(),
            turned: Marks::default(),
            thinned: Marks::default(),
            text: None,
        }
    }

    /// What its series are called, and the family.
    pub fn names(&self) -> Vec<String> {
        let suffixes: &[&str] = match self.kind {
            Kind::Histogram(_) => &["", "_bucket", "_count", "_sum"],
            _ => &[""],
        };
        suffixes.iter().map(|suffix| format!("{}{suffix}", self.name)).collect()
    }

    /// A family like this one that has no series yet.
    pub fn without_series(&self) -> Self {
        let (name, help) = (self.name.clone(), self.help.clone());
        let mut family = Self::new(name, help, self.labels.clone(), self.kind.clone());
        if self.is_measured() {
            family.measure();
        }
        family
    }

    /// Counts the bytes of labels from now on.
    pub fn measure(&mut self) {
        if self.is_measured() {
            return;
        }
        self.text = Some(vec![0; self.labels.len()]);
        for id in self.live().collect::<Vec<_>>() {
            self.weigh(id, true);
        }
    }

    /// Whether the bytes of labels are counted.
    pub fn is_measured(&self) -> bool {
        self.text.is_some()
    }

    /// Bytes of the values of this label in all series that have rows, each series once; 0 if they are
    /// not counted.
    pub fn text_of(&self, label: usize) -> usize {
        self.text.as_ref().and_then(|text| text.get(label)).copied().unwrap_or(0)
    }

    /// Whether a series with these labels has rows.
    pub fn has(&self, labels: &LabelSet) -> bool {
        self.sets.find(labels.values()).is_some_and(|id| self.is_live(id))
    }

    /// Counts a series that has come, or gone.
    fn weigh(&mut self, id: usize, has_come: bool) {
        let Some(text) = &mut self.text else { return };
        for (bytes, value) in text.iter_mut().zip(self.sets.get(id)) {
            *bytes = if has_come { *bytes + value.len() } else { *bytes - value.len() };
        }
    }

    /// Has series that come from now on have begun at this time, milliseconds since 1970, each with nothing counted.
    /// If it is none they may have counted before they were read. This is never called of families that no map feeds.
    pub fn begin_at(&mut self, time: Option<u64>) {
        self.begun.at(time);
    }

    /// Whether a map feeds it: it was said when its series begin.
    pub fn is_of_map(&self) -> bool {
        self.begun.is_said()
    }

    /// When the `id`-th series began, milliseconds since 1970, if that is known.
    pub fn begun(&self, id: usize) -> Option<u64> {
        self.begun.of(id)
    }

    /// Whether the `id`-th series may have counted long before it was first read: in another exporter's time, or for
    /// a metric that has gone. Never of families that no map feeds.
    pub fn is_found(&self, id: usize) -> bool {
        self.begun.is_unknown(id)
    }

    /// Brings near what joining the series of these labels needs. It is called for many before the first joins.
    pub fn touch(&self, labels: &LabelSet) {
        self.sets.touch(labels);
    }

    /// Takes one more row into the series of `labels`, which is made if it is not there; where the
    /// row's value goes, `slot` being its place in a histogram.
    pub fn join(&mut self, labels: &LabelSet, slot: Option<Slot>) -> Cell {
        let id = self.sets.id_of(labels);
        let width = self.kind.cells();
        if id == self.rows.len() {
            self.rows.push(0);
            self.lives.push(self.first_life);
            self.begun.push();
            self.dead += 1;
            self.cells.resize((id + 1) * width, 0);
        }
        if self.rows[id] == 0 {
            self.dead -= 1;
            self.begun.begin(id);
            self.turned.mark(id);
            self.weigh(id, true);
        }
        self.rows[id] += 1;
        let cell = match slot {
            Some(Slot::Bucket(bucket)) => id * width + bucket,
            Some(Slot::Sum) => id * width + width - 1,
            None => id * width,
        };
        Cell(u32::try_from(cell).unwrap_or(u32::MAX))
    }

    /// Takes a row out of its series. What it has added stays as long as the series has other rows:
    /// what was counted once does not become less. The last row takes all with it, unless another has
    /// come before [`Family::let_go`].
    pub fn leave(&mut self, cell: Cell) {
        let id = self.series_of(cell);
        self.rows[id] -= 1;
        if self.rows[id] == 0 {
            self.dead += 1;
            self.emptied.push(id);
            self.turned.mark(id);
            self.weigh(id, false);
        } else {
            self.thinned.mark(id);
        }
    }

    /// Whether this is the place of the only row of its series, which others have not left just now either. Not so of
    /// the series with the labels `but`.
    pub fn is_alone(&self, cell: Cell, but: &LabelSet) -> bool {
        let id = self.series_of(cell);
        self.rows[id] == 1 && !self.thinned.has(id) && self.sets.find(but.values()) != Some(id)
    }

    /// Has series without rows begin at 0 if any comes again: they are not exposed now.
    pub fn let_go(&mut self) {
        let width = self.kind.cells();
        self.forget_filled();
        for id in std::mem::take(&mut self.emptied) {
            self.cells[id * width..(id + 1) * width].fill(0);
            self.lives[id] = self.lives[id].wrapping_add(1);
            self.begun.end(id);
        }
    }

    /// Has series without rows go on where they were if any comes again before [`Family::let_go`], though they
    /// are not exposed now: rows wait that may belong to them.
    pub fn hold(&mut self) {
        self.forget_filled();
    }

    /// Keeps of the series that were emptied those that still are, each once, and forgets which ones rows have left.
    fn forget_filled(&mut self) {
        self.thinned.clear();
        let Self { emptied, rows, .. } = self;
        emptied.retain(|id| rows[*id] == 0);
        emptied.sort_unstable();
        emptied.dedup();
    }

    /// The series of a cell, as it is now.
    pub fn life(&self, cell: Cell) -> Life {
        let id = self.series_of(cell);
        Life { id: id as u32, life: self.lives[id] }
    }

    /// Which family this is of all that were made; its clones have the same number. One that takes the place of
    /// another has another.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// Which life the `id`-th series has: another number than any of this family that had its labels before and
    /// was let go of.
    pub fn life_of(&self, id: usize) -> u32 {
        self.lives[id]
    }

    /// Whether that series was not let go of since.
    pub fn has_life(&self, Life { id, life }: Life) -> bool {
        self.lives.get(id as usize) == Some(&life)
    }

    /// Adds to a number that never falls: it stays at 2^64 - 1 when it gets there.
    #[inline]
    pub fn add(&mut self, cell: Cell, value: u64) {
        let sum = &mut self.cells[cell.0 as usize];
        *sum = sum.saturating_add(value);
        self.changed.mark(self.series_of(cell));
    }

    /// Moves a number that may fall, by a signed difference. Wraps.
    #[inline]
    pub fn shift(&mut self, cell: Cell, difference: u64) {
        let sum = &mut self.cells[cell.0 as usize];
        *sum = sum.wrapping_add(difference);
        self.changed.mark(self.series_of(cell));
    }

    /// What a number is now.
    #[inline]
    pub fn number(&self, cell: Cell) -> u64 {
        self.cells[cell.0 as usize]
    }

    #[inline]
    fn series_of(&self, cell: Cell) -> usize {
        match &self.kind {
            Kind::Histogram(_) => cell.0 as usize / self.kind.cells(),
            _ => cell.0 as usize,
        }
    }

    /// Sets the real number of `labels`: for families that no map feeds.
    pub fn set(&mut self, labels: &LabelSet, value: f64) {
        self.set_numbers(labels, &[value.to_bits()]);
    }

    /// Sets the numbers of `labels`, [`Kind::cells`] of them: for families that no map feeds.
    pub fn set_numbers(&mut self, labels: &LabelSet, numbers: &[u64]) {
        let cell = self.join(labels, None);
        self.set_series(self.series_of(cell), numbers);
    }

    /// Sets the numbers of the `id`-th series, [`Kind::cells`] of them.
    pub fn set_series(&mut self, id: usize, numbers: &[u64]) {
        let width = self.kind.cells();
        let cells = &mut self.cells[id * width..(id + 1) * width];
        if cells != numbers {
            cells.copy_from_slice(numbers);
            self.changed.mark(id);
        }
    }

    /// Which of these series have changed numbers, ascending.
    pub fn changed(&self, ids: Range<usize>) -> impl Iterator<Item = usize> {
        self.changed.among(ids)
    }

    /// Whether any of these series has come or gone.
    pub fn turned(&self, ids: Range<usize>) -> bool {
        self.turned.among(ids).next().is_some()
    }

    /// Takes all changes as known.
    pub fn settle(&mut self) {
        self.changed.clear();
        self.turned.clear();
    }

    /// How many series have rows.
    pub fn len(&self) -> usize {
        self.rows.len() - self.dead
    }

    /// Whether no series has rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many series there is memory for, with rows or without.
    pub fn room(&self) -> usize {
        self.rows.len()
    }

    /// Whether the `id`-th of all series there is memory for has rows.
    pub fn is_live(&self, id: usize) -> bool {
        self.rows[id] > 0
    }

    /// The label values of the `id`-th series.
    pub fn label_values(&self, id: usize) -> LabelValues<'_> {
        self.sets.get(id)
    }

    /// The numbers of the `id`-th series.
    pub fn numbers(&self, id: usize) -> &[u64] {
        let width = self.kind.cells();
        &self.cells[id * width..(id + 1) * width]
    }

    /// The series that have rows, in the order in which their label sets were met.
    pub fn live(&self) -> impl Iterator<Item = usize> {
        (0..self.rows.len()).filter(|id| self.is_live(*id))
    }

    /// The label values that a row's value is added under, and the number within the series.
    pub fn place(&self, cell: Cell) -> (LabelValues<'_>, usize) {
        let width = self.kind.cells();
        (self.sets.get(cell.0 as usize / width), cell.0 as usize % width)
    }

    /// Whether enough series are without rows that their memory is worth having back.
    pub fn is_sparse(&self) -> bool {
        let heavy =
            |text: &Vec<usize>| self.sets.bytes() > 2 * text.iter().sum::<usize>() + SPARE_TEXT;
        self.dead > 1024 && self.dead > self.rows.len() / 4 || self.text.as_ref().is_some_and(heavy)
    }

    /// Forgets the series without rows. All cells move: the answer says where to. What was written
    /// out of the family before says nothing of it any more.
    pub fn compact(&mut self) -> Moves {
        self.let_go();
        let width = self.kind.cells();
        let mut sets = LabelSets::default();
        let (mut cells, mut rows, mut lives) = (Vec::new(), Vec::new(), Vec::new());
        let mut to = vec![u32::MAX; self.rows.len()];
        self.first_life = self.lives.iter().max().map_or(0, |life| life.wrapping_add(1));
        for id in self.live() {
            to[id] = sets.push(self.sets.get(id)) as u32;
            cells.extend_from_slice(self.numbers(id));
            rows.push(self.rows[id]);
            lives.push(self.lives[id]);
        }
        self.begun = self.begun.only(self.live());
        (self.sets, self.cells, self.rows, self.dead) = (sets, cells, rows, 0);
        self.lives = lives;
        (self.changed, self.turned) = (Marks::default(), Marks::default());
        Moves { to, width: width as u32 }
    }
}

/// Where [`Family::compact`] has moved cells to.
#[derive(Debug)]
pub struct Moves {
    to: Vec<u32>,
    width: u32,
}

impl Moves {
    /// The new place of a cell whose series has rows.
    pub fn to(&self, cell: Cell) -> Cell {
        Cell(self.to[(cell.0 / self.width) as usize] * self.width + cell.0 % self.width)
    }

    /// A series after the move; one that no series is if it had no rows.
    pub fn life(&self, Life { id, life }: Life) -> Life {
        Life { id: self.to.get(id as usize).copied().unwrap_or(u32::MAX), life }
    }
}

#[cfg(test)]
mod tests;
