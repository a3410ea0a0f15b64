//! The built binary, as a user starts it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use libbpf_rs::ProgramHandle;

pub const BINARY: &str = env!("CARGO_BIN_EXE_ebpf_wasm_exporter");

/// Where the system's own programs are, which a USDT names as whoever starts the exporter would.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// After this, what should have come will not.
pub const HANG: Duration = Duration::from_secs(60);

/// An exporter that serves until it is stopped or dropped.
pub struct Exporter {
    child: Child,
    /// All that it has logged, once it has ended.
    log: Option<JoinHandle<String>>,
    /// `http://127.0.0.1:PORT/metrics`, or with `https`. Of several addresses the others follow.
    pub url: String,
}

impl Exporter {
    /// Starts it with these flags on a free port, and waits until it serves.
    pub fn start(flags: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> Self {
        let mut command = Command::new(BINARY);
        command.args(flags).args(["--web.listen-address=127.0.0.1:0", "--log.no-timestamps"]);
        Self::serve(&mut command)
    }

    /// Starts `command`, which has to come to be an exporter, and waits until it serves.
    pub fn serve(command: &mut Command) -> Self {
        let mut child = command
            .env_remove("RUST_LOG")
            .env("PATH", PATH)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (log, serving) = follow(child.stderr.take().unwrap());
        match serving.recv_timeout(HANG) {
            Ok(url) => Self { child, log: Some(log), url },
            Err(_) => {
                let _ = child.kill();
                panic!("it does not serve: {:?}\n{}", child.wait(), log.join().unwrap());
            }
        }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        let (_, place) = self.url.split_once("://").unwrap();
        place.split_once('/').unwrap().0
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// The exposition.
    pub fn metrics(&self) -> String {
        get(&self.url)
    }

    /// The exposition in OpenMetrics, as it is where the flag is set.
    pub fn openmetrics(&self) -> String {
        let request = ureq::get(&self.url).header("Accept", "application/openmetrics-text");
        let mut response = request.call().unwrap();
        let content_type = response.headers()["content-type"].to_str().unwrap();
        assert_eq!(
            content_type,
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
        );
        response.body_mut().with_config().limit(1 << 30).read_to_string().unwrap()
    }

    /// The page at this path.
    pub fn page(&self, path: &str) -> String {
        get(&self.url.replace("/metrics", path))
    }

    /// The ids of the programs that it has in the kernel, by its own account.
    pub fn programs(&self) -> Vec<u32> {
        const PREFIX: &str = "ebpf_exporter_ebpf_program_attached{id=\"";
        let metrics = self.metrics();
        let ids = metrics.lines().filter_map(|line| line.strip_prefix(PREFIX)?.split('"').next());
        ids.map(|id| id.parse().unwrap()).collect()
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn terminate(&self) {
        let id = i32::try_from(self.child.id()).unwrap();
        // SAFETY: the child was not waited for, so the id is still its own.
        assert_eq!(unsafe { libc::kill(id, libc::SIGTERM) }, 0);
    }

    /// Ends it at once, without a word to it.
    pub fn kill(&self) {
        let id = i32::try_from(self.child.id()).unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { libc::kill(id, libc::SIGKILL) }, 0);
    }

    /// Waits for its end; its status and all that it has logged.
    pub fn wait(mut self) -> (ExitStatus, String) {
        until("it ends", || self.child.try_wait().unwrap().is_some());
        let log = self.log.take().expect("it is waited for once");
        (self.child.wait().unwrap(), log.join().unwrap())
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // A test that failed leaves nothing running; of one that did not, nothing is left.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Collects a log, and says when it tells where it serves.
fn follow(log: impl Read + Send + 'static) -> (JoinHandle<String>, Receiver<String>) {
    let (tell, serving) = mpsc::channel();
    let collect = move || {
        let mut all = String::new();
        for line in BufReader::new(log).lines() {
            let line = line.unwrap();
            if let Some((_, url)) = line.split_once(" at http") {
                // Nobody listens any more if it took too long.
                let _ = tell.send(format!("http{url}"));
            }
            all.push_str(&line);
            all.push('\n');
        }
        all
    };
    (thread::spawn(collect), serving)
}

/// The body of a page that has to be there.
pub fn get(url: &str) -> String {
    let mut response = ureq::get(url).call().unwrap_or_else(|error| panic!("{url}: {error}"));
    response.body_mut().with_config().limit(1 << 30).read_to_string().unwrap()
}

/// Waits until `done`, which something else brings about.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < HANG, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The whole number of the sample that begins like this, if there is one.
pub fn sample(page: &str, begins: &str) -> Option<u64> {
    let value = page.lines().find_map(|line| line.strip_prefix(begins)?.strip_prefix(' '))?;
    Some(value.parse().expect("a whole number"))
}

/// Waits until the kernel, which takes its time for it, has freed these programs.
pub fn until_gone(programs: &[u32]) {
    assert!(!programs.is_empty(), "there were some");
    until("its programs are gone", || {
        programs.iter().all(|id| ProgramHandle::from_prog_id(*id).is_err())
    });
}

/// Copies a program to where it is to be started. `cp` writes it, not this process: whatever another test starts
/// meanwhile would have the file open too, and what is open for writing cannot be started.
pub fn copy_program(from: &str, to: &Path) {
    let status = Command::new("cp").arg(from).arg(to).status().unwrap();
    assert!(status.success(), "cp {from} {}: {status}", to.display());
}

/// What an exporter that ends by itself has said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `command`, which starts an exporter that ends by itself.
pub fn run(command: &mut Command) -> Said {
    let mut child = command
        .arg("--log.no-timestamps")
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (stdout, _) = follow(child.stdout.take().unwrap());
    let (stderr, _) = follow(child.stderr.take().unwrap());
    until("it ends", || child.try_wait().unwrap().is_some());
    let code = child.wait().unwrap().code();
    Said { code, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}
