//! From ready to stopped, as a service manager sees it: signals and notifications are those of a
//! whole process, so the server runs in a child of this test.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test talks to who runs it")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ebpf_wasm_exporter::advice::Advise as _;
use ebpf_wasm_exporter::cli::Exit;
use ebpf_wasm_exporter::exposition::Body;
use ebpf_wasm_exporter::logging::{self, LogFormat, Options};
use ebpf_wasm_exporter::serve::{
    self, Gatherer, Manager, MapSummary, Page, Piece, Scrapes, Site, TelemetryPath,
};
use ebpf_wasm_exporter::signals::Noted;
use ebpf_wasm_exporter::workers::Hired;
use tempfile::TempDir;

#[path = "logs/bad.rs"]
mod log_that_panics;

const TEXT: &str = "up 1\n";
/// After this, what should have come will not.
const HANG: Duration = Duration::from_secs(60);

/// Tells its standard output what happens; goes on when its standard input has a line.
struct Told;

impl Gatherer for Told {
    fn read(&mut self, _: Option<Duration>) {
        println!("scraping");
        std::io::stdin().read_line(&mut String::new()).unwrap();
    }

    fn page(&mut self, _: Page) -> Body {
        TEXT.as_bytes().into()
    }

    fn maps(&mut self) -> Vec<MapSummary> {
        Vec::new()
    }

    fn entries(&mut self, _: &str, _: &str, _: usize) -> Option<Piece> {
        None
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        println!("dropped");
    }
}

/// Panics, and has the log panic of that, so that its thread dies.
struct Dying;

impl Gatherer for Dying {
    fn read(&mut self, _: Option<Duration>) {
        log_that_panics::die("as the test wants it");
    }

    fn page(&mut self, _: Page) -> Body {
        TEXT.as_bytes().into()
    }

    fn maps(&mut self) -> Vec<MapSummary> {
        Vec::new()
    }

    fn entries(&mut self, _: &str, _: &str, _: usize) -> Option<Piece> {
        None
    }
}

/// The server of the tests below.
#[test]
fn child() {
    let Some(kind) = env::var_os("SERVE_CHILD") else { return };
    logging::start(Options {
        level: None,
        format: LogFormat::Text,
        debug: false,
        timestamps: false,
        patient: false,
    });
    let noted = Noted::begin().unwrap();
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP).unwrap();
    let mut hired = Hired::default();
    logging::hire(&mut hired);
    let scrapes = match &*kind.to_string_lossy() {
        "dies" => Scrapes::hire(Dying, &mut hired),
        _ => Scrapes::hire(Told, &mut hired),
    };
    let mut workers = hired.begin();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    println!("\nport {}", listener.local_addr().unwrap().port());
    let telemetry_path = TelemetryPath::parse("/metrics").unwrap();
    let site =
        Site { telemetry_path, maps: false, openmetrics: false, lifecycle: false, reloads: None };
    let manager = Manager::connect().with("serving one config");
    // As the exporter ends.
    let served = serve::run(listener, &site, scrapes.unwrap(), &manager, &noted);
    if let Ok(false) = served {
        Scrapes::abandon(&mut workers);
    }
    workers.stop();
    match &served {
        Ok(_) => println!("returned"),
        Err(error) => println!("returned: {}", error.advice()),
    }
    logging::finish();
    if let Err(error) = &served {
        std::process::exit(Exit::from(error) as i32);
    }
}

struct Service {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    log: BufReader<std::process::ChildStderr>,
    notifications: UnixDatagram,
    /// Where the socket of the notifications is, as long as the child may want it.
    _dir: TempDir,
    port: u16,
}

impl Service {
    fn start(kind: &str) -> Self {
        Self::watched(kind, None)
    }

    /// One of which signs of life are expected within so many microseconds.
    fn watched(kind: &str, watchdog: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("notify");
        let notifications = UnixDatagram::bind(&socket).unwrap();
        notifications.set_read_timeout(Some(HANG)).unwrap();
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env("SERVE_CHILD", kind)
            .env("NOTIFY_SOCKET", &socket)
            .envs(watchdog.map(|time| ("WATCHDOG_USEC", time)))
            .env_remove("RUST_LOG")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let log = BufReader::new(child.stderr.take().unwrap());
        let port = next(&mut output, "port ").parse().unwrap();
        let mut service = Self { child, output, log, notifications, _dir: dir, port };
        assert_eq!(service.notification(), "READY=1\nSTATUS=serving one config\n");
        next(&mut service.log, " INFO received SIGHUP and went on");
        service
    }

    fn notification(&self) -> String {
        let mut buffer = [0; 256];
        let length = self.notifications.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// A scrape that has been asked for.
    fn ask(&self) -> TcpStream {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        client.set_read_timeout(Some(HANG)).unwrap();
        client.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        client
    }

    /// A scrape that has begun.
    fn scrape(&mut self) -> TcpStream {
        let client = self.ask();
        next(&mut self.output, "scraping");
        client
    }

    fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    fn go_on(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert_eq!(self.exit_code(), Some(0));
        rest
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // A test that failed leaves nothing running; of one that did not, nothing is left.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What follows `prefix` on the next line that begins with it.
fn next(output: &mut impl BufRead, prefix: &str) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "no line begins with {prefix:?}");
        if let Some(rest) = line.strip_prefix(prefix) {
            return rest.trim_end().to_owned();
        }
    }
}

#[test]
fn either_signal_drains_and_ends_in_order() {
    for name in ["INT", "TERM"] {
        let mut service = Service::start("tells");
        let mut client = service.scrape();
        service.signal(name);
        assert_eq!(service.notification(), "STOPPING=1\n");
        service.go_on();
        let mut response = String::new();
        client.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 200") && response.ends_with(TEXT), "{response}");
        assert!(service.rest().starts_with("dropped\nreturned\n"));
    }
}

/// A reading that takes a while is no reason to be restarted.
#[test]
fn signs_of_life_are_given_while_it_serves() {
    let mut service = Service::watched("tells", Some("20000"));
    let alive = |service: &Service| {
        (0..3).for_each(|_| assert_eq!(service.notification(), "WATCHDOG=1\n"));
    };
    alive(&service);
    let _client = service.scrape();
    alive(&service);
    service.signal("TERM");
    while service.notification() != "STOPPING=1\n" {}
    service.go_on();
    assert!(service.rest().starts_with("dropped\nreturned\n"));
}

#[test]
fn a_second_signal_ends_the_wait() {
    let mut service = Service::start("tells");
    let mut client = service.scrape();
    service.signal("TERM");
    assert_eq!(service.notification(), "STOPPING=1\n");
    service.signal("INT");
    assert_eq!(service.notification(), "STOPPING=1\n");
    let mut response = String::new();
    client.read_to_string(&mut response).unwrap();
    assert_eq!(response, "");
    assert!(service.rest().starts_with("returned\n"), "the scraper is left to the kernel");
}

#[test]
fn harmless_signals_are_a_line_each() {
    let mut service = Service::start("tells");
    for name in ["HUP", "USR1", "USR2", "HUP"] {
        service.signal(name);
        next(&mut service.log, &format!(" INFO received SIG{name} and went on"));
    }
    let mut client = service.scrape();
    service.signal("TERM");
    assert_eq!(service.notification(), "STOPPING=1\n");
    for name in ["HUP", "USR1", "USR2"] {
        service.signal(name);
        next(&mut service.log, &format!(" INFO received SIG{name} and went on"));
    }
    service.go_on();
    let mut response = String::new();
    client.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 200") && response.ends_with(TEXT), "{response}");
    assert!(service.rest().starts_with("dropped\nreturned\n"));
}

#[test]
fn a_scrape_thread_that_dies_ends_it() {
    let mut service = Service::start("dies");
    let mut client = service.ask();
    let mut response = String::new();
    // Whatever the client gets, if anything, it is no page.
    let _ = client.read_to_string(&mut response);
    assert!(response.is_empty() || response.starts_with("HTTP/1.1 503"), "{response}");
    insta::assert_snapshot!(next(&mut service.output, "returned: "), @"the thread that scrapes has died, so the exporter ends, to be started again; this is a bug, please report it with the lines above");
    assert_eq!(service.exit_code(), Some(7));
    let mut log = String::new();
    service.log.read_to_string(&mut log).unwrap();
    for (line, what) in log.lines().zip(["as the test wants it", "no line of the log either"]) {
        assert!(line.starts_with(" ERROR thread scrape panicked at "), "{line}");
        assert!(line.ends_with(&format!(": {what}; this is a bug")), "{line}");
    }
}
