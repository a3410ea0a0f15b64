//! Single flight: one thread owns the gatherer, and whoever asks while it works shares the result.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};
use tracing::error;

use super::board::{Ailment, Board, Notes};
use super::choice::Choice;
use crate::advice::Advise;
use crate::escaping::Escaping;
use crate::exposition::{Body, Format, gzip};
use crate::series::Family;
use crate::status::Findings;
use crate::workers::{HireError, Hired, LARGE_STACK, Post, Workers};

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

/// What was asked for and is not done yet.
struct Waiting<'a> {
    queue: &'a Receiver<Asked>,
    board: Board,
    /// Whether the maps are to be read, whoever wants it.
    reading: bool,
    pages: Vec<Request>,
    families: Vec<FamiliesReply>,
    errands: VecDeque<Errand>,
    /// Whether nobody will want anything more.
    ends: bool,
}

impl<'a> Waiting<'a> {
    /// Nothing was asked for yet.
    fn new(queue: &'a Receiver<Asked>, board: Board) -> Self {
        let (pages, families, errands) = (Vec::new(), Vec::new(), VecDeque::new());
        Self { queue, board, reading: false, pages, families, errands, ends: false }
    }

    /// Takes in what has been asked for meanwhile.
    fn look(&mut self) {
        self.queue.try_iter().for_each(|asked| self.put(asked));
    }

    /// Waits until there is something to do; `false` once nobody can ask any more.
    fn wait(&mut self) -> bool {
        let idle = self.pages.is_empty() && self.families.is_empty() && self.errands.is_empty();
        if idle && !self.reading {
            if self.ends {
                return false;
            }
            let Ok(asked) = self.queue.recv() else { return false };
            self.put(asked);
        }
        self.look();
        true
    }

    fn put(&mut self, asked: Asked) {
        match asked {
            Asked::Reading => self.reading = true,
            Asked::Page(request) => self.pages.push(request),
            Asked::Families(reply) => self.families.push(reply),
            Asked::Errand(errand) => self.errands.push_back(errand),
            Asked::End => self.ends = true,
        }
    }

    /// Whether anybody wants a reading. Who has gone is forgotten.
    fn wants_reading(&mut self) -> bool {
        self.families.retain(|reply| !reply.is_closed());
        self.pages.retain(|request| !request.reply.is_closed());
        self.reading || !self.pages.is_empty() || !self.families.is_empty()
    }

    /// Which configs are to be read next: those that the one asks for who waits longest, but for who wants all and no
    /// page.
    fn choice(&self) -> Choice {
        let oldest = self.pages.first().filter(|_| !self.reading && self.families.is_empty());
        oldest.map(|request| request.choice.clone()).unwrap_or_default()
    }

    /// Makes a call, which a panic may cut short, and shows meanwhile that one is under way.
    fn call<T>(&self, what: impl FnOnce() -> T) -> Result<T, ScrapeError> {
        self.board.begin();
        let result = call(what);
        self.board.end();
        result
    }
}

/// Works until nobody can ask any more. A panic that is not caught where it happens ends this life at
/// once: what there is of the gatherer is then left to the kernel, because to drop it could panic again.
fn live(
    mut gatherer: impl Gatherer,
    (requests, board): (&Receiver<Asked>, Board),
    alive: watch::Sender<()>,
) {
    let waiting = Waiting::new(requests, board);
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(&mut gatherer, waiting, alive))) {
        std::mem::forget((panic, gatherer));
    }
}

fn work(gatherer: &mut impl Gatherer, mut waiting: Waiting<'_>, alive: watch::Sender<()>) {
    // Dropped before what waits is: who gets no page finds the thread dead.
    let _alive = alive;
    while waiting.wait() {
        if waiting.wants_reading() {
            answer_all(gatherer, &mut waiting);
        }
        if let Some(errand) = waiting.errands.pop_front() {
            waiting.board.begin();
            errand(gatherer);
            waiting.board.end();
        }
    }
}

/// What the one of this choice who waits longest asked for, leaving out the pages in `made`. Clients that have gone
/// are forgotten.
fn next_page(waiting: &mut Vec<Request>, choice: &Choice, made: &[Page]) -> Option<Page> {
    waiting.retain(|request| !request.reply.is_closed());
    let chosen = waiting.iter().filter(|request| request.choice == *choice);
    chosen.map(|request| request.page).find(|page| !made.contains(page))
}

/// Reads once, and makes of it each page that is asked for until then. No page is made twice, or
/// clients that ask often enough would never see anything new. What was found is put up when they have theirs.
fn answer_all(gatherer: &mut impl Gatherer, waiting: &mut Waiting<'_>) {
    // All who stand in the queue now share the reading, so it is made for the least patient of them.
    // Who comes later takes it as it is.
    waiting.look();
    let choice = waiting.choice();
    waiting.reading = false;
    let chosen = waiting.pages.iter().filter(|request| request.choice == choice);
    let patience = chosen.filter_map(|request| request.patience).min();
    // Who wants families and comes later gets the next reading, or it would be of another moment than asked for.
    let families = std::mem::take(&mut waiting.families);
    let read = waiting.call(|| {
        gatherer.choose(&choice).map_err(ScrapeError::NoConfig)?;
        gatherer.read(patience);
        Ok(())
    });
    let read = read.and_then(|read| read);
    for reply in families {
        // Who has gone meanwhile misses nothing.
        let _ = reply.send(read.clone().and_then(|()| waiting.call(|| gatherer.families())));
    }
    let mut made = Vec::new();
    while let Some(page) = next_page(&mut waiting.pages, &choice, &made) {
        let body = read.clone().and_then(|()| waiting.call(|| gatherer.page(page)));
        answer(gatherer, (&choice, page), body, waiting);
        made.push(page);
    }
    if read.is_ok()
        && let Ok(Some(findings)) = waiting.call(|| gatherer.findings())
    {
        waiting.board.put_up(findings);
    }
    // A client's mistake is no failure of the exporter's.
    if !matches!(read, Err(ScrapeError::NoConfig(_))) {
        waiting.board.count(read.is_ok());
    }
}

fn call<T>(what: impl FnOnce() -> T) -> Result<T, ScrapeError> {
    // Going on beats exiting: to exit would detach the programs and lose every count, and the
    // gatherer starts afresh with each call.
    catch_unwind(AssertUnwindSafe(what)).map_err(|panic| {
        let panicked = ScrapeError::Panicked(text_of(panic.as_ref()));
        discard(panic);
        error!("{}", panicked.advice());
        panicked
    })
}

/// Drops what a panic has left, which may panic in turn. What that leaves is not looked at.
fn discard(panic: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref().copied()).unwrap_or("no message").to_owned()
}

/// Gives the page to all who wait for it, those included who came while it was made.
fn answer(
    gatherer: &mut impl Gatherer,
    (choice, page): (&Choice, Page),
    body: Result<Body, ScrapeError>,
    waiting: &mut Waiting<'_>,
) {
    waiting.look();
    let is_for = |request: &Request| request.page == page && request.choice == *choice;
    let wants_gzip = |request: &Request| is_for(request) && request.gzip;
    let zipped = match &body {
        Ok(body) if waiting.pages.iter().any(wants_gzip) => {
            // As above: a panic is no reason to stop, and who takes gzip takes the page as it is.
            waiting.call(|| gatherer.gzip(page, body)).ok()
        }
        _ => None,
    };
    if zipped.is_some() {
        waiting.look();
    }
    for request in waiting.pages.extract_if(.., |request| is_for(request)) {
        let zipped = zipped.as_ref().filter(|_| request.gzip);
        let answer = body
            .as_ref()
            .map(|body| Answer { body: zipped.unwrap_or(body).clone(), gzipped: zipped.is_some() });
        // A client that has gone meanwhile misses nothing.
        let _ = request.reply.send(answer.map_err(Clone::clone));
    }
}

#[cfg(test)]
mod tests;
