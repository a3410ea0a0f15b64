//! Threads that live as long as the exporter: who they are, when they begin, and in which order they end.
//!
//! Workers are hired while the process has all its rights, and wait. Linux keeps rights of each thread
//! apart, so each gives up its own ([`Hired::each`]) before any of them works ([`Hired::begin`]).
//! [`Workers::stop`] tells them to end, the last one hired first, and waits for each no longer than it
//! may take.
//!
//! A worker that ends though nobody told it is said at once in the log, and [`Roster`] knows of it.
//! Nothing here starts a worker again, or knows what it does.

use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{error, warn};

use crate::advice::Advise;
use crate::series::Kind;
use crate::telemetry::{Collect, Report, about};

/// What is known of a worker before there is one.
#[derive(Clone, Copy, Debug)]
pub struct Post {
    /// What the kernel, the log and the metrics call it; the kernel shows 15 bytes.
    pub name: &'static str,
    /// Bytes of its stack.
    pub stack: usize,
    /// How long it may take to end once it is told to.
    pub patience: Duration,
}

/// The stack of a worker that does little.
pub const SMALL_STACK: usize = 256 << 10;
/// The stack of a worker that does all kinds of things.
pub const LARGE_STACK: usize = 2 << 20;

/// The system has no thread for a worker.
#[derive(Debug, thiserror::Error)]
#[error("failed to start the {name} thread")]
pub struct HireError {
    /// What the worker would have been called.
    pub name: &'static str,
    /// Why not.
    pub source: io::Error,
}

impl Advise for HireError {
    fn remedy(&self) -> Option<String> {
        let more =
            "let it have more threads (systemd: TasksMax; ulimit -u; pids.max of its cgroup)";
        Some(more.to_owned())
    }
}

/// Workers that have a thread, and wait to begin. Dropped, they end without having done anything.
#[derive(Debug, Default)]
pub struct Hired {
    waiting: Vec<(Worker, Sender<Order>)>,
    stopping: Arc<AtomicBool>,
}

/// What a worker that waits is to do next.
enum Order {
    Do(Box<dyn FnOnce() + Send>),
    Begin,
}

/// Workers that work.
#[derive(Debug)]
pub struct Workers {
    /// In the order in which they were hired.
    all: Vec<Worker>,
    /// Whether they are told to end.
    stopping: Arc<AtomicBool>,
}

struct Worker {
    post: Post,
    /// Has it end.
    tell: Box<dyn FnOnce() + Send>,
    thread: JoinHandle<()>,
    /// Closed once it has ended.
    life: Receiver<()>,
    up: Arc<AtomicBool>,
}

/// Which workers there are, and which of them still work. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Roster(Arc<[(&'static str, Arc<AtomicBool>)]>);

/// All who work in this process, from when [`watch`] has said who they are.
#[derive(Clone, Copy, Debug)]
pub struct Staff;

static STAFF: OnceLock<Roster> = OnceLock::new();

/// Says who works in this process. Only the first roster counts.
pub fn watch(roster: Roster) {
    let _ = STAFF.set(roster);
}

/// All who work in this process, and whether they do.
pub fn all() -> impl Iterator<Item = (&'static str, bool)> {
    STAFF.get().into_iter().flat_map(Roster::iter)
}

impl Collect for Staff {
    fn collect(&self, report: &mut Report) {
        report.family(
            about(
                "ebpf_exporter_worker_up",
                "Whether a thread works that is to live as long as the exporter",
                ["worker"],
            ),
            Kind::Gauge,
            all().map(|(name, up)| ([name], f64::from(u8::from(up)))),
        );
    }
}

impl Hired {
    /// Starts the thread of a worker, which waits until it may begin. `work` returns soon after `tell`
    /// was called, and not otherwise.
    ///
    /// # Errors
    ///
    /// When the system has no thread for us.
    pub fn hire(
        &mut self,
        post: Post,
        work: impl FnOnce() + Send + 'static,
        tell: impl FnOnce() + Send + 'static,
    ) -> Result<(), HireError> {
        let (gate, orders) = mpsc::channel();
        let (alive, life) = mpsc::channel();
        let up = Arc::new(AtomicBool::new(true));
        let badge = Badge { name: post.name, up: Arc::clone(&up), stopping: self.stopping() };
        let live = move || {
            let _alive: Sender<()> = alive;
            badge.live(&orders, work);
        };
        let thread = thread::Builder::new().name(post.name.to_owned()).stack_size(post.stack);
        let failed = |source| HireError { name: post.name, source };
        let thread = thread.spawn(live).map_err(failed)?;
        let worker = Worker { post, tell: Box::new(tell), thread, life, up };
        self.waiting.push((worker, gate));
        Ok(())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.waiting.len()
    }

    /// Has each of them do this on its own thread, before it works, given its name. What came of it, in the order in
    /// which they were hired; one that panicked has no answer, and never works.
    pub fn each<T: Send + 'static>(
        &self,
        task: impl Fn(&'static str) -> T + Send + Sync + 'static,
    ) -> Vec<T> {
        let task = Arc::new(task);
        let ask = |(worker, gate): &(Worker, Sender<Order>)| {
            let (task, (reply, answer)) = (Arc::clone(&task), mpsc::channel());
            let name = worker.post.name;
            let task = move || {
                // Whoever hired it waits for this.
                let _ = reply.send(task(name));
            };
            // It waits for this, or has died, which was said.
            let _ = gate.send(Order::Do(Box::new(task)));
            answer
        };
        let answers: Vec<_> = self.waiting.iter().map(ask).collect();
        answers.into_iter().filter_map(|answer| answer.recv().ok()).collect()
    }

    /// Lets all of them work.
    pub fn begin(self) -> Workers {
        let begin = |(worker, gate): (Worker, Sender<Order>)| {
            // As above.
            let _ = gate.send(Order::Begin);
            worker
        };
        Workers { all: self.waiting.into_iter().map(begin).collect(), stopping: self.stopping }
    }

    fn stopping(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stopping)
    }
}

impl Workers {
    /// Who they are.
    pub fn roster(&self) -> Roster {
        let entry = |worker: &Worker| (worker.post.name, Arc::clone(&worker.up));
        Roster(self.all.iter().map(entry).collect())
    }

    /// Does not wait for this one when they stop: nobody wants any more what it does.
    pub fn leave(&mut self, name: &str) {
        let named = self.all.iter_mut().filter(|worker| worker.post.name == name);
        named.for_each(|worker| worker.post.patience = Duration::ZERO);
    }

    /// Tells them to end, one after the other, the last one hired first. One that does not end in time
    /// is named in the log, and left to the kernel.
    pub fn stop(self) {
        // What one of them drops when it ends may end another.
        self.stopping.store(true, Ordering::SeqCst);
        self.all.into_iter().rev().for_each(Worker::stop);
    }
}

impl Worker {
    fn stop(self) {
        let Self { post: Post { name, patience, .. }, tell, thread, life, .. } = self;
        tell();
        match life.recv_timeout(patience) {
            Err(RecvTimeoutError::Timeout) if patience.is_zero() => {}
            Err(RecvTimeoutError::Timeout) => warn!(
                "the worker {name} did not end within {patience:?}; the exporter ends without it"
            ),
            // It has ended, and what it panicked of was said.
            _ => drop(thread.join()),
        }
    }
}

impl Roster {
    /// Each worker's name, and whether it works.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, bool)> {
        self.0.iter().map(|(name, up)| (*name, up.load(Ordering::Relaxed)))
    }
}

/// What a worker has of itself.
struct Badge {
    name: &'static str,
    up: Arc<AtomicBool>,
    stopping: Arc<AtomicBool>,
}

impl Badge {
    /// Works, and says so if that ends too early.
    fn live(self, orders: &Receiver<Order>, work: impl FnOnce()) {
        let result = catch_unwind(AssertUnwindSafe(|| begun(orders).then(work)));
        self.up.store(false, Ordering::Relaxed);
        match (&result, self.stopping.load(Ordering::SeqCst)) {
            // Nobody misses one that was not to begin.
            (Ok(None), _) | (Ok(Some(())), true) => {}
            (Err(_), true) => warn!("the worker {} panicked while it ended", self.name),
            (_, false) => error!(
                "the worker {} has ended, though nobody told it to; restart the exporter if it goes \
                 on, and report this bug with the lines above",
                self.name
            ),
        }
        // To drop what a panic has left may panic again.
        mem::forget(result);
    }
}

/// Does what is ordered until it may work; `false` if it is not to.
fn begun(orders: &Receiver<Order>) -> bool {
    while let Ok(order) = orders.recv() {
        match order {
            Order::Do(task) => task(),
            Order::Begin => return true,
        }
    }
    false
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("post", &self.post).field("up", &self.up).finish()
    }
}

#[cfg(test)]
mod tests;
