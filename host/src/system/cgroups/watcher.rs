//! The worker that keeps up with cgroups: it sleeps until one comes or goes, or, where the kernel does not
//! tell, walks now and then.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::write;

use super::Cgroups;

/// How often it walks if cgroups are not watched: who lives for less may never be on a roll.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// What the worker does, once it has a thread.
#[derive(Debug)]
pub struct Watcher {
    cgroups: Cgroups,
    /// Readable while there are events; none if cgroups are not watched.
    events: Option<OwnedFd>,
    end: Arc<OwnedFd>,
}

/// Has a [`Watcher`] end.
#[derive(Debug)]
pub struct WatcherEnd(Arc<OwnedFd>);

impl Watcher {
    /// A worker for these cgroups, whose events are read from there.
    pub(super) fn new(cgroups: Cgroups, events: Option<OwnedFd>) -> io::Result<Self> {
        let end = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { cgroups, events, end: Arc::new(end) })
    }

    /// What ends it.
    pub fn end(&self) -> WatcherEnd {
        WatcherEnd(Arc::clone(&self.end))
    }

    /// Works until it is told to end.
    pub fn work(self) {
        while self.is_woken() {
            self.cgroups.follow(Instant::now());
        }
    }

    /// Sleeps until there is something to do; false if it is to end.
    fn is_woken(&self) -> bool {
        let patience = self.cgroups.patience();
        let timeout = patience.and_then(|patience| Timespec::try_from(patience).ok());
        let mut waits = vec![PollFd::new(&self.end, PollFlags::IN)];
        // Nobody takes events any more if a panic has ended the watch.
        let events = self.events.iter().filter(|_| self.cgroups.is_watched());
        waits.extend(events.map(|events| PollFd::new(events, PollFlags::IN)));
        // What interrupts it changes nothing.
        let _ = poll(&mut waits, timeout.as_ref());
        waits[0].revents().is_empty()
    }
}

impl WatcherEnd {
    /// Has it end soon.
    pub fn tell(&self) {
        // It fails if it was told already.
        let _ = write(self.0.as_fd(), &1u64.to_ne_bytes());
    }
}
