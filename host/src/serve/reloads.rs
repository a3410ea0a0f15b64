//! Reloads: one thread reads configs again, and whoever asks while it does shares the next time.
//!
//! Who asks is answered with what has become of a reload that began after they asked. Nothing here knows what a
//! config is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tracing::{error, info};

use crate::advice::Advice;
use crate::series::Kind;
use crate::telemetry::{Collect, Report, about};
use crate::workers::{HireError, Hired, LARGE_STACK, Post};

/// The thread that reloads. It may have programs to detach when it ends.
pub const RELOADER: Post =
    Post { name: "reload", stack: LARGE_STACK, patience: Duration::from_secs(1) };

/// Reads configs again, and has them served.
pub trait Reloader: Send + 'static {
    /// Does it, or leaves all as it was. What it has changed, as the end of a sentence: `1 config added`.
    ///
    /// # Errors
    ///
    /// Why all is as it was. Each fault of a config has been logged.
    fn reload(&mut self) -> Result<String, Advice>;
}

type Outcome = Result<String, Advice>;

/// The way to the thread that reloads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reloads(Sender<Asked>);

#[derive(Debug)]
enum Asked {
    Reload(oneshot::Sender<Outcome>),
    End,
}

impl Reloads {
    /// Hires a worker that reloads, and notes what becomes of it.
    ///
    /// # Errors
    ///
    /// When the system has no thread for us.
    pub fn hire(
        reloader: impl Reloader,
        noted: Reloaded,
        hired: &mut Hired,
    ) -> Result<Self, HireError> {
        let (queue, asked) = mpsc::channel();
        let end = queue.clone();
        let tell = move || {
            // One that has ended need not be told.
            let _ = end.send(Asked::End);
        };
        hired.hire(RELOADER, move || work(reloader, &noted, &asked), tell)?;
        Ok(Self(queue))
    }

    /// Has configs read again, and says what has become of it.
    ///
    /// # Errors
    ///
    /// As [`Reloader::reload`], and when the exporter stops.
    pub async fn ask(&self) -> Outcome {
        let (reply, answer) = oneshot::channel();
        let stopping = || Advice::plain("failed to reload: the exporter is stopping");
        self.0.send(Asked::Reload(reply)).map_err(|_| stopping())?;
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }
}

fn work(mut reloader: impl Reloader, noted: &Reloaded, asked: &Receiver<Asked>) {
    while let Ok(Asked::Reload(first)) = asked.recv() {
        let mut waiting = vec![first];
        let mut ends = false;
        for other in asked.try_iter() {
            match other {
                Asked::Reload(reply) => waiting.push(reply),
                Asked::End => ends = true,
            }
        }
        if ends {
            return;
        }
        let outcome = reload(&mut reloader);
        noted.note(outcome.is_ok());
        for reply in waiting {
            // Who has gone meanwhile finds it in the log.
            let _ = reply.send(outcome.clone());
        }
    }
}

fn reload(reloader: &mut impl Reloader) -> Outcome {
    let outcome = catch_unwind(AssertUnwindSafe(|| reloader.reload())).unwrap_or_else(|panic| {
        // To drop what a panic has left may panic again.
        std::mem::forget(panic);
        let problem = "failed to reload: it panicked";
        Err(Advice::new(problem, "this is a bug, please report it with the lines above"))
    });
    match &outcome {
        Ok(changed) => info!("reloaded: {changed}"),
        // What stood in the configs has been told line by line.
        Err(advice) => error!("{}", Advice { evidence: None, ..advice.clone() }),
    }
    outcome
}

/// What has become of reloads. Cheap to clone; all clones tell the same.
#[derive(Clone, Debug)]
pub struct Reloaded(Arc<Mutex<Counts>>);

#[derive(Debug)]
struct Counts {
    successes: u64,
    failures: u64,
    /// Whether the last one, or the start, has worked.
    last: bool,
    /// When configs were last read and have been served since.
    since: SystemTime,
}

impl Default for Reloaded {
    /// Of an exporter that has just read its configs.
    fn default() -> Self {
        let counts = Counts { successes: 0, failures: 0, last: true, since: SystemTime::now() };
        Self(Arc::new(Mutex::new(counts)))
    }
}

impl Reloaded {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, success: bool) {
        let mut counts = self.counts();
        counts.last = success;
        match success {
            true => {
                counts.successes += 1;
                counts.since = SystemTime::now();
            }
            false => counts.failures += 1,
        }
    }
}

impl Collect for Reloaded {
    fn collect(&self, report: &mut Report) {
        let counts = self.counts();
        let since = counts.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        report.family(
            about(
                "ebpf_exporter_config_last_reload_successful",
                "Whether the last reload of configs worked; 1 until there is one",
                [],
            ),
            Kind::Gauge,
            [([], f64::from(u8::from(counts.last)))],
        );
        report.family(
            about(
                "ebpf_exporter_config_last_reload_success_timestamp_seconds",
                "When the configs that are served were read",
                [],
            ),
            Kind::Gauge,
            [([], since.as_secs_f64())],
        );
        report.numbers(
            about(
                "ebpf_exporter_config_reloads_total",
                "Reloads of configs, by what became of them",
                ["outcome"],
            ),
            Kind::Counter,
            &[(["success"], [counts.successes]), (["failure"], [counts.failures])],
        );
    }
}
