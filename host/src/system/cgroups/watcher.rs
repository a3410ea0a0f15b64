//! The worker that keeps up with cgroups: it sleeps until one comes or goes, or, where the kernel does not
//! tell, walks now and then.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Cgroups;
use crate::bell::Bell;

/// How often it walks if cgroups are not watched: who lives for less may never be on a roll.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// What the worker does, once it has a thread.
#[derive(Debug)]
pub struct Watcher {
    cgroups: Cgroups,
    /// Readable while there are events; none if cgroups are not watched.
    events: Option<OwnedFd>,
    end: Bell,
}

impl Watcher {
    /// A worker for these cgroups, whose events are read from there.
    pub(super) fn new(cgroups: Cgroups, events: Option<OwnedFd>) -> io::Result<Self> {
        Ok(Self { cgroups, events, end: Bell::new()? })
    }

    /// What ends it.
    pub(crate) fn end(&self) -> Bell {
        self.end.clone()
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
