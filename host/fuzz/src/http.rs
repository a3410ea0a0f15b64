//! Bytes of a client, given to a server as it runs: connections, bounds and pages are the exporter's own.
//!
//! ```text
//! u8 n: the client sends n bytes at a time, all at once for 0; then what it sends
//! ```
//!
//! The client then says that it sends nothing more, and takes all that comes. The server may not panic, not even where
//! that ends one connection alone.

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream as Connected};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;
use std::{mem, panic, thread};

use bytes::Bytes;
use ebpf_wasm_exporter::exposition::Body;
use ebpf_wasm_exporter::serve::{
    Door, Gatherer, MapSummary, Page, Piece, Scrapes, Site, TelemetryPath, router, serve,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{LocalSet, yield_now};
use tokio::time::timeout;

/// What every page of metrics is.
const TEXT: &[u8] = b"# HELP up h\n# TYPE up gauge\nup 1\n";
/// What is asked behind each input.
const PLAIN: &[u8] = b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
/// After this, an answer will not end. A server may wait 10 seconds for a head, as no input makes it do: libFuzzer is
/// to find one that does. Seeds are tried on slow machines too.
const HANG: Duration = Duration::from_secs(if cfg!(feature = "libfuzzer") { 8 } else { 60 });
/// What is never an answer to a client's bytes: that is a fault of the server.
const FAULTS: [&str; 2] = ["500", "502"];
/// All headers that an answer has: nobody else's stand in one.
const HEADERS: [&str; 15] = [
    "allow",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "location",
    "referrer-policy",
    "retry-after",
    "transfer-encoding",
    "vary",
    "x-content-type-options",
    "x-frame-options",
];

thread_local! {
    static SERVER: Server = Server::start();
    /// Whether this thread does a server's work now.
    static SERVES: Cell<bool> = const { Cell::new(false) };
}

/// What a server panicked with. Nobody else tells: tokio catches what panics in a task, and the connection just ends.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn panics() -> MutexGuard<'static, Vec<String>> {
    PANICS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has panics noted of threads that do a server's work, from now on.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if SERVES.get() {
                panics().push(panic.to_string());
            }
            next(panic);
        }));
    });
}

/// Takes in what a client sends, and answers the next one.
pub fn http(data: &[u8]) {
    let Some((step, sent)) = data.split_first() else { return };
    SERVER.with(|server| {
        answered(&server.ask(sent, usize::from(*step)));
        let plain = server.ask(PLAIN, 0);
        assert!(
            plain.starts_with(b"HTTP/1.1 200 OK\r\n") && plain.ends_with(TEXT),
            "nobody is served any more"
        );
    });
}

/// Panics unless an answer begins as one that the server makes; there is none for who asks nothing.
fn answered(got: &[u8]) {
    if got.is_empty() {
        return;
    }
    let end = got.windows(4).position(|end| end == b"\r\n\r\n").expect("an answer with a head");
    let head = std::str::from_utf8(&got[..end]).expect("a head of text");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")).expect("a status line");
    let code = status.split(' ').nth(1).expect("a status");
    assert!(!FAULTS.contains(&code), "{head}");
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a header");
        assert!(HEADERS.contains(&name), "a header of somebody else's: {line:?}");
        assert!(!value.chars().any(char::is_control), "a value with control characters: {line:?}");
    }
}

/// A server of this thread, which is at work while an answer is waited for.
struct Server {
    runtime: Runtime,
    tasks: LocalSet,
    /// Of no file: none is left behind, however the fuzzer ends.
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let name = format!("fuzz-{}-{:?}", std::process::id(), thread::current().id());
        let address = SocketAddr::from_abstract_name(name).expect("an address");
        let listener = UnixListener::bind_addr(&address).expect("a socket");
        note_panics();
        let (scrapes, work) = Scrapes::new(Fixed);
        thread::spawn(|| {
            SERVES.set(true);
            work();
        });
        let telemetry_path = TelemetryPath::parse("/metrics").expect("a path");
        let site =
            Site { telemetry_path, maps: true, openmetrics: true, lifecycle: true, reloads: None };
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_all().on_thread_start(|| SERVES.set(true));
        let runtime = runtime.build().expect("a runtime");
        let tasks = LocalSet::new();
        let served = serve(Door::from(listener), router(&site, scrapes), async || pending().await);
        tasks.spawn_local(served);
        Self { runtime, tasks, address }
    }

    fn connect(&self) -> io::Result<UnixStream> {
        let stream = Connected::connect_addr(&self.address)?;
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream)
    }

    /// All that comes back for these bytes. Panics if the server did.
    fn ask(&self, sent: &[u8], step: usize) -> Vec<u8> {
        panics().clear();
        SERVES.set(true);
        let exchange = async { timeout(HANG, self.exchange(sent, step)).await };
        let got = self.tasks.block_on(&self.runtime, exchange);
        SERVES.set(false);
        let panics = mem::take(&mut *panics());
        assert!(panics.is_empty(), "the server panicked: {}", panics.join("; "));
        got.expect("an answer that ends")
    }

    /// Sends these bytes, so many at a time, and takes all that comes.
    async fn exchange(&self, sent: &[u8], step: usize) -> Vec<u8> {
        let step = if step == 0 { sent.len().max(1) } else { step };
        let mut stream = self.connect().expect("a connection");
        let (mut from, mut to) = stream.split();
        let send = async {
            for piece in sent.chunks(step) {
                // A server that has heard enough is none that has failed.
                if to.write_all(piece).await.is_err() {
                    break;
                }
                yield_now().await;
            }
            let _ = to.shutdown().await;
        };
        let mut got = Vec::new();
        let ((), read) = tokio::join!(send, from.read_to_end(&mut got));
        // It closes at once behind what it does not take.
        let _ = read;
        got
    }
}

/// Pages that are always the same.
struct Fixed;

impl Gatherer for Fixed {
    fn read(&mut self, _: Option<Duration>) {}

    fn page(&mut self, _: Page) -> Body {
        Bytes::from_static(TEXT).into()
    }

    fn maps(&mut self) -> Vec<MapSummary> {
        let (config, name, kind) = ("sub/a".to_owned(), "m".to_owned(), "hash".to_owned());
        vec![MapSummary { config, name, kind, capacity: 8, entries: Some(3) }]
    }

    fn entries(&mut self, config: &str, map: &str, from: usize) -> Option<Piece> {
        let next = (from < 2).then_some(from + 1);
        (config == "sub/a" && map == "m").then(|| Piece { text: Bytes::from_static(b"1\n"), next })
    }
}
