//! What was counted, and whether a page says so.
//!
//! A count is noted before it is made and once it is made. So a page has to say at least what was made before the maps
//! were read for it, which it tells, and at most what had begun when it was there. And no page says less than one that
//! was there before it was asked for. At the end, when nobody counts any more, it has to say all, whatever time it tells.
//!
//! A kernel with preemption may leave a program out while it reads maps for another task on that processor, and says how
//! often (Linux 6.7). A page may say so much less.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::page::{Page, Sample};

/// What one number of a page has to be.
#[derive(Debug, Default)]
struct Account {
    /// Whether its map forgets, so that what was counted need not be there.
    forgets: bool,
    begun: AtomicU64,
    done: AtomicU64,
    /// The most that a page has said.
    seen: AtomicU64,
}

/// What is known of the numbers of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// Each of so many rows has its own, and it is exact. They are the rows 1, 2 and so on.
    Rows(u64),
    /// All of its series together are exact.
    Sum,
    /// All of its series together never fall, and are no more than was counted: its map forgets.
    AtMost,
    /// Nothing: its labels change all the time.
    Nothing,
}

impl Tally {
    fn accounts(self) -> usize {
        match self {
            Self::Rows(rows) => usize::try_from(rows).unwrap(),
            Self::Sum | Self::AtMost => 1,
            Self::Nothing => 0,
        }
    }
}

/// Where a family is booked.
#[derive(Clone, Copy, Debug)]
pub struct Book {
    first: usize,
    tally: Tally,
}

/// A family, and the configs that count for it.
#[derive(Debug)]
struct Family {
    book: Book,
    configs: Vec<String>,
}

/// The most that is counted at once.
pub const MOST: u64 = 5;

/// Moments that are remembered: a minute of them, where one is noted each 50 ms.
const MOMENTS: usize = 1200;

/// All that was counted.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: Vec<Account>,
    /// By the names of the series that are summed.
    families: HashMap<String, Family>,
    /// What was made at moments, in seconds since 1970: the last one is at the end.
    moments: Mutex<VecDeque<(f64, Vec<u64>)>>,
    /// What programs missed that are gone, by config.
    missed: Mutex<HashMap<String, u64>>,
    /// Pages that were read before all moments that are remembered.
    old: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most that pages have said that were there before another one is asked for.
pub struct Seen(Vec<u64>);

impl Ledger {
    /// Opens the accounts of a family for a config. They are the same ones for all configs that share it.
    pub fn open(&mut self, config: &str, series: &str, tally: Tally) -> Book {
        let first = self.accounts.len();
        let new = || Family { book: Book { first, tally }, configs: Vec::new() };
        let family = self.families.entry(series.to_owned()).or_insert_with(new);
        family.configs.push(config.to_owned());
        let book = family.book;
        if book.first == first {
            let forgets = tally == Tally::AtMost;
            let new = || Account { forgets, ..Account::default() };
            self.accounts.extend((0..tally.accounts()).map(|_| new()));
        }
        book
    }

    /// Counts `add`, which is at most [`MOST`], for the row of this number. It is one of those that stay if it is small.
    pub fn count(&self, book: Book, row: u64, add: u64, act: impl FnOnce()) {
        let account = match book.tally {
            Tally::Rows(rows) if (1..=rows).contains(&row) => Some(row - 1),
            Tally::Sum | Tally::AtMost => Some(0),
            Tally::Rows(_) | Tally::Nothing => None,
        };
        let account = account.map(|at| &self.accounts[book.first + at as usize]);
        if let Some(account) = account {
            account.begun.fetch_add(add, SeqCst);
        }
        act();
        if let Some(account) = account {
            account.done.fetch_add(add, SeqCst);
        }
    }

    /// The most that pages have said so far.
    pub fn seen(&self) -> Seen {
        Seen(self.accounts.iter().map(|account| account.seen.load(SeqCst)).collect())
    }

    /// Notes what was made so far, for pages whose maps are read from now on.
    pub fn note(&self) {
        let all = self.made();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set");
        let now = now.as_secs_f64();
        let mut moments = lock(&self.moments);
        // The clock went back: what is read from now on is told by the new time.
        while moments.back().is_some_and(|(at, _)| *at > now) {
            moments.pop_back();
        }
        moments.push_back((now, all));
        if moments.len() > MOMENTS {
            moments.pop_front();
        }
    }

    /// What was made so far.
    fn made(&self) -> Vec<u64> {
        let done = |account: &Account| if account.forgets { 0 } else { account.done.load(SeqCst) };
        self.accounts.iter().map(done).collect()
    }

    /// What was made by then, as far as it was noted; nothing if that is too long ago.
    fn made_by(&self, by: f64) -> Vec<u64> {
        let moments = lock(&self.moments);
        let Some((_, made)) = moments.iter().rev().find(|(at, _)| *at <= by) else {
            self.old.fetch_add(1, SeqCst);
            return self.nothing();
        };
        made.clone()
    }

    fn nothing(&self) -> Vec<u64> {
        vec![0; self.accounts.len()]
    }

    /// Pages that were read so long ago when they had come that they were only held against other pages.
    pub fn old(&self) -> u64 {
        self.old.load(SeqCst)
    }

    /// Remembers what the programs of a config missed, before others take their place. Nobody may count for it
    /// meanwhile.
    pub fn retire(&self, config: &str, page: &Page) {
        let missed: u64 =
            page.missed().filter(|(of, _)| *of == config).map(|(_, missed)| missed).sum();
        *lock(&self.missed).entry(config.to_owned()).or_default() += missed;
    }

    /// What the programs of each config missed until a page was there, those that are gone too.
    pub fn missed(&self, page: &Page) -> HashMap<String, u64> {
        let mut all = lock(&self.missed).clone();
        for (config, missed) in page.missed() {
            *all.entry(config.to_owned()).or_default() += missed;
        }
        all
    }

    /// Holds a whole page of so many configs against what was counted and against what others had said before it was
    /// asked for, and says what is wrong.
    pub fn check(&self, page: &Page, seen: &Seen, configs: usize) -> Result<(), String> {
        self.hold(page, seen, &self.made_by(page.read_at(configs)?))
    }

    /// The same of a page of some families, which does not tell when it was read: it is held against other pages.
    pub fn check_some(&self, page: &Page, seen: &Seen) -> Result<(), String> {
        self.hold(page, seen, &self.nothing())
    }

    /// The same of a page that was asked for when nobody counted any more: it has all.
    pub fn check_last(&self, page: &Page, seen: &Seen) -> Result<(), String> {
        self.hold(page, seen, &self.made())
    }

    /// Holds a page against what was made before it was read, and what others had said before it was asked for.
    fn hold(&self, page: &Page, seen: &Seen, made: &[u64]) -> Result<(), String> {
        let (all_missed, mut said) = (self.missed(page), HashMap::<usize, u64>::new());
        for sample in &page.samples {
            if let Some((at, value)) = self.find(sample) {
                *said.entry(at).or_default() += value;
            }
        }
        let wanted = self.families.iter().filter(|(name, _)| name.starts_with(&page.of));
        for (name, Family { book, configs }) in wanted {
            let missed: u64 = configs.iter().filter_map(|config| all_missed.get(config)).sum();
            for row in 0..book.tally.accounts() {
                let at = book.first + row;
                let (account, value) = (&self.accounts[at], said.get(&at).copied().unwrap_or(0));
                let made = made[at].saturating_sub(missed * MOST);
                let (least, most) = (made.max(seen.0[at]), account.begun.load(SeqCst));
                if !(least..=most).contains(&value) {
                    let row = row + 1;
                    return Err(format!("{name}, {row}: {value} is not within {least} and {most}"));
                }
                account.seen.fetch_max(value, SeqCst);
            }
        }
        Ok(())
    }

    /// The account that a sample adds to.
    fn find(&self, sample: &Sample) -> Option<(usize, u64)> {
        if sample.name == "ebpf_exporter_events_lost_total" {
            // What a program could not stream is counted there instead.
            let map = sample.label("map")?;
            let family = self.families.get(&format!("ebpf_exporter_{map}"))?;
            return Some((family.book.first, sample.value as u64));
        }
        let book = self.families.get(&sample.name)?.book;
        match book.tally {
            Tally::Nothing => None,
            Tally::Sum | Tally::AtMost => Some((book.first, sample.value as u64)),
            Tally::Rows(rows) => {
                let text = &sample.labels.first()?.1;
                let row = text.strip_prefix("row-").unwrap_or(text).parse().ok()?;
                let stays = (1..=rows).contains(&row);
                stays.then(|| (book.first + row as usize - 1, sample.value as u64))
            }
        }
    }
}
