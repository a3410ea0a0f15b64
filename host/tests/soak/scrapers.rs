//! Fifty who scrape: in each format, compressed or not, all or some of it, at once again or after a while, slowly, and
//! such as go before the end. Each page that comes whole is held against what was counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::Run;
use crate::client::{Answer, Client, FAST, Pace};
use crate::page::{Form, Page};
use crate::random::Random;
use crate::site::CONFIGS;
use crate::yaml::Part;

/// How many there are.
pub const SCRAPERS: usize = 50;

/// What each tenth of them does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// Asks for all in this format, compressed or not, and again at once.
    All(Form, bool),
    /// Comes anew each time, by the UNIX socket.
    Anew,
    /// Asks for one config alone.
    Some,
    /// Takes its time to read.
    Slow,
    /// Goes in the middle of an answer.
    HangUp,
    /// Asks once in a while, as Prometheus does, and looks at all other pages.
    Patient,
}

const HABITS: [Habit; 10] = [
    Habit::All(Form::Text, false),
    Habit::All(Form::Text, true),
    Habit::All(Form::OpenMetrics, true),
    Habit::All(Form::Protobuf, false),
    Habit::All(Form::Protobuf, true),
    Habit::Anew,
    Habit::Some,
    Habit::Slow,
    Habit::HangUp,
    Habit::Patient,
];

/// About a second for a page.
const SLOWLY: Pace = Pace { bytes: 8 << 10, pause: Duration::from_millis(20) };

/// What came of all of them.
#[derive(Debug, Default)]
pub struct Scraped {
    pages: AtomicU64,
    pub bytes: AtomicU64,
    pub others: AtomicU64,
    pub hung_up: AtomicU64,
}

impl Scraped {
    /// Pages of metrics so far.
    pub fn pages(&self) -> u64 {
        self.pages.load(Ordering::Relaxed)
    }
}

/// Scrapes until the run ends.
pub fn scrape(run: &Run, number: usize) {
    let habit = HABITS[number % HABITS.len()];
    let place = if habit == Habit::Anew { &run.unix } else { &run.tcp };
    let (client, random) = (Client::new(place), Random::new(number));
    let mut scraper = Scraper { run, habit, client, random };
    let mut rounds = 0;
    while run.goes_on() {
        if let Err(what) = scraper.once() {
            run.fail(format!("scraper {number}, {habit:?}: {what}"));
        }
        rounds += 1;
    }
    if rounds == 0 {
        run.fail(format!("scraper {number}, {habit:?} never had a turn"));
    }
}

struct Scraper<'a> {
    run: &'a Run,
    habit: Habit,
    client: Client,
    random: Random,
}

impl Scraper<'_> {
    fn once(&mut self) -> Result<(), String> {
        let rest = |random: u64| thread::sleep(Duration::from_millis(random % 1000));
        match self.habit {
            Habit::All(form, gzip) => self.all(form, gzip, FAST),
            Habit::Slow => self.all(Form::Text, false, SLOWLY),
            Habit::Anew => {
                self.client.close();
                rest(self.random.next() % 100);
                self.all(Form::Text, false, FAST)
            }
            Habit::Some => self.some(),
            Habit::HangUp => {
                rest(self.random.next() % 100);
                self.run.scraped.hung_up.fetch_add(1, Ordering::Relaxed);
                // A page is longer.
                let behind = self.random.next() % 50_000;
                let gone = self.client.hang_up("GET /metrics", behind as usize);
                gone.map_err(|error| error.to_string())
            }
            Habit::Patient => {
                rest(self.random.next());
                self.all(Form::Text, true, FAST)?;
                self.look()
            }
        }
    }

    fn all(&mut self, form: Form, gzip: bool, pace: Pace) -> Result<(), String> {
        let seen = self.run.site.ledger.seen();
        let page = page(self.run, &mut self.client, form, gzip, pace)?;
        if page.sum("ebpf_exporter_scrape_success", &[]) != CONFIGS as u64 {
            return Err("a config could not be read".to_owned());
        }
        self.run.site.ledger.check(&page, &seen, CONFIGS)
    }

    /// One config that nobody else has families of.
    fn some(&mut self) -> Result<(), String> {
        let all: Vec<_> =
            self.run.site.of(Part::Plain).chain(self.run.site.of(Part::Still)).collect();
        let config = all[self.random.next() as usize % all.len()];
        let seen = self.run.site.ledger.seen();
        let ask = format!("GET /metrics?collect[]={}", config.name);
        let answer = self.client.ask(&ask, "", FAST).map_err(|error| error.to_string())?;
        let mut page = read(self.run, Form::Text, &answer)?;
        page.of = config.family();
        if page.samples.iter().any(|sample| !sample.name.starts_with(&page.of)) {
            return Err("it has more than what was asked for".to_owned());
        }
        self.run.site.ledger.check_some(&page, &seen)
    }

    /// One of all other pages, whole.
    fn look(&mut self) -> Result<(), String> {
        let map = format!("/maps/{}/s00_hash_total", self.run.site.configs[0].name);
        let pages = [
            ("/", "</html>"),
            ("/api/v1/status", "}"),
            ("/-/healthy", "healthy"),
            ("/-/ready", "ready"),
            ("/maps", "\n"),
            (&*map, "\n"),
        ];
        let (path, ends) = pages[self.random.next() as usize % pages.len()];
        self.run.scraped.others.fetch_add(1, Ordering::Relaxed);
        let ask = format!("GET {path}");
        let answer = self.client.ask(&ask, "", FAST).map_err(|error| format!("{path}: {error}"))?;
        let text = answer.text();
        if answer.status != 200 || !(text.ends_with(ends) || text.trim_end().ends_with(ends)) {
            return Err(format!("{path}: {} {text}", answer.status));
        }
        if path == "/api/v1/status" {
            serde_json::from_str::<serde_json::Value>(&text)
                .map_err(|error| format!("{path}: {error}"))?;
        }
        Ok(())
    }
}

/// A page of all that there is.
pub fn page(
    run: &Run,
    client: &mut Client,
    form: Form,
    gzip: bool,
    pace: Pace,
) -> Result<Page, String> {
    let gzip = if gzip { "Accept-Encoding: gzip\r\n" } else { "" };
    let headers = format!("Accept: {}\r\n{gzip}", form.accept());
    let answer = client.ask("GET /metrics", &headers, pace).map_err(|error| error.to_string())?;
    if gzip.is_empty() == answer.head.contains("content-encoding") {
        return Err(format!("compressed otherwise than it was asked for: {}", answer.head));
    }
    let mut page = read(run, form, &answer)?;
    page.of = "ebpf_exporter_s".to_owned();
    Ok(page)
}

fn read(run: &Run, form: Form, answer: &Answer) -> Result<Page, String> {
    let is = answer.header("content-type").unwrap_or_default();
    if answer.status != 200 || !is.starts_with(form.content_type()) {
        return Err(format!("{} {is}: {}", answer.status, answer.text()));
    }
    run.scraped.pages.fetch_add(1, Ordering::Relaxed);
    run.scraped.bytes.fetch_add(answer.bytes as u64, Ordering::Relaxed);
    Page::read(form, &answer.body)
}
