//! What this process gives up once its programs are attached: capabilities, its user, and all system
//! calls and files that serving does not need.
//!
//! Linux keeps most of these per thread and new threads inherit them, so [`Privileges::give_up`] must
//! be called while the process has one thread. It looks whether that is so, and says if it is not.
//! Nothing here ever adds a privilege. What the kernel does not have is said and done without.

use std::fmt;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::geteuid;
use rustix::thread::set_no_new_privs;
use tracing::{info, warn};

mod capabilities;
mod landlock;
mod seccomp;
mod user;

pub use crate::files::Readable;
pub use capabilities::{DropError, Keep, KeepError, Outcome, can_load};
pub use user::{User, UserError};

/// How long threads that have done their work may take to end.
const ENDING: Duration = Duration::from_millis(200);

/// What to give up: the flags, as what they mean.
#[derive(Clone, Debug)]
pub struct Privileges {
    /// The capabilities to keep.
    pub keep: Keep,
    /// Who to become.
    pub user: Option<User>,
    /// What to be held in.
    pub sandbox: Sandbox,
}

/// The walls around the process: each may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// No program that it starts has more rights than it has itself; the other two need it.
    pub no_new_privs: bool,
    /// Only system calls that serving needs.
    pub seccomp: bool,
    /// Only files that serving reads.
    pub landlock: bool,
}

/// What was given up.
#[derive(Debug)]
pub struct GivenUp {
    capabilities: Outcome,
    user: Option<User>,
    walls: Vec<Wall>,
    /// Threads beside the calling one.
    others: usize,
}

/// A wall, and how much of it stands or why it does not.
#[derive(Debug)]
struct Wall {
    name: &'static str,
    stands: Result<Option<&'static str>, Missing>,
}

/// Why a wall does not stand.
#[derive(Debug)]
enum Missing {
    /// Its switch.
    TurnedOff,
    /// The one that it rests on does not.
    NeedsNoNewPrivs,
    /// The kernel, in its words.
    Refused(String),
}

impl Privileges {
    /// Gives up what the process does not need any more, and leaves it `readable`.
    ///
    /// # Errors
    ///
    /// If capabilities cannot be dropped, or the user cannot be changed. That a wall of the sandbox
    /// cannot be had is told in [`GivenUp`].
    pub fn give_up(&self, readable: &[Readable]) -> Result<GivenUp, DropError> {
        let others = others();
        let capabilities = match &self.user {
            Some(user) => self.keep.apply_as(user)?,
            None => self.keep.apply()?,
        };
        let walls = self.sandbox.raise(readable);
        Ok(GivenUp { capabilities, user: self.user.clone(), walls, others })
    }
}

impl Sandbox {
    /// From here on the calling thread cannot go back, nor can others: see [`seccomp`].
    fn raise(self, readable: &[Readable]) -> Vec<Wall> {
        let no_new_privs = wanted(self.no_new_privs, || {
            set_no_new_privs(true).map(|()| None).map_err(|error| error.to_string())
        });
        let based = |wanted| match &no_new_privs {
            Ok(_) => wanted,
            Err(_) => Err(Missing::NeedsNoNewPrivs),
        };
        let landlock = wanted(self.landlock && no_new_privs.is_ok(), || {
            landlock::restrict(readable).map(|scale| Some(scale.as_str()))
        });
        // The last: it refuses what the others are made with.
        let seccomp =
            wanted(self.seccomp && no_new_privs.is_ok(), || seccomp::restrict().map(|()| None));
        let (landlock, seccomp) = (based(landlock), based(seccomp));
        let wall = |name, stands| Wall { name, stands };
        vec![
            wall("no-new-privs", no_new_privs),
            wall("seccomp", seccomp),
            wall("landlock", landlock),
        ]
    }
}

fn wanted(
    wanted: bool,
    raise: impl FnOnce() -> Result<Option<&'static str>, String>,
) -> Result<Option<&'static str>, Missing> {
    if wanted { raise().map_err(Missing::Refused) } else { Err(Missing::TurnedOff) }
}

/// Threads beside the calling one, once those that end have ended.
fn others() -> usize {
    let count = || fs::read_dir("/proc/self/task").map_or(0, |tasks| tasks.count().max(1) - 1);
    let start = Instant::now();
    while count() > 0 && start.elapsed() < ENDING {
        thread::sleep(Duration::from_millis(1));
    }
    count()
}

impl GivenUp {
    /// Tells the log.
    pub fn tell(&self) {
        info!("{}", self.capabilities);
        match self.walls.iter().any(Wall::failed) {
            true => warn!("{}", Walls(&self.walls)),
            false => info!("{}", Walls(&self.walls)),
        }
        if self.others > 0 {
            warn!("{}", early(self.others));
        }
        match &self.user {
            Some(user) => info!("became the user {user}"),
            None if geteuid().is_root() => warn!("{ROOT}"),
            None => {}
        }
    }
}

const ROOT: &str = "runs as root, who owns the files of this host; \
                    let it become another user with --user NAME once it has attached its programs";

fn early(others: usize) -> String {
    let threads = if others == 1 { "1 thread was" } else { &format!("{others} threads were") };
    format!(
        "{threads} started before privileges were given up, which keeps its user, capabilities and \
         files; please report this"
    )
}

impl Wall {
    fn failed(&self) -> bool {
        matches!(self.stands, Err(Missing::Refused(_)))
    }
}

/// All walls, as a line for the log.
struct Walls<'a>(&'a [Wall]);

impl fmt::Display for Walls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = self.0.iter().filter_map(|wall| Some((wall.name, *wall.stands.as_ref().ok()?)));
        let on = on.map(|(name, scale)| match scale {
            Some(scale) => format!("{name} ({scale})"),
            None => name.to_owned(),
        });
        let on: Vec<_> = on.collect();
        write!(f, "sandbox: {}", if on.is_empty() { "none".to_owned() } else { on.join(", ") })?;
        for Wall { name, stands } in self.0 {
            match stands {
                Ok(_) => {}
                Err(Missing::TurnedOff) => write!(f, "; without {name}: --no-sandbox.{name}")?,
                Err(Missing::NeedsNoNewPrivs) => {
                    write!(f, "; without {name}: it needs no-new-privs")?
                }
                Err(Missing::Refused(why)) => write!(f, "; without {name}: {why}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stands: [Result<Option<&'static str>, Missing>; 3]) -> String {
        let names = ["no-new-privs", "seccomp", "landlock"];
        let walls = names.into_iter().zip(stands).map(|(name, stands)| Wall { name, stands });
        Walls(&walls.collect::<Vec<_>>()).to_string()
    }

    #[test]
    fn tells_the_log_what_stands_and_why_not() {
        let whole = Some(landlock::Scale::All.as_str());
        insta::assert_snapshot!(told([Ok(None), Ok(None), Ok(whole)]), @"sandbox: no-new-privs, seccomp, landlock (files, TCP, signals)");
        let old = || Err(Missing::Refused("this kernel does not have it".to_owned()));
        insta::assert_snapshot!(told([Ok(None), Ok(None), old()]), @"sandbox: no-new-privs, seccomp; without landlock: this kernel does not have it");
        insta::assert_snapshot!(told([Ok(None), Err(Missing::TurnedOff), old()]), @"sandbox: no-new-privs; without seccomp: --no-sandbox.seccomp; without landlock: this kernel does not have it");
        let needs = || Err(Missing::NeedsNoNewPrivs);
        insta::assert_snapshot!(told([Err(Missing::TurnedOff), needs(), needs()]), @"sandbox: none; without no-new-privs: --no-sandbox.no-new-privs; without seccomp: it needs no-new-privs; without landlock: it needs no-new-privs");
    }

    #[test]
    fn a_thread_that_was_too_early_is_told() {
        insta::assert_snapshot!(early(1), @"1 thread was started before privileges were given up, which keeps its user, capabilities and files; please report this");
        insta::assert_snapshot!(early(2), @"2 threads were started before privileges were given up, which keeps its user, capabilities and files; please report this");
    }
}
