//! From ready to stopped, as a service manager sees it: signals and notifications are those of a
//! whole process, so the server runs in a child of this test.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ebpf_wasm_exporter::exposition::Body;
use ebpf_wasm_exporter::serve::{self, Manager, Page, Scraper, Site, TelemetryPath};
use tempfile::TempDir;

const TEXT: &str = "up 1\n";
/// After this, what should have come will not.
const HANG: Duration = Duration::from_secs(60);

/// Tells its standard output what happens; goes on when its standard input has a line.
struct Told;

impl Scraper for Told {
    fn read(&mut self, _: Option<Duration>) {
        println!("scraping");
        std::io::stdin().read_line(&mut String::new()).unwrap();
    }

    fn page(&mut self, _: Page) -> Body {
        TEXT.as_bytes().into()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        println!("dropped");
    }
}

/// The server of the tests below.
#[test]
fn child() {
    if env::var_os("SERVE_CHILD").is_none() {
        return;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    println!("\nport {}", listener.local_addr().unwrap().port());
    let telemetry_path = TelemetryPath::parse("/metrics").unwrap();
    let site = Site { telemetry_path, maps: false, openmetrics: false };
    serve::run(listener, &site, Told, &Manager::connect().with("serving one config")).unwrap();
    println!("returned");
}

struct Service {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    notifications: UnixDatagram,
    /// Where the socket of the notifications is, as long as the child may want it.
    _dir: TempDir,
    port: u16,
}

impl Service {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("notify");
        let notifications = UnixDatagram::bind(&socket).unwrap();
        notifications.set_read_timeout(Some(HANG)).unwrap();
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env("SERVE_CHILD", "1")
            .env("NOTIFY_SOCKET", &socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let port = next(&mut output, "port ").parse().unwrap();
        let service = Self { child, output, notifications, _dir: dir, port };
        assert_eq!(service.notification(), "READY=1\nSTATUS=serving one config\n");
        service
    }

    fn notification(&self) -> String {
        let mut buffer = [0; 256];
        let length = self.notifications.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// A scrape that has begun.
    fn scrape(&mut self) -> TcpStream {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        client.set_read_timeout(Some(HANG)).unwrap();
        client.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
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
        assert!(self.child.wait().unwrap().success());
        rest
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
        let mut service = Service::start();
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

#[test]
fn a_second_signal_ends_the_wait() {
    let mut service = Service::start();
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
