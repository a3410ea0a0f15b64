//! From a selection of configs to running ones, phase by phase: read and check all → load each →
//! attach each.
//!
//! The first phase touches nothing but files, and finds every fault of every config before the
//! kernel sees any. Nothing here decides what a failure means for the process: `main` does.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use crate::advice::{self, Advice};
use crate::bpf::{
    self, Addresses, Attached, Layout, LoadError, Loaded, MapRef, MapSpec, NotSwapped,
    ObjectSource, Opened, Passage, PinDir, RecordLayout, Ring, Symbols,
};
use crate::cli::Selection;
use crate::config::{self, Beside, Config, ConfigFile, EventStream, Fault, Severity, SpanPlan};
use crate::descriptors;
use crate::digest::Digest;
use crate::files::BundleId;
use crate::link::{self, Linked, LinkedSpan};
use crate::plugin::{CacheDir, Compiler, DataWatch, Gauge, Loader};
use crate::scrape::{self, Unit};
use crate::signature::Policy;
use crate::source::{Drains, EventSource, ReadError, Reading, Sink, events};
use crate::spans::{ConfigTimes, RingError, TracedRing};
use crate::system::cgroups::Enrolled;
use crate::system::{Printer, System};
use crate::workers::{HireError, Hired, Post, SMALL_STACK};

pub mod bundles;
mod pinning;
pub(crate) mod plugins;
mod renew;
pub mod replay;
pub mod report;
mod rolls;

pub use pinning::pin;
pub use renew::{How, renewal};

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

/// A config whose plan fits its object: all that can be known of it without the kernel.
#[derive(Debug)]
pub struct Checked {
    config: Config,
    opened: Opened,
    layouts: Vec<Layout>,
    metrics: Vec<Linked>,
    spans: Vec<(LinkedSpan, RecordLayout)>,
    plugins: Vec<Gauge>,
}

/// A config whose programs run.
#[derive(Debug)]
pub struct Running {
    /// The config's name.
    pub name: String,
    /// Its metrics, each with the layout of its map.
    pub metrics: Vec<(Linked, Layout)>,
    /// What counts the records of each map that its programs stream to.
    pub streams: BTreeMap<String, EventSource>,
    /// Its spans, each with the layout of its records.
    pub spans: Vec<(LinkedSpan, RecordLayout)>,
    /// Its object in the kernel.
    pub attached: Attached,
    /// What its plugins cost.
    pub plugins: Vec<Gauge>,
    /// What keeps its map of cgroups in step.
    pub enrolled: Option<Enrolled>,
    /// The bundle that it is of, if it is of one.
    pub bundle: Option<BundleId>,
    /// When the kernel loaded it and attached it.
    pub times: ConfigTimes,
    /// What it was made of.
    pub made_of: MadeOf,
}

/// What a config at work was made of: what is the same when configs are read again need not be made anew.
#[derive(Clone, Debug, PartialEq)]
pub struct MadeOf {
    /// The config.
    pub config: Config,
    /// Its object.
    pub object: Digest,
    /// The files of its plugins, in its order.
    pub plugins: Vec<Digest>,
}

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
fn admit(files: Vec<ConfigFile>, policy: Option<&Path>, system: &System) -> Admitted {
    let (configs, mut faults) = config::load(files, &scrape::own_series());
    let policy = match plugins::policy(policy) {
        Ok(policy) => policy,
        Err(found) => {
            faults.extend(found);
            return Admitted { configs: Vec::new(), policy: None, faults };
        }
    };
    let (mut configs, found) = bundles::signed(configs, policy.as_ref());
    faults.extend(found);
    leave_host(&mut configs, system);
    link::want(&configs, system);
    Admitted { configs, policy, faults }
}

/// The same of these files, and of the faults that were met when they were read, none of which belongs to the default
/// set.
pub(crate) fn check_files(
    files: (Vec<ConfigFile>, Vec<Fault>),
    places: Places<'_>,
    system: &System,
) -> (Vec<Checked>, Vec<Fault>) {
    let mut loader = Loader::new(places.compiler.clone(), places.cache.cloned());
    let checking = Checking { places, system, addresses: None, loader: &mut loader };
    let found = checking.files(files, false);
    loader.rest();
    found
}

impl Checking<'_> {
    /// See [`check`], which this is with a loader that may be used again.
    pub fn check(self, selection: &Selection) -> (Vec<Checked>, Vec<Fault>) {
        self.files(files(selection), *selection == Selection::DefaultSet)
    }

    /// `lenient` is whether nobody asked for these files.
    fn files(
        self,
        (files, mut faults): (Vec<ConfigFile>, Vec<Fault>),
        lenient: bool,
    ) -> (Vec<Checked>, Vec<Fault>) {
        let Self { places, system, addresses, loader } = self;
        let Admitted { mut configs, policy, faults: found } = admit(files, places.policy, system);
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

/// Objects that are loaded at a time.
const LOADERS: usize = 4;

/// Starts all of them, some at a time: for each type that an object names libbpf looks through all of the
/// kernel's, which takes longer than the kernel takes to load it. The largest object comes first, so
/// that no thread is left with it alone at the end. What came of each, in their order: see
/// [`Checked::start`].
pub fn start(checked: Vec<Checked>, system: &System) -> Vec<Result<Running, LoadError>> {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let workers = cpus.min(LOADERS).min(checked.len());
    let mut queue: Vec<_> = checked.into_iter().enumerate().collect();
    queue.sort_by_key(|(_, config)| std::cmp::Reverse(config.opened.size()));
    let queue = Mutex::new(queue.into_iter());
    let started = Mutex::new(BTreeMap::new());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        while let Some((n, config)) = next() {
            let result = config.start(system);
            started.lock().unwrap_or_else(PoisonError::into_inner).insert(n, result);
        }
    };
    thread::scope(|scope| {
        for _ in 1..workers {
            // Without another thread it only takes longer.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    started.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
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

impl Checked {
    /// The config's file.
    pub fn file(&self) -> &ConfigFile {
        &self.config.file
    }

    /// The config's name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The maps of its object.
    pub(crate) fn maps(&self) -> Vec<MapSpec> {
        self.opened.maps()
    }

    /// How each of its metrics is to read its map.
    pub fn layouts(&self) -> &[Layout] {
        &self.layouts
    }

    /// Its spans, as they were asked for.
    pub fn spans(&self) -> &[SpanPlan] {
        &self.config.spans
    }

    /// Its plugins.
    pub fn plugins(&self) -> &[Gauge] {
        &self.plugins
    }

    /// Whether it has a map that is to be kept filled with cgroups.
    pub fn has_cgroup_map(&self) -> bool {
        self.config.cgroup_id_map.is_some()
    }

    /// Has all that can be pinned of it stay in this directory, once it is loaded.
    pub fn pin_in(&mut self, dir: &PinDir) {
        self.opened.pin_in(dir);
    }

    /// Has its object go on with those of these maps that are like its own. Which they are; what is not is logged.
    ///
    /// # Errors
    ///
    /// When no descriptor is left, or the kernel does not tell of a map.
    pub fn take_over(&mut self, maps: &[MapRef]) -> io::Result<Vec<String>> {
        let handover = self.opened.take_over(maps)?;
        handover.anew.iter().for_each(|map| warn!(config = self.config.name, "{map}"));
        Ok(handover.taken)
    }

    /// What it is made of.
    pub fn made_of(&self) -> MadeOf {
        MadeOf {
            config: self.config.clone(),
            object: self.opened.digest(),
            plugins: self.plugins.iter().map(Gauge::digest).collect(),
        }
    }

    /// Loads the object, fills its map of cgroups if it is to have one, and opens the buffers that its programs
    /// stream to, but those that are `read` already.
    ///
    /// # Errors
    ///
    /// When the kernel does not take the object, or opens no buffer.
    pub fn load(self, system: &System, read: &[String]) -> Result<Ready, LoadError> {
        let made_of = self.made_of();
        let Self { config, opened, layouts, metrics, spans, plugins } = self;
        let began = Instant::now();
        let object = opened.load()?;
        let loaded = Instant::now();
        let metrics: Vec<_> = metrics.into_iter().zip(layouts).collect();
        // Before anything counts: what comes to a buffer that is not open is lost, and nobody says so.
        let enrolled = rolls::enroll(&config, &object, system);
        let bundle = config.file.bundle().map(|held| held.id().clone());
        let name = config.name;
        let unread = metrics.iter().filter(|(_, layout)| !read.contains(&layout.map));
        let streams = streams(unread, object.maps())
            .map_err(|error| LoadError { name: name.clone(), advice: unopened(&error) })?;
        let times = (began, loaded);
        Ok(Ready {
            name,
            metrics,
            streams,
            spans,
            object,
            plugins,
            enrolled,
            bundle,
            times,
            made_of,
        })
    }

    /// Loads it, and attaches its programs. Those that do not attach have been logged, and are found in
    /// [`Attached::failures`].
    ///
    /// # Errors
    ///
    /// As [`Checked::load`].
    pub fn start(self, system: &System) -> Result<Running, LoadError> {
        Ok(self.load(system, &[])?.attach())
    }
}

/// A config whose object the kernel has, and whose programs do not run yet.
#[derive(Debug)]
pub struct Ready {
    /// The config's name.
    pub name: String,
    metrics: Vec<(Linked, Layout)>,
    streams: BTreeMap<String, EventSource>,
    spans: Vec<(LinkedSpan, RecordLayout)>,
    object: Loaded,
    plugins: Vec<Gauge>,
    enrolled: Option<Enrolled>,
    bundle: Option<BundleId>,
    times: (Instant, Instant),
    made_of: MadeOf,
}

impl Ready {
    /// Attaches its programs.
    pub fn attach(self) -> Running {
        let Ok(running) = self.attach_by(|loaded| Ok::<_, Infallible>(loaded.attach()));
        running
    }

    /// Attaches its programs in the place of those of an object before it. How each has come to run.
    ///
    /// # Errors
    ///
    /// When a program does not attach that ran before: all that ran goes on.
    pub fn attach_in_place_of(
        self,
        old: Attached,
    ) -> Result<(Running, Vec<(String, Passage)>), Box<NotSwapped>> {
        let mut passages = Vec::new();
        let running = self.attach_by(|loaded| {
            let swapped = loaded.attach_in_place_of(old)?;
            passages = swapped.passages;
            Ok::<_, Box<NotSwapped>>(swapped.attached)
        })?;
        Ok((running, passages))
    }

    fn attach_by<E>(
        self,
        attach: impl FnOnce(Loaded) -> Result<Attached, E>,
    ) -> Result<Running, E> {
        let Self { name, metrics, streams, spans, object, .. } = self;
        let Self { plugins, enrolled, bundle, times: (began, loaded), made_of, .. } = self;
        let attached = attach(object)?;
        let times = ConfigTimes { name: name.clone(), began, loaded, attached: Instant::now() };
        Ok(Running {
            name,
            metrics,
            streams,
            spans,
            attached,
            plugins,
            enrolled,
            bundle,
            times,
            made_of,
        })
    }
}

/// Opens the buffers that these metrics count the records of.
fn streams<'a>(
    metrics: impl Iterator<Item = &'a (Linked, Layout)>,
    maps: &[MapRef],
) -> Result<BTreeMap<String, EventSource>, ReadError> {
    let streamed = metrics.filter_map(|(linked, layout)| {
        let map = maps.iter().find(|map| map.spec.name == layout.map)?;
        Some((linked.metric.events?, map, layout))
    });
    let open = |(events, map, layout): (EventStream, &MapRef, &Layout)| {
        let source = EventSource::new(map, layout.decoded(), events.flush_interval)?;
        Ok((layout.map.clone(), source))
    };
    streamed.map(open).collect()
}

/// Why a buffer could not be opened.
fn unopened(error: &ReadError) -> Advice {
    let why = descriptors::explain_error(error);
    let why = why.unwrap_or_else(|| Advice::plain(advice::words(&error.source)));
    why.about(format_args!("failed to open the buffer of map {}", error.map))
}

/// Has the maps of all these configs read, in this way.
///
/// # Errors
///
/// If a map cannot be made ready for reading.
pub fn units(configs: Vec<Running>, reading: Reading) -> Result<Vec<Unit>, ReadError> {
    let read = configs.iter().flat_map(|config| read(&config.metrics, config.attached.maps()));
    let reading = renew::With { reading, sink: sink(read, reading) };
    let unit = |running: Running| {
        let Running { name, metrics, mut streams, attached, plugins, enrolled, bundle, .. } =
            running;
        let fed = |made| reading.fed(made, &mut streams, attached.maps());
        let metrics = metrics.into_iter().map(fed).collect::<Result<_, ReadError>>()?;
        Ok(Unit { name, metrics, attached: Some(attached), plugins, enrolled, bundle })
    };
    configs.into_iter().map(unit).collect()
}

/// Opens the ring buffers that the spans of these configs are made of, and takes the spans out of them.
///
/// # Errors
///
/// When a ring buffer cannot be read.
pub fn traced(configs: &mut [Running]) -> Result<Vec<TracedRing>, RingError> {
    let mut rings = Vec::new();
    for Running { name, spans, attached, .. } in configs {
        for (linked, layout) in std::mem::take(spans) {
            let failed = |source| RingError { map: layout.map.clone(), source };
            let map =
                attached.map(&layout.map).ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
            let ring = Ring::new(map).map_err(failed)?;
            rings.push(TracedRing { config: name.clone(), linked, layout, ring });
        }
    }
    Ok(rings)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_is_not_opened_says_why() {
        let of = |errno| {
            let source = io::Error::from_raw_os_error(errno);
            let way = Way::Events;
            unopened(&ReadError { map: "events_total".to_owned(), way, source }).to_string()
        };
        insta::assert_snapshot!(of(libc::ENOMEM), @"failed to open the buffer of map events_total: cannot allocate memory");
        assert!(of(libc::EMFILE).starts_with("failed to open the buffer of map events_total: "));
    }
}
