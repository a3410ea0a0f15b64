//! The files of plugins that configs name: found, compiled and loaded. Of those that come from a registry
//! the lock says which they are; no registry is asked.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::advice::{Advice, Advise as _};
use crate::config::{Config, Fault, PluginOrigin, PluginPlan, Severity};
use crate::digest::Digest;
use crate::link::Plugins;
use crate::lock::{self, LockError, LockedPlugin, PluginLock};
use crate::plugin::{Gauge, Loader, Plugin, PluginError, Request};
use crate::reference::PinnedReference;

/// Where plugins are that are not beside their config.
pub(crate) struct Shelf<'a> {
    dir: Option<&'a Path>,
    /// What was fetched there.
    lock: Result<PluginLock, LockError>,
}

impl<'a> Shelf<'a> {
    /// What these configs need of this directory. Its lock is read if any of them names a registry.
    pub(crate) fn of(configs: &[Config], dir: Option<&'a Path>) -> Self {
        let mut origins =
            configs.iter().flat_map(|config| &config.plugins).map(|plan| &plan.origin);
        let fetched = origins.any(|origin| matches!(origin, PluginOrigin::Registry(_)));
        let lock = match dir {
            _ if !fetched => Ok(PluginLock::default()),
            None => Err(LockError::NoDirectory),
            Some(dir) => PluginLock::read(dir),
        };
        Self { dir, lock }
    }

    /// The plugin that was fetched for a reference, and the directory of its file.
    fn fetched(&self, reference: &PinnedReference) -> Result<(&LockedPlugin, &'a Path), LockError> {
        let lock = self.lock.as_ref().map_err(LockError::clone)?;
        let dir = self.dir.ok_or(LockError::NoDirectory)?;
        let no_entry = || LockError::NoEntry {
            file: dir.join(lock::NAME),
            reference: Box::new(reference.clone()),
        };
        let plugin = lock.find(reference).ok_or_else(no_entry)?;
        Ok((plugin, dir))
    }

    /// Where the file of a plugin is to be looked for.
    ///
    /// # Errors
    ///
    /// A key of the plugin, and what is wrong there.
    fn sought(&self, config: &'a Config, plan: &'a PluginPlan) -> Result<Sought<'a>, Refusal> {
        let folder = config.file.path.parent().unwrap_or(Path::new(""));
        let reference = match &plan.origin {
            PluginOrigin::File(file) => {
                let places = [folder].into_iter().chain(self.dir).collect();
                return Ok(Sought { config, plan, file: file.into(), places, pin: plan.sha256 });
            }
            PluginOrigin::Registry(reference) => reference,
        };
        let refused = |error: LockError| Refusal::new(plan, plan.origin.key(), error);
        let (plugin, dir) = self.fetched(reference).map_err(refused)?;
        let (pin, file) = (plugin.component, PathBuf::from(plugin.file_name()).into());
        match plan.sha256 {
            Some(wanted) if wanted != pin => {
                Err(Refusal::new(plan, "sha256", PluginError::Pin { found: pin }))
            }
            _ => Ok(Sought { config, plan, file, places: vec![dir], pin: Some(pin) }),
        }
    }
}

/// A fault of a plugin: its place in the config, and what is wrong there.
struct Refusal {
    path: String,
    advice: Advice,
}

impl Refusal {
    fn new(plan: &PluginPlan, key: &str, error: impl Into<Advice>) -> Self {
        Self { path: format!("{}.{key}", plan.path), advice: error.into() }
    }
}

/// A plugin whose file is looked for.
struct Sought<'a> {
    config: &'a Config,
    plan: &'a PluginPlan,
    /// Absolute, or relative to one of `places`.
    file: Cow<'a, Path>,
    places: Vec<&'a Path>,
    pin: Option<Digest>,
}

impl Sought<'_> {
    fn request(&self) -> Request<'_> {
        Request {
            config: &self.config.name,
            name: &self.plan.name,
            file: &self.file,
            places: &self.places,
            pin: self.pin,
            settings: self.plan.settings.as_str(),
            data: &self.plan.data,
            limits: self.plan.limits,
        }
    }

    /// What is told of an error.
    fn refusal(&self, error: PluginError) -> Refusal {
        let file = || self.places.iter().map(|place| place.join(&self.file)).collect();
        let key = self.plan.origin.key();
        match (&self.plan.origin, error) {
            (PluginOrigin::Registry(_), PluginError::NotThere { .. }) => {
                Refusal::new(self.plan, key, LockError::NoFile(file()))
            }
            (PluginOrigin::Registry(_), PluginError::Pin { found }) => {
                Refusal::new(self.plan, key, LockError::Changed { file: file(), found })
            }
            (_, error) => {
                Refusal { path: error.place(&self.plan.path, key), advice: error.advice() }
            }
        }
    }
}

/// Has the plugins of all these configs compiled, some at a time.
pub(crate) fn prepare(configs: &[Config], loader: &mut Loader, shelf: &Shelf<'_>) {
    let plans =
        configs.iter().flat_map(|config| config.plugins.iter().map(move |plan| (config, plan)));
    // What is wrong with the others is told when they are loaded.
    let sought: Vec<_> =
        plans.filter_map(|(config, plan)| shelf.sought(config, plan).ok()).collect();
    loader.prepare(&sought.iter().map(Sought::request).collect::<Vec<_>>());
}

/// Loads the plugins of `config` whose settings fit what they say that they take. Their files are looked for
/// beside the config, then on the shelf. That data cannot be read is a fault of this severity, unless it may
/// come later.
pub(crate) fn load(
    config: &Config,
    loader: &mut Loader,
    shelf: &Shelf<'_>,
    unread: Severity,
) -> (Plugins, Vec<Fault>) {
    let (mut plugins, mut faults) = (Plugins::new(), Vec::new());
    for plan in &config.plugins {
        let sought = shelf.sought(config, plan);
        let loaded = sought.and_then(|sought| {
            loader.load(&sought.request()).map_err(|error| sought.refusal(error))
        });
        match loaded {
            Ok(plugin) => {
                let found = faults_of(&plugin, config, plan, unread);
                let errors = found.iter().filter(|fault| fault.severity == Severity::Error);
                if errors.count() == 0 {
                    plugins.insert(plan.name.clone(), plugin);
                }
                faults.extend(found);
            }
            Err(Refusal { path, advice }) => faults.push(config.refuse(&path, advice)),
        }
    }
    (plugins, faults)
}

/// What is wrong with what a config gives a plugin that is loaded: its settings and its data.
fn faults_of(plugin: &Plugin, config: &Config, plan: &PluginPlan, unread: Severity) -> Vec<Fault> {
    let settings = |below: &str| format!("{}.settings{below}", plan.path);
    let misfits = plugin.misfits().into_iter();
    let mut faults: Vec<_> =
        misfits.map(|(below, advice)| config.refuse(&settings(&below), advice)).collect();
    let at = format!("{}.data", plan.path);
    if !plan.data.is_empty() && !plugin.inspection().reads_data() {
        let problem = "the plugin reads no data: it does not import the interface for it";
        faults.push(config.fault(
            &at,
            problem,
            "remove it, or use a version of the plugin that does",
        ));
        return faults;
    }
    faults.extend(plugin.data_faults(|path, error| {
        let severity = if error.is_early() { Severity::Warning } else { unread };
        Fault { severity, ..config.refuse(&format!("{path}.file"), error.advice()) }
    }));
    faults
}

/// What plugins will cost, in the order in which the config has them.
pub(crate) fn gauges(config: &Config, plugins: &Plugins) -> Vec<Gauge> {
    let loaded = config.plugins.iter().filter_map(|plan| plugins.get(&plan.name));
    loaded.map(|plugin| plugin.gauge()).collect()
}

/// The file of the first plugin of `config` that is not in `dir`, as the config calls it.
pub(crate) fn missing(config: &Config, dir: Option<&Path>) -> Option<String> {
    let is_there = |file: &Path| dir.is_some_and(|dir| dir.join(file).exists());
    let files = config.plugins.iter().filter_map(|plan| match &plan.origin {
        PluginOrigin::File(file) => Some(file),
        PluginOrigin::Registry(_) => None,
    });
    let missing = files.into_iter().find(|file| !is_there(file));
    missing.map(|file| file.display().to_string())
}
