//! One instance of a plugin: asked within bounds, and replaced after every failure.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::{ResourceLimiter, Store, Trap};

use super::bindings::data::{DataContent, DataReading};
use super::bindings::log;
use super::breaker::{Breaker, Pause};
use super::budget::{Bound, Budget, Time};
use super::data::DataFiles;
use super::engine::Engine;
use super::limits::{
    COPIED, ELEMENT, FIRST_RETRY, FIRST_START, LONGEST_INFO, LONGEST_REFUSAL, Limits, MEMORIES,
    TABLES,
};
use super::log::{GuestLog, plain};
use super::stats::{Cause, OutcomeKind, Remembered, Stats};
use crate::advice;
use crate::decode::DecodeError;

/// What all instances of one plugin of one config have in common.
pub(super) struct Shared {
    pub(super) engine: Arc<Engine>,
    pub(super) config: String,
    pub(super) plugin: Arc<str>,
    pub(super) limits: Limits,
    pub(super) given: Given,
    /// What bounds the time of all plugins together; none in tools.
    pub(super) budget: OnceLock<Arc<Budget>>,
    /// Bytes that an instance takes before it has memories and tables: see [`super::compile::Weight`].
    pub(super) weight: usize,
    vital: Mutex<Vital>,
}

/// What an instance may know beside its inputs.
pub(super) struct Given {
    /// As JSON text.
    pub(super) settings: String,
    /// The files that it reads.
    pub(super) data: Arc<DataFiles>,
}

struct Vital {
    stats: Stats,
    breaker: Breaker,
    log: GuestLog,
}

impl Shared {
    pub(super) fn new(
        engine: Arc<Engine>,
        (config, plugin): (String, String),
        limits: Limits,
        given: Given,
        weight: usize,
    ) -> Self {
        let (breaker, log) = (Breaker::default(), GuestLog::default());
        let vital = Mutex::new(Vital { stats: Stats::new(), breaker, log });
        let budget = OnceLock::new();
        let plugin = plugin.into();
        Self { engine, config, plugin, limits, given, budget, weight, vital }
    }

    fn vital(&self) -> MutexGuard<'_, Vital> {
        self.vital.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stats(&self) -> Stats {
        let vital = self.vital();
        Stats {
            breaker: vital.breaker.state(Instant::now()),
            lines_written: vital.log.written,
            lines_dropped: vital.log.dropped,
            ..vital.stats.clone()
        }
    }

    /// Counts what became of inputs, how many became what in the order of [`OutcomeKind::ALL`], and what the counts of
    /// one memory of answers have become.
    pub(super) fn count(
        &self,
        inputs: [u64; OutcomeKind::ALL.len()],
        (before, now): (Remembered, Remembered),
    ) {
        let stats = &mut self.vital().stats;
        OutcomeKind::ALL
            .into_iter()
            .zip(inputs)
            .for_each(|(kind, inputs)| stats.count(kind, inputs));
        stats.remembered.change(before, now);
    }

    /// The time of all calls so far.
    pub(super) fn time(&self) -> Duration {
        self.vital().stats.time
    }

    /// Counts keys that did not get their turn.
    pub(super) fn defer(&self, keys: usize) {
        self.vital().stats.deferred += keys as u64;
    }

    /// Counts a row whose labels are too much text.
    pub(super) fn refuse(&self) {
        self.vital().stats.refused += 1;
    }

    /// How long a call may take at `now`, if one may be made.
    fn begin(&self, inputs: usize, now: Instant) -> Result<Time, Unanswered> {
        let vital = &mut *self.vital();
        vital.stats.inputs += inputs as u64;
        let allowed = vital.breaker.check(now).map_err(Unanswered::Paused);
        allowed
            .and_then(|()| self.time_left(Duration::ZERO).ok_or(Unanswered::NotInTime))
            .inspect_err(|_| vital.stats.count(OutcomeKind::NotAsked, inputs as u64))
    }

    /// How long a call may take if `since` was spent and not told yet; nothing if the scrape's time is
    /// used up.
    fn time_left(&self, since: Duration) -> Option<Time> {
        let deadline = self.limits.deadline;
        match self.budget.get() {
            Some(budget) => budget.time(deadline, since),
            None => Some(Time { most: deadline, by: Bound::Deadline }),
        }
    }

    /// Notes what became of a call that began at `start`, and the memory that the instance had then.
    fn end<R>(&self, inputs: usize, start: Instant, result: &Result<R, Failure>, memory: usize) {
        let took = start.elapsed();
        if let Some(budget) = self.budget.get() {
            budget.spend(took);
        }
        let vital = &mut *self.vital();
        vital.stats.called(took);
        vital.stats.memory_peak = vital.stats.memory_peak.max(memory);
        match result {
            Err(Failure { cause: Cause::Budget, .. }) => vital.breaker.cut(start, took),
            result => vital.breaker.called(start, took, result.is_ok()),
        }
        if let Err(failure) = result {
            vital.stats.count(OutcomeKind::Failed, inputs as u64);
            vital.stats.failed(failure.cause);
        }
    }
}

/// What a store holds beside its instance.
pub(super) struct State {
    meter: Meter,
    shared: Arc<Shared>,
    /// Bytes of files that the guest was given in the call in hand.
    data: usize,
    /// The first file that the guest asked for and the config does not name.
    unnamed: Option<String>,
}

impl State {
    /// What a guest reads of the host's files.
    pub(super) fn read(&mut self, name: &str, known: Option<u64>) -> DataReading {
        let reading = self.shared.given.data.read(name, known);
        if let DataReading::Changed(DataContent { bytes, .. }) = &reading {
            self.data = self.data.saturating_add(bytes.len());
        }
        if let DataReading::Unnamed = reading
            && self.unnamed.is_none()
        {
            self.unnamed = Some(plain(name, LONGEST_INFO));
        }
        reading
    }
}

impl log::Host for State {
    fn log(&mut self, level: log::Level, message: String) {
        let Shared { config, plugin, .. } = &*self.shared;
        self.shared.vital().log.write(config, plugin, level, &message);
    }
}

/// Bounds what an instance takes.
struct Meter {
    limits: Limits,
    /// Bytes of linear memories, tables, globals and contexts.
    memory: usize,
    elements: usize,
}

impl Meter {
    fn take(&mut self, bytes: usize) -> wasmtime::Result<()> {
        let memory = self.memory.saturating_add(bytes);
        if memory > self.limits.memory {
            return Err(wasmtime::Error::new(Stop::Memory));
        }
        self.memory = memory;
        Ok(())
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.take(desired.saturating_sub(current))?;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current);
        self.elements = self.elements.saturating_add(more);
        if self.elements > self.limits.table {
            return Err(wasmtime::Error::new(Stop::Tables));
        }
        self.take(more.saturating_mul(ELEMENT))?;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

/// Why the host stops a guest, beside the traps that wasmtime knows.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("it wanted more memory than `limits.memory` allows")]
    Memory,
    #[error("it wanted larger tables than `limits.table` allows")]
    Tables,
    #[error("it called `{0}`, which the contract does not give")]
    Import(String),
}

/// Why an input is deferred.
const NOT_IN_TIME: &str = "the time of all plugins in a scrape was used up";

/// A call that failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) cause: Cause,
    /// What happened: lowercase, with "it" for the guest.
    pub(super) text: String,
    /// Whether the guest was not called at all: its instance is as good as before.
    is_before_call: bool,
    /// The file that the guest asked for and the config does not name, if that may be why.
    pub(super) lacking: Option<Lacking>,
}

/// A file that a guest asked for, and the config does not name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// What the guest calls it.
    pub name: String,
    /// What the config calls one that may be it.
    pub near: Option<String>,
}

impl Failure {
    pub(super) fn new(cause: Cause, text: impl Into<String>) -> Self {
        Self { cause, text: text.into(), is_before_call: false, lacking: None }
    }

    /// There was no time left to make the call.
    fn not_in_time() -> Self {
        Self { is_before_call: true, ..Self::new(Cause::Budget, NOT_IN_TIME) }
    }

    /// The same, if it is that time was up: whose bound that was.
    fn by(self, bound: Bound) -> Self {
        match (self.cause, bound) {
            (Cause::Deadline, Bound::Half) => {
                Self::new(Cause::Deadline, "it ran longer than half of --plugins.scrape-budget")
            }
            (Cause::Deadline, Bound::Left) => Self::new(Cause::Budget, NOT_IN_TIME),
            _ => self,
        }
    }
}

impl Failure {
    /// The same, of a guest that has asked for a file that the config does not name.
    fn lacking(self, name: Option<String>, shared: &Shared) -> Self {
        let lacking = name.map(|name| {
            let near = shared.given.data.nearest(&name).map(ToOwned::to_owned);
            Lacking { name, near }
        });
        Self { lacking, ..self }
    }

    /// The same, of a guest that was given so many bytes of files in the call: if they may be what it had
    /// too little memory or time for, it is said.
    fn having(self, bytes: usize) -> Self {
        match self.cause {
            Cause::Memory | Cause::Deadline if bytes > 0 => {
                let text =
                    format!("{}; it was given {bytes} bytes of data in that call", self.text);
                Self { text, ..self }
            }
            _ => self,
        }
    }
}

/// What a guest says of settings that it refuses.
fn refusal(text: &str) -> String {
    if text.is_empty() { "it does not say why".to_owned() } else { plain(text, LONGEST_REFUSAL) }
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        if let Some(stop) = error.downcast_ref::<Stop>() {
            let cause = match stop {
                Stop::Memory | Stop::Tables => Cause::Memory,
                Stop::Import(_) => Cause::Import,
            };
            return Self::new(cause, plain(&stop.to_string(), 256));
        }
        if let Some(error) = error.downcast_ref::<rustix::io::Errno>() {
            let text = advice::words(&std::io::Error::from(*error));
            return Self::new(Cause::System, format!("the system gave it no memory: {text}"));
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => {
                Self::new(Cause::Deadline, "it ran longer than `limits.deadline` allows")
            }
            Some(Trap::StackOverflow) => Self::new(Cause::Stack, "its stack overflowed"),
            Some(Trap::UnreachableCodeReached) => Self::new(
                Cause::Trap,
                "it trapped at `unreachable`: a panic, an exception that nothing caught, or a call that needs a system",
            ),
            Some(trap) => {
                let text = trap.to_string();
                let text = text.strip_prefix("wasm trap: ").unwrap_or(&text);
                Self::new(Cause::Trap, format!("it trapped: {text}"))
            }
            None => {
                let text = error.root_cause().to_string();
                if text.contains("fuel allocated for hostcalls") {
                    return Self::new(Cause::Output, "it returned more than the host copies");
                }
                if let Some((_, what)) = text.split_once("resource limit exceeded: ") {
                    // Of memories and tables no config may give more.
                    let instances = what.starts_with("instance");
                    let limit = if instances { "`limits.instances` allows" } else { "is given" };
                    return Self::new(
                        Cause::Memory,
                        format!("it wanted more than {limit}: {what}"),
                    );
                }
                Self::new(Cause::Trap, format!("it returned what cannot be read: {text}"))
            }
        }
    }
}

/// What [`Seat::ask`] says instead of a result.
#[derive(Debug)]
pub(super) enum Unanswered {
    Paused(Pause),
    Failed(Failure),
    /// The time of all plugins in the scrape is used up.
    NotInTime,
}

impl Unanswered {
    /// As the error of each input, of which it says nothing. It is asked again as soon as the plugin is. What
    /// only did not get its turn is deferred.
    pub(super) fn error(&self, plugin: &Arc<str>) -> DecodeError {
        let error = match self {
            Self::Failed(failure) => DecodeError::new(failure.text.clone()),
            Self::NotInTime => DecodeError::new(NOT_IN_TIME),
            Self::Paused(Pause::Broken(_)) => {
                DecodeError::new("it is not asked for a while, after repeated failures")
            }
            Self::Paused(Pause::Spent(_)) => {
                DecodeError::new("it is not asked for a while, having used up its time")
            }
        };
        let error = error.of_plugin(plugin);
        match self {
            Self::Failed(Failure { cause: Cause::Budget, .. })
            | Self::NotInTime
            | Self::Paused(Pause::Spent(_)) => error.deferred(),
            Self::Failed(_) => error.unanswered(FIRST_RETRY),
            Self::Paused(Pause::Broken(left)) => error.unanswered(*left),
        }
    }
}

/// Instantiates and configures. The inner error is the guest's own.
pub(super) type Start<G> =
    Box<dyn Fn(&mut Store<State>, &str) -> Result<Result<G, String>, Failure> + Send>;

/// Where an instance of a plugin sits: empty after a failure, until it is asked again.
pub(super) struct Seat<G> {
    shared: Arc<Shared>,
    start: Start<G>,
    live: Option<(Store<State>, G)>,
}

impl<G> Seat<G> {
    pub(super) fn new(shared: Arc<Shared>, start: Start<G>) -> Self {
        Self { shared, start, live: None }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Instantiates and configures for the first time. No scrape waits for it, and a host that has
    /// just come up is busy: it has longer than a call.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        let most = self.shared.limits.deadline.max(FIRST_START);
        self.warm(Time { most, by: Bound::Deadline })
    }

    /// Instantiates and configures.
    fn warm(&mut self, time: Time) -> Result<(), Failure> {
        let shared = &self.shared;
        let mut meter = Meter { limits: shared.limits, memory: 0, elements: 0 };
        meter.take(shared.weight)?;
        let state = State { meter, shared: Arc::clone(shared), data: 0, unnamed: None };
        let mut store = Store::new(shared.engine.wasmtime(), state);
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(COPIED.max(shared.limits.output.saturating_mul(2)));
        store.set_epoch_deadline(Engine::ticks(time.most));
        let ticking = shared.engine.run().map_err(no_clock)?;
        let started = (self.start)(&mut store, &shared.given.settings);
        drop(ticking);
        self.peak(&store);
        let guest = started
            .map_err(|failure| failure.by(time.by).having(store.data().data))?
            .map_err(|text| {
                let unnamed = store.data_mut().unnamed.take();
                Failure::new(Cause::Configure, refusal(&text)).lacking(unnamed, shared)
            })?;
        self.live = Some((store, guest));
        Ok(())
    }

    /// Asks the guest within its bounds, with a new instance if the last one failed.
    pub(super) fn ask<R>(
        &mut self,
        inputs: usize,
        call: impl FnOnce(&mut Store<State>, &G) -> Result<R, Failure>,
    ) -> Result<R, Unanswered> {
        let now = Instant::now();
        let time = self.shared.begin(inputs, now)?;
        let result = self.ready(now, time).and_then(|time| self.call(time, call));
        let memory = self.live.as_ref().map_or(0, |(store, _)| store.data().meter.memory);
        if matches!(&result, Err(failure) if !failure.is_before_call) {
            self.live = None;
        }
        self.shared.end(inputs, now, &result, memory);
        result.map_err(Unanswered::Failed)
    }

    /// Has an instance there. What is left of `time` for the call then, if it was `begun` at this moment.
    fn ready(&mut self, begun: Instant, time: Time) -> Result<Time, Failure> {
        if self.live.is_some() {
            return Ok(time);
        }
        self.warm(time)?;
        // A new instance may have taken all the time; the next scrape has it ready.
        self.shared.time_left(begun.elapsed()).ok_or_else(Failure::not_in_time)
    }

    /// The call itself.
    fn call<R>(
        &mut self,
        time: Time,
        call: impl FnOnce(&mut Store<State>, &G) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let Some((store, guest)) = &mut self.live else {
            return Err(Failure::new(Cause::Trap, "it has no instance"));
        };
        let ticking = self.shared.engine.run().map_err(no_clock)?;
        store.set_epoch_deadline(Engine::ticks(time.most));
        store.data_mut().data = 0;
        let result = call(store, guest);
        let result = result.map_err(|failure| failure.by(time.by).having(store.data().data));
        drop(ticking);
        result
    }

    fn peak(&self, store: &Store<State>) {
        let stats = &mut self.shared.vital().stats;
        stats.memory_peak = stats.memory_peak.max(store.data().meter.memory);
    }
}

fn no_clock(error: io::Error) -> Failure {
    Failure::new(Cause::System, format!("no thread watches its time: {error}"))
}
