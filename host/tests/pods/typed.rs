//! What is typed, and what is said then.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Somebody who has a directory.
pub struct Desk(TempDir);

impl Desk {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// What stands in the directory, sorted.
    pub fn files(&self) -> Vec<String> {
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let entries = fs::read_dir(self.0.path()).unwrap().map(|entry| name(entry.unwrap()));
        let mut files: Vec<_> = entries.collect();
        files.sort_unstable();
        files
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ebpf_wasm_exporter"));
        command.args(words.split(' ')).current_dir(self.0.path());
        command.env("RUST_LOG", "info").env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// The exit code of `pods WORDS`, and all that it says.
    pub fn pods(&self, words: &str) -> (i32, String) {
        let (code, out, log) = self.run(words);
        (code, out + &log)
    }

    /// What it prints, and what it says beside that, when it goes well.
    pub fn said(&self, words: &str) -> (String, String) {
        let (code, out, log) = self.run(words);
        assert_eq!(code, 0, "{words}: {log}");
        (out, log)
    }

    fn run(&self, words: &str) -> (i32, String, String) {
        let Output { status, stdout, stderr } =
            self.command(&format!("pods {words}")).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    /// What is said of something that goes well.
    pub fn done(&self, words: &str) -> String {
        let (code, said) = self.pods(words);
        assert_eq!(code, 0, "{words}: {said}");
        said
    }

    /// What is said of something that fails, behind its exit code, with ADDRESS for the host that is asked.
    pub fn refused(&self, words: &str) -> String {
        let (code, said) = self.pods(words);
        assert_ne!(code, 0, "{words}: {said}");
        let line = said.trim_end();
        assert_eq!(line.lines().count(), 1, "{words}: {said}");
        let url = words.split("--kubelet.url=").nth(1).unwrap_or_default();
        let host = url.split(' ').next().unwrap_or_default().split("://").nth(1).unwrap_or("?");
        format!("{code} {}", line.trim_start_matches("error: ").replace(host, "HOST"))
    }

    /// Starts one that goes on.
    pub fn start(&self, words: &str) -> Running {
        let mut child = self.command(words).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Running { child, log }
    }
}

/// One that goes on until it is told to end.
pub struct Running {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Running {
    /// The next line of its log, without the time.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.log.read_line(&mut line).unwrap();
        let (_, rest) = line.split_once(' ').unwrap_or(("", &line));
        rest.trim().to_owned()
    }

    /// Ends it, as a service manager does. Its exit code, and what it has said since.
    pub fn end(mut self) -> (i32, Vec<String>) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let code = self.child.wait().unwrap().code().unwrap();
        let mut rest = Vec::new();
        loop {
            match self.line() {
                line if line.is_empty() => return (code, rest),
                line => rest.push(line),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A trial that failed leaves nothing running; of one that did not, nothing is left.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until this is so.
pub fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < end, "{what}: not within a minute");
        thread::sleep(Duration::from_millis(10));
    }
}
