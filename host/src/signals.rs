//! Signals that would end the process, and are not meant to: from its very start they are noted.
//!
//! Until the exporter serves they are told of between the phases of its start, then at once. Those that
//! end it in order are those of [`crate::serve`].

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::{flag, low_level};
use tracing::info;

/// A signal that ends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harmless {
    /// SIGHUP, which has configs read again once the exporter serves.
    Hangup,
    /// SIGUSR1.
    User1,
    /// SIGUSR2.
    User2,
}

impl Harmless {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hangup, Self::User1, Self::User2];

    /// Its number.
    pub fn number(self) -> i32 {
        match self {
            Self::Hangup => SIGHUP,
            Self::User1 => SIGUSR1,
            Self::User2 => SIGUSR2,
        }
    }

    /// Says that it came before the exporter serves, or that nothing has come of it.
    pub fn tell(self) {
        match self {
            Self::Hangup => info!("received SIGHUP: configs are read again once it serves"),
            Self::User1 => info!("received SIGUSR1 and went on: it has no meaning here"),
            Self::User2 => info!("received SIGUSR2 and went on: it has no meaning here"),
        }
    }
}

/// What has come so far.
#[derive(Debug)]
pub struct Noted {
    came: [(Harmless, Arc<AtomicBool>); Harmless::ALL.len()],
    /// Whether configs are to be read again.
    reload: AtomicBool,
}

impl Noted {
    /// Notes harmless signals from now on, for as long as the process lives.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn begin() -> io::Result<Self> {
        let came = Harmless::ALL.map(|signal| (signal, Arc::default()));
        let noted = Self { came, reload: AtomicBool::new(false) };
        for (signal, came) in &noted.came {
            flag::register(signal.number(), Arc::clone(came))?;
        }
        Ok(noted)
    }

    /// Tells of what came since this was last asked.
    pub fn tell(&self) {
        let came = self.came.iter().filter(|(_, came)| came.swap(false, Ordering::Relaxed));
        came.for_each(|(signal, _)| {
            signal.tell();
            if *signal == Harmless::Hangup {
                self.reload.store(true, Ordering::Relaxed);
            }
        });
    }

    /// Whether one was told of that has configs read again; only the first who asks is told so.
    pub fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }
}

/// Has the process end in order: the first signal that would end it is told to who asks, and the next ends it at once.
#[derive(Debug)]
pub struct Ending {
    /// What can be read from once one has come.
    came: UnixStream,
}

impl Ending {
    /// From now on, for as long as the process lives.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn begin() -> io::Result<Self> {
        let (came, sent) = UnixStream::pair()?;
        let again = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first finds it unset.
            flag::register_conditional_default(signal, Arc::clone(&again))?;
            flag::register(signal, Arc::clone(&again))?;
            low_level::pipe::register(signal, sent.try_clone()?)?;
        }
        Ok(Self { came })
    }

    /// Waits for so long, or until one has come: whether one has.
    ///
    /// # Errors
    ///
    /// When the system refuses to wait.
    pub fn within(&self, time: Duration) -> io::Result<bool> {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut came = [PollFd::new(&self.came, PollFlags::IN)];
            match poll(&mut came, Some(&left)) {
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Has a write beyond the limit of a file's size (`ulimit -f`) fail, instead of ending the process.
///
/// # Errors
///
/// When the system refuses.
pub fn outlive_full_files() -> io::Result<()> {
    flag::register(SIGXFSZ, Arc::default()).map(drop)
}
