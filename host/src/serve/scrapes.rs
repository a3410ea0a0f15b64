//! Single flight: one thread owns the gatherer, and whoever asks while it works shares the result.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use super::board::{Ailment, Board, Notes};
use super::choice::Choice;
use crate::advice::Advise;
use crate::escaping::Escaping;
use crate::exposition::{Body, Format, gzip};
use crate::series::Family;
use crate::status::Findings;
use crate::workers::{HireError, Hired, LARGE_STACK, Post, Workers};

mod work;

use work::{call, live};

/// The thread that scrapes. When it ends it detaches programs, for which the kernel may take a while.
const POST: Post = Post { name: "scrape", stack: LARGE_STACK, patience: Duration::from_secs(10) };

/// Makes the pages. Called from one thread, one call at a time.
///
/// A call that panics is answered as an error, and the next call is made on the same value: begin
/// each by clearing what it collects, so that nothing of a call that was cut off remains.
pub trait Gatherer: Send + 'static {
    /// Reads the maps: all pages until the next call say what was read now. Bytes that were kept
    /// from the last pages can be written again once no client holds them
    /// (`Bytes::try_into_mut`). Of those who wait for it, the least patient waits for `patience`, if
    /// any says for how long.
    fn read(&mut self, patience: Option<Duration>);

    /// Changes what there is to read, if anybody has told it to.
    fn settle(&mut self) {}

    /// Has readings be of these configs alone, and pages, until it is called again.
    ///
    /// # Errors
    ///
    /// When it names one that there is not; nothing changes then.
    fn choose(&mut self, choice: &Choice) -> Result<(), String> {
        let _ = choice;
        Ok(())
    }

    /// A page of what was read.
    fn page(&mut self, page: Page) -> Body;

    /// All families of what was read, as they are now: whoever holds one keeps it as it is, and should not hold
    /// it for long. For those who want numbers and no page.
    fn families(&mut self) -> Vec<Arc<Family>> {
        Vec::new()
    }

    /// The maps that there are, as they were last read.
    fn maps(&mut self) -> Vec<MapSummary>;

    /// The entries of a map from here on, as many as make a piece, with what the last reading made of
    /// them; `None` if there is no such map. It begins at 0, and goes on where [`Piece::next`] says.
    fn entries(&mut self, config: &str, map: &str, from: usize) -> Option<Piece>;

    /// What the last reading found, for the status page.
    fn findings(&mut self) -> Option<Arc<Findings>> {
        None
    }

    /// `body`, which [`Gatherer::page`] gave last, for `page`, as one gzip member.
    fn gzip(&mut self, page: Page, body: &Body) -> Body {
        let _ = page;
        gzip::compress(body)
    }
}

/// What a client asks the gatherer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// All metrics, names escaped.
    Metrics(Format, Escaping),
}

/// A map, as the index shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSummary {
    /// The config that it belongs to.
    pub config: String,
    /// Its name, which no other map of the config has.
    pub name: String,
    /// The kernel's name for its type, such as `lru_hash`.
    pub kind: String,
    /// How many entries it can hold.
    pub capacity: usize,
    /// How many it held when it was last read.
    pub entries: Option<usize>,
}

/// A piece of the page of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its text.
    pub text: Bytes,
    /// Where the next piece begins, if there is one.
    pub next: Option<usize>,
}

/// The bytes of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Shared by all who asked; never copied per client.
    pub body: Body,
    /// Whether they are gzip.
    pub gzipped: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScrapeError {
    /// A bug; the next scrape is tried again.
    #[error("failed to scrape: {0}")]
    Panicked(String),
    /// The client asks for a config that there is not.
    #[error("no config `{0}` is served")]
    NoConfig(String),
    /// The scrape thread has ended.
    #[error("failed to scrape: the exporter is stopping")]
    Stopping,
}

impl Advise for ScrapeError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Panicked(_) => {
                Some("this is a bug, please report it with the exporter's log".to_owned())
            }
            Self::NoConfig(_) => Some(
                "the status page at / has all that are, for collect[] and exclude[]".to_owned(),
            ),
            Self::Stopping => None,
        }
    }
}

/// The way to the scrape thread, which ends when the last clone is gone. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Scrapes {
    queue: Sender<Asked>,
    /// Closed once the thread makes no more pages.
    life: watch::Receiver<()>,
    board: Board,
}

/// What can be asked of the gatherer beside pages, and answers for itself.
type Errand = Box<dyn FnOnce(&mut dyn Gatherer) + Send>;

enum Asked {
    /// A reading that nobody waits for.
    Reading,
    Page(Request),
    Families(FamiliesReply),
    Errand(Errand),
    /// Nothing more will be wanted.
    End,
}

/// Who has asked for families hears of them by this.
type FamiliesReply = oneshot::Sender<Result<Vec<Arc<Family>>, ScrapeError>>;

#[derive(Debug)]
struct Request {
    choice: Choice,
    page: Page,
    gzip: bool,
    patience: Option<Duration>,
    reply: oneshot::Sender<Result<Answer, ScrapeError>>,
}

impl Scrapes {
    /// Hires a worker that scrapes. It ends when it is told to.
    ///
    /// # Errors
    ///
    /// When the system has no thread for us.
    pub fn hire(gatherer: impl Gatherer, hired: &mut Hired) -> Result<Self, HireError> {
        let (scrapes, work) = Self::new(gatherer);
        // Whatever becomes of the others, it has somebody who may ask until then.
        let last = scrapes.clone();
        let tell = move || {
            // One that has died need not be told.
            let _ = last.queue.send(Asked::End);
        };
        hired.hire(POST, work, tell)?;
        Ok(scrapes)
    }

    /// The way to a thread that is to do what comes with it.
    pub fn new(gatherer: impl Gatherer) -> (Self, impl FnOnce() + Send + 'static) {
        let (queue, requests) = mpsc::channel();
        let (alive, life) = watch::channel(());
        let board = Board::default();
        let shown = board.clone();
        (Self { queue, life, board }, move || live(gatherer, (&requests, shown), alive))
    }

    /// Has the maps read though nobody has asked for a page yet. Who asks meanwhile has a reading of their own, which
    /// begins after they asked. One that already waits then is for both.
    pub fn read_ahead(&self) {
        // A thread that has died is told of elsewhere.
        let _ = self.queue.send(Asked::Reading);
    }

    /// What the thread has put up.
    pub(super) fn notes(&self) -> Notes {
        self.board.look()
    }

    /// Why no pages can be made, if none can.
    pub(super) fn ailment(&self) -> Option<Ailment> {
        let dead = (!self.is_alive()).then_some(Ailment::Stopping);
        dead.or_else(|| self.notes().ailment(Instant::now()))
    }

    /// Why it is too early to ask for pages, or too late, if it is.
    pub(super) fn unready(&self) -> Option<Ailment> {
        let dead = (!self.is_alive()).then_some(Ailment::Stopping);
        dead.or_else(|| self.notes().unready(Instant::now()))
    }

    /// Does not wait for a reading that is under way when the workers stop.
    pub fn abandon(workers: &mut Workers) {
        workers.leave(POST.name);
    }

    /// Whether there is a thread that makes pages.
    pub fn is_alive(&self) -> bool {
        self.life.has_changed().is_ok()
    }

    /// Returns when the thread has died, of whatever. While there is a clone of this, it does not
    /// end otherwise.
    pub async fn died(mut self) {
        while self.life.changed().await.is_ok() {}
    }

    /// A page of a reading that is under way or begins now. Who asks for a page while it is made
    /// shares it; who asks for another one meanwhile shares the reading. The request stands in the
    /// queue when the future is first polled; drop it, and no call is made for it. The client waits
    /// for `patience`, if it has said so.
    ///
    /// # Errors
    ///
    /// See [`ScrapeError`].
    pub async fn get(
        &self,
        page: Page,
        gzip: bool,
        patience: Option<Duration>,
    ) -> Result<Answer, ScrapeError> {
        self.get_of(Choice::All, page, gzip, patience).await
    }

    /// As [`Scrapes::get`], of some configs: only who asks for the same ones shares a reading.
    ///
    /// # Errors
    ///
    /// See [`ScrapeError`].
    pub async fn get_of(
        &self,
        choice: Choice,
        page: Page,
        gzip: bool,
        patience: Option<Duration>,
    ) -> Result<Answer, ScrapeError> {
        let (reply, answer) = oneshot::channel();
        let request = Request { choice, page, gzip, patience, reply };
        self.queue.send(Asked::Page(request)).map_err(|_| ScrapeError::Stopping)?;
        answer.await.unwrap_or(Err(ScrapeError::Stopping))
    }

    /// All families of a reading that begins after this was asked for; whoever asks for a page meanwhile shares
    /// it. Drop the future, and nothing is read for it.
    ///
    /// # Errors
    ///
    /// See [`ScrapeError`].
    pub async fn families(&self) -> Result<Vec<Arc<Family>>, ScrapeError> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Asked::Families(reply)).map_err(|_| ScrapeError::Stopping)?;
        answer.await.unwrap_or(Err(ScrapeError::Stopping))
    }

    /// What `errand` makes of the gatherer. Between two errands the pages are made that are asked for,
    /// so an errand should be short. Drop the future, and it is not run.
    ///
    /// # Errors
    ///
    /// See [`ScrapeError`].
    pub async fn ask<T: Send + 'static>(
        &self,
        errand: impl FnOnce(&mut dyn Gatherer) -> T + Send + 'static,
    ) -> Result<T, ScrapeError> {
        let (reply, answer) = oneshot::channel();
        let errand = Box::new(move |gatherer: &mut dyn Gatherer| {
            if !reply.is_closed() {
                // A client that has gone meanwhile misses nothing.
                let _ = reply.send(call(|| errand(gatherer)));
            }
        });
        self.queue.send(Asked::Errand(errand)).map_err(|_| ScrapeError::Stopping)?;
        answer.await.unwrap_or(Err(ScrapeError::Stopping))
    }

    /// Has the gatherer make the changes that it was told to make, as soon as it makes no page. Returns
    /// before.
    pub fn settle(&self) {
        let errand: Errand = Box::new(|gatherer| {
            // A panic was told of.
            let _ = call(|| gatherer.settle());
        });
        // A thread that has ended changes nothing any more.
        let _ = self.queue.send(Asked::Errand(errand));
    }
}

#[cfg(test)]
mod tests;
