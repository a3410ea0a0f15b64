//! The scraper here waits to be told what to answer, so that no test depends on time.

use std::future::Future;
use std::io::Read;
use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::Duration;

use super::*;

/// After this, what should have come will not.
const HANG: Duration = Duration::from_secs(60);

/// A scraper whose calls begin and end when the test says so.
struct Steered {
    begun: Sender<Page>,
    texts: Receiver<&'static str>,
}

impl Steered {
    fn call(&mut self, page: Page) -> Body {
        self.begun.send(page).unwrap();
        match self.texts.recv_timeout(HANG).unwrap() {
            "panic" => panic!("no luck with {page:?}"),
            text => text.as_bytes().into(),
        }
    }
}

impl Scraper for Steered {
    fn metrics(&mut self) -> Body {
        self.call(Page::Metrics)
    }

    fn maps(&mut self) -> Body {
        self.call(Page::Maps)
    }
}

struct Fixture {
    scrapes: Scrapes,
    begun: Receiver<Page>,
    texts: Sender<&'static str>,
    thread: JoinHandle<()>,
}

fn start() -> Fixture {
    let ((begin, begun), (texts, answers)) = (mpsc::channel(), mpsc::channel());
    let (scrapes, thread) = Scrapes::start(Steered { begun: begin, texts: answers }).unwrap();
    Fixture { scrapes, begun, texts, thread }
}

type Asked<'a> = Pin<Box<dyn Future<Output = Result<Answer, ScrapeError>> + 'a>>;

/// A request that stands in the queue when this returns.
fn ask(scrapes: &Scrapes, page: Page, gzip: bool) -> Asked<'_> {
    let mut asked = Box::pin(scrapes.get(page, gzip));
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
fn all_who_ask_during_a_scrape_share_it() {
    let f = start();
    let first = ask(&f.scrapes, Page::Metrics, false);
    assert_eq!(f.begun.recv(), Ok(Page::Metrics));
    let rest: Vec<_> = (0..50).map(|_| ask(&f.scrapes, Page::Metrics, false)).collect();
    f.texts.send("once").unwrap();
    let first = wait(first).unwrap();
    for other in rest {
        let other = wait(other).unwrap();
        assert_eq!(other.body.parts()[0].as_ptr(), first.body.parts()[0].as_ptr(), "not copied");
    }
    assert!(f.begun.try_recv().is_err(), "one call");

    f.texts.send("twice").unwrap();
    assert_eq!(wait(f.scrapes.get(Page::Metrics, false)), plain("twice"), "not kept for later");
}

#[test]
fn gzip_is_made_once_and_only_for_those_who_want_it() {
    let f = start();
    let asked = [true, false, true].map(|gzip| ask(&f.scrapes, Page::Metrics, gzip));
    f.texts.send("text").unwrap();
    let [one, two, three] = asked.map(|asked| wait(asked).unwrap());
    assert_eq!([one.gzipped, two.gzipped, three.gzipped], [true, false, true]);
    assert_eq!(two.body.concat(), b"text");
    let mut unzipped = String::new();
    flate2::read::GzDecoder::new(&*one.body.concat()).read_to_string(&mut unzipped).unwrap();
    assert_eq!(unzipped, "text");
    assert_eq!(one.body, three.body);
}

#[test]
fn each_page_is_made_for_those_who_asked_for_it() {
    let f = start();
    let metrics = ask(&f.scrapes, Page::Metrics, false);
    assert_eq!(f.begun.recv(), Ok(Page::Metrics));
    let maps = [0; 2].map(|_| ask(&f.scrapes, Page::Maps, false));
    f.texts.send("metrics").unwrap();
    assert_eq!(f.begun.recv(), Ok(Page::Maps));
    f.texts.send("maps").unwrap();
    assert_eq!(wait(metrics), plain("metrics"));
    for asked in maps {
        assert_eq!(wait(asked), plain("maps"));
    }
}

#[test]
fn nobody_is_scraped_for_who_has_gone() {
    let f = start();
    let first = ask(&f.scrapes, Page::Metrics, false);
    assert_eq!(f.begun.recv(), Ok(Page::Metrics));
    drop(ask(&f.scrapes, Page::Maps, false));
    f.texts.send("metrics").unwrap();
    assert_eq!(wait(first), plain("metrics"));
    let last = ask(&f.scrapes, Page::Metrics, false);
    assert_eq!(f.begun.recv(), Ok(Page::Metrics), "not Maps");
    f.texts.send("metrics").unwrap();
    wait(last).unwrap();
}

#[test]
fn a_panic_is_an_answer_and_the_next_call_is_made() {
    let f = start();
    f.texts.send("panic").unwrap();
    let error = wait(f.scrapes.get(Page::Metrics, true)).unwrap_err();
    insta::assert_snapshot!(
        error,
        @"failed to scrape: no luck with Metrics; this is a bug, please report it with the exporter's log"
    );
    f.texts.send("well").unwrap();
    assert_eq!(wait(f.scrapes.get(Page::Metrics, false)), plain("well"));
}

#[test]
fn the_thread_answers_before_it_ends() {
    let Fixture { scrapes, begun, texts, thread } = start();
    let (reply, answer) = oneshot::channel();
    scrapes.queue.send(Request { page: Page::Metrics, gzip: false, reply }).unwrap();
    assert_eq!(begun.recv(), Ok(Page::Metrics));
    drop(scrapes);
    texts.send("last").unwrap();
    thread.join().unwrap();
    assert_eq!(wait(answer).unwrap(), plain("last"));
}

#[test]
fn without_a_thread_there_is_no_answer() {
    let (queue, requests) = mpsc::channel();
    drop(requests);
    let error = wait(Scrapes { queue }.get(Page::Metrics, false)).unwrap_err();
    insta::assert_snapshot!(error, @"failed to scrape: the exporter is stopping");
}
