//! What all BPF programs and maps of the host are and cost, ours or not, for an exporter that has given up the
//! right to look at them.
//!
//! ```text
//! child  the process that keeps the right: it answers one question, and hears nothing else
//! told   what comes of it in a scrape, for a bounded number of programs and maps
//! words  what people call places and owners
//! ```
//!
//! The surveyor is this same binary, started anew before privileges go. It keeps CAP_SYS_ADMIN alone, behind
//! the same walls as the exporter, and takes no input but the question. So who breaks into the exporter can
//! have lists of it, and no program or map. It ends with the exporter. Never fails a scrape.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use caps::{CapSet, Capability};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::advice::Advise;
use crate::bpf::inventory::Inventory;
use crate::process;

mod child;
mod told;
mod words;

pub use child::Charge;
pub use told::{HostWide, Ours};
pub use words::{attached_to, owned_by, processes};

/// Bytes of the longest answer: some 500 a program.
const LONGEST: usize = 16 << 20;

/// The way to the surveyor, which lives as long as this does.
#[derive(Debug)]
pub struct Surveyor {
    questions: ChildStdin,
    answers: ChildStdout,
    /// What has come of an answer.
    begun: Vec<u8>,
    /// Whether it was asked, and has not answered.
    asked: bool,
}

/// Why there is no surveyor.
#[derive(Debug, thiserror::Error)]
pub enum SurveyorError {
    /// The right to look is not there.
    #[error("cannot look at all BPF programs of the host (--bpf.host)")]
    Rights,
    /// There is no process for it.
    #[error("failed to start the process that looks at all BPF programs of the host (--bpf.host)")]
    Start(#[source] io::Error),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Silence {
    /// Not yet. The answer may still come.
    #[error("it has not answered yet")]
    Late,
    /// It has ended.
    #[error("it has ended; restart the exporter to have it again")]
    Gone,
    /// The kernel did not tell it.
    #[error("the kernel does not tell: {0}")]
    Refused(String),
    /// What it says makes no sense.
    #[error("its answer cannot be read")]
    Garbled,
}

impl Advise for SurveyorError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Rights => Some("start it with CAP_SYS_ADMIN, or without --bpf.host".to_owned()),
            Self::Start(_) => None,
        }
    }
}

impl Surveyor {
    /// Starts the process, with these orders.
    ///
    /// # Errors
    ///
    /// When this one has no CAP_SYS_ADMIN, or the system has no process for it.
    pub fn start(charge: &Charge) -> Result<Self, SurveyorError> {
        if !caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_ADMIN).unwrap_or(true) {
            return Err(SurveyorError::Rights);
        }
        let lacks = || SurveyorError::Start(io::Error::other("it has no streams"));
        let mut child = Command::new(process::executable())
            .arg0("ebpf_wasm_exporter")
            .args(charge.args())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(SurveyorError::Start)?;
        let questions = child.stdin.take().ok_or_else(lacks)?;
        let answers = child.stdout.take().ok_or_else(lacks)?;
        Ok(Self { questions, answers, begun: Vec::new(), asked: false })
    }

    /// Asks what there is now. An answer that came late is of then, and forgotten; while one is still owed, it
    /// is waited for instead.
    pub fn ask(&mut self) {
        if self.asked && !matches!(self.answer(Instant::now()), Err(Silence::Late)) {
            self.asked = false;
        }
        // That it has ended is told when it does not answer.
        self.asked = self.asked || self.questions.write_all(b"?").is_ok();
    }

    /// What it has found, once it has answered.
    ///
    /// # Errors
    ///
    /// See [`Silence`].
    pub fn answer(&mut self, until: Instant) -> Result<Inventory, Silence> {
        while !self.begun.ends_with(b"\n") {
            self.read_some(until)?;
        }
        self.asked = false;
        let answer = std::mem::take(&mut self.begun);
        let answer: Result<Inventory, String> =
            serde_json::from_slice(&answer).map_err(|_| Silence::Garbled)?;
        answer.map_err(Silence::Refused)
    }

    fn read_some(&mut self, until: Instant) -> Result<(), Silence> {
        if !can_be_read(&self.answers, until) {
            return Err(Silence::Late);
        }
        let mut piece = [0; 16 << 10];
        match self.answers.read(&mut piece) {
            Ok(0) => Err(Silence::Gone),
            Ok(_) if self.begun.len() > LONGEST => Err(Silence::Garbled),
            Ok(count) => {
                self.begun.extend_from_slice(&piece[..count]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(_) => Err(Silence::Gone),
        }
    }
}

fn can_be_read(answers: &ChildStdout, until: Instant) -> bool {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(answers, PollFlags::IN)], left.as_ref()) {
            // A signal came meanwhile.
            Err(Errno::INTR) => {}
            ready => return ready.is_ok_and(|ready| ready > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[allow(clippy::zombie_processes, reason = "the test ends soon, and all of it with it")]
    fn surveyor(says: &str) -> Surveyor {
        let mut child = Command::new("sh")
            .args(["-c", says])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (questions, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Surveyor { questions, answers, begun: Vec::new(), asked: false }
    }

    fn asked(surveyor: &mut Surveyor, patience: Duration) -> Result<Inventory, String> {
        surveyor.ask();
        let answer = surveyor.answer(Instant::now() + patience);
        answer.map_err(|silence| silence.to_string())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn an_answer_that_comes_late_is_forgotten() {
        // Nothing, until a line ends that begins with questions; then old news, and at the next question new.
        let mut surveyor = surveyor(
            r#"read -r go; echo '{"Err":"old"}'; head -c1 >/dev/null; echo '{"Err":"new"}'"#,
        );
        assert_eq!(asked(&mut surveyor, Duration::ZERO).unwrap_err(), "it has not answered yet");
        surveyor.ask();
        surveyor.questions.write_all(b"\n").unwrap();
        assert!(can_be_read(&surveyor.answers, Instant::now() + LONG));
        assert_eq!(asked(&mut surveyor, LONG).unwrap_err(), "the kernel does not tell: new");
    }

    #[test]
    fn what_is_no_answer_is_told() {
        insta::assert_snapshot!(asked(&mut surveyor("exit"), LONG).unwrap_err(), @"it has ended; restart the exporter to have it again");
        insta::assert_snapshot!(asked(&mut surveyor("echo maybe"), LONG).unwrap_err(), @"its answer cannot be read");
        insta::assert_snapshot!(asked(&mut surveyor(r#"echo '{"Err":"operation not permitted"}'"#), LONG).unwrap_err(), @"the kernel does not tell: operation not permitted");
    }

    #[test]
    fn who_may_not_look_is_told_what_to_do() {
        insta::assert_snapshot!(SurveyorError::Rights.advice(), @"cannot look at all BPF programs of the host (--bpf.host); start it with CAP_SYS_ADMIN, or without --bpf.host");
    }
}
