//! The gatherer here waits to be told what to answer, so that no test depends on time.

use std::future::Future;
use std::io::Read;
use std::panic::panic_any;
use std::pin::{Pin, pin};
use std::sync::mpsc::Receiver;
use std::task::{Context, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::*;

#[path = "../../../tests/logs/bad.rs"]
mod log_that_panics;

/// After this, what should have come will not.
const HANG: Duration = Duration::from_secs(60);

const METRICS: Page = Page::Metrics(Format::Text, Escaping::Underscores);
const PROTOBUF: Page = Page::Metrics(Format::Protobuf, Escaping::Underscores);
const OPENMETRICS: Page = Page::Metrics(Format::OpenMetrics, Escaping::Underscores);

/// A gatherer whose calls begin and end when the test says so.
struct Steered {
    begun: Sender<Call>,
    texts: Receiver<&'static str>,
}

#[derive(Debug, PartialEq)]
enum Call {
    Read(Option<Duration>),
    Page(Page),
    Maps,
}

impl Steered {
    fn call(&mut self, call: Call) -> &'static str {
        let text = format!("no luck with {call:?}");
        self.begun.send(call).unwrap();
        match self.texts.recv_timeout(HANG).unwrap() {
            "panic" => panic!("{text}"),
            "bomb" => panic_any(Bomb),
            text => text,
        }
    }
}

impl Gatherer for Steered {
    fn read(&mut self, patience: Option<Duration>) {
        self.call(Call::Read(patience));
    }

    fn page(&mut self, page: Page) -> Body {
        self.call(Call::Page(page)).as_bytes().into()
    }

    fn maps(&mut self) -> Vec<MapSummary> {
        self.call(Call::Maps);
        Vec::new()
    }

    fn entries(&mut self, _: &str, _: &str, _: usize) -> Option<Piece> {
        None
    }
}

/// What a panic may carry: it panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("once more");
    }
}

struct Fixture {
    scrapes: Scrapes,
    begun: Receiver<Call>,
    texts: Sender<&'static str>,
    thread: JoinHandle<()>,
}

fn start() -> Fixture {
    let ((begin, begun), (texts, answers)) = (mpsc::channel(), mpsc::channel());
    let (scrapes, work) = Scrapes::new(Steered { begun: begin, texts: answers });
    Fixture { scrapes, begun, texts, thread: thread::spawn(work) }
}

impl Fixture {
    /// Waits until this call has begun.
    fn begins(&self, call: Call) {
        assert_eq!(self.begun.recv_timeout(HANG), Ok(call));
    }

    /// Lets the call that has begun return this, or panic.
    fn ends(&self, text: &'static str) {
        self.texts.send(text).unwrap();
    }

    /// Waits until the maps are read, and lets that go well.
    fn reads(&self) {
        self.begins(Call::Read(None));
        self.ends("read");
    }

    /// Waits until a page is made, which has this text then.
    fn makes(&self, page: Page, text: &'static str) {
        self.begins(Call::Page(page));
        self.ends(text);
    }
}

type Answered<'a> = Pin<Box<dyn Future<Output = Result<Answer, ScrapeError>> + 'a>>;

/// A request that stands in the queue when this returns.
fn ask(scrapes: &Scrapes, page: Page, gzip: bool) -> Answered<'_> {
    queued(scrapes.get(page, gzip, None))
}

fn queued<'a, T>(asked: impl Future<Output = T> + 'a) -> Pin<Box<dyn Future<Output = T> + 'a>> {
    let mut asked: Pin<Box<dyn Future<Output = T> + 'a>> = Box::pin(asked);
    let first = asked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(first.is_pending());
    asked
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(pin!(future))
}

fn plain(text: &'static str) -> Result<Answer, ScrapeError> {
    Ok(Answer { body: text.as_bytes().into(), gzipped: false })
}

#[test]
fn families_are_of_a_reading_that_begins_after_they_were_asked_for() {
    let f = start();
    let page = ask(&f.scrapes, METRICS, false);
    f.begins(Call::Read(None));
    let families = queued(f.scrapes.families());
    f.ends("read");
    f.makes(METRICS, "page");
    f.reads();
    assert!(wait(families).unwrap().is_empty());
    assert_eq!(wait(page), plain("page"));
    // Nothing is read for who has gone, and who is there hears of a panic.
    drop(queued(f.scrapes.families()));
    let families = queued(f.scrapes.families());
    f.begins(Call::Read(None));
    f.ends("panic");
    assert!(matches!(wait(families), Err(ScrapeError::Panicked(_))));
    let families = queued(f.scrapes.families());
    f.reads();
    assert!(wait(families).is_ok());
}

#[test]
fn all_who_ask_during_a_scrape_share_it() {
    let f = start();
    let first = ask(&f.scrapes, METRICS, false);
    f.reads();
    f.begins(Call::Page(METRICS));
    let rest: Vec<_> = (0..50).map(|_| ask(&f.scrapes, METRICS, false)).collect();
    f.ends("once");
    let first = wait(first).unwrap();
    for other in rest {
        let other = wait(other).unwrap();
        assert_eq!(other.body.parts()[0].as_ptr(), first.body.parts()[0].as_ptr(), "not copied");
    }
    assert!(f.begun.try_recv().is_err(), "one call");

    let next = ask(&f.scrapes, METRICS, false);
    f.reads();
    f.makes(METRICS, "twice");
    assert_eq!(wait(next), plain("twice"), "not kept for later");
}

#[test]
fn gzip_is_made_once_and_only_for_those_who_want_it() {
    let f = start();
    let asked = [true, false, true].map(|gzip| ask(&f.scrapes, METRICS, gzip));
    f.reads();
    f.makes(METRICS, "text");
    let [one, two, three] = asked.map(|asked| wait(asked).unwrap());
    assert_eq!([one.gzipped, two.gzipped, three.gzipped], [true, false, true]);
    assert_eq!(two.body.concat(), b"text");
    let mut unzipped = String::new();
    flate2::read::GzDecoder::new(&*one.body.concat()).read_to_string(&mut unzipped).unwrap();
    assert_eq!(unzipped, "text");
    assert_eq!(one.body, three.body);
}

#[test]
fn pages_that_are_asked_for_together_are_made_of_one_reading() {
    let f = start();
    let text = ask(&f.scrapes, METRICS, false);
    f.begins(Call::Read(None));
    let protobuf = [0; 2].map(|_| ask(&f.scrapes, PROTOBUF, false));
    f.ends("read");
    f.begins(Call::Page(METRICS));
    let maps = ask(&f.scrapes, OPENMETRICS, false);
    f.ends("text");
    f.makes(PROTOBUF, "protobuf");
    f.makes(OPENMETRICS, "maps");
    assert_eq!(wait(text), plain("text"));
    for asked in protobuf {
        assert_eq!(wait(asked), plain("protobuf"));
    }
    assert_eq!(wait(maps), plain("maps"));
}

#[test]
fn no_page_is_made_twice_of_one_reading() {
    let f = start();
    let text = ask(&f.scrapes, METRICS, false);
    let protobuf = ask(&f.scrapes, PROTOBUF, false);
    f.reads();
    f.makes(METRICS, "old");
    f.begins(Call::Page(PROTOBUF));
    assert_eq!(wait(text), plain("old"));
    let text = ask(&f.scrapes, METRICS, false);
    f.ends("protobuf");
    assert_eq!(wait(protobuf), plain("protobuf"));
    f.reads();
    f.makes(METRICS, "new");
    assert_eq!(wait(text), plain("new"));
}

#[test]
fn nothing_is_made_for_who_has_gone() {
    let f = start();
    let first = ask(&f.scrapes, METRICS, false);
    f.reads();
    f.begins(Call::Page(METRICS));
    drop(ask(&f.scrapes, OPENMETRICS, false));
    f.ends("metrics");
    assert_eq!(wait(first), plain("metrics"));
    let last = ask(&f.scrapes, METRICS, false);
    f.reads();
    f.makes(METRICS, "metrics");
    wait(last).unwrap();
    assert!(f.begun.try_recv().is_err(), "no maps");
}

/// An errand that stands in the queue when this returns.
fn errand(scrapes: &Scrapes) -> Pin<Box<dyn Future<Output = Result<usize, ScrapeError>> + '_>> {
    let mut asked = Box::pin(scrapes.ask(|gatherer| gatherer.maps().len()));
    let first = asked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(first.is_pending());
    asked
}

#[test]
fn pages_are_made_between_errands_and_errands_between_pages() {
    let f = start();
    let first = ask(&f.scrapes, METRICS, false);
    f.begins(Call::Read(None));
    let errands = [errand(&f.scrapes), errand(&f.scrapes)];
    f.ends("read");
    f.makes(METRICS, "one");
    f.begins(Call::Maps);
    let second = ask(&f.scrapes, METRICS, false);
    drop(errand(&f.scrapes));
    f.ends("maps");
    f.reads();
    f.makes(METRICS, "two");
    f.begins(Call::Maps);
    f.ends("panic");
    assert_eq!([wait(first), wait(second)], [plain("one"), plain("two")]);
    let [good, bad] = errands.map(wait);
    assert_eq!(good, Ok(0));
    assert_eq!(bad, Err(ScrapeError::Panicked("no luck with Maps".to_owned())));
    assert!(f.begun.try_recv().is_err(), "nothing is done for who has gone");
}

#[test]
fn a_panic_is_an_answer_and_the_next_call_is_made() {
    let f = start();
    let asked = ask(&f.scrapes, METRICS, true);
    let other = ask(&f.scrapes, OPENMETRICS, false);
    f.reads();
    f.makes(METRICS, "panic");
    f.makes(OPENMETRICS, "maps");
    assert_eq!(wait(other), plain("maps"), "made of the same reading");
    insta::assert_snapshot!(
        wait(asked).unwrap_err().advice(),
        @"failed to scrape: no luck with Page(Metrics(Text, Underscores)); this is a bug, please report it with the exporter's log"
    );

    let asked = [METRICS, PROTOBUF].map(|page| ask(&f.scrapes, page, false));
    f.begins(Call::Read(None));
    f.ends("panic");
    let [one, other] = asked.map(|asked| wait(asked).unwrap_err());
    assert_eq!(one, ScrapeError::Panicked("no luck with Read(None)".to_owned()));
    assert_eq!(one, other);
    let asked = ask(&f.scrapes, METRICS, false);
    f.reads();
    f.makes(METRICS, "well");
    assert_eq!(wait(asked), plain("well"));
}

#[test]
fn a_reading_is_made_for_the_least_patient_of_those_who_share_it() {
    let f = start();
    let waits = |seconds| queued(f.scrapes.get(METRICS, false, Some(Duration::from_secs(seconds))));
    let first = waits(9);
    f.begins(Call::Read(Some(Duration::from_secs(9))));
    f.ends("read");
    f.begins(Call::Page(METRICS));
    let other = ask(&f.scrapes, PROTOBUF, false);
    f.ends("metrics");
    f.begins(Call::Page(PROTOBUF));
    // These want what is made already, so they wait for the next reading.
    let next = [waits(7), waits(3), ask(&f.scrapes, METRICS, false), waits(5)];
    f.ends("protobuf");
    f.begins(Call::Read(Some(Duration::from_secs(3))));
    f.ends("read");
    f.makes(METRICS, "again");
    assert_eq!((wait(first), wait(other)), (plain("metrics"), plain("protobuf")));
    assert!(next.into_iter().all(|asked| wait(asked) == plain("again")));
}

#[test]
fn a_panic_that_panics_again_is_an_answer_too() {
    let f = start();
    let asked = ask(&f.scrapes, METRICS, false);
    f.reads();
    f.makes(METRICS, "bomb");
    assert_eq!(wait(asked), Err(ScrapeError::Panicked("no message".to_owned())));
    let asked = ask(&f.scrapes, METRICS, false);
    f.reads();
    f.makes(METRICS, "well");
    assert_eq!(wait(asked), plain("well"));
    assert!(f.scrapes.is_alive());
}

/// Panics, and has the log panic of that.
struct Dying;

impl Gatherer for Dying {
    fn read(&mut self, _: Option<Duration>) {
        log_that_panics::die("dying");
    }

    fn page(&mut self, _: Page) -> Body {
        b"never".as_slice().into()
    }

    fn maps(&mut self) -> Vec<MapSummary> {
        Vec::new()
    }

    fn entries(&mut self, _: &str, _: &str, _: usize) -> Option<Piece> {
        None
    }
}

impl Drop for Dying {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[test]
fn who_asks_during_the_first_reading_has_one_of_their_own() {
    let f = start();
    assert_eq!(f.scrapes.unready(), Some(Ailment::Unread));
    f.scrapes.read_ahead();
    f.begins(Call::Read(None));
    assert_eq!(f.scrapes.unready(), Some(Ailment::Unread), "it is not finished");
    assert!(f.scrapes.notes().busy.is_some());
    let page = ask(&f.scrapes, METRICS, false);
    f.ends("read");
    f.begins(Call::Read(None));
    assert_eq!((f.scrapes.unready(), f.scrapes.notes().readings), (None, 1));
    f.ends("read");
    f.makes(METRICS, "page");
    assert_eq!(wait(page), plain("page"));
    let other = ask(&f.scrapes, METRICS, false);
    f.begins(Call::Read(None));
    f.ends("panic");
    assert!(wait(other).is_err());
    let last = ask(&f.scrapes, METRICS, false);
    f.begins(Call::Read(None));
    let notes = f.scrapes.notes();
    assert_eq!((notes.readings, notes.failed, f.scrapes.unready()), (2, 1, None));
    f.ends("read");
    f.makes(METRICS, "page");
    assert_eq!(wait(last), plain("page"));
}

#[test]
fn a_reading_ahead_is_one_with_what_is_asked_for_before_it_begins() {
    let f = start();
    let first = ask(&f.scrapes, METRICS, false);
    f.begins(Call::Read(None));
    // Both stand in the queue: one reading is for both.
    f.scrapes.read_ahead();
    let second = ask(&f.scrapes, PROTOBUF, false);
    drop(second);
    let third = ask(&f.scrapes, OPENMETRICS, false);
    f.ends("read");
    f.makes(METRICS, "first");
    assert_eq!(wait(first), plain("first"));
    f.makes(OPENMETRICS, "third");
    assert_eq!(wait(third), plain("third"));
    f.reads();
    drop(f.scrapes);
    f.thread.join().unwrap();
    assert!(f.begun.try_recv().is_err(), "two readings");
}

#[test]
fn a_thread_that_dies_is_known_to_be_dead() {
    let (scrapes, work) = Scrapes::new(Dying);
    let thread = thread::spawn(work);
    assert!(scrapes.is_alive());
    // Where a test beside this one logs for the first time, the log may not be asked the first time here.
    while wait(scrapes.get(METRICS, false, None)) != Err(ScrapeError::Stopping) {}
    // Whoever is told so finds the thread dead.
    assert!(!scrapes.is_alive());
    assert_eq!([scrapes.ailment(), scrapes.unready()], [Some(Ailment::Stopping); 2]);
    wait(scrapes.died());
    thread.join().unwrap();
}

#[test]
fn the_thread_answers_before_it_ends() {
    let Fixture { scrapes, begun, texts, thread } = start();
    let (reply, answer) = oneshot::channel();
    let request =
        Request { choice: Choice::All, page: METRICS, gzip: false, patience: None, reply };
    scrapes.queue.send(Asked::Page(request)).unwrap();
    assert_eq!(begun.recv(), Ok(Call::Read(None)));
    drop(scrapes);
    texts.send("read").unwrap();
    texts.send("last").unwrap();
    thread.join().unwrap();
    assert_eq!(wait(answer).unwrap(), plain("last"));
}

#[test]
fn without_a_thread_there_is_no_answer() {
    let (queue, requests) = mpsc::channel();
    let (_, life) = watch::channel(());
    drop(requests);
    let scrapes = Scrapes { queue, life, board: Board::default() };
    let error = wait(scrapes.get(METRICS, false, None)).unwrap_err();
    insta::assert_snapshot!(error, @"failed to scrape: the exporter is stopping");
}
