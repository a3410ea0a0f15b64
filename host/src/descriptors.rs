//! File descriptors: as many as the system lets this process have, and what to say when they have run
//! out.
//!
//! Never decides what running out costs: whoever meets it does. Every message about it is made here.

use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::debug;

use crate::advice::Advice;

/// The soft limit as [`raise`] left it; 0 before. Asked here, because a process that has given up its
/// system calls may no longer ask the kernel.
static LIMIT: AtomicU64 = AtomicU64::new(0);

/// Raises the soft limit to the hard one. A soft limit of 1024 is for programs that call `select`; this one
/// does not. What the kernel refuses stays as it was, and the log says so at debug level.
pub fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        LIMIT.store(current.unwrap_or(u64::MAX), Ordering::Relaxed);
        return;
    }
    let left = match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => {
            debug!("file descriptors: limit raised from {} to {}", text(current), text(maximum));
            maximum
        }
        Err(error) => {
            debug!("file descriptors: limit stays at {}: {error}", text(current));
            current
        }
    };
    LIMIT.store(left.unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// How many this process may have; [`u64::MAX`] without a limit.
pub fn limit() -> u64 {
    match LIMIT.load(Ordering::Relaxed) {
        0 => getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
        known => known,
    }
}

/// What is wrong and what to do, if `errno` says that no descriptor was left.
pub fn explain(errno: i32) -> Option<Advice> {
    explain_with(errno, Some(limit()))
}

/// As [`explain`], for what lies behind an error.
pub fn explain_error(error: &(dyn Error + 'static)) -> Option<Advice> {
    let errno = |error: &(dyn Error + 'static)| error.downcast_ref::<io::Error>()?.raw_os_error();
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(advice) = errno(error).and_then(explain) {
            return Some(advice);
        }
        next = error.source();
    }
    None
}

fn explain_with(errno: i32, limit: Option<u64>) -> Option<Advice> {
    match errno {
        libc::EMFILE => Some(Advice::new(
            format!(
                "out of file descriptors: all {} that the limit allows are in use",
                text(limit)
            ),
            "raise it (LimitNOFILE= in a systemd unit, ulimit -n in a shell)",
        )),
        libc::ENFILE => Some(Advice::new(
            "out of file descriptors: the whole system has none left",
            "raise its limit (sysctl fs.file-max), or find who holds so many",
        )),
        _ => None,
    }
}

/// A limit in words.
fn text(limit: Option<u64>) -> String {
    match limit {
        None | Some(u64::MAX) => "without bound".to_owned(),
        Some(limit) => limit.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_to_raise() {
        let explain = |errno| explain_with(errno, Some(1024)).unwrap();
        insta::assert_snapshot!(explain(libc::EMFILE), @"out of file descriptors: all 1024 that the limit allows are in use; raise it (LimitNOFILE= in a systemd unit, ulimit -n in a shell)");
        insta::assert_snapshot!(explain(libc::ENFILE), @"out of file descriptors: the whole system has none left; raise its limit (sysctl fs.file-max), or find who holds so many");
        assert_eq!(explain_with(libc::EACCES, Some(1024)), None);
    }

    #[test]
    fn finds_it_behind_other_errors() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] io::Error);

        let outer = |errno| Outer(io::Error::from_raw_os_error(errno));
        assert!(explain_error(&outer(libc::EMFILE)).is_some());
        assert_eq!(explain_error(&outer(libc::EPERM)), None);
        assert_eq!(explain_error(&Outer(io::Error::other("no number"))), None);
    }

    /// The limit belongs to the process: raising it harms no other test.
    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        raise();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert_eq!(LIMIT.load(Ordering::Relaxed), maximum.unwrap_or(u64::MAX));
    }
}
