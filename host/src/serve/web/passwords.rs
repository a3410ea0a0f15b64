//! Passwords: whether one is its user's, told by a worker that checks one at a time, or from memory.
//!
//! A check takes long by design, so it never runs where requests are served. A password that was good once is known
//! again at once, whatever else is to be checked: so a scraper pays once, and no flood of wrong passwords keeps it
//! out. Who waits is called by turns of addresses; of the address that has the most the last one goes when too
//! many wait.
//!
//! No password is kept, only a digest with a secret of this process.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use blake3::Hash;
use lru::LruCache;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::oneshot;

use super::super::socket::Peer;
use super::login::Login;
use crate::advice::Advice;
use crate::config::web::UserPlan;
use crate::workers::{HireError, Hired, Post, SMALL_STACK};

/// The thread that checks passwords. What it has begun may take some seconds.
const POST: Post = Post { name: "passwords", stack: SMALL_STACK, patience: Duration::from_secs(1) };

/// How many may wait.
const WAITING: usize = 64;
/// How many wrong ones are known again, so that somebody who is wrong each time takes no time each time.
const WRONG: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// What is said of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    Wrong,
    /// Too many wait.
    Busy,
}

/// What checks passwords. Cheap to clone.
#[derive(Clone)]
pub(super) struct Passwords(Arc<Inner>);

struct Inner {
    secret: [u8; blake3::KEY_LEN],
    memory: Mutex<Memory>,
    line: Mutex<Line>,
    /// Told when somebody has come, or the end.
    bell: Condvar,
}

struct Memory {
    /// The digest of the last good password of a user.
    good: HashMap<String, Hash>,
    wrong: LruCache<Hash, ()>,
}

#[derive(Default)]
struct Line {
    /// In the order in which they came.
    waiting: Vec<Waiting>,
    /// Whose turn it was last.
    last: Option<Peer>,
    is_over: bool,
}

struct Waiting {
    peer: Peer,
    /// The user, if it is known.
    name: Option<String>,
    hash: String,
    password: Vec<u8>,
    digest: Hash,
    call: oneshot::Sender<Verdict>,
}

impl fmt::Debug for Passwords {
    /// Without what would let anybody find out a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

impl Passwords {
    /// One that knows none.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers for its secret.
    pub(super) fn new() -> Result<Self, Advice> {
        let mut secret = [0; blake3::KEY_LEN];
        let filled = SystemRandom::new().fill(&mut secret);
        filled.map_err(|_| Advice::plain("the system gives no random numbers for passwords"))?;
        let memory = Memory { good: HashMap::new(), wrong: LruCache::new(WRONG) };
        let (memory, line, bell) = (Mutex::new(memory), Mutex::default(), Condvar::new());
        Ok(Self(Arc::new(Inner { secret, memory, line, bell })))
    }

    /// Hires the worker that checks them.
    pub(super) fn hire(&self, hired: &mut Hired) -> Result<(), HireError> {
        let (worker, tell) = (Worker(self.clone()), self.clone());
        hired.hire(POST, move || worker.0.work(), move || tell.end())
    }

    /// Forgets the users that are not among these.
    pub(super) fn keep(&self, users: &HashMap<String, UserPlan>) {
        lock(&self.0.memory).good.retain(|user, _| users.contains_key(user));
    }

    /// Whether a password is that of the user. If the login is of another, who is not known, it takes as long, and
    /// no password is good.
    pub(super) async fn check(
        &self,
        user: &UserPlan,
        login: Login,
        is_known: bool,
        peer: Peer,
    ) -> Verdict {
        let digest = self.digest(user, &login, is_known);
        let name = is_known.then(|| user.name.clone());
        if let Some(verdict) = lock(&self.0.memory).recall(name.as_deref(), &digest) {
            return verdict;
        }
        let (call, called) = oneshot::channel();
        let (hash, password) = (user.hash.clone(), login.password);
        lock(&self.0.line).join(Waiting { peer, name, hash, password, digest, call });
        self.0.bell.notify_one();
        called.await.unwrap_or(Verdict::Busy)
    }

    /// What a password is known again by.
    fn digest(&self, user: &UserPlan, login: &Login, is_known: bool) -> Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0.secret);
        hasher.update(&[u8::from(is_known)]);
        for part in [&login.user, user.hash.as_bytes(), &login.password] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize()
    }

    /// Checks passwords until it is told to end.
    fn work(&self) {
        while let Some(Waiting { name, hash, password, digest, call, .. }) = self.next() {
            // A hash that is none was refused when the file was read.
            let is_good = bcrypt::verify(&password, &hash).unwrap_or(false);
            let verdict = lock(&self.0.memory).note(name.filter(|_| is_good), digest);
            // Whoever has gone meanwhile is known when it asks again.
            let _ = call.send(verdict);
        }
    }

    /// The next that waits. None at the end.
    fn next(&self) -> Option<Waiting> {
        let mut line = lock(&self.0.line);
        loop {
            if line.is_over {
                return None;
            }
            if let Some(next) = line.next() {
                return Some(next);
            }
            line = self.0.bell.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn end(&self) {
        let mut line = lock(&self.0.line);
        line.is_over = true;
        line.waiting.clear();
        drop(line);
        self.0.bell.notify_one();
    }
}

/// Who checks. If it is gone, of whatever, nobody waits for it.
struct Worker(Passwords);

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Memory {
    /// What was said of the password of this user, if there is such a user.
    fn recall(&mut self, user: Option<&str>, digest: &Hash) -> Option<Verdict> {
        // Digests are compared in a time that does not depend on them.
        if user.is_some_and(|user| self.good.get(user) == Some(digest)) {
            return Some(Verdict::Good);
        }
        self.wrong.get(digest).map(|()| Verdict::Wrong)
    }

    /// Notes whose password it is, if anybody's.
    fn note(&mut self, user: Option<String>, digest: Hash) -> Verdict {
        match user {
            Some(user) => {
                self.good.insert(user, digest);
                Verdict::Good
            }
            None => {
                self.wrong.put(digest, ());
                Verdict::Wrong
            }
        }
    }
}

impl Line {
    /// Takes one more in. If there are too many, the last one goes of the address that has the most: it may be this
    /// one. Who goes is told by its call, which is dropped.
    fn join(&mut self, waiting: Waiting) {
        self.waiting.retain(|waiting| !waiting.call.is_closed());
        self.waiting.push(waiting);
        if self.is_over {
            self.waiting.clear();
        }
        if self.waiting.len() > WAITING {
            let mut counts: HashMap<Peer, (usize, usize)> = HashMap::new();
            for (at, waiting) in self.waiting.iter().enumerate() {
                let (count, last) = counts.entry(waiting.peer).or_default();
                (*count, *last) = (*count + 1, at);
            }
            if let Some((_, last)) = counts.into_values().max() {
                self.waiting.remove(last);
            }
        }
    }

    /// Takes out who is next: the first of the address behind the one whose turn it was, in the order in which they
    /// came.
    fn next(&mut self) -> Option<Waiting> {
        self.waiting.retain(|waiting| !waiting.call.is_closed());
        let other = self.waiting.iter().position(|waiting| Some(waiting.peer) != self.last);
        let next = other.unwrap_or(0);
        if self.waiting.is_empty() {
            return None;
        }
        let next = self.waiting.remove(next);
        self.last = Some(next.peer);
        Some(next)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
