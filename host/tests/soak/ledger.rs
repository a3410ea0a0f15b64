//! What was counted, and whether a page says so.
//!
//! A count is noted before it is made and once it is made. So a page has to say at least what was made before the maps
//! were read for it, which it tells, and at most what had begun when it was there. And no page says less than one that
//! was there before it was asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
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

/// Moments that are remembered: a minute of them, where one is noted each 50 ms.
const MOMENTS: usize = 1200;

/// All that was counted.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: Vec<Account>,
    /// By the names of the series that are summed.
    books: HashMap<String, Book>,
    /// What was made at moments, in seconds since 1970: the last one is at the end.
    moments: Mutex<VecDeque<(f64, Vec<u64>)>>,
}

/// The most that pages have said that were there before another one is asked for.
pub struct Seen(Vec<u64>);

impl Ledger {
    /// Opens the accounts of a family, once: configs may share one.
    pub fn open(&mut self, series: &str, tally: Tally) -> Book {
        let first = self.accounts.len();
        let book = *self.books.entry(series.to_owned()).or_insert(Book { first, tally });
        if book.first == first {
            let forgets = tally == Tally::AtMost;
            let new = || Account { forgets, ..Account::default() };
            self.accounts.extend((0..tally.accounts()).map(|_| new()));
        }
        book
    }

    /// Counts `add` for the row of this number. It is one of those that stay if it is small.
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
        let done = |account: &Account| if account.forgets { 0 } else { account.done.load(SeqCst) };
        let all = self.accounts.iter().map(done).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set");
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        moments.push_back((now.as_secs_f64(), all));
        if moments.len() > MOMENTS {
            moments.pop_front();
        }
    }

    /// What was made by then, as far as it was noted; nothing if that is too long ago.
    fn made(&self, by: f64) -> Vec<u64> {
        let moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = moments.iter().rev().find(|(at, _)| *at <= by);
        noted.map_or_else(|| vec![0; self.accounts.len()], |(_, made)| made.clone())
    }

    /// Holds a page against what was counted and against what others had said before it was asked for, and says what
    /// is wrong.
    pub fn check(&self, page: &Page, seen: &Seen) -> Result<(), String> {
        let made = self.made(page.read_at());
        let mut said = HashMap::<usize, u64>::new();
        for sample in &page.samples {
            if let Some((at, value)) = self.find(sample) {
                *said.entry(at).or_default() += value;
            }
        }
        let wanted = self.books.iter().filter(|(name, _)| name.starts_with(&page.of));
        for (name, book) in wanted {
            for row in 0..book.tally.accounts() {
                let at = book.first + row;
                let (account, value) = (&self.accounts[at], said.get(&at).copied().unwrap_or(0));
                let (least, most) = (made[at].max(seen.0[at]), account.begun.load(SeqCst));
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
            let book = self.books.get(&format!("ebpf_exporter_{map}"))?;
            return Some((book.first, sample.value as u64));
        }
        let book = self.books.get(&sample.name)?;
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
