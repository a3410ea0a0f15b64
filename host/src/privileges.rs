//! What this process gives up once its programs are attached: capabilities, its user, and all system
//! calls and files that serving does not need.
//!
//! Linux keeps most of these per thread. So [`Privileges::give_up`] has each worker give up its own
//! before it works, and looks whether there is any thread that is not told. Threads that start later
//! inherit what is left. Only the worker that reads configs again, if there is one, keeps the files and the system
//! calls that a start takes: no request comes to it, and guests run in it while they start, as at a start.
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
pub use capabilities::{CapabilityChange, DropError, Keep, KeepError, can_load};
pub use user::{User, UserError};

use crate::bpf::filter::Threads;
use crate::bpf::leave_cpus;
use crate::workers::Hired;

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

/// What serving needs, and everything else is given up.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// What is read again and again.
    pub readable: Vec<Readable>,
    /// Whether perf events are opened on CPUs that come.
    pub cpu_events: bool,
    /// Whether entries of BPF maps are set and removed.
    pub changes_maps: bool,
    /// TCP ports that it connects to; none if it connects to nobody.
    pub ports: Vec<u16>,
    /// Whether all BPF programs, maps and links of the host are looked at.
    pub surveys: bool,
    /// The worker that reads configs again, if there is one. As long as it may load programs it does what a start does,
    /// so it keeps files and system calls for it.
    pub reloader: Option<&'static str>,
    /// What that worker reads if it may not: configs and what they name.
    pub read_again: Vec<Readable>,
}

impl Needs {
    /// What of the needs of others these do not cover, in words; for walls that do not stand everything is covered.
    pub fn lack(&self, others: &Self, sandbox: Sandbox) -> Option<String> {
        let place = |readable: &Readable| match readable {
            Readable::Content(path) | Readable::Names(path) => path.clone(),
        };
        let covers = |wanted: &&Readable| {
            let below = |known: &Readable| match known {
                Readable::Content(path) => place(wanted).starts_with(path),
                Readable::Names(_) => known == *wanted,
            };
            self.readable.iter().any(below)
        };
        if sandbox.landlock
            && sandbox.no_new_privs
            && let Some(wanted) = others.readable.iter().find(|wanted| !covers(wanted))
        {
            return Some(format!("reads {}", place(wanted).display()));
        }
        if !sandbox.seccomp || !sandbox.no_new_privs {
            return None;
        }
        let events = others.cpu_events && !self.cpu_events;
        let changes = others.changes_maps && !self.changes_maps;
        let lacks = [
            (events, "opens perf events"),
            (changes, "has a map that is kept filled with cgroups"),
        ];
        lacks.iter().find(|(lacks, _)| *lacks).map(|(_, what)| (*what).to_owned())
    }
}

/// What was given up.
#[derive(Debug)]
pub struct GivenUp {
    capabilities: CapabilityChange,
    user: Option<User>,
    walls: Vec<Wall>,
    /// Threads that keep what they have.
    others: usize,
}

/// What one thread gave up.
#[derive(Debug)]
struct Left {
    capabilities: CapabilityChange,
    no_new_privs: Stands,
    landlock: Stands,
}

/// How much of a wall stands, or why it does not.
type Stands = Result<Option<&'static str>, Missing>;

/// A wall of all threads.
#[derive(Debug)]
struct Wall {
    name: &'static str,
    stands: Stands,
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
    /// Gives up all that the process does not need any more. The `workers`, which wait, are all threads
    /// beside the calling one.
    ///
    /// # Errors
    ///
    /// If capabilities cannot be dropped, or the user cannot be changed. That a wall of the sandbox
    /// cannot be had is told in [`GivenUp`].
    pub fn give_up(&self, needs: &Needs, workers: &Hired) -> Result<GivenUp, DropError> {
        let others = others(workers.count());
        let (alike, same) = (self.clone(), needs.clone());
        let left = workers.each(move |name| match same.reloader {
            None => alike.leave(&same),
            Some(reloader) => alike.leave_apart(&same, name == reloader),
        });
        let left = left.into_iter().collect::<Result<Vec<_>, _>>()?;
        let own = self.leave(needs)?;
        if self.sandbox.seccomp && !needs.cpu_events {
            leave_cpus();
        }
        // The last: it refuses what the others are made with.
        let threads = if needs.reloader.is_some() { Threads::This } else { Threads::All };
        let seccomp = self.sandbox.refuse_calls(needs, &own, threads);
        // All of them can do the same. If one could not, that is what to tell.
        let Left { capabilities, no_new_privs, landlock } =
            left.into_iter().find(Left::failed).unwrap_or(own);
        let wall = |name, stands| Wall { name, stands };
        let walls = vec![
            wall("no-new-privs", no_new_privs),
            wall("seccomp", seccomp),
            wall("landlock", landlock),
        ];
        Ok(GivenUp { capabilities, user: self.user.clone(), walls, others })
    }

    /// Gives up what the calling thread has for itself.
    fn leave(&self, needs: &Needs) -> Result<Left, DropError> {
        let capabilities = match &self.user {
            Some(user) => self.keep.apply_as(user)?,
            None => self.keep.apply()?,
        };
        let no_new_privs = wanted(self.sandbox.no_new_privs, || {
            set_no_new_privs(true).map(|()| None).map_err(|error| error.to_string())
        });
        let landlock = based(&no_new_privs, self.sandbox.landlock, || {
            landlock::restrict(needs).map(|scale| Some(scale.as_str()))
        });
        Ok(Left { capabilities, no_new_privs, landlock })
    }

    /// As [`Privileges::leave`], and gives up system calls for the calling worker alone. One that `reloads` and may
    /// load programs keeps files, and calls that a start makes.
    fn leave_apart(&self, needs: &Needs, reloads: bool) -> Result<Left, DropError> {
        if reloads && self.may_load() {
            let open =
                Self { sandbox: Sandbox { landlock: false, ..self.sandbox }, ..self.clone() };
            let left = open.leave(needs)?;
            let _ = based(&left.no_new_privs, self.sandbox.seccomp, || {
                seccomp::restrict_reloading().map(|()| None)
            });
            return Ok(left);
        }
        let more = if reloads { &*needs.read_again } else { &[] };
        let needs = Needs { readable: [&needs.readable, more].concat(), ..needs.clone() };
        let left = self.leave(&needs)?;
        // What comes of it for the main thread is told.
        let _ = self.sandbox.refuse_calls(&needs, &left, Threads::This);
        Ok(left)
    }

    /// Whether programs may be loaded once all is given up.
    fn may_load(&self) -> bool {
        can_load() && self.keep.loads(self.user.is_some())
    }
}

impl Left {
    /// Whether the kernel refused it any of the walls.
    fn failed(&self) -> bool {
        [&self.no_new_privs, &self.landlock]
            .iter()
            .any(|stands| matches!(stands, Err(Missing::Refused(_))))
    }
}

impl Sandbox {
    /// From here on no thread can go back: see [`seccomp`].
    fn refuse_calls(self, needs: &Needs, left: &Left, threads: Threads) -> Stands {
        let restrict = || seccomp::restrict(needs, threads).map(|()| None);
        based(&left.no_new_privs, self.seccomp, restrict)
    }
}

fn wanted(wanted: bool, raise: impl FnOnce() -> Result<Option<&'static str>, String>) -> Stands {
    if wanted { raise().map_err(Missing::Refused) } else { Err(Missing::TurnedOff) }
}

/// As [`wanted`], for a wall that rests on another.
fn based(
    base: &Stands,
    wall: bool,
    raise: impl FnOnce() -> Result<Option<&'static str>, String>,
) -> Stands {
    if base.is_ok() { wanted(wall, raise) } else { Err(Missing::NeedsNoNewPrivs) }
}

/// Threads beside the calling one and so many workers, once those that end have ended.
fn others(workers: usize) -> usize {
    let count = || {
        let tasks = fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
        tasks.saturating_sub(1 + workers)
    };
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
