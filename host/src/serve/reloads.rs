//! Reloads: one thread reads configs again, and whoever asks while it does shares the next time.
//!
//! Who asks is answered with what has become of a reload that began after they asked. Nothing here knows what a
//! config is.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tracing::{error, info};

use crate::advice::Advice;
use crate::series::Kind;
use crate::status::{LastReload, Moment, ReloadState, said};
use crate::telemetry::{Collect, Report, about};
use crate::workers::{HireError, Hired, LARGE_STACK, Post};

/// The thread that reloads. It may have programs to detach when it ends.
pub const RELOADER: Post =
    Post { name: "reload", stack: LARGE_STACK, patience: Duration::from_secs(1) };

/// Reads configs again, and has them served.
pub trait Reloader: Send + 'static {
    /// Does it, or leaves all as it was.
    ///
    /// # Errors
    ///
    /// Why all is as it was, or what is not. Each fault of a config has been logged.
    fn reload(&mut self) -> Result<ReloadNews, Advice>;
}

/// What has come of a reload that worked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadNews {
    /// What it has changed, as the end of a sentence: `added a; changed b`.
    pub changed: String,
    /// What whoever asked for it has to know besides, a sentence each. All of them have been logged.
    pub notes: Vec<String>,
}

/// All on one line.
impl fmt::Display for ReloadNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.changed)?;
        self.notes.iter().try_for_each(|note| write!(f, "; {note}"))
    }
}

type Outcome = Result<ReloadNews, Advice>;

/// The way to the thread that reloads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reloads {
    queue: Sender<Asked>,
    noted: Reloaded,
}

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
        let notes = noted.clone();
        hired.hire(RELOADER, move || work(reloader, &notes, &asked), tell)?;
        Ok(Self { queue, noted })
    }

    /// What has become of reloads so far.
    pub(super) fn state(&self) -> ReloadState {
        let Counts { successes, failures, last, .. } = &*self.noted.counts();
        ReloadState { successes: *successes, failures: *failures, last: last.clone() }
    }

    /// Has configs read again, and says what has become of it.
    ///
    /// # Errors
    ///
    /// As [`Reloader::reload`], and when the exporter stops.
    pub async fn ask(&self) -> Outcome {
        let (reply, answer) = oneshot::channel();
        let stopping = || Advice::plain("failed to reload: the exporter is stopping");
        self.queue.send(Asked::Reload(reply)).map_err(|_| stopping())?;
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
        noted.note(&outcome);
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
        Ok(news) => info!("reloaded: {}", news.changed),
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
    /// The last one, if there was one.
    last: Option<LastReload>,
    /// When configs were last read and have been served since.
    since: SystemTime,
}

impl Default for Reloaded {
    /// Of an exporter that has just read its configs.
    fn default() -> Self {
        let counts = Counts { successes: 0, failures: 0, last: None, since: SystemTime::now() };
        Self(Arc::new(Mutex::new(counts)))
    }
}

impl Reloaded {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, outcome: &Outcome) {
        let at = Moment::now();
        let mut counts = self.counts();
        let (text, remedy) = match outcome {
            Ok(news) => {
                counts.successes += 1;
                counts.since = at.0;
                (said(&news.to_string()), None)
            }
            // Each fault of a config has its line in the log.
            Err(Advice { problem, remedy, .. }) => {
                counts.failures += 1;
                (said(problem), remedy.as_deref().map(said))
            }
        };
        counts.last = Some(LastReload { at, success: outcome.is_ok(), text, remedy });
    }
}

impl Collect for Reloaded {
    fn collect(&self, report: &mut Report) {
        let counts = self.counts();
        let worked = counts.last.as_ref().is_none_or(|last| last.success);
        let since = counts.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        report.family(
            about(
                "ebpf_exporter_config_last_reload_successful",
                "Whether the last reload of configs worked; 1 until there is one",
                [],
            ),
            Kind::Gauge,
            [([], f64::from(u8::from(worked)))],
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_reload_is_bounded_and_on_one_line() {
        let (noted, (queue, _asked)) = (Reloaded::default(), mpsc::channel());
        let reloads = Reloads { queue, noted };
        assert_eq!(reloads.state(), ReloadState::default());
        let advice = Advice::new("é\n".repeat(5000), "mend\nit").said("line\n".repeat(5000));
        reloads.noted.note(&Err(advice));
        let ReloadState { successes, failures, last } = reloads.state();
        let last = last.unwrap();
        assert_eq!((successes, failures, last.success), (0, 1, false));
        assert_eq!(last.text, said(&"é\n".repeat(5000)));
        assert!(last.text.starts_with("é\\né") && last.text.len() < 1000, "{}", last.text);
        assert_eq!(last.remedy.as_deref(), Some("mend\\nit"));
        let notes = vec!["config `a`: map `b` begins anew".to_owned()];
        reloads.noted.note(&Ok(ReloadNews { changed: "changed a".to_owned(), notes }));
        let ReloadState { successes, last, .. } = reloads.state();
        let LastReload { text, remedy, .. } = last.unwrap();
        let expected = "changed a; config `a`: map `b` begins anew";
        assert_eq!((successes, &*text, remedy), (1, expected, None));
    }
}
