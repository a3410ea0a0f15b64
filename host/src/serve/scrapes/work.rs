//! What the thread does that scrapes: it reads for those who wait, and gives each what was asked for.
//!
//! Never makes a page twice of one reading.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;

use tokio::sync::watch;
use tracing::error;

use super::{Answer, Asked, Errand, FamiliesReply, Gatherer, Page, Request, ScrapeError};
use crate::advice::Advise as _;
use crate::exposition::Body;
use crate::serve::board::Board;
use crate::serve::choice::Choice;

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
pub(super) fn live(
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

pub(super) fn call<T>(what: impl FnOnce() -> T) -> Result<T, ScrapeError> {
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
