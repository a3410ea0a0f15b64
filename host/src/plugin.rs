//! Plugins: decoders and transforms that are WebAssembly components.
//!
//! ```text
//! component  file → bytes → machine code, imports given or stubbed
//! compile    bytes → what they are → machine code, in a process of its own
//! cache      machine code on disk, for the next start
//! schema     settings held against what the plugin says that it takes
//! data       files of the host that configs name, as they were last read
//! instance   one store, asked within bounds, replaced after a failure; breaker
//! answers    what was answered, so that it need not be asked again
//! decoder    the instance as a Decoder, transform as a Transform
//! ```
//!
//! What a plugin may use, and what happens when it wants more:
//!
//! | of | bound | beyond it |
//! |---|---|---|
//! | file | 64 MiB | refused at start |
//! | compiling | 10 s of processor time and 4 s for each MiB of the file beyond 8, 60 s at most, `limits.compile.time`; 448 MiB, `limits.compile.memory` | refused at start |
//! | what it says of itself | 1 KiB a text, 64 KiB of schema | left out, with a note |
//! | imports | 1,000, with all that they hold 10,000 | refused at start |
//! | exports | 1,000 | refused at start |
//! | what a start writes | 1,000,000 elements of tables, 256 MiB of data | refused at start |
//! | memory of an instance: memories, tables, globals, contexts | 16 MiB, `limits.memory` | the call fails |
//! | time of a call | 100 ms, `limits.deadline` (within two ticks of 10 ms) | the call fails |
//! | time of all calls | 2 s in any 10 s | not asked until less lies in the last 10 s (11 at most) |
//! | time of all plugins in a scrape | 2 s, `--plugins.scrape-budget` | asked in the next scrape |
//! | text of a call | 1 MiB, `limits.output` | the call fails |
//! | a label | 16 KiB | an error of its input |
//! | elements of tables | 100,000, `limits.table` | the call fails |
//! | core instances | 128, `limits.instances` | refused at start |
//! | tables, memories | 128, 16 | refused at start |
//! | text of its labels in a metric | 32 MiB, `limits.text` | rows beyond it get `on_error` |
//! | time that an answer holds | from 5 s on, `limits.hold` | it holds so long |
//! | answers that are remembered | 4 MiB, `limits.answers` | the one wanted longest ago is forgotten |
//! | files that it reads | 8 of 4 MiB each, `data.size` | it keeps what it had |
//! | lines in the log | 10 a second, 1 KiB each | left out, and counted |
//!
//! A call that fails costs the instance, and all its inputs get `on_error`. After three failures in
//! a row the plugin is not asked for 10 s; then one call decides, and with each that fails the
//! pause doubles, up to 300 s.
//!
//! Callers never see wasmtime, and a guest is hostile until it returns: its memory, time, output
//! and log are bounded, and nothing it says is passed on unchecked. Before it ever runs its file is
//! hostile: only a child process looks into it. A process that loads no plugin starts no engine.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bytes::Bytes;

use crate::advice::{Advice, Advise as _};
use crate::config::DataPlan;
use crate::config::name::LabelName;
use crate::decode::Decoder;
use crate::transform::Transform;

mod answers;
mod bindings;
mod breaker;
mod budget;
mod cache;
mod compile;
mod component;
mod data;
mod decoder;
mod engine;
mod error;
mod gauge;
mod inspect;
mod instance;
pub mod limits;
mod log;
mod metrics;
mod schema;
mod stats;
mod transform;
mod versions;

pub use crate::digest::Digest;
pub use breaker::BreakerState;
pub use budget::Budget;
pub use cache::CacheDir;
pub use compile::{CompileError, Compiler, Order, Task, Weight, inspect_here};
pub(crate) use component::find;
pub use component::{componentize_file, inspect_bytes, inspect_file, read_file};
pub use componentize::Metadata;
pub(crate) use data::DataError;
pub use data::DataStats;
pub use error::PluginError;
pub use gauge::{DataWatch, Gauge};
pub use inspect::{Import, Inspection, NoPlugin, VERSION, World, is_data};
pub use instance::Lacking;
pub use limits::{CompileLimits, Limits};
pub use metrics::Gauges;
pub use schema::outline;
pub use stats::{Cause, OutcomeKind, Remembered, Stats};
pub use transform::MetricShape;

use cache::Cache;
use compile::Memory;
use component::{Forge, Linked};
use data::DataFiles;
use decoder::GuestDecoder;
use engine::Engine;
use error::words;
use instance::{Given, Shared, State};
use limits::{CHILDREN_MEMORY, FEWEST_CHILDREN, LONGEST_INFO, MOST_CHILDREN};
use versions::Version;
use wasmtime::component::InstancePre;

/// What a config says of a plugin. It may hold secrets, so it is never printed.
#[derive(Clone)]
pub struct Request<'a> {
    /// The config's name.
    pub config: &'a str,
    /// The plugin's name in it.
    pub name: &'a str,
    /// Its file, relative to one of `places` or absolute.
    pub file: &'a Path,
    /// Where the file may be; the first that has it counts.
    pub places: &'a [&'a Path],
    /// What the file holds, if that is known already: no place is looked at then.
    pub held: Option<&'a Bytes>,
    /// What the file's SHA-256 has to be.
    pub pin: Option<Digest>,
    /// The settings, as the text of a JSON object.
    pub settings: &'a str,
    /// The files that it reads.
    pub data: &'a [DataPlan],
    /// What its instances may use.
    pub limits: Limits,
}

/// Loads plugins. Those of the same bytes share their machine code, never an instance.
#[derive(Default)]
pub struct Loader {
    compiler: Compiler,
    /// Where compiled code is kept.
    dir: Option<CacheDir>,
    running: Option<Running>,
    linked: HashMap<Digest, Linked>,
    /// What does not compile, so that it is tried once.
    failed: HashMap<(Digest, CompileLimits), CompileError>,
    /// Whether it makes no machine code any more.
    sealed: bool,
}

/// What is there once there is a plugin.
#[derive(Clone)]
struct Running {
    engine: Arc<Engine>,
    cache: Option<Arc<Cache>>,
}

/// A plugin's file: where it is, whose it is, and what it holds.
struct Read {
    path: PathBuf,
    digest: Digest,
    bytes: Bytes,
}

impl Read {
    fn of(request: &Request<'_>) -> Result<Self, PluginError> {
        let (path, bytes) = match request.held {
            Some(bytes) => (request.file.to_owned(), bytes.clone()),
            None => {
                let path = component::find(request.file, request.places)?;
                let bytes = component::read_file(&path)?.into();
                (path, bytes)
            }
        };
        let digest = Digest::of(&bytes);
        if request.pin.is_some_and(|pin| pin != digest) {
            return Err(PluginError::Pin { found: digest });
        }
        Ok(Self { path, digest, bytes })
    }
}

impl Loader {
    /// One that has plugins compiled by `compiler`, and keeps the code in `cache`.
    pub fn new(compiler: Compiler, cache: Option<CacheDir>) -> Self {
        Self { compiler, dir: cache, ..Self::default() }
    }

    /// Compiles what all of these need, some at a time. What is wrong with one of them is told when
    /// it is loaded.
    pub fn prepare(&mut self, requests: &[Request<'_>]) {
        if requests.is_empty() || self.sealed {
            return;
        }
        let Ok(Running { engine, cache }) = self.running() else { return };
        let known: HashSet<_> = self.linked.keys().copied().collect();
        let forge = Forge { engine: &engine, compiler: &self.compiler, cache: cache.as_deref() };
        let (queue, seen) = (Mutex::new(requests.iter()), Mutex::new(HashSet::new()));
        let (made, memory) = (Mutex::new(Vec::new()), Memory::new(CHILDREN_MEMORY));
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            while let Some(request) = next() {
                let Ok(Read { path, digest, bytes }) = Read::of(request) else { continue };
                let limits = request.limits.compile;
                let key = (digest, limits);
                if known.contains(&digest) {
                    continue;
                }
                if !seen.lock().unwrap_or_else(PoisonError::into_inner).insert(key) {
                    continue;
                }
                let make = |limits| forge.make(&path, (digest, &bytes), limits);
                let result = memory.compile(bytes.len(), limits, make, may_need_more);
                made.lock().unwrap_or_else(PoisonError::into_inner).push((key, result));
            }
        };
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        let workers = cpus.clamp(FEWEST_CHILDREN, MOST_CHILDREN).min(requests.len());
        thread::scope(|scope| {
            for _ in 1..workers {
                // Without another thread it only takes longer.
                let _ = thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        for (key, result) in made.into_inner().unwrap_or_else(PoisonError::into_inner) {
            self.keep(key, result);
        }
    }

    /// Finds, checks and compiles a plugin. Nothing of it has run after that.
    ///
    /// # Errors
    ///
    /// See [`PluginError`]: everything up to [`PluginError::Link`].
    pub fn load(&mut self, request: &Request<'_>) -> Result<Plugin, PluginError> {
        let Read { path, digest, bytes } = Read::of(request)?;
        let limits = request.limits.compile;
        let Running { engine, cache } = self.running()?;
        if let Some(error) = self.failed.get(&(digest, limits)) {
            return Err(error.clone().into());
        }
        let linked = match self.linked.get(&digest) {
            Some(linked) => linked.clone(),
            None if self.sealed => return Err(CompileError::Sealed.into()),
            None => {
                let (compiler, cache) = (&self.compiler, cache.as_deref());
                let forge = Forge { engine: &engine, compiler, cache };
                let linked = forge.make(&path, (digest, &bytes), limits)?;
                self.linked.insert(digest, linked.clone());
                linked
            }
        };
        let names = (request.config.to_owned(), request.name.to_owned());
        let weight = usize::try_from(linked.weight.bytes).unwrap_or(usize::MAX);
        let data = DataFiles::open(request.config, request.name, request.data);
        let given = Given { settings: request.settings.to_owned(), data: Arc::new(data) };
        let shared = Shared::new(engine, names, request.limits, given, weight);
        Ok(Plugin { shared: Arc::new(shared), linked, digest, decoder: None })
    }

    /// Ends the threads that its plugins need no more until they are called again.
    pub fn rest(&self) {
        if let Some(Running { engine, .. }) = &self.running {
            engine.rest();
        }
    }

    /// Has it load from now on only what it has loaded before: the process may start no child any more, and take in no
    /// machine code.
    pub fn seal(&mut self) {
        self.sealed = true;
    }

    /// Forgets the machine code of all plugins but these, and what did not compile: it may be another file's now.
    pub fn keep_only(&mut self, digests: &HashSet<Digest>) {
        self.linked.retain(|digest, _| digests.contains(digest));
        self.failed.clear();
    }

    /// Whether anything was compiled yet.
    #[cfg(test)]
    pub(crate) fn has_engine(&self) -> bool {
        self.running.is_some()
    }

    fn keep(&mut self, key: (Digest, CompileLimits), result: Result<Linked, PluginError>) {
        match result {
            Ok(linked) => drop(self.linked.insert(key.0, linked)),
            Err(PluginError::Compile(error)) => drop(self.failed.insert(key, error)),
            // It is tried again, and told, when the plugin is loaded.
            Err(_) => {}
        }
    }

    fn running(&mut self) -> Result<Running, PluginError> {
        if let Some(running) = &self.running {
            return Ok(running.clone());
        }
        let engine = Arc::new(Engine::start()?);
        let opened = self.dir.as_ref().map(CacheDir::open);
        let cache = opened.and_then(|cache| {
            cache.map(Arc::new).inspect_err(|error| tracing::warn!("{}", error.advice())).ok()
        });
        Ok(self.running.insert(Running { engine, cache }).clone())
    }
}

/// Whether compiling may have failed for want of memory. Some code has no other word for it than to abort.
fn may_need_more<T>(made: &Result<T, PluginError>) -> bool {
    use CompileError::{Crashed, Memory};
    matches!(made, Err(PluginError::Compile(Memory { .. } | Crashed(_))))
}

/// A plugin of one config: compiled, and ready to be made a step of chains.
pub struct Plugin {
    shared: Arc<Shared>,
    linked: Linked,
    digest: Digest,
    /// The one that all labels share, once it was asked for.
    decoder: Option<GuestDecoder>,
}

impl Plugin {
    /// What it is.
    pub fn world(&self) -> World {
        self.linked.inspection.world
    }

    /// What its file says of it.
    pub fn inspection(&self) -> &Inspection {
        &self.linked.inspection
    }

    /// What of its settings it will not take, as its own schema says: where below them, `.a[1]`, and what to do.
    /// It has not run, and may refuse more.
    pub fn misfits(&self) -> Vec<(String, Advice)> {
        let schema = self.linked.inspection.metadata.settings.as_ref();
        schema
            .map(|schema| schema::misfits(schema, &self.shared.given.settings))
            .unwrap_or_default()
    }

    /// What is wrong with the files that it reads and that could not be read yet, with the place of each in
    /// the config.
    pub(crate) fn data_faults<T>(&self, told: impl Fn(&str, &DataError) -> T) -> Vec<T> {
        self.shared.given.data.faults(told)
    }

    /// What is wrong with the places of the files that it reads, for an exporter that serves, with the place of
    /// each in the config.
    pub(crate) fn data_misplaced<T>(&self, told: impl Fn(&str, &DataError) -> T) -> Vec<T> {
        self.shared.given.data.misplaced(told)
    }

    /// It as a decoder. All of one plugin share an instance.
    ///
    /// # Errors
    ///
    /// If it is a transform, fails at its start or refuses its settings.
    pub fn decoder(&mut self) -> Result<Box<dyn Decoder>, PluginError> {
        let decoder = match &self.decoder {
            Some(decoder) => decoder.clone(),
            None => {
                let (version, pre) = self.ready(World::Decoder)?;
                let start = version.decoder(pre).map_err(PluginError::link)?;
                GuestDecoder::start(Arc::clone(&self.shared), start)?
            }
        };
        Ok(Box::new(self.decoder.insert(decoder).clone()))
    }

    /// It as a transform for one metric, with an instance of its own, and the labels it agreed to.
    ///
    /// # Errors
    ///
    /// If it is a decoder, fails at its start, or refuses its settings or the metric.
    pub fn transform(
        &self,
        metric: MetricShape,
    ) -> Result<(Box<dyn Transform>, Vec<LabelName>), PluginError> {
        let (version, pre) = self.ready(World::Transform)?;
        let make = version.transform(pre).map_err(PluginError::link)?;
        let (transform, labels) =
            transform::GuestTransform::start(Arc::clone(&self.shared), make, metric)?;
        Ok((Box::new(transform), labels))
    }

    /// What it has done and cost from now on.
    pub fn gauge(&self) -> Gauge {
        let Inspection { metadata, version, .. } = &self.linked.inspection;
        let label =
            |text: &Option<String>| log::plain(text.as_deref().unwrap_or_default(), LONGEST_INFO);
        Gauge {
            shared: Arc::clone(&self.shared),
            digest: self.digest,
            world: self.world(),
            contract: version.clone(),
            said: [
                label(&metadata.name),
                label(&metadata.version),
                label(&metadata.authors),
                label(&metadata.licenses),
                label(&metadata.source),
            ],
        }
    }

    /// What instances are made of, and of which version they are.
    fn ready(&self, wanted: World) -> Result<(Version, InstancePre<State>), PluginError> {
        if self.world() != wanted {
            return Err(PluginError::World { found: self.world(), wanted });
        }
        let Linked { component, linker, inspection, .. } = &self.linked;
        let pre = linker.instantiate_pre(component).map_err(PluginError::link)?;
        Ok((Version::named(&inspection.version), pre))
    }
}

#[cfg(test)]
#[path = "../tests/guests/compose.rs"]
pub(crate) mod guests;
#[cfg(test)]
mod tests;
