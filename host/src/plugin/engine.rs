//! The compiler and the clock: one of each in a process, and none in one without plugins.
//!
//! The clock ticks every 10 ms while a guest runs and sleeps otherwise. All threads started here
//! give up their capabilities first: those of the process are dropped per thread, later. The clock
//! ends with the start, and begins anew with the next call: so it is in the same sandbox as those
//! who call.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::{Cache, Config};

use super::PluginError;
use super::cache::CacheDir;
use crate::privileges::Keep;

/// How often a running guest is looked at.
const TICK: Duration = Duration::from_millis(10);

/// Compiles components and bounds the time of their calls.
pub(super) struct Engine {
    wasmtime: wasmtime::Engine,
    clock: Arc<Clock>,
    /// What it keeps compiled code in.
    cache: Option<Cache>,
}

/// Where machine code comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was compiled.
    Compiled,
    /// It was compiled, and is kept for the next start.
    Kept,
    /// An earlier start has compiled it.
    Cache,
}

impl Engine {
    /// Starts the engine and its threads. Compiled code is kept in `cache`, if that can be used; if
    /// not, the log says why.
    pub(super) fn start(cache: Option<&CacheDir>) -> Result<Self, PluginError> {
        let cache = cache.and_then(opened);
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            // What a guest answers may depend on its input only.
            .relaxed_simd_deterministic(true)
            .cranelift_nan_canonicalization(true)
            .cache(cache.clone());
        compile_without_capabilities();
        let wasmtime = wasmtime::Engine::new(&config).map_err(PluginError::engine)?;
        Ok(Self { wasmtime, clock: Arc::default(), cache })
    }

    /// Machine code for a component.
    pub(super) fn compile(&self, bytes: &[u8]) -> wasmtime::Result<(Component, Origin)> {
        let counts = || self.cache.as_ref().map_or((0, 0), |c| (c.cache_hits(), c.cache_misses()));
        let before = counts();
        let component = Component::from_binary(&self.wasmtime, bytes)?;
        let after = counts();
        let origin = match (after.0 > before.0, after.1 > before.1) {
            (true, _) => Origin::Cache,
            (false, true) => Origin::Kept,
            (false, false) => Origin::Compiled,
        };
        Ok((component, origin))
    }

    /// The directory that it keeps compiled code in.
    pub(super) fn cache(&self) -> Option<&Path> {
        self.cache.as_ref().map(|cache| cache.directory().as_path())
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    /// Lets the clock tick until the answer is dropped.
    ///
    /// # Errors
    ///
    /// If there is no clock yet, and no thread for it.
    pub(super) fn run(&self) -> io::Result<Ticking> {
        self.clock.start(|clock| {
            let (clock, weak) = (Arc::clone(clock), self.wasmtime.weak());
            thread::Builder::new().name("plugin-clock".to_owned()).spawn(move || {
                give_up_capabilities();
                clock.run(|| weak.upgrade().map(|engine| engine.increment_epoch()).is_some());
            })
        })?;
        self.clock.enter();
        Ok(Ticking(Arc::clone(&self.clock)))
    }

    /// Ends the clock's thread, until the next call. No guest may run.
    pub(super) fn rest(&self) {
        if let Some(thread) = self.clock.close() {
            // One that panicked has ended as well.
            let _ = thread.join();
        }
    }

    /// A deadline in ticks from now: never shorter than asked for, and at most two ticks longer.
    pub(super) fn ticks(deadline: Duration) -> u64 {
        u64::try_from(deadline.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX - 1) + 1
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.clock.close();
    }
}

/// Opens the cache without capabilities: so its thread has none, and what works now works once they
/// are dropped.
fn opened(dir: &CacheDir) -> Option<Cache> {
    let open = || {
        give_up_capabilities();
        dir.open()
    };
    match thread::scope(|scope| scope.spawn(open).join()) {
        Ok(Ok(cache)) => Some(cache),
        Ok(Err(error)) => {
            tracing::warn!("{error}");
            None
        }
        Err(_) => None,
    }
}

/// The compiler works on threads of rayon's, which live as long as the process.
fn compile_without_capabilities() {
    let threads = rayon::ThreadPoolBuilder::new()
        .thread_name(|_| "plugin-compile".to_owned())
        .start_handler(|_| give_up_capabilities());
    // It fails only when there are such threads already.
    let _ = threads.build_global();
}

fn give_up_capabilities() {
    if let Err(error) = Keep::Only(caps::CapsHashSet::new()).apply() {
        tracing::debug!("{error}");
    }
}

/// Ticks while anything runs.
#[derive(Default)]
struct Clock {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: usize,
    closed: bool,
    thread: Option<JoinHandle<()>>,
}

/// A call under way.
pub(super) struct Ticking(Arc<Clock>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
    }
}

impl Clock {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) {
        let mut state = self.lock();
        state.running += 1;
        if state.running == 1 {
            self.changed.notify_one();
        }
    }

    /// Starts the thread, if there is none.
    fn start(
        self: &Arc<Self>,
        spawn: impl FnOnce(&Arc<Self>) -> io::Result<JoinHandle<()>>,
    ) -> io::Result<()> {
        let mut state = self.lock();
        if state.thread.is_none() {
            state.closed = false;
            state.thread = Some(spawn(self)?);
        }
        Ok(())
    }

    /// Has the thread end, which is returned if there is one.
    fn close(&self) -> Option<JoinHandle<()>> {
        let mut state = self.lock();
        state.closed = true;
        self.changed.notify_one();
        state.thread.take()
    }

    /// Calls `tick` every [`TICK`] while anything runs, until it says no or the clock is closed.
    fn run(&self, tick: impl Fn() -> bool) {
        loop {
            let idle = |state: &mut State| state.running == 0 && !state.closed;
            let state = self.changed.wait_while(self.lock(), idle);
            if state.unwrap_or_else(PoisonError::into_inner).closed {
                return;
            }
            thread::sleep(TICK);
            if !tick() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn ticks_only_while_something_runs() {
        let clock = Clock::default();
        let ticks = AtomicU64::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                clock.run(|| {
                    ticks.fetch_add(1, Ordering::SeqCst);
                    true
                });
            });
            thread::sleep(TICK * 5);
            assert_eq!(ticks.load(Ordering::SeqCst), 0);
            clock.enter();
            while ticks.load(Ordering::SeqCst) < 3 {
                thread::sleep(TICK);
            }
            clock.lock().running -= 1;
            // One may be on its way.
            thread::sleep(TICK * 3);
            let then = ticks.load(Ordering::SeqCst);
            thread::sleep(TICK * 5);
            assert_eq!(ticks.load(Ordering::SeqCst), then);
            clock.close();
        });
    }

    #[test]
    fn a_deadline_is_never_shorter_than_asked_for() {
        for (millis, ticks) in [(10, 2), (11, 3), (100, 11), (105, 12)] {
            assert_eq!(Engine::ticks(Duration::from_millis(millis)), ticks, "{millis}");
        }
    }
}
