//! A replay behind the server, in a thread of this process.

use std::net::{Ipv4Addr, TcpListener};
use std::thread::{self, JoinHandle};

use ebpf_wasm_exporter::serve::{Door, Listener, Scrapes, Site, TelemetryPath, router, serve};
use tokio::sync::oneshot;

use crate::tape::Replay;

/// A server, OpenMetrics included, that runs until it is dropped.
pub struct Served {
    url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub fn start(replay: Replay) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || run(listener.into(), replay, stopped));
        Self { url, stop: Some(stop), thread: Some(thread) }
    }

    /// The `Content-Type` and the body for these headers.
    pub fn ask(&self, accept: &str, encoding: &str) -> (String, Vec<u8>) {
        let request = ureq::get(&self.url).header("Accept", accept);
        let mut response = request.header("Accept-Encoding", encoding).call().unwrap();
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        (content_type, response.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap())
    }

    /// The exposition for those who say nothing.
    pub fn metrics(&self) -> String {
        ureq::get(&self.url).call().unwrap().body_mut().read_to_string().unwrap()
    }

    /// The exposition in OpenMetrics.
    pub fn openmetrics(&self) -> String {
        let (content_type, body) = self.ask("application/openmetrics-text", "identity");
        assert_eq!(
            content_type,
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
        );
        String::from_utf8(body).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Whoever stops twice, or whose thread has panicked, has nobody to tell.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn run(listener: Listener, replay: Replay, stopped: oneshot::Receiver<()>) {
    let (scrapes, work) = Scrapes::new(replay.0);
    let scraping = thread::spawn(work);
    let telemetry_path = TelemetryPath::parse("/metrics").unwrap();
    let site =
        Site { telemetry_path, maps: false, openmetrics: true, lifecycle: false, reloads: None };
    let door = Door::from(listener);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut stopped = Some(stopped);
    let served = runtime.block_on(serve(door, router(&site, scrapes), async || {
        if let Some(stopped) = stopped.take() {
            let _ = stopped.await;
        }
    }));
    drop(runtime);
    served.unwrap();
    scraping.join().unwrap();
}
