//! The worker that looks at the files of plugins, each as often as its config says.
//!
//! It has given up its rights when it begins, and reads all files then: one that cannot be read from then on is
//! told at once.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::{DataFile, DataFiles};
use crate::workers::{HireError, Hired, Post, SMALL_STACK};

/// The thread that looks at files of plugins.
const POST: Post =
    Post { name: "plugin-data", stack: SMALL_STACK, patience: Duration::from_secs(1) };

/// Has a worker look at these files, if there are any.
///
/// # Errors
///
/// When the system has no thread for it.
pub(in crate::plugin) fn hire(
    all: Vec<Arc<DataFiles>>,
    hired: &mut Hired,
) -> Result<(), HireError> {
    if all.iter().all(|files| files.files.is_empty()) {
        return Ok(());
    }
    let (tell, told) = mpsc::channel::<()>();
    hired.hire(POST, move || work(&all, &told), move || drop(tell))
}

/// Looks at files until it is told to end.
fn work(all: &[Arc<DataFiles>], told: &Receiver<()>) {
    let mut due = vec![Instant::now(); pairs(all).count()];
    // That a file has not changed does not say that it can still be read.
    pairs(all).for_each(|(_, file)| file.known().stamp = None);
    loop {
        let now = Instant::now();
        for (due, (files, file)) in due.iter_mut().zip(pairs(all)).filter(|(due, _)| **due <= now) {
            files.look_and_tell(file);
            *due = Instant::now() + file.plan.refresh;
        }
        let next = due.iter().min().copied().unwrap_or(now);
        match told.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return,
        }
    }
}

fn pairs(all: &[Arc<DataFiles>]) -> impl Iterator<Item = (&DataFiles, &DataFile)> {
    all.iter().flat_map(|files| files.files.iter().map(move |file| (&**files, file)))
}
