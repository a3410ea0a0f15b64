//! A soak: twenty configs, fifty scrapers, two who count and delete, one who reloads, and plugins that trap, for as
//! long as it is told to. No scrape may fail, none may lose a count, and the exporter may not take more and more.
//!
//! `make soak` says for how long, `FOR=1h` for another time. Without that this does nothing. No time is asserted but that
//! after which a thing hangs: where the machine is slow, less is done, and the table at the end says how much. Each does
//! at least one round.
#![allow(clippy::print_stdout, reason = "a test talks to who runs it")]
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

mod client;
mod end;
mod ledger;
mod page;
mod random;
mod reloads;
mod scrapers;
mod site;
mod taken;
mod yaml;

#[path = "../servers/certificates.rs"]
mod certificates;
#[allow(dead_code, reason = "other tests need the rest of it")]
#[path = "../kernel/configs.rs"]
mod configs;
#[allow(dead_code, reason = "other tests need the rest of it")]
#[path = "../kernel/exporter.rs"]
mod exporter;
#[path = "../guests/compose.rs"]
mod guests;
#[path = "../trials/loads.rs"]
mod loads;
#[allow(dead_code, reason = "other tests need the rest of it")]
#[path = "../kernel/object.rs"]
mod object;
#[path = "../kernel/schema.rs"]
mod schema;
#[allow(dead_code, reason = "other tests need the rest of it")]
#[path = "../kernel/workload.rs"]
mod workload;

use client::{Address, Place};
use exporter::{BINARY, Exporter};
use random::Random;
use reloads::{ACTS, Reloader};
use scrapers::{SCRAPERS, Scraped};
use site::Site;
use taken::{Quarter, Taken, at_rest};
use yaml::Part;

/// Those who count and delete.
const CHURNERS: usize = 2;

/// Pages, and rounds of those who count, after which the exporter knows its rows, and has all the memory that it needs
/// for them: three of 500 rows are counted in a round, so that 1,500 rounds leave out one row in sixteen runs.
const WARM: (u64, u64) = (500, 1500);

/// Faults that are told; the first ends the run.
const FAULTS: usize = 10;

fn main() -> ExitCode {
    let wanted = std::env::var("SOAK_FOR").ok().filter(|text| !text.is_empty());
    let Some(wanted) = wanted else {
        println!("soak: SKIPPED, for nobody has asked for it; `make soak` does");
        return ExitCode::SUCCESS;
    };
    let Some(time) = duration(&wanted) else {
        println!("soak: {wanted} is no time; write one such as 90s, 2m or 1h");
        return ExitCode::FAILURE;
    };
    if let Some(reason) = loads::lacks().map(str::to_owned).or_else(certificates::lacks) {
        println!("soak: SKIPPED, {reason}");
        let ci = std::env::var("CI").as_deref() == Ok("true");
        return ExitCode::from(u8::from(ci));
    }
    match soak(time).as_slice() {
        [] => ExitCode::SUCCESS,
        faults => {
            faults.iter().for_each(|fault| println!("soak: {fault}"));
            ExitCode::FAILURE
        }
    }
}

/// A number of seconds, minutes or hours.
fn duration(text: &str) -> Option<Duration> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let number: u64 = text[..text.len() - 1].parse().ok()?;
    (number > 0).then(|| Duration::from_secs(number.saturating_mul(unit)))
}

/// What all who take part in it share.
pub struct Run {
    site: Site,
    exporter: Exporter,
    tcp: Place,
    unix: Place,
    ends: AtomicBool,
    faults: Mutex<Vec<String>>,
    scraped: Scraped,
    rounds: AtomicU64,
}

impl Run {
    fn goes_on(&self) -> bool {
        !self.ends.load(Ordering::SeqCst)
    }

    /// Notes a fault, and ends the run.
    fn fail(&self, what: String) {
        let mut faults = self.faults();
        if faults.len() < FAULTS {
            faults.push(what);
        }
        self.ends.store(true, Ordering::SeqCst);
    }

    /// What came of it, or nothing, if that is a fault.
    fn or_fail<T: Default>(&self, came: Result<T, String>) -> T {
        came.unwrap_or_else(|what| {
            self.fail(what);
            T::default()
        })
    }

    fn faults(&self) -> MutexGuard<'_, Vec<String>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rests so that others get on, unless the run ends.
    fn rest(&self, time: Duration) {
        let began = Instant::now();
        while self.goes_on() && began.elapsed() < time {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Soaks for so long, prints what was done, and gives what is wrong.
fn soak(time: Duration) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a directory");
    let told = UnixDatagram::bind(dir.path().join("told")).expect("a socket");
    let run = start(dir.path(), &told);
    let mut reloader = Reloader::new(&run, &told);
    run.site.settle();
    // Each act on each config that it is done to, so that all is there that it leaves behind for good: what was made
    // anew once is no longer read by means that all share.
    for _ in 0..ACTS * run.site.of(Part::Plain).count() {
        if run.goes_on() {
            run.or_fail(reloader.next());
        }
    }
    reloader.hang_up();
    let before = run.or_fail(at_rest(run.exporter.process(), None));
    run.site.ledger.note();
    let quarters = all_at_once(&run, &mut reloader, time);
    let reloads = (reloader.done, reloader.refused);
    end::judge(run, before, quarters, reloads)
}

/// Starts the exporter, which tells a socket of this directory what it does.
fn start(dir: &Path, told: &UnixDatagram) -> Run {
    let (site, unix, web) = (Site::new(), dir.join("metrics"), dir.join("web.yml"));
    certificates::certify(dir);
    fs::write(&web, "tls_server_config: {cert_file: server.pem, key_file: server.key}\n")
        .expect("a file");
    let mut command = Command::new(BINARY);
    command
        .args(site.dir.flags())
        .args(["--web.listen-address=127.0.0.1:0", "--log.no-timestamps"]);
    command.arg(format!("--web.listen-address=unix:{}", unix.display()));
    command.arg(format!("--web.config.file={}", web.display()));
    command.args(["--web.enable-lifecycle", "--web.enable-openmetrics", "--web.enable-maps"]);
    let exporter = Exporter::serve(command.env("NOTIFY_SOCKET", dir.join("told")));
    let ready = told.recv(&mut [0; 512]);
    ready.expect("it has told that it is ready");
    let tcp = exporter.address().parse().expect("an address");
    let place = |address| Place::new(address, &dir.join("ca.pem"));
    Run {
        tcp: place(Address::Tcp(tcp)),
        unix: place(Address::Unix(unix)),
        site,
        exporter,
        ends: AtomicBool::new(false),
        faults: Mutex::default(),
        scraped: Scraped::default(),
        rounds: AtomicU64::new(0),
    }
}

/// Everybody at once, for about so long, or until something is wrong; what the exporter took meanwhile.
fn all_at_once(run: &Run, reloader: &mut Reloader<'_>, time: Duration) -> [Quarter; 4] {
    thread::scope(|scope| {
        for number in 0..SCRAPERS {
            scope.spawn(move || scrapers::scrape(run, number));
        }
        for number in 0..CHURNERS {
            scope.spawn(move || churn(run, number));
        }
        scope.spawn(|| reloader.go_on());
        // In the first one the exporter comes to know its rows, however fast it is.
        let quarters = [WARM, (0, 0), (0, 0), (0, 0)].map(|least| quarter(run, time / 4, least));
        run.ends.store(true, Ordering::SeqCst);
        quarters
    })
}

/// What the exporter takes in so long a time, and until there were so many pages and rounds of counting.
fn quarter(run: &Run, time: Duration, (pages, rounds): (u64, u64)) -> Quarter {
    let (began, mut moments) = (Instant::now(), Vec::new());
    let warm = || run.scraped.pages() >= pages && run.rounds.load(Ordering::Relaxed) >= rounds;
    while run.goes_on() && (began.elapsed() < time || !warm()) {
        run.site.ledger.note();
        match Taken::now(run.exporter.process()) {
            Ok(taken) => moments.push(taken),
            Err(what) => run.fail(what),
        }
        run.rest(Duration::from_millis(50));
    }
    Quarter::of(moments)
}

fn churn(run: &Run, number: usize) {
    let mut random = Random::new(SCRAPERS + number);
    while run.goes_on() {
        run.site.churn(&mut || random.next());
        run.rounds.fetch_add(1, Ordering::Relaxed);
        // Who scrapes is to get on too.
        thread::sleep(Duration::from_millis(5));
    }
}
