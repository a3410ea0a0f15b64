//! What a scraper meets while others do their worst: one scrape a second during each attack, of a
//! server of its own, or of any that runs.
//!
//!     cargo bench --bench attacks                         a server in a child, its page new each time
//!     cargo bench --bench attacks -- 127.0.0.1:9435 PID   that one, PID for its memory
//!
//! `--seconds N` is how long each attack lasts; `--only WORD` chooses attacks by their names; `--parts N`
//! is how many parts of 32 KiB the page of the server in a child has, 100 if not said.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its figures are its output")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use bytes::Bytes;
use ebpf_wasm_exporter::exposition::Body;
use ebpf_wasm_exporter::serve::{
    self, Gatherer, Manager, MapSummary, Page, Piece, Scrapes, Site, TelemetryPath,
};
use ebpf_wasm_exporter::signals::Noted;
use ebpf_wasm_exporter::workers::Hired;

#[path = "../../tests/http/attack.rs"]
mod attack;

use attack::{Attack, Crowd, Victim};

/// After this, Prometheus would have given up.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a part of the page.
const PART: usize = 32 << 10;
const CROWDS: [(Attack, usize); 9] = [
    (Attack::Idle, 600),
    (Attack::Idle, 2000),
    (Attack::SlowHeaders, 600),
    (Attack::SlowBodies, 600),
    (Attack::SlowReaders, 600),
    (Attack::Pipelining, 600),
    (Attack::Busy, 1000),
    (Attack::Flood, 600),
    (Attack::Resets, 600),
];

fn main() {
    let mut arguments: Vec<String> = env::args().skip(1).filter(|text| text != "--bench").collect();
    if arguments.first().is_some_and(|text| text == "--serve") {
        return serve();
    }
    let mut option = |name: &str| {
        let at = arguments.iter().position(|text| text == name)?;
        arguments.remove(at);
        Some(arguments.remove(at))
    };
    let seconds = option("--seconds").map_or(10, |text| text.parse().unwrap());
    let only = option("--only").unwrap_or_default();
    let parts = option("--parts").unwrap_or_else(|| "100".to_owned());
    let mut own = None;
    let (server, pid) = match &arguments[..] {
        [] => {
            let child = own.insert(Own::start(&parts));
            (child.address, Some(child.child.id().to_string()))
        }
        [server] => (server.parse().unwrap(), None),
        [server, pid, ..] => (server.parse().unwrap(), Some(pid.clone())),
    };
    println!(
        "{:24}{:>8}{:>8}{:>10}{:>10}{:>10}",
        "attack", "hosts", "200", "median", "most", "RSS MiB"
    );
    row("none", server, pid.as_deref(), 1, seconds);
    for (attack, clients) in CROWDS {
        let name = format!("{clients} {attack:?}");
        if !name.contains(&only) {
            continue;
        }
        for hosts in [1, 8] {
            let crowd = Crowd::gather(attack, clients, server, hosts);
            thread::sleep(Duration::from_secs(2));
            row(&name, server, pid.as_deref(), hosts, seconds);
            drop(crowd);
            thread::sleep(Duration::from_secs(1));
        }
    }
    if let Some(pid) = &pid {
        thread::sleep(Duration::from_secs(60));
        println!("a minute later: {:.0} MiB", resident(pid));
    }
}

/// One scrape a second for so long, and a line about them.
fn row(name: &str, server: SocketAddr, pid: Option<&str>, hosts: usize, seconds: u64) {
    let (mut victim, mut times) = (Victim::new(server), Vec::new());
    let (mut answered, mut most) = (0, 0.0f64);
    for _ in 0..seconds {
        let start = Instant::now();
        match victim.scrape(TIMEOUT) {
            Ok(_) => answered += 1,
            Err(error) => eprintln!("{name}: {error}"),
        }
        times.push(start.elapsed());
        most = most.max(pid.map_or(0.0, resident));
        thread::sleep(Duration::from_secs(1).saturating_sub(start.elapsed()));
    }
    times.sort_unstable();
    let milliseconds = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
    println!(
        "{name:24}{hosts:>8}{:>8}{:>7.0} ms{:>7.0} ms{most:>10.0}",
        format!("{answered}/{seconds}"),
        milliseconds(times.get(times.len() / 2)),
        milliseconds(times.last()),
    );
}

/// MiB that a process has in memory.
fn resident(pid: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0)
        / 1024.0
}

/// A server in a process of its own.
struct Own {
    child: Child,
    address: SocketAddr,
}

impl Own {
    fn start(parts: &str) -> Self {
        // A port that is free, until the child takes it.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let child = Command::new(env::current_exe().unwrap())
            .args(["--serve", &address.to_string(), parts])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        while std::net::TcpStream::connect(address).is_err() {
            thread::sleep(Duration::from_millis(10));
        }
        Self { child, address }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Each reading writes all parts of the page anew, where no client holds them, as a scraper does.
struct Changing {
    parts: Vec<Bytes>,
    readings: u8,
}

impl Gatherer for Changing {
    fn read(&mut self, _: Option<Duration>) {
        self.readings = self.readings.wrapping_add(1);
        for part in &mut self.parts {
            let old = std::mem::take(part);
            let mut new = old.try_into_mut().unwrap_or_else(|old| old[..].into());
            new.fill(b'a' + self.readings % 26);
            *part = new.freeze();
        }
    }

    fn page(&mut self, _: Page) -> Body {
        self.parts.iter().cloned().collect()
    }

    fn maps(&mut self) -> Vec<MapSummary> {
        Vec::new()
    }

    fn entries(&mut self, _: &str, _: &str, _: usize) -> Option<Piece> {
        None
    }
}

fn serve() {
    let address = env::args().nth(2).unwrap();
    let listener = TcpListener::bind(address).unwrap();
    let telemetry_path = TelemetryPath::parse("/metrics").unwrap();
    let site =
        Site { telemetry_path, maps: false, openmetrics: false, lifecycle: false, reloads: None };
    let parts = env::args().nth(3).unwrap().parse().unwrap();
    let parts = (0..parts).map(|_: usize| Bytes::from(vec![b'a'; PART])).collect();
    let (mut hired, manager) = (Hired::default(), Manager::default());
    let scrapes = Scrapes::hire(Changing { parts, readings: 0 }, &mut hired).unwrap();
    let workers = hired.begin();
    serve::run(listener, &site, scrapes, &manager, &Noted::begin().unwrap()).unwrap();
    workers.stop();
}
