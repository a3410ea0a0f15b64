//! Compiling in a process of its own, so that no file can cost the exporter more than it may.
//!
//! ```text
//! memory when a child may begin, by what all may take together
//! order  what the child is asked, as arguments
//! child  the other side: gives up all it has, looks, compiles, replies
//! weigh  what an instance will take and do at its start, before there is one
//! reply  what comes back: facts, stubs and machine code, or why not
//! ```
//!
//! The exporter has only the child parse a component that somebody else wrote. That is this same
//! binary, started anew with an empty environment, standard streams alone, no capability and a limit
//! on everything it can take. Its input and output are files in memory, so that nobody waits for
//! anybody. What it leaves behind ends with it. `inspect_here` parses one in the process that calls it:
//! it is there for fuzzing, and nothing of the exporter's may call it.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::MemfdFlags;
use rustix::process::Signal;

use super::limits::{CompileLimits, LARGEST_CODE};
use super::log;
use crate::advice;

mod child;
mod error;
mod memory;
mod order;
mod reply;
mod weigh;

pub use child::inspect_here;
pub use error::CompileError;
pub(super) use error::EXECUTABLE;
pub(super) use memory::Memory;
pub use order::{Order, Task};
pub use weigh::Weight;

pub(super) use reply::{Facts, Item, Reply, Stub};

/// How often a child is looked at.
const LOOK: Duration = Duration::from_millis(2);
/// How many times its limit of processor time a child may take by the clock: a machine where five
/// others want the same processor is busy, not broken.
const PATIENCE: u32 = 6;
/// What is kept of what a child says on its way out, in bytes.
const LAST_WORDS: u64 = 4096;

/// Where plugins are compiled.
#[derive(Clone, Debug)]
pub struct Compiler(Way);

#[derive(Clone, Debug)]
enum Way {
    /// In a child that runs this program.
    Program(PathBuf),
    /// In this process, which in unit tests is another program.
    #[cfg(test)]
    Here,
}

impl Default for Compiler {
    /// The running program.
    #[cfg(not(test))]
    fn default() -> Self {
        Self::program(crate::process::executable())
    }

    #[cfg(test)]
    fn default() -> Self {
        Self(Way::Here)
    }
}

impl Compiler {
    /// Another build of this program, for tests that are programs of their own.
    pub fn program(path: impl Into<PathBuf>) -> Self {
        Self(Way::Program(path.into()))
    }

    /// Asks a child for what `task` says about a component.
    pub(super) fn ask(
        &self,
        task: Task,
        bytes: &[u8],
        limits: CompileLimits,
    ) -> Result<Vec<u8>, CompileError> {
        match &self.0 {
            Way::Program(program) => Asked { program, task, limits }.answer(bytes),
            #[cfg(test)]
            Way::Here => Ok(child::answer(task, bytes).to_bytes()),
        }
    }
}

/// One question to a child.
struct Asked<'a> {
    program: &'a Path,
    task: Task,
    limits: CompileLimits,
}

impl Asked<'_> {
    fn answer(&self, bytes: &[u8]) -> Result<Vec<u8>, CompileError> {
        let time = self.limits.time_for(bytes.len());
        let started = |error: io::Error| CompileError::NoChild {
            program: self.program.to_owned(),
            problem: advice::words(&error),
        };
        let streams = Streams::new(bytes).map_err(started)?;
        let child = self.spawn(&streams, time).map_err(started)?;
        let status = wait(child, time * PATIENCE).map_err(started)?;
        match status {
            Some(status) if status.success() => streams.reply().map_err(started),
            Some(status) => Err(self.cause(status, time, &streams.last_words())),
            None => Err(CompileError::Clock { time: time * PATIENCE }),
        }
    }

    fn spawn(&self, streams: &Streams, time: Duration) -> io::Result<Child> {
        let order = Order::new(self.task, time, self.limits.memory);
        Command::new(self.program)
            .arg0("ebpf_wasm_exporter")
            .args(order.args())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(streams.input.try_clone()?))
            .stdout(Stdio::from(streams.output.try_clone()?))
            .stderr(Stdio::from(streams.words.try_clone()?))
            .spawn()
    }

    /// Why a child came to its end.
    fn cause(&self, status: ExitStatus, time: Duration, words: &str) -> CompileError {
        let memory = self.limits.memory;
        // What Rust says when there is no memory, before it aborts.
        if words.contains("memory allocation of") {
            return CompileError::Memory { memory };
        }
        let last = words.lines().rev().find(|line| !line.trim().is_empty());
        // What a child says that could not give up what it has, or not write its reply.
        if let (Some(1), Some(problem)) = (status.code(), last) {
            let program = self.program.to_owned();
            return CompileError::NoChild { program, problem: log::plain(problem, 200) };
        }
        let signal = status.signal();
        match signal.and_then(Signal::from_named_raw) {
            Some(Signal::XCPU) => CompileError::Time { time },
            Some(Signal::XFSZ) => CompileError::Code,
            Some(Signal::KILL) => CompileError::Killed,
            _ => {
                let said = last.map_or_else(|| status.to_string(), |line| log::plain(line, 200));
                CompileError::Crashed(said)
            }
        }
    }
}

/// The child's standard streams: files in memory, which nobody else can open.
struct Streams {
    input: File,
    output: File,
    words: File,
}

impl Streams {
    fn new(bytes: &[u8]) -> io::Result<Self> {
        let file = |name| rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC).map(File::from);
        let (mut input, output, words) = (file("plugin")?, file("code")?, file("words")?);
        input.write_all(bytes)?;
        input.rewind()?;
        Ok(Self { input, output, words })
    }

    fn reply(mut self) -> io::Result<Vec<u8>> {
        let mut reply = Vec::new();
        self.output.rewind()?;
        // One byte of header more than there may be code is no reason to fail.
        self.output.take(LARGEST_CODE * 2).read_to_end(&mut reply)?;
        Ok(reply)
    }

    fn last_words(&self) -> String {
        let mut words = Vec::new();
        let mut file = &self.words;
        let read = file.rewind().and_then(|()| file.take(LAST_WORDS).read_to_end(&mut words));
        read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&words).into_owned())
    }
}

/// How a child ended, or nothing if it had to be ended.
fn wait(mut child: Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}
