//! The worker that looks at the files of plugins, each as often as its config says.
//!
//! It has given up its rights when it begins, and reads all files then: one that cannot be read from then on is
//! told at once. Files that nobody has any more are let go.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::DataFiles;
use crate::workers::{HireError, Hired, Post, SMALL_STACK};

/// The thread that looks at files of plugins.
const POST: Post =
    Post { name: "plugin-data", stack: SMALL_STACK, patience: Duration::from_secs(1) };

/// Has a worker look at these files, and at those that come later; `later` is whether any may. There is none if
/// there is nothing to look at.
///
/// # Errors
///
/// When the system has no thread for it.
pub(in crate::plugin) fn hire(
    all: &[Arc<DataFiles>],
    later: bool,
    hired: &mut Hired,
) -> Result<Option<DataWatch>, HireError> {
    if all.iter().all(|files| files.files.is_empty()) && !later {
        return Ok(None);
    }
    let (more, told) = mpsc::channel();
    let (watch, end) = (DataWatch(more.clone()), more);
    all.iter().for_each(|files| watch.add(files));
    let tell = move || {
        // One that has ended need not be told.
        let _ = end.send(Told::End);
    };
    hired.hire(POST, move || work(&told), tell)?;
    Ok(Some(watch))
}

/// The way to the worker. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::plugin) struct DataWatch(Sender<Told>);

#[derive(Debug)]
enum Told {
    /// To look at these too, as long as anybody else has them.
    More(Weak<DataFiles>),
    End,
}

impl DataWatch {
    /// Has these files looked at too.
    pub(in crate::plugin) fn add(&self, files: &Arc<DataFiles>) {
        // Without a worker they stay as they were read first.
        let _ = self.0.send(Told::More(Arc::downgrade(files)));
    }
}

/// Files and when each is due.
struct Watched {
    files: Weak<DataFiles>,
    due: Vec<Instant>,
}

impl Watched {
    /// Files that are due at once.
    fn new(files: Weak<DataFiles>) -> Self {
        let mut due = Vec::new();
        if let Some(files) = files.upgrade() {
            // That a file has not changed does not say that it can still be read.
            files.files.iter().for_each(|file| file.known().stamp = None);
            due = vec![Instant::now(); files.files.len()];
        }
        Self { files, due }
    }

    /// Looks at those that are due, and says when the next one is. `None` if nobody has them any more.
    fn look(&mut self) -> Option<Instant> {
        let (files, now) = (self.files.upgrade()?, Instant::now());
        for (due, file) in self.due.iter_mut().zip(&files.files).filter(|(due, _)| **due <= now) {
            files.look_and_tell(file);
            *due = Instant::now() + file.plan.refresh;
        }
        self.due.iter().min().copied()
    }
}

/// Looks at files until it is told to end.
fn work(told: &Receiver<Told>) {
    let mut all: Vec<Watched> = Vec::new();
    loop {
        let mut next: Option<Instant> = None;
        all.retain_mut(|watched| {
            let due = watched.look();
            next = next.into_iter().chain(due).min();
            due.is_some()
        });
        let news = match next {
            Some(next) => told.recv_timeout(next.saturating_duration_since(Instant::now())),
            None => told.recv().map_err(RecvTimeoutError::from),
        };
        match news {
            Ok(Told::More(files)) => all.push(Watched::new(files)),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Told::End) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
