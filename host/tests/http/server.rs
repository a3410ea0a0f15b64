//! A server in a thread of this process, and what a client gets from it.

use std::future::ready;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::extract::Request;
use bytes::Bytes;
use ebpf_wasm_exporter::exposition::{Body, Format};
use ebpf_wasm_exporter::serve::{
    ClientLimits, CloseCause, Door, Gatherer, Listener, MapSummary, Page, Piece, Scrapes, Site,
    TelemetryPath, Traffic, Web, router, serve,
};
use tokio::sync::mpsc as stops;

#[path = "../logs/bad.rs"]
mod log_that_panics;

pub(crate) const TEXT: &str = "# HELP up Whether it is.\n# TYPE up gauge\nup 1\n";
/// After this, what should have come will not.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// Answers at once, or when the test lets it.
pub(crate) struct Fake {
    metrics: Bytes,
    fresh: bool,
    calls: Arc<AtomicUsize>,
    pieces: Arc<AtomicUsize>,
    gate: Option<Gate>,
}

pub(crate) struct Gate {
    begun: Sender<()>,
    go_on: Receiver<()>,
}

impl Gatherer for Fake {
    fn read(&mut self, _: Option<Duration>) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            gate.begun.send(()).unwrap();
            gate.go_on.recv_timeout(HANG).unwrap();
        }
    }

    fn page(&mut self, page: Page) -> Body {
        match page {
            Page::Metrics(Format::Text, _) => {
                assert_ne!(self.metrics, "panic", "as the test wants it");
                if self.metrics == "death" {
                    log_that_panics::die("to death");
                }
                if self.fresh { self.metrics.to_vec().into() } else { self.metrics.clone().into() }
            }
            Page::Metrics(Format::OpenMetrics | Format::OpenMetrics2, _) => {
                Bytes::from_static(b"# EOF\n").into()
            }
            Page::Metrics(Format::Protobuf, _) => Bytes::from_static(b"\0").into(),
        }
    }

    fn maps(&mut self) -> Vec<MapSummary> {
        let (config, name, kind) = ("sub/a".to_owned(), "m".to_owned(), "hash".to_owned());
        vec![MapSummary { config, name, kind, capacity: 8, entries: Some(3) }]
    }

    /// Map `m` has three pieces, `endless` has no end, of `cut` the second one fails.
    fn entries(&mut self, config: &str, map: &str, from: usize) -> Option<Piece> {
        let piece = |text: &[u8], next| Some(Piece { text: Bytes::copy_from_slice(text), next });
        match (config, map) {
            ("sub/a", "m") => piece(format!("{from}\n").as_bytes(), (from < 2).then_some(from + 1)),
            ("sub/a", "endless") => {
                self.pieces.fetch_add(1, Ordering::SeqCst);
                piece(&[b'x'; 64 << 10], Some(1))
            }
            ("sub/a", "cut") => {
                assert_eq!(from, 0, "as the test wants it");
                piece(b"begun\n", Some(1))
            }
            _ => None,
        }
    }
}

pub(crate) struct Options {
    pub(crate) path: &'static str,
    pub(crate) maps: bool,
    pub(crate) openmetrics: bool,
    pub(crate) metrics: Bytes,
    /// Whether each scrape has bytes of its own.
    pub(crate) fresh: bool,
    pub(crate) limits: ClientLimits,
    pub(crate) gate: Option<Gate>,
    pub(crate) web: Option<Web>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            path: "/metrics",
            maps: false,
            openmetrics: false,
            metrics: Bytes::from_static(TEXT.as_bytes()),
            fresh: false,
            limits: ClientLimits::default(),
            gate: None,
            web: None,
        }
    }
}

/// A server that runs until the test stops or drops it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Calls of the gatherer.
    pub(crate) calls: Arc<AtomicUsize>,
    /// Pieces of the endless map.
    pub(crate) pieces: Arc<AtomicUsize>,
    /// Requests that a handler has begun with.
    pub(crate) arrived: Arc<AtomicUsize>,
    pub(crate) traffic: Traffic,
    pub(crate) stop: stops::UnboundedSender<()>,
    pub(crate) thread: JoinHandle<bool>,
}

impl Server {
    pub(crate) fn start(options: Options) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, ..Self::on(listener, options) }
    }

    /// One that listens elsewhere: it has no address.
    pub(crate) fn on(listener: impl Into<Listener>, mut options: Options) -> Self {
        let (listener, address) = (listener.into(), (Ipv4Addr::UNSPECIFIED, 0).into());
        let (calls, arrived) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (stop, stopped) = stops::unbounded_channel();
        let pieces = Arc::<AtomicUsize>::default();
        let (metrics, fresh, gate) = (options.metrics.clone(), options.fresh, options.gate.take());
        let scraped = (Arc::clone(&calls), Arc::clone(&pieces));
        let gatherer = Fake { metrics, fresh, calls: scraped.0, pieces: scraped.1, gate };
        let counted = Arc::clone(&arrived);
        let traffic = Traffic::default();
        let (limits, web) = (options.limits, options.web.take());
        let door = Door { listeners: vec![listener], limits, traffic: traffic.clone(), web };
        let thread = thread::spawn(move || run(options, door, gatherer, counted, stopped));
        Self { address, calls, pieces, arrived, traffic, stop, thread }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        stream
    }

    /// How many connections have ended of this cause.
    pub(crate) fn closed(&self, cause: CloseCause) -> u64 {
        self.traffic.closed()[cause as usize].1
    }

    /// Sends a request on a connection of its own, and does not wait.
    pub(crate) fn send(&self, request: &str) -> TcpStream {
        let mut stream = self.connect();
        write!(stream, "{request}\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        stream
    }

    pub(crate) fn ask(&self, request: &str) -> Response {
        Response::read(self.send(request))
    }

    /// Stops it and says whether all requests were answered.
    pub(crate) fn stop(self) -> bool {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap()
    }
}

fn run(
    options: Options,
    door: Door,
    gatherer: Fake,
    arrived: Arc<AtomicUsize>,
    mut stopped: stops::UnboundedReceiver<()>,
) -> bool {
    let (scrapes, work) = Scrapes::new(gatherer);
    let thread = thread::spawn(work);
    let telemetry_path = TelemetryPath::parse(options.path).unwrap();
    let (maps, openmetrics) = (options.maps, options.openmetrics);
    let site = Site { telemetry_path, maps, openmetrics, lifecycle: false, reloads: None };
    let router = router(&site, scrapes);
    let router = router.layer(axum::middleware::map_request(move |request: Request| {
        arrived.fetch_add(1, Ordering::SeqCst);
        ready(request)
    }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let drained = runtime.block_on(serve(door, router, async || {
        stopped.recv().await;
    }));
    drop(runtime);
    thread.join().unwrap();
    drained.unwrap()
}

/// A response as it came over the wire.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn read(stream: TcpStream) -> Self {
        Self::read_from(stream)
    }

    pub(crate) fn read_from(mut stream: impl Read) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let body = bytes.split_off(end + 4);
        Self { head: String::from_utf8(bytes).unwrap().to_lowercase(), body }
    }

    pub(crate) fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Waits until `done`, which something else brings about.
pub(crate) fn until(done: impl Fn() -> bool) {
    while !done() {
        thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn gate() -> (Gate, Receiver<()>, Sender<()>) {
    let ((begin, begun), (go, go_on)) = (mpsc::channel(), mpsc::channel());
    (Gate { begun: begin, go_on }, begun, go)
}
