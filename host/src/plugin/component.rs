//! A file that is a plugin: found, read, made machine code of, and linked.
//!
//! Its bytes are never looked into here: a child does that, see [`super::compile`].

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use componentize::Metadata;
use tracing::{debug, info, warn};
use wasmtime::StoreContextMut;
use wasmtime::component::types::ComponentFunc;
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType, Val};

use super::cache::Cache;
use super::compile::{Compiler, Facts, Item, Reply, Stub, Task, Weight};
use super::engine::Engine;
use super::inspect::Inspection;
use super::instance::{State, Stop};
use super::limits::{CompileLimits, LARGEST_FILE};
use super::versions::Version;
use super::{PluginError, words};
use crate::advice;
use crate::digest::Digest;
use crate::files::{self, Unread};

/// What a file is, as a child says that looks at it; nothing of it is compiled.
///
/// # Errors
///
/// When it cannot be read, or is no plugin.
pub fn inspect_file(
    path: &Path,
    compiler: &Compiler,
    limits: CompileLimits,
) -> Result<Inspection, PluginError> {
    inspect_bytes(&read_file(path)?, compiler, limits)
}

/// The same, of bytes that were read already.
///
/// # Errors
///
/// When they are no plugin.
pub fn inspect_bytes(
    bytes: &[u8],
    compiler: &Compiler,
    limits: CompileLimits,
) -> Result<Inspection, PluginError> {
    let reply = compiler.ask(Task::Inspect, bytes, limits)?;
    let (facts, _) = Reply::parse(&reply)?;
    Ok(facts.inspection)
}

/// The component that the core module or component in this file becomes, and what it is, as a child says that
/// makes it. What is said of it takes the place of what it says itself.
///
/// # Errors
///
/// When the file cannot be read, or becomes no plugin.
pub fn componentize_file(
    path: &Path,
    said: &Metadata,
    compiler: &Compiler,
    limits: CompileLimits,
) -> Result<(Inspection, Vec<u8>), PluginError> {
    let mut input = serde_json::to_vec(said).unwrap_or_default();
    input.push(b'\n');
    input.extend(read_file(path)?);
    let reply = compiler.ask(Task::Componentize, &input, limits)?;
    let (facts, component) = Reply::parse(&reply)?;
    Ok((facts.inspection, component.to_vec()))
}

/// Compiling for so long is worth a word.
const LONG: Duration = Duration::from_secs(1);

/// The bytes of a plugin's file.
///
/// # Errors
///
/// When it is not there, cannot be read, is no regular file or too large.
pub fn read_file(path: &Path) -> Result<Vec<u8>, PluginError> {
    files::read(path, LARGEST_FILE).map_err(|unread| match unread {
        Unread::Refused(source) => PluginError::Read { file: path.to_owned(), source },
        Unread::Directory | Unread::NoFile => PluginError::NoFile { file: path.to_owned() },
        Unread::TooLarge(size) => PluginError::TooLarge { size },
    })
}

/// The first of `places` that has the file `name`.
///
/// # Errors
///
/// When none has.
pub(crate) fn find(name: &Path, places: &[&Path]) -> Result<PathBuf, PluginError> {
    let candidates: Vec<_> = places.iter().map(|place| place.join(name)).collect();
    let is_there = |path: &&PathBuf| path.exists();
    // Of one that cannot be looked at it is told why when it is read.
    let is_hidden = |path: &&PathBuf| {
        let error = path.metadata().err().map(|error| error.kind());
        !matches!(error, Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
    };
    let all = || candidates.iter();
    let found = all().find(is_there).or_else(|| all().find(is_hidden)).cloned();
    found.ok_or(PluginError::NotThere { looked: candidates })
}

/// Machine code, with everything that the component imports.
#[derive(Clone)]
pub(super) struct Linked {
    pub(super) component: Component,
    pub(super) linker: Linker<State>,
    pub(super) inspection: Inspection,
    pub(super) weight: Weight,
}

/// Where plugins come from, once they are read.
#[derive(Clone, Copy)]
pub(super) struct Forge<'a> {
    pub(super) engine: &'a Engine,
    pub(super) compiler: &'a Compiler,
    pub(super) cache: Option<&'a Cache>,
}

impl Forge<'_> {
    /// A plugin of these bytes: from the cache, or compiled by a child and kept.
    pub(super) fn make(
        &self,
        path: &Path,
        (digest, bytes): (Digest, &[u8]),
        limits: CompileLimits,
    ) -> Result<Linked, PluginError> {
        let start = Instant::now();
        let name = self.cache.map(|cache| (cache, cache.name(self.engine.target(), digest)));
        if let Some((cache, name)) = &name
            && let Some(linked) = cache.read(name).and_then(|reply| self.link(&reply).ok())
        {
            debug!("took the compiled code of {} from the cache, {}", path.display(), in_ms(start));
            return Ok(linked);
        }
        let reply = self.compiler.ask(Task::Compile, bytes, limits)?;
        let linked = self.link(&reply)?;
        let took = start.elapsed();
        let path = path.display();
        match name.map(|(cache, name)| (cache, cache.write(&name, &reply))) {
            Some((_, Ok(()))) => debug!("compiled {path}, {}, and kept the code", in_ms(start)),
            Some((cache, Err(error))) => warn!(
                "compiled {path}, {}, and failed to keep the code in {}: {}; see to it that the \
                 exporter may write there, and that it has room",
                in_ms(start),
                cache.dir().display(),
                advice::words(&error)
            ),
            None if took > LONG => {
                info!(
                    "compiled {path}, {}; --plugins.cache-dir spares that the next start",
                    in_ms(start)
                );
            }
            None => debug!("compiled {path}, {}", in_ms(start)),
        }
        Ok(linked)
    }

    /// What a child replied, ready to be made instances of.
    fn link(&self, reply: &[u8]) -> Result<Linked, PluginError> {
        let (Facts { inspection, weight, stubs }, code) = Reply::parse(reply)?;
        let component = self.engine.load(code).map_err(|error| PluginError::Load(words(&error)))?;
        let mut linker = Linker::new(self.engine.wasmtime());
        let version = Version::named(&inspection.version);
        let linked = version.give(&mut linker).and_then(|()| give(&mut linker.root(), &stubs, ""));
        linked.map_err(PluginError::link)?;
        Ok(Linked { component, linker, inspection, weight })
    }
}

fn in_ms(start: Instant) -> String {
    format!("{:.1} ms", start.elapsed().as_secs_f64() * 1e3)
}

/// Defines each as something that traps and says its name, behind what it is `inside` of.
fn give(
    linker: &mut LinkerInstance<'_, State>,
    stubs: &[Stub],
    inside: &str,
) -> wasmtime::Result<()> {
    for Stub { name, item } in stubs {
        let full = format!("{inside}{name}");
        match item {
            Item::Function => linker.func_new(name, trap(full))?,
            Item::Resource => linker.resource(name, ResourceType::host::<()>(), |_, _| Ok(()))?,
            Item::Instance(inner) => give(&mut linker.instance(name)?, inner, &format!("{full}#"))?,
        }
    }
    Ok(())
}

fn trap(
    name: String,
) -> impl Fn(StoreContextMut<'_, State>, ComponentFunc, &[Val], &mut [Val]) -> wasmtime::Result<()>
{
    move |_, _, _, _| Err(wasmtime::Error::new(Stop::Import(name.clone())))
}
