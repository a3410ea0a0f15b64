//! From a selection of configs to running ones, phase by phase: read and check all → load each →
//! attach each.
//!
//! The first phase touches nothing but files, and finds every fault of every config before the
//! kernel sees any. Nothing here decides what a failure means for the process: `main` does.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tracing::{debug, info};

use crate::bpf::{self, Addresses, Layout, MapRef, ObjectSource, Opened, Symbols};
use crate::cli::Selection;
use crate::config::{self, Beside, Config, ConfigFile, Fault, SeriesRules, Severity};
use crate::link::{self, Linked};
use crate::plugin::{CacheDir, Compiler, DataWatch, Loader};
use crate::scrape::{self, Unit};
use crate::signature::Policy;
use crate::source::{Drains, ReadError, Reading, Sink, events};
use crate::system::{Printer, System};
use crate::workers::{HireError, Hired, Post, SMALL_STACK};

mod buffers;
pub mod bundles;
mod phases;
mod pinning;
pub(crate) mod plugins;
mod renew;
pub mod replay;
pub mod report;
mod rolls;
mod side_by_side;

pub use phases::{Arriving, Checked, MadeOf, Passages, Ready, Running};
pub use pinning::pin;
pub use renew::{Making, renewal, unit};
pub use side_by_side::{start, start_strictly};

/// A config that the binary carries.
#[derive(Debug)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    yaml: &'static str,
    object: &'static [u8],
}

/// What is served when no `--config.dir` is given: compiled from `examples/` by the build script.
pub static DEFAULT_SET: &[BuiltIn] = include!(concat!(env!("OUT_DIR"), "/default_set.rs"));

/// Where to look for what configs name.
#[derive(Clone, Debug, Default)]
pub struct Places<'a> {
    /// The kernel's BTF, if not where the kernel has it (`--btf.path`).
    pub btf: Option<&'a Path>,
    /// Plugins that are not beside their config (`--plugins.dir`).
    pub plugins: Option<&'a Path>,
    /// Who has to have signed plugins (`--plugins.policy`).
    pub policy: Option<&'a Path>,
    /// Compiled code of plugins (`--plugins.cache-dir`).
    pub cache: Option<&'a CacheDir>,
    /// What compiles plugins.
    pub compiler: Compiler,
    /// What holds for all metrics.
    pub rules: Option<&'a SeriesRules>,
    /// Whether what configs become is for use, so that it is said if nobody has to have signed their bundles.
    pub in_use: bool,
}

/// Reads the selected configs, loads their plugins, and checks them against their objects. The
/// faults are those of all configs together; a config that has any but warnings is not among the
/// checked ones. Nor is one of the default set whose plugin is not here or cannot be used, unless
/// it was asked for: of the one the log tells, of the other a warning.
///
/// `addresses` knows the kernel's symbols, for the objects that ask for them. Without it the
/// objects are only held against their configs, and none is to be loaded that asks for any. With it
/// the system begins to get what its decoders want: a list of symbols that has to be read takes
/// longer than all the rest.
pub fn check(
    selection: &Selection,
    places: Places<'_>,
    system: &System,
    addresses: Option<Addresses<'_>>,
) -> (Vec<Checked>, Vec<Fault>) {
    let mut loader = Loader::new(places.compiler.clone(), places.cache.cloned());
    let checking = Checking { places, system, addresses, loader: &mut loader };
    let found = checking.check(selection);
    loader.rest();
    found
}

/// With what configs are checked.
pub struct Checking<'a> {
    /// Where to look for what they name.
    pub places: Places<'a>,
    /// The names that they want of the host.
    pub system: &'a System,
    /// See [`check`].
    pub addresses: Option<Addresses<'a>>,
    /// What loads their plugins; it has kept those that it has loaded before.
    pub loader: &'a mut Loader,
}

/// Configs that may be served, as far as can be told from them and from who has signed the bundles that they are of.
struct Admitted {
    configs: Vec<Config>,
    policy: Option<Policy>,
    faults: Vec<Fault>,
}

/// Reads configs, and has the system know what they want of it. None may be served by a policy that is faulty.
fn admit(files: Vec<ConfigFile>, places: &Places<'_>, system: &System) -> Admitted {
    let Places { policy, rules, in_use, .. } = *places;
    let (configs, mut faults) = config::load(files, &scrape::own_series());
    let policy = match plugins::policy(policy) {
        Ok(policy) => policy,
        Err(found) => {
            faults.extend(found);
            return Admitted { configs: Vec::new(), policy: None, faults };
        }
    };
    if in_use && policy.is_none() {
        bundles::warn(&configs);
    }
    let (mut configs, found) = bundles::signed(configs, policy.as_ref());
    faults.extend(found);
    faults.extend(rules.map(|rules| rules.apply(&mut configs)).unwrap_or_default());
    leave_host(&mut configs, system);
    link::want(&configs, system);
    Admitted { configs, policy, faults }
}

impl Checking<'_> {
    /// See [`check`], which this is with a loader that may be used again.
    pub fn check(self, selection: &Selection) -> (Vec<Checked>, Vec<Fault>) {
        self.files(files(selection), *selection == Selection::DefaultSet)
    }

    /// The same of these files, and of the faults that were met when they were read. `lenient` is whether nobody asked for
    /// them.
    pub(crate) fn files(
        self,
        (files, mut faults): (Vec<ConfigFile>, Vec<Fault>),
        lenient: bool,
    ) -> (Vec<Checked>, Vec<Fault>) {
        let Self { places, system, addresses, loader } = self;
        let Admitted { mut configs, policy, faults: found } = admit(files, &places, system);
        faults.extend(found);
        if addresses.is_some() {
            system.prepare_ahead(printer);
        }
        if lenient {
            configs.retain(|config| is_wanted(config, places.plugins));
        }
        let mut checked = Vec::new();
        let shelf = plugins::Shelf::of(&configs, places.plugins, policy.as_ref());
        plugins::prepare(&configs, loader, &shelf);
        for config in configs {
            let (mut loaded, mut found) = plugins::load(&config, loader, &shelf, Severity::Error);
            let (metrics, more) = link::metrics(&config, &mut loaded, system);
            found.extend(more);
            let (spans, more) = link::spans(&config, &mut loaded, system);
            // A plugin that does not start is told once.
            let more = more.into_iter().filter(|fault| !found.contains(fault)).collect::<Vec<_>>();
            found.extend(more);
            if lenient && !found.is_empty() {
                found.iter_mut().for_each(|fault| fault.severity = Severity::Warning);
                faults.extend(found);
                info!("left out config `{}`: its plugin cannot be used", config.name);
                continue;
            }
            faults.extend(found);
            let object = object(&config);
            let mut opened = match Opened::open(&config.name, &object, places.btf) {
                Ok(opened) => opened,
                Err(error) => {
                    faults.push(error.into_fault());
                    continue;
                }
            };
            faults.extend(opened.set_kaddrs(&config, addresses));
            faults.extend(bpf::check::warnings(&config, &opened));
            let records = bpf::check_spans(&config, &opened);
            match (bpf::check(&config, &opened), records) {
                (Ok(layouts), Ok(records)) => {
                    let plugins = plugins::gauges(&config, &loaded);
                    let spans = spans.into_iter().zip(records).collect();
                    checked.push(Checked { config, opened, layouts, metrics, spans, plugins });
                }
                (layouts, records) => {
                    faults.extend(layouts.err().into_iter().chain(records.err()).flatten());
                }
            }
        }
        let linked = checked.iter().map(|checked| (&checked.config, &*checked.metrics));
        faults.extend(link::compare(linked));
        faults.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
        let errors = faults.iter().filter(|fault| fault.severity == Severity::Error);
        let faulty: HashSet<_> = errors.map(|fault| &fault.file).collect();
        checked.retain(|checked| !faulty.contains(&checked.config.file.path));
        let faults = config::shown(faults);
        (checked, faults)
    }
}

/// Takes out what plugins read of the host, where there is none.
fn leave_host(configs: &mut [Config], system: &System) {
    if system.is_nowhere() {
        configs
            .iter_mut()
            .flat_map(|config| &mut config.plugins)
            .for_each(|plan| plan.data.clear());
    }
}

/// Whether the plugins are here of a config that nobody asked for.
fn is_wanted(config: &Config, dir: Option<&Path>) -> bool {
    let missing = plugins::missing(config, dir);
    if let Some(file) = &missing {
        let name = &config.name;
        info!("left out config `{name}`: it needs {file} in the directory of --plugins.dir");
    }
    missing.is_none()
}

/// How to ask the kernel for a symbol, if it can be asked.
fn printer() -> Option<Printer> {
    match Symbols::load() {
        Ok(mut symbols) => {
            debug!("symbols are asked of the kernel, one by one");
            Some(Box::new(move |address, out| {
                out.extend_from_slice(symbols.print(address)?);
                Ok(())
            }))
        }
        Err(error) => {
            debug!("symbols are read from /proc/kallsyms: {error}");
            None
        }
    }
}

/// The texts of the selected configs, and what is wrong with those that cannot be read.
pub(crate) fn files(selection: &Selection) -> (Vec<ConfigFile>, Vec<Fault>) {
    match selection {
        Selection::Directory { dir, names } => config::read(dir, names),
        Selection::DefaultSet => (DEFAULT_SET.iter().map(BuiltIn::file).collect(), Vec::new()),
        Selection::BuiltIn(names) => {
            let configs = names.iter().filter_map(|name| built_in(name));
            (configs.map(BuiltIn::file).collect(), Vec::new())
        }
        Selection::Bundles { bundles, beside } => {
            let (mut all, mut faults) =
                beside.as_deref().map_or_else(|| (Vec::new(), Vec::new()), files);
            let (configs, found) = bundles::configs(bundles);
            all.extend(configs);
            faults.extend(found);
            (all, faults)
        }
    }
}

/// The object beside a config: for `sub/a` it is in `sub` too.
fn object(config: &Config) -> ObjectSource {
    let file = config.file.path.with_extension("bpf.o");
    match &config.file.beside {
        Beside::Directory => ObjectSource::File(file),
        // It is replayed, and no object is opened then.
        Beside::Recording => ObjectSource::Held(file, Bytes::new()),
        Beside::BuiltIn => {
            ObjectSource::Embedded(built_in(&config.name).map_or(&[], |config| config.object))
        }
        Beside::Bundle(held) => {
            let name = Path::new(file.file_name().unwrap_or_default());
            ObjectSource::Held(file.clone(), held.get(name).cloned().unwrap_or_default())
        }
    }
}

fn built_in(name: &str) -> Option<&'static BuiltIn> {
    DEFAULT_SET.iter().find(|config| config.name == name)
}

impl BuiltIn {
    fn file(&self) -> ConfigFile {
        let path = Path::new("<built-in>").join(self.name).with_extension("yaml");
        ConfigFile { beside: Beside::BuiltIn, ..ConfigFile::new(path, self.yaml) }
    }
}

/// Has the maps of all these configs read, in this way.
///
/// # Errors
///
/// If a map cannot be made ready for reading.
pub fn units(mut configs: Vec<Running>, reading: Reading) -> Result<Vec<Unit>, ReadError> {
    let read = configs.iter().flat_map(|config| read(&config.metrics, config.attached.maps()));
    let with = renew::With { reading, sink: sink(read, reading) };
    for Running { metrics, sources, attached, .. } in &mut configs {
        let how = vec![Making::Fed; metrics.len()];
        with.open(metrics, &how, attached.maps(), sources)?;
    }
    Ok(configs.into_iter().map(unit).collect())
}

/// Has a worker watch the time of the guests of these units, if they have any.
///
/// # Errors
///
/// When the system has no thread for it.
pub fn hire_clock(units: &[Unit], hired: &mut Hired) -> Result<(), HireError> {
    // All plugins of a start have one clock.
    let mut plugins = units.iter().flat_map(|unit| &unit.plugins);
    plugins.next().map_or(Ok(()), |plugin| plugin.hire_clock(hired))
}

/// Has a worker look at the files that plugins of these units read, if they read any or units may come `later`.
///
/// # Errors
///
/// When the system has no thread for it.
pub fn hire_data(
    units: &[Unit],
    later: bool,
    hired: &mut Hired,
) -> Result<Option<DataWatch>, HireError> {
    DataWatch::hire(units.iter().flat_map(|unit| &unit.plugins), later, hired)
}

/// Has a worker drain the records that these units count, if they count any or units may come `later`.
///
/// # Errors
///
/// When the system has no thread or descriptor for it.
pub fn hire_drain(
    units: &[Unit],
    later: bool,
    hired: &mut Hired,
) -> Result<Option<Drains>, HireError> {
    let metrics = units.iter().flat_map(|unit| &unit.metrics);
    let all: Vec<_> = metrics.filter_map(|fed| fed.source.drained()).collect();
    events::hire(&all, later, hired)
}

/// Has a worker keep up with cgroups, by fanotify if it may, if anything asks for them. To be called while
/// the process has all its rights.
///
/// # Errors
///
/// When the system has no thread or no descriptor for it.
pub fn hire_watcher(system: &System, fanotify: bool, hired: &mut Hired) -> Result<(), HireError> {
    let failed = |source| HireError { name: WATCHER.name, source };
    let Some(watcher) = system.cgroups().watch(fanotify).map_err(failed)? else { return Ok(()) };
    let end = watcher.end();
    hired.hire(WATCHER, move || watcher.work(), move || end.ring())
}

/// The thread that keeps up with cgroups.
const WATCHER: Post =
    Post { name: "cgroups", stack: SMALL_STACK, patience: Duration::from_secs(1) };

/// The maps among these that metrics read.
fn read<'a>(
    metrics: impl IntoIterator<Item = &'a (Linked, Layout)>,
    maps: &'a [MapRef],
) -> impl Iterator<Item = &'a MapRef> {
    let kept = metrics.into_iter().filter(|(linked, _)| linked.metric.events.is_none());
    kept.filter_map(|(_, layout)| maps.iter().find(|map| map.spec.name == layout.map))
}

/// Memory for programs to read these maps into; none on kernels that have none such.
fn sink<'a>(maps: impl Iterator<Item = &'a MapRef>, reading: Reading) -> Option<Sink> {
    Sink::for_maps(maps, reading).unwrap_or_else(|error| {
        debug!("no memory to read maps into: {error}");
        None
    })
}
