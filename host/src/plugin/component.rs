//! A file that is a plugin: found, checked against its pin, inspected, compiled and linked.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, HasSelf, Linker, LinkerInstance, ResourceType, Val};

use super::bindings::log;
use super::engine::{Engine, Origin};
use super::instance::{State, Stop};
use super::limits::LARGEST_FILE;
use super::{PluginError, words};

mod inspect;

pub use inspect::{Digest, Import, Inspection, NoPlugin, VERSION, World, inspect};

/// Compiling for so long is worth a word.
const LONG: Duration = Duration::from_secs(1);

/// The bytes of a plugin's file.
///
/// # Errors
///
/// When it is not there, cannot be read, is no regular file or too large.
pub fn read(path: &Path) -> Result<Vec<u8>, PluginError> {
    let failed = |source: io::Error| PluginError::Read { file: path.to_owned(), source };
    // A pipe or a device would hold up the start.
    let metadata = path.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(PluginError::NoFile { file: path.to_owned() });
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(PluginError::TooLarge { size: metadata.len() });
    }
    Ok(bytes)
}

/// The first of `places` that has the file `name`.
///
/// # Errors
///
/// When none has.
pub(super) fn find(name: &Path, places: &[&Path]) -> Result<PathBuf, PluginError> {
    let candidates: Vec<_> = places.iter().map(|place| place.join(name)).collect();
    let found = candidates.iter().find(|path| path.exists()).cloned();
    found.ok_or(PluginError::NotThere { looked: candidates })
}

/// Machine code, with everything that the component imports.
#[derive(Clone)]
pub(super) struct Linked {
    pub(super) component: Component,
    pub(super) linker: Linker<State>,
}

/// Compiles and links what [`inspect()`] took for a plugin.
pub(super) fn link(engine: &Engine, path: &Path, bytes: &[u8]) -> Result<Linked, PluginError> {
    let start = Instant::now();
    let (component, origin) =
        engine.compile(bytes).map_err(|error| PluginError::Compile(words(&error)))?;
    told(engine, path, origin, start.elapsed());
    let mut linker = Linker::new(engine.wasmtime());
    give(&mut linker, &component).map_err(PluginError::link)?;
    Ok(Linked { component, linker })
}

/// Says how long the code took, and where it is from.
fn told(engine: &Engine, path: &Path, origin: Origin, took: Duration) {
    let (path, millis) = (path.display(), took.as_secs_f64() * 1e3);
    match (origin, engine.cache()) {
        (Origin::Cache, _) => {
            debug!("took the compiled code of {path} from the cache, {millis:.1} ms")
        }
        (Origin::Kept, _) => debug!("compiled {path}, {millis:.1} ms, and kept the code"),
        (Origin::Compiled, Some(dir)) => {
            let dir = dir.display();
            warn!(
                "compiled {path}, {millis:.0} ms, and failed to keep the code in {dir}; see to it \
                   that the exporter may write there, and that it has room"
            );
        }
        (Origin::Compiled, None) if took > LONG => {
            info!(
                "compiled {path}, {millis:.0} ms; --plugins.cache-dir spares that the next start"
            );
        }
        (Origin::Compiled, None) => debug!("compiled {path}, {millis:.1} ms"),
    }
}

/// Defines the log, and for everything else a stub that traps.
fn give(linker: &mut Linker<State>, component: &Component) -> wasmtime::Result<()> {
    log::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    let (engine, log) = (linker.engine().clone(), inspect::log_interface());
    for (name, import) in component.component_type().imports(&engine) {
        if name != log {
            stub(&engine, &mut linker.root(), name, name.to_owned(), import.ty)?;
        }
    }
    Ok(())
}

/// Defines `name` as something that traps and says that it is `full`.
fn stub(
    engine: &wasmtime::Engine,
    linker: &mut LinkerInstance<'_, State>,
    name: &str,
    full: String,
    item: ComponentItem,
) -> wasmtime::Result<()> {
    match item {
        ComponentItem::ComponentFunc(_) => {
            let trap = move |_: wasmtime::StoreContextMut<'_, State>,
                             _: ComponentFunc,
                             _: &[Val],
                             _: &mut [Val]| {
                Err(wasmtime::Error::new(Stop::Import(full.clone())))
            };
            linker.func_new(name, trap)
        }
        ComponentItem::ComponentInstance(instance) => {
            let mut inner = linker.instance(name)?;
            for (name, export) in instance.exports(engine) {
                stub(engine, &mut inner, name, format!("{full}#{name}"), export.ty)?;
            }
            Ok(())
        }
        ComponentItem::Resource(_) => {
            linker.resource(name, ResourceType::host::<()>(), |_, _| Ok(()))
        }
        ComponentItem::Type(_) => Ok(()),
        ComponentItem::CoreFunc(_) | ComponentItem::Module(_) | ComponentItem::Component(_) => {
            Err(wasmtime::Error::new(Stop::Code(full)))
        }
    }
}
