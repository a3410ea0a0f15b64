//! Plugins: decoders and transforms that are WebAssembly components.
//!
//! ```text
//! component  file → bytes → what they are → machine code, imports given or stubbed
//! cache      machine code on disk, for the next start
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
//! | memory of an instance | 16 MiB, `limits.memory` | the call fails |
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
//! | lines in the log | 10 a second, 1 KiB each | left out, and counted |
//!
//! A call that fails costs the instance, and all its inputs get `on_error`. After three failures in
//! a row the plugin is not asked for 10 s; then one call decides, and with each that fails the
//! pause doubles, up to 300 s.
//!
//! Callers never see wasmtime, and a guest is hostile until it returns: its memory, time, output
//! and log are bounded, and nothing it says is passed on unchecked. A process that loads no plugin
//! starts no engine.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config::name::LabelName;
use crate::decode::Decoder;
use crate::transform::Transform;

mod answers;
mod bindings;
mod breaker;
mod budget;
mod cache;
mod component;
mod decoder;
mod engine;
mod error;
mod instance;
pub mod limits;
mod log;
mod stats;
mod transform;

pub use breaker::BreakerState;
pub use budget::Budget;
pub use cache::CacheDir;
pub use component::{Digest, Import, Inspection, NoPlugin, VERSION, World, inspect, read};
pub use error::PluginError;
pub use limits::Limits;
pub use stats::{Cause, Kind, Remembered, Stats};
pub use transform::MetricShape;

use component::Linked;
use decoder::GuestDecoder;
use engine::Engine;
use error::{lowercase, words};
use instance::Shared;

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
    /// What the file's SHA-256 has to be.
    pub pin: Option<Digest>,
    /// The settings, as the text of a JSON object.
    pub settings: &'a str,
    /// What its instances may use.
    pub limits: Limits,
}

/// Loads plugins. Those of the same bytes share their machine code, never an instance.
#[derive(Default)]
pub struct Loader {
    /// Where compiled code is kept.
    cache: Option<CacheDir>,
    engine: Option<Arc<Engine>>,
    linked: HashMap<Digest, Linked>,
}

impl Loader {
    /// One that keeps compiled code in `cache`.
    pub fn new(cache: Option<CacheDir>) -> Self {
        Self { cache, ..Self::default() }
    }

    /// Finds, checks and compiles a plugin. Nothing of it has run after that.
    ///
    /// # Errors
    ///
    /// See [`PluginError`]: everything up to [`PluginError::Link`].
    pub fn load(&mut self, request: &Request<'_>) -> Result<Plugin, PluginError> {
        let path = component::find(request.file, request.places)?;
        let bytes = read(&path)?;
        let digest = Digest::of(&bytes);
        if request.pin.is_some_and(|pin| pin != digest) {
            return Err(PluginError::Pin { found: digest });
        }
        let Inspection { world, version, .. } = inspect(&bytes)?;
        let engine = self.engine()?;
        let linked = match self.linked.get(&digest) {
            Some(linked) => linked.clone(),
            None => {
                let linked = component::link(&engine, &path, &bytes)?;
                self.linked.insert(digest, linked.clone());
                linked
            }
        };
        let names = (request.config.to_owned(), request.name.to_owned());
        let shared = Shared::new(engine, names, request.limits, request.settings.to_owned());
        Ok(Plugin { shared: Arc::new(shared), linked, digest, world, version, decoder: None })
    }

    /// Ends the threads that its plugins need no more until they are called again.
    pub fn rest(&self) {
        if let Some(engine) = &self.engine {
            engine.rest();
        }
    }

    /// Whether anything was compiled yet.
    #[cfg(test)]
    pub(crate) fn has_engine(&self) -> bool {
        self.engine.is_some()
    }

    fn engine(&mut self) -> Result<Arc<Engine>, PluginError> {
        match &self.engine {
            Some(engine) => Ok(Arc::clone(engine)),
            None => {
                let engine = Engine::start(self.cache.as_ref())?;
                Ok(Arc::clone(self.engine.insert(Arc::new(engine))))
            }
        }
    }
}

/// A plugin of one config: compiled, and ready to be made a step of chains.
pub struct Plugin {
    shared: Arc<Shared>,
    linked: Linked,
    digest: Digest,
    world: World,
    version: String,
    /// The one that all labels share, once it was asked for.
    decoder: Option<GuestDecoder>,
}

impl Plugin {
    /// What it is.
    pub fn world(&self) -> World {
        self.world
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
                let pre = self.ready(World::Decoder)?;
                GuestDecoder::start(Arc::clone(&self.shared), pre)?
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
        let pre = self.ready(World::Transform)?;
        let (transform, labels) =
            transform::GuestTransform::start(Arc::clone(&self.shared), pre, metric)?;
        Ok((Box::new(transform), labels))
    }

    /// What it has done and cost from now on.
    pub fn gauge(&self) -> Gauge {
        Gauge {
            shared: Arc::clone(&self.shared),
            digest: self.digest,
            world: self.world,
            version: self.version.clone(),
        }
    }

    fn ready(
        &self,
        wanted: World,
    ) -> Result<wasmtime::component::InstancePre<instance::State>, PluginError> {
        if self.world != wanted {
            return Err(PluginError::World { found: self.world, wanted });
        }
        let Linked { component, linker } = &self.linked;
        linker.instantiate_pre(component).map_err(PluginError::link)
    }
}

/// Reads the numbers of one plugin of one config.
#[derive(Clone)]
pub struct Gauge {
    shared: Arc<Shared>,
    digest: Digest,
    world: World,
    version: String,
}

impl Gauge {
    /// The config's name.
    pub fn config(&self) -> &str {
        &self.shared.config
    }

    /// The plugin's name in it.
    pub fn plugin(&self) -> &str {
        &self.shared.plugin
    }

    /// Of its file.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What it is.
    pub fn world(&self) -> World {
        self.world
    }

    /// The version of the contract that it was built for.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Bounds the time of its calls by that of a scraper from now on. Only the first such counts.
    pub fn join(&self, budget: &Arc<Budget>) {
        let _ = self.shared.budget.set(Arc::clone(budget));
    }

    /// The time that all of its guests have taken so far.
    pub fn time(&self) -> Duration {
        self.shared.time()
    }

    /// Bytes of text that its labels may have in a metric.
    pub fn most_text(&self) -> usize {
        self.shared.limits.text
    }

    /// Counts a row whose labels would have been more than that.
    pub fn refuse(&self) {
        self.shared.refuse();
    }

    /// Counts keys that did not get their turn in a scrape.
    pub fn defer(&self, keys: usize) {
        self.shared.defer(keys);
    }

    /// Its numbers now.
    pub fn read(&self) -> Stats {
        self.shared.stats()
    }
}

impl std::fmt::Debug for Gauge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gauge({}/{})", self.config(), self.plugin())
    }
}

#[cfg(test)]
#[path = "../tests/guests/compose.rs"]
pub(crate) mod guests;
#[cfg(test)]
mod tests;
