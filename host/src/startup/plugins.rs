//! The files of plugins that configs name: found, held against a policy of signatures, compiled and loaded. Of those
//! that come from a registry their manifests say which they are; no registry is asked. A bundle has its own, and
//! nothing else is looked at.
//!
//! Nothing of a plugin is compiled before it is known who has signed it, if there is a policy. What was compiled is
//! what was signed, whatever becomes of the file in between: its digest is pinned.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tracing::{debug, warn};

use crate::advice::{Advice, Advise as _};
use crate::config::{Config, Fault, PluginOrigin, PluginPlan, Severity};
use crate::digest::Digest;
use crate::files::{self, HeldFiles, Unread};
use crate::link::Plugins;
use crate::lock::{self, LockError, PluginLock};
use crate::manifest::FoundArtifact;
use crate::plugin::{self, DataError, Gauge, Loader, Plugin, PluginError, Request};
use crate::reference::PinnedReference;
use crate::signature::{LARGEST_BUNDLE, Policy, SignedAs, Signer};

/// What the name of a file ends in that holds the signature of the one beside it.
const BESIDE: &str = ".sigstore.json";

/// Where plugins are that are not beside their config, and which of them may be used.
pub(crate) struct Shelf<'a> {
    dir: Option<&'a Path>,
    /// What the file has to be of each plugin that was fetched, or that a policy is for: by the names of its config
    /// and of itself.
    pins: HashMap<(String, String), Result<Digest, Refusal>>,
    /// What was fetched there.
    lock: PluginLock,
}

/// What plugins are held against.
struct Keeper<'a> {
    dir: Option<&'a Path>,
    /// What was fetched there.
    lock: Result<PluginLock, LockError>,
    policy: Option<&'a Policy>,
}

impl<'a> Shelf<'a> {
    /// What these configs need of this directory, held against a policy. Its lock is read if any of them names a
    /// registry.
    pub(crate) fn of(
        configs: &[Config],
        dir: Option<&'a Path>,
        policy: Option<&'a Policy>,
    ) -> Self {
        let plans = || {
            // Those of bundles are in them, and were signed with them.
            let configs = configs.iter().filter(|config| config.file.bundle().is_none());
            configs.flat_map(|config| config.plugins.iter().map(move |plan| (config, plan)))
        };
        let fetched = plans().any(|(_, plan)| matches!(plan.origin, PluginOrigin::Registry(_)));
        if fetched && policy.is_none() {
            warn!(
                "plugins of registries are used whoever has signed them; say who may in a file of --plugins.policy"
            );
        }
        let lock = match dir {
            _ if !fetched => Ok(PluginLock::default()),
            None => Err(LockError::NoDirectory),
            Some(dir) => PluginLock::read(dir),
        };
        let keeper = Keeper { dir, lock, policy };
        let pin = |(config, plan): (&Config, &PluginPlan)| {
            let pin = keeper.pin(config, plan)?;
            Some(((config.name.clone(), plan.name.clone()), pin))
        };
        let pins = plans().filter_map(pin).collect();
        Self { dir, pins, lock: keeper.lock.unwrap_or_default() }
    }

    /// What the lock says of a plugin that it is not.
    fn misfit(&self, config: &Config, plan: &PluginPlan, plugin: &Plugin) -> Option<Refusal> {
        let (PluginOrigin::Registry(reference), None) = (&plan.origin, config.file.bundle()) else {
            return None;
        };
        let (locked, found) = (self.lock.find(reference)?, plugin.inspection());
        let is_so = locked.contract == found.version && locked.world == found.world;
        let (world, version) = (found.world, &found.version);
        let why = format!("it has {reference} as something else than a {world} for {version}");
        let file = self.dir?.join(lock::NAME);
        let error = LockError::Damaged { file, why };
        (!is_so).then(|| Refusal::new(plan, plan.origin.key(), error))
    }

    /// Where the file of a plugin is to be looked for.
    ///
    /// # Errors
    ///
    /// A key of the plugin, and what is wrong there.
    fn sought(&self, config: &'a Config, plan: &'a PluginPlan) -> Result<Sought<'a>, Refusal> {
        if let Some(bundle) = config.file.bundle() {
            return packed(config, plan, bundle);
        }
        let pin = self.pins.get(&(config.name.clone(), plan.name.clone())).cloned().transpose()?;
        let (file, places): (Cow<'_, Path>, Vec<_>) = match (&plan.origin, pin) {
            (PluginOrigin::File(file), _) => (file.into(), places(config, self.dir)),
            (PluginOrigin::Registry(_), Some(pin)) => {
                (PathBuf::from(lock::file_name(pin)).into(), self.dir.into_iter().collect())
            }
            (PluginOrigin::Registry(_), None) => {
                return Err(Refusal::new(plan, plan.origin.key(), LockError::NoDirectory));
            }
        };
        let pin = pin.or(plan.sha256);
        Ok(Sought { config, plan, file, places, held: None, pin })
    }
}

/// The plugin of a config that is in a bundle. Nothing outside of it is looked at.
fn packed<'a>(
    config: &'a Config,
    plan: &'a PluginPlan,
    bundle: &'a HeldFiles,
) -> Result<Sought<'a>, Refusal> {
    let (name, pin): (Cow<'_, Path>, _) = match &plan.origin {
        PluginOrigin::File(file) => (file.into(), plan.sha256),
        PluginOrigin::Registry(reference) => {
            let component = named(plan, reference, bundle)?.component;
            (PathBuf::from(lock::file_name(component)).into(), Some(component))
        }
    };
    match (pin, plan.sha256) {
        (Some(found), Some(wanted)) if found != wanted => {
            return Err(Refusal::new(plan, "sha256", PluginError::Pin { found }));
        }
        _ => {}
    }
    let held = bundle.get(&name).ok_or_else(|| missing_in_bundle(plan, &name))?;
    let file = config.file.folder().join(name).into();
    Ok(Sought { config, plan, file, places: Vec::new(), held: Some(held), pin })
}

/// The plugins of a config in a bundle that are not signed as the policy wants, by the signatures that were packed with
/// them.
pub(super) fn untrusted_in_bundle(config: &Config, policy: &Policy) -> Vec<Fault> {
    let Some(bundle) = config.file.bundle() else { return Vec::new() };
    let checked = |plan: &PluginPlan| {
        let signer = match &plan.origin {
            PluginOrigin::Registry(reference) => {
                let found = named(plan, reference, bundle)?;
                let signatures: Vec<_> = bundle.ending_in(BESIDE).collect();
                let repository = SignedAs::Repository(&reference.reference().repository);
                policy.check(repository, &found.manifest, &signatures)
            }
            PluginOrigin::File(file) => {
                let component = bundle.get(file).ok_or_else(|| missing_in_bundle(plan, file))?;
                let signature = bundle.get(&beside(file));
                policy.check(SignedAs::File(file), component, signature.as_slice())
            }
        };
        signer.map(drop).map_err(|error| Refusal::new(plan, plan.origin.key(), error))
    };
    let refusals = config.plugins.iter().filter_map(|plan| checked(plan).err());
    refusals.map(|Refusal { path, advice }| config.refuse(&path, advice)).collect()
}

/// What a reference means, by its manifest, which is in the bundle.
fn named(
    plan: &PluginPlan,
    reference: &PinnedReference,
    bundle: &HeldFiles,
) -> Result<FoundArtifact, Refusal> {
    let (key, digest) = (plan.origin.key(), reference.digest());
    let name = PathBuf::from(lock::manifest_name(digest));
    let bytes = bundle.get(&name).ok_or_else(|| missing_in_bundle(plan, &name))?;
    if Digest::of(bytes) != digest {
        let problem = format!("{} of the bundle is another manifest", name.display());
        return Err(Refusal::new(plan, key, Advice::new(problem, PACK)));
    }
    let found = FoundArtifact::read(digest, bytes.clone());
    found.map_err(|fault| Refusal::new(plan, key, fault))
}

/// What to do about a bundle that lacks something.
const PACK: &str = "pack it again with `ebpf_wasm_exporter bundle pack`, which looks for all that its config names";

fn missing_in_bundle(plan: &PluginPlan, name: &Path) -> Refusal {
    let problem = format!("the bundle has no {}", name.display());
    Refusal::new(plan, plan.origin.key(), Advice::new(problem, PACK))
}

/// Where the file of a plugin may be: beside the config, then on the shelf. Beside a recorded one there is nothing.
fn places<'a>(config: &'a Config, dir: Option<&'a Path>) -> Vec<&'a Path> {
    let beside = (!config.file.is_recorded()).then(|| config.file.folder());
    beside.into_iter().chain(dir).collect()
}

impl Keeper<'_> {
    /// What the file of a plugin has to be, or why it may not be used; nothing if any may.
    fn pin(&self, config: &Config, plan: &PluginPlan) -> Option<Result<Digest, Refusal>> {
        let key = plan.origin.key();
        let found = match &plan.origin {
            PluginOrigin::Registry(reference) => self.fetched(reference),
            PluginOrigin::File(file) => self.signed(file, &places(config, self.dir))?,
        };
        Some(match (found, plan.sha256) {
            (Err(advice), _) => Err(Refusal::new(plan, key, advice)),
            (Ok(found), Some(wanted)) if found != wanted => {
                Err(Refusal::new(plan, "sha256", PluginError::Pin { found }))
            }
            (Ok(found), _) => Ok(found),
        })
    }

    /// The component that was fetched for a reference, as its manifest says, if the manifest is signed as the policy
    /// wants.
    fn fetched(&self, reference: &PinnedReference) -> Result<Digest, Advice> {
        let lock = self.lock.as_ref().map_err(LockError::advice)?;
        let dir = self.dir.ok_or(LockError::NoDirectory)?;
        let plugin = lock.entry(dir, reference)?;
        let found = plugin.manifest(dir)?;
        if let Some(policy) = self.policy {
            let repository = &reference.reference().repository;
            let bundles = plugin.bundles(dir)?;
            let signer =
                policy.check(SignedAs::Repository(repository), &found.manifest, &bundles)?;
            debug!("{signer} has signed {reference}");
        }
        Ok(found.component)
    }

    /// A file of one of these places, if it is signed as the policy wants; nothing without a policy.
    fn signed(&self, file: &Path, places: &[&Path]) -> Option<Result<Digest, Advice>> {
        // Without a place there is no file, which is told when it is to be loaded.
        let policy = self.policy.filter(|_| !places.is_empty())?;
        let signed = || {
            let file = plugin::find(file, places)?;
            let bytes = plugin::read_file(&file)?;
            let signer = signer_of_file(policy, &file, &bytes)?;
            debug!("{signer} has signed {}", file.display());
            Ok(Digest::of(&bytes))
        };
        Some(signed())
    }
}

/// The file with the signature of a file.
pub(crate) fn beside(file: &Path) -> PathBuf {
    let mut beside = file.as_os_str().to_owned();
    beside.push(BESIDE);
    beside.into()
}

/// Who has signed a file that holds these bytes, by the bundle beside it.
///
/// # Errors
///
/// When the policy refuses it, or the bundle cannot be read.
pub(crate) fn signer_of_file(policy: &Policy, file: &Path, bytes: &[u8]) -> Result<Signer, Advice> {
    let beside = beside(file);
    let bundle = match files::read(&beside, LARGEST_BUNDLE as u64) {
        Ok(bundle) => Some(bundle),
        Err(Unread::Refused(error)) if error.kind() == io::ErrorKind::NotFound => None,
        Err(unread) => {
            let problem = format!("{} {}", beside.display(), unread.why());
            return Err(Advice::new(problem, "write it with `cosign sign-blob --bundle`"));
        }
    };
    Ok(policy.check(SignedAs::File(file), bytes, bundle.as_slice())?)
}

/// The policy of a file, if there is one.
///
/// # Errors
///
/// Every fault of it.
pub(crate) fn policy(file: Option<&Path>) -> Result<Option<Policy>, Vec<Fault>> {
    file.map(Policy::read).transpose()
}

/// A fault of a plugin: its place in the config, and what is wrong there.
#[derive(Clone)]
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
    /// What it holds, if it is of a bundle.
    held: Option<&'a Bytes>,
    pin: Option<Digest>,
}

impl Sought<'_> {
    fn request(&self) -> Request<'_> {
        Request {
            config: &self.config.name,
            name: &self.plan.name,
            file: &self.file,
            places: &self.places,
            held: self.held,
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
            (PluginOrigin::File(file), PluginError::NotThere { .. })
                if self.config.file.is_recorded() =>
            {
                let problem =
                    format!("{} is not in the directory of --plugins.dir", file.display());
                let remedy = "put it there: a recording has no plugins, and none beside it is used";
                Refusal::new(self.plan, key, Advice::new(problem, remedy))
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
            let plugin = loader.load(&sought.request()).map_err(|error| sought.refusal(error))?;
            shelf.misfit(config, plan, &plugin).map_or(Ok(plugin), Err)
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
    let refuse =
        |path: &str, error: &DataError| config.refuse(&format!("{path}.file"), error.advice());
    faults.extend(plugin.data_misplaced(refuse));
    faults.extend(plugin.data_faults(|path, error| {
        let severity = if error.is_early() { Severity::Warning } else { unread };
        Fault { severity, ..refuse(path, error) }
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
