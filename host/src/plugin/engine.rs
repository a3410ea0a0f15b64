//! What runs machine code, and the clock: one of each in a process, and none in one without plugins.
//!
//! The clock ticks every 10 ms while a guest runs and sleeps otherwise. Its thread gives up its
//! capabilities first. During the start, and for tools, it begins with the first call, and ends with the
//! start. That of an exporter that serves is a worker: see [`Engine::hire_clock`].
//! Nothing is compiled here: a child does that, with an engine of the same [`config`].

use std::hash::{Hash, Hasher};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wasmtime::Config;
use wasmtime::component::Component;

use super::{Digest, PluginError};
use crate::privileges::Keep;
use crate::workers::{HireError, Hired, Post, SMALL_STACK};

/// How often a running guest is looked at.
const TICK: Duration = Duration::from_millis(10);

const CLOCK: Post =
    Post { name: "plugin-clock", stack: SMALL_STACK, patience: Duration::from_secs(1) };

/// How guests are compiled and run.
pub(super) fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // What a guest answers may depend on its input only.
        .relaxed_simd_deterministic(true)
        .cranelift_nan_canonicalization(true)
        // Nobody is told where in a guest it trapped, and no unwinder goes through one: what that needs would be a tenth
        // of each plugin's code in memory.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .native_unwind_info(false);
    config
}

/// Runs machine code and bounds the time of its calls.
pub(super) struct Engine {
    wasmtime: wasmtime::Engine,
    clock: Arc<Clock>,
}

impl Engine {
    /// Starts the engine.
    pub(super) fn start() -> Result<Self, PluginError> {
        let wasmtime = wasmtime::Engine::new(&config()).map_err(PluginError::engine)?;
        Ok(Self { wasmtime, clock: Arc::default() })
    }

    /// What machine code has to be made for, apart from its component: the compiler's version, its
    /// settings and the processor's features.
    pub(super) fn target(&self) -> Digest {
        struct Bytes(Sha256);
        impl Hasher for Bytes {
            fn write(&mut self, bytes: &[u8]) {
                self.0.update(bytes);
            }
            fn finish(&self) -> u64 {
                0
            }
        }
        let mut bytes = Bytes(Sha256::new());
        self.wasmtime.precompile_compatibility_hash().hash(&mut bytes);
        Digest::from_bytes(bytes.0.finalize().into())
    }

    /// The component of machine code that a child of ours has compiled: from the child itself, or
    /// from an entry of the cache whose checksum was checked with a secret of ours.
    #[allow(unsafe_code, reason = "the one place where the exporter takes machine code as it is")]
    pub(super) fn load(&self, code: &[u8]) -> wasmtime::Result<Component> {
        // SAFETY: wasmtime wants bytes that `Component::serialize` has made, unchanged. These come
        // from a child that runs this same program (`/proc/self/exe`), over a file in memory that
        // only the two have open, and the child has ended; or from a file that begins with a keyed
        // hash of all its bytes, made by this program from such a reply, with a key that nobody
        // can read but the user that the exporter runs as. A component that gets the compiler to
        // write other bytes would get an exporter that compiled it by itself to run them, too.
        // wasmtime itself refuses code of another version, with other settings, or for another
        // processor.
        unsafe { Component::deserialize(&self.wasmtime, code) }
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    /// Lets the clock tick until the answer is dropped.
    ///
    /// # Errors
    ///
    /// If there is no clock yet, and no thread for it.
    pub(super) fn run(&self) -> io::Result<Ticking<'_>> {
        let ticking = Ticking(&self.clock);
        if !self.clock.enter() {
            self.clock.start(|hand| {
                let thread = thread::Builder::new().name(CLOCK.name.to_owned());
                thread.stack_size(CLOCK.stack).spawn(self.work_of(hand))
            })?;
        }
        Ok(ticking)
    }

    /// Ends the clock's thread, until the next call. No guest may run.
    pub(super) fn rest(&self) {
        if let Some(thread) = self.clock.close() {
            // One that panicked has ended as well.
            let _ = thread.join();
        }
    }

    /// Has a worker be the clock from now on. No guest may run until it begins.
    ///
    /// # Errors
    ///
    /// When the system has no thread for it.
    pub(super) fn hire_clock(&self, hired: &mut Hired) -> Result<(), HireError> {
        self.rest();
        let Some(hand) = self.clock.open() else { return Ok(()) };
        let clock = Arc::clone(&self.clock);
        hired.hire(CLOCK, self.work_of(hand), move || drop(clock.close()))
    }

    /// What the thread of the clock does. It needs no capability, whatever others keep.
    fn work_of(&self, hand: Hand) -> impl FnOnce() + Send + 'static {
        let engine = self.wasmtime.weak();
        let tick = move || engine.upgrade().map(|engine| engine.increment_epoch()).is_some();
        move || {
            give_up_capabilities();
            hand.0.run(|| thread::sleep(TICK), tick);
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
    /// Whether its thread waits for something to run, and nobody has woken it yet.
    waiting: bool,
    closed: bool,
    /// Whether there is a thread for it.
    has_hand: bool,
    /// That thread, if it is no worker.
    thread: Option<JoinHandle<()>>,
}

/// Goes with the thread of a clock, and says when there is none any more, whatever ended it.
struct Hand(Arc<Clock>);

impl Drop for Hand {
    fn drop(&mut self) {
        self.0.lock().has_hand = false;
    }
}

/// A call under way.
pub(super) struct Ticking<'a>(&'a Clock);

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
    }
}

impl Clock {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something runs. Whether there is a thread that ticks.
    fn enter(&self) -> bool {
        let mut state = self.lock();
        state.running += 1;
        // It costs a call of the kernel, so only who has to be woken is.
        if std::mem::take(&mut state.waiting) {
            self.changed.notify_one();
        }
        state.has_hand
    }

    /// Starts the thread, if there is none.
    fn start(
        self: &Arc<Self>,
        spawn: impl FnOnce(Hand) -> io::Result<JoinHandle<()>>,
    ) -> io::Result<()> {
        if let Some(hand) = self.open() {
            let thread = spawn(hand)?;
            self.lock().thread = Some(thread);
        }
        Ok(())
    }

    /// What a thread needs to be the clock's, if none is.
    fn open(self: &Arc<Self>) -> Option<Hand> {
        let mut state = self.lock();
        if state.has_hand {
            return None;
        }
        (state.closed, state.has_hand) = (false, true);
        Some(Hand(Arc::clone(self)))
    }

    /// Has the thread end, which is returned if there is one.
    fn close(&self) -> Option<JoinHandle<()>> {
        let mut state = self.lock();
        state.closed = true;
        self.changed.notify_one();
        state.thread.take()
    }

    /// Calls `tick` after each `pause` while anything runs, until it says no or the clock is closed.
    fn run(&self, pause: impl Fn(), tick: impl Fn() -> bool) {
        while self.wait() {
            pause();
            if !tick() {
                return;
            }
        }
    }

    /// Waits until something runs. Whether it does, rather than that the clock is closed.
    fn wait(&self) -> bool {
        let mut state = self.lock();
        while state.running == 0 && !state.closed {
            state.waiting = true;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting = false;
        !state.closed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// The test is the clock's pause: it is told of each, and ends it.
    #[test]
    fn ticks_only_while_something_runs() {
        let (clock, ticks) = (&Clock::default(), &Mutex::new(0));
        let (pauses, paused) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                let pause = || {
                    pauses.send(*ticks.lock().unwrap()).unwrap();
                    ended.recv().unwrap();
                };
                clock.run(pause, || {
                    *ticks.lock().unwrap() += 1;
                    true
                });
            });
            clock.enter();
            for tick in 0..3 {
                assert_eq!(paused.recv(), Ok(tick));
                end.send(()).unwrap();
            }
            assert_eq!(paused.recv(), Ok(3));
            clock.lock().running -= 1;
            end.send(()).unwrap();
            clock.close();
        });
        assert_eq!(*ticks.lock().unwrap(), 4, "one was on its way");
        assert!(paused.try_recv().is_err(), "and no other pause began");
    }

    #[test]
    fn a_deadline_is_never_shorter_than_asked_for() {
        for (millis, ticks) in [(10, 2), (11, 3), (100, 11), (105, 12)] {
            assert_eq!(Engine::ticks(Duration::from_millis(millis)), ticks, "{millis}");
        }
    }
}
