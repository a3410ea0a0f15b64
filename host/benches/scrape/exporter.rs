//! The exporter under test: the built binary, in a process of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub(crate) struct Exporter {
    process: Child,
    address: String,
    body: Mutex<Vec<u8>>,
}

pub(crate) struct Scrape {
    pub(crate) wall: Duration,
    /// What all threads of the exporter used.
    pub(crate) cpu: Duration,
}

impl Exporter {
    /// Starts it with the only config in `dir`, which is called `rows`.
    pub(crate) fn start(dir: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_ebpf_wasm_exporter"))
            .arg("--config.dir")
            .arg(dir)
            .args(["--config.names=rows", "--web.listen-address=127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the exporter starts");
        let log = BufReader::new(process.stderr.take().expect("piped"));
        let mut lines = log.lines().map_while(Result::ok);
        let address = lines
            .find_map(|line| {
                let (_, rest) = line.split_once("http://")?;
                Some(rest.split('/').next()?.to_owned())
            })
            .expect("the exporter says where it serves");
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address, body: Mutex::default() }
    }

    /// One scrape over a connection of its own.
    pub(crate) fn scrape(&self, gzip: bool) -> Scrape {
        let mut body = self.body.lock().expect("one scrape at a time");
        body.clear();
        let mut stream = TcpStream::connect(&self.address).expect("the exporter accepts");
        let encoding = if gzip { "Accept-Encoding: gzip\r\n" } else { "" };
        let request =
            format!("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{encoding}\r\n");
        let cpu = self.cpu();
        let start = Instant::now();
        stream.write_all(request.as_bytes()).expect("the exporter listens");
        stream.read_to_end(&mut body).expect("the exporter answers");
        let wall = start.elapsed();
        assert!(body.starts_with(b"HTTP/1.1 200"));
        Scrape { wall, cpu: self.cpu().saturating_sub(cpu) }
    }

    /// Time on a CPU of all threads, from the scheduler's own account in nanoseconds.
    fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id())).expect("it runs");
        let nanos = tasks.filter_map(|task| {
            let stat = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// Resident memory, bytes.
    pub(crate) fn resident(&self) -> f64 {
        self.status("VmRSS:")
    }

    /// The most it ever was, bytes.
    pub(crate) fn peak(&self) -> f64 {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1024.0
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
