//! `plugin fetch`: what configs name by `oci:`, out of registries into the directory of `--plugins.dir`, and into
//! its lock.
//!
//! Each plugin is asked for alone, a few at once: one that cannot be had keeps no other away. What is said has the order
//! of the configs. Nothing of any plugin is compiled or run.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::ToolError;
use super::plugin::{self, CompileLimits, Compiler, Inspection};
use super::remote::{Way, time_of, usage};
use super::{policy_of, warn_without};
use crate::advice::{Advice, Advise as _};
use crate::cli::{Configs, Fetch, Selection};
use crate::config::{self, Config, Fault, PluginOrigin, PluginPlan, Severity};
use crate::digest::Digest;
use crate::files;
use crate::lock::{self, LockError, LockedPlugin, PluginLock};
use crate::reference::PinnedReference;
use crate::registry::{Purpose, RegistryError};
use crate::scrape;
use crate::signature::{self, Policy, SignatureError, SignedAs, Signer};
use crate::startup;

mod tidy;

/// Plugins that are asked for at once.
const AT_ONCE: usize = 4;
/// How often it is looked whether another process is done.
const LOOK: Duration = Duration::from_millis(50);

/// A directory that plugins are fetched into.
struct Store<'a> {
    dir: &'a Path,
    way: Way,
    compiler: &'a Compiler,
    policy: Option<Policy>,
    lock: PluginLock,
    /// Who pulls which component: two manifests may name the same.
    turns: Turns,
    looking: Mutex<()>,
}

/// Whose turn it is with each component.
#[derive(Default)]
struct Turns(Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    fn of(&self, component: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(component).or_default())
    }
}

/// What became of one plugin.
enum Had {
    /// It was there.
    Already(LockedPlugin),
    /// It is there now.
    Fetched(LockedPlugin),
}

/// `plugin fetch`.
pub(super) fn fetch(order: &Fetch, compiler: &Compiler) -> Result<String, ToolError> {
    let Configs { dir, names, plugins_dir, policy } = &order.configs;
    let to = plugins_dir.as_deref().ok_or_else(|| {
        usage("plugin fetch needs --plugins.dir".to_owned(), "name the directory to fetch into")
    })?;
    let configs = selected(dir.as_deref(), names)?;
    let policy = policy_of(policy.as_deref())?;
    let way = Way::of(&order.registry)?;
    let unwritten = |source| ToolError::Unwritten { file: to.to_owned(), source };
    fs::create_dir_all(to).map_err(unwritten)?;
    let _taken = taken(to, time_of(&order.registry)?)?;
    tidy::unfinished(to).map_err(unwritten)?;
    let known = match PluginLock::read(to) {
        Err(LockError::NotThere(_)) => PluginLock::default(),
        known => known?,
    };
    let (turns, looking) = (Turns::default(), Mutex::default());
    let lock = known.clone();
    let mut store = Store { dir: to, way, compiler, policy, lock, turns, looking };
    let (mut report, faults) = store.fill(&configs);
    if !report.is_empty() {
        warn_without(store.policy.as_ref(), "plugins are fetched");
    }
    // What is in use stays until all that is to take its place is there.
    let prunes = order.prune && faults.is_empty();
    let gone = if prunes { store.lock.keep(&manifests(&configs)) } else { Vec::new() };
    if store.lock != known {
        let file = to.join(lock::NAME);
        store.lock.write(to).map_err(|source| ToolError::Unwritten { file, source })?;
    }
    for plugin in &gone {
        let _ = writeln!(report, "removed {}", plugin.reference);
    }
    if prunes {
        tidy::unnamed(to, &store.wanted(&configs))?;
    }
    if order.prune && !prunes {
        report.push_str("nothing is removed before all can be had\n");
    }
    if report.is_empty() && faults.is_empty() {
        report.push_str("no config names a plugin of a registry\n");
    }
    if faults.is_empty() { Ok(report) } else { Err(ToolError::Unfetched { report, faults }) }
}

/// Has the directory, once nobody else has it any more, if that is within this time.
fn taken(dir: &Path, patience: Duration) -> Result<File, ToolError> {
    let begun = Instant::now();
    loop {
        let taken = lock::take(dir);
        let unwritten = |source| ToolError::Unwritten { file: dir.to_owned(), source };
        if let Some(taken) = taken.map_err(unwritten)? {
            return Ok(taken);
        }
        let left = patience.saturating_sub(begun.elapsed());
        if left.is_zero() {
            let problem =
                format!("another process fetches into {}, for {patience:?} now", dir.display());
            let remedy = "wait for it, then try again, or raise --timeout";
            return Err(ToolError::Busy(Advice::new(problem, remedy)));
        }
        thread::sleep(left.min(LOOK));
    }
}

/// The configs of these names, if they are good.
pub(super) fn selected(dir: Option<&Path>, names: &[String]) -> Result<Vec<Config>, ToolError> {
    let built_in: Vec<_> = startup::DEFAULT_SET.iter().map(|config| config.name).collect();
    let selection = Selection::new(dir.map(Path::to_owned), names.to_vec(), &built_in);
    let selection = selection.map_err(|error| ToolError::Usage(error.advice()))?;
    let (files, mut faults) = startup::files(&selection);
    let (configs, found) = config::load(files, &scrape::own_series());
    faults.extend(found);
    faults.retain(|fault| fault.severity == Severity::Error);
    if faults.is_empty() { Ok(configs) } else { Err(ToolError::Configs(config::shown(faults))) }
}

/// The plugins of registries that configs name, with where they do so.
pub(super) fn named(
    configs: &[Config],
) -> impl Iterator<Item = (&Config, &PluginPlan, &PinnedReference)> {
    let plans =
        configs.iter().flat_map(|config| config.plugins.iter().map(move |plan| (config, plan)));
    plans.filter_map(|(config, plan)| match &plan.origin {
        PluginOrigin::Registry(reference) => Some((config, plan, reference)),
        PluginOrigin::File(_) => None,
    })
}

fn manifests(configs: &[Config]) -> Vec<Digest> {
    named(configs).map(|(_, _, reference)| reference.digest()).collect()
}

/// The same by their manifests, each with its place among all. Another registry may have what one has not.
fn by_manifest(configs: &[Config]) -> Vec<Vec<(usize, &PinnedReference)>> {
    let mut all: Vec<Vec<(usize, &PinnedReference)>> = Vec::new();
    for (place, (_, _, reference)) in named(configs).enumerate() {
        match all.iter_mut().find(|same| same[0].1.digest() == reference.digest()) {
            Some(same) if same.iter().any(|(_, other)| *other == reference) => {}
            Some(same) => same.push((place, reference)),
            None => all.push(vec![(place, reference)]),
        }
    }
    all
}

/// What `work` makes of each, in their order, [`AT_ONCE`] at once.
fn some_at_once<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    match rayon::ThreadPoolBuilder::new().num_threads(all.len().clamp(1, AT_ONCE)).build() {
        Ok(pool) => pool.install(|| all.par_iter().with_max_len(1).map(&work).collect()),
        // Without threads it only takes longer.
        Err(_) => all.iter().map(work).collect(),
    }
}

impl Store<'_> {
    /// Gets all that these configs name. What became of each, and what is wrong.
    fn fill(&mut self, configs: &[Config]) -> (String, Vec<Fault>) {
        let wanted = by_manifest(configs);
        let mut outcomes: Vec<_> =
            some_at_once(&wanted, |same| self.first(same)).into_iter().flatten().collect();
        outcomes.sort_unstable_by_key(|(place, _)| *place);
        let all: Vec<_> = named(configs).collect();
        let (mut report, mut faults) = (String::new(), Vec::new());
        for (place, outcome) in outcomes {
            let (config, plan, reference) = all[place];
            let (did, plugin) = match outcome {
                Ok(Had::Already(plugin)) => ("has", plugin),
                Ok(Had::Fetched(plugin)) => ("fetched", plugin),
                Err(error) => {
                    let path = format!("{}.{}", plan.path, plan.origin.key());
                    faults.push(config.refuse(&path, self.advice(error)));
                    continue;
                }
            };
            // Writing to a string does not fail.
            let _ = write!(report, "{did} {reference}, a {}", plugin.world);
            let by = self.policy.as_ref().and(plugin.signer.as_ref());
            let _ = by.map_or(Ok(()), |by| write!(report, ", signed by {by}"));
            report.push('\n');
            self.lock.put(plugin);
        }
        (report, faults)
    }

    /// Gets the first of these that can be had. What became of each that was asked for.
    fn first(&self, same: &[(usize, &PinnedReference)]) -> Vec<(usize, Result<Had, ToolError>)> {
        let mut outcomes = Vec::new();
        for (place, reference) in same {
            let outcome = self.have(reference);
            let is_had = outcome.is_ok();
            outcomes.push((*place, outcome));
            if is_had {
                break;
            }
        }
        outcomes
    }

    /// Gets one, unless it is there, and signed as the policy wants.
    fn have(&self, reference: &PinnedReference) -> Result<Had, ToolError> {
        if let Some(known) = self.lock.find(reference)
            && let Some(found) = self.held(known, reference)
        {
            return Ok(Had::Already(found));
        }
        let repository = &reference.reference().repository;
        let got = self.way.with(repository.clone(), Purpose::Pull, async |session| {
            let found = session.find(reference.reference()).await?;
            let bundles = match session.signatures(found.digest).await {
                // Nobody is asked for one.
                Err(_) if self.policy.is_none() => Vec::new(),
                bundles => bundles?,
            };
            let signer = self.signer(reference, &found.manifest, &bundles);
            // What nobody has signed is not even fetched.
            if signer.is_ok() {
                let turn = self.turns.of(found.component);
                let _turn = turn.lock().await;
                if !self.holds(found.component) {
                    session.pull(&found, &self.file(found.component)).await?;
                }
            }
            Ok((found, bundles, signer))
        });
        let (found, bundles, signer) = got?;
        let signer = signer?;
        let looked_at = self.look_at(found.component)?;
        self.keep(&lock::manifest_name(found.digest), &found.manifest)?;
        let mut signatures = Vec::new();
        for bundle in bundles.iter().filter(|bundle| signature::is_of(bundle, &found.manifest)) {
            let digest = Digest::of(bundle);
            self.keep(&lock::signature_name(digest), bundle)?;
            signatures.push(digest);
        }
        Ok(Had::Fetched(LockedPlugin {
            reference: reference.clone(),
            component: found.component,
            size: found.size,
            contract: looked_at.version,
            world: looked_at.world,
            signatures,
            signer: signer.map(|signer| signer.to_string()),
        }))
    }

    /// What a component is that was fetched. One is looked at at a time: it may take as much memory as compiling it. What
    /// is no plugin does not stay.
    fn look_at(&self, component: Digest) -> Result<Inspection, ToolError> {
        let _one = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let file = self.file(component);
        let found = plugin::inspect_file(&file, self.compiler, CompileLimits::default());
        if found.is_err() && !self.lock.plugins().iter().any(|it| it.component == component) {
            // If it stays, nothing names it.
            let _ = fs::remove_file(&file);
        }
        match found? {
            found if found.digest != component => {
                Err(LockError::Changed { file, found: found.digest }.into())
            }
            found => Ok(found),
        }
    }

    /// One that is there unchanged and signed as the policy wants, with who has signed it.
    fn held(&self, known: &LockedPlugin, reference: &PinnedReference) -> Option<LockedPlugin> {
        let manifest = known.manifest(self.dir).ok()?.manifest;
        let bundles = known.bundles(self.dir).ok()?;
        let signer = self.signer(reference, &manifest, &bundles).ok()?;
        let signer = signer.map(|signer| signer.to_string()).or_else(|| known.signer.clone());
        self.holds(known.component).then(|| LockedPlugin { signer, ..known.clone() })
    }

    /// Who has signed a manifest, if there is a policy.
    fn signer(
        &self,
        reference: &PinnedReference,
        manifest: &[u8],
        bundles: &[impl AsRef<[u8]>],
    ) -> Result<Option<Signer>, SignatureError> {
        let repository = SignedAs::Repository(&reference.reference().repository);
        let policy = self.policy.as_ref();
        policy.map(|policy| policy.check(repository, manifest, bundles)).transpose()
    }

    /// Puts a small file into the directory, whole or not at all. It is called by its digest.
    fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), ToolError> {
        let file = self.dir.join(name);
        files::replace(&file, bytes).map_err(|source| ToolError::Unwritten { file, source })
    }

    fn file(&self, component: Digest) -> PathBuf {
        self.dir.join(lock::file_name(component))
    }

    /// Whether this component is there, unchanged.
    fn holds(&self, component: Digest) -> bool {
        let read = plugin::read_file(&self.file(component));
        read.is_ok_and(|bytes| Digest::of(&bytes) == component)
    }

    /// The names of the files that stay: those of the lock, and those that these configs name themselves.
    fn wanted(&self, configs: &[Config]) -> Vec<String> {
        let files = configs.iter().flat_map(|config| &config.plugins);
        let files = files.filter_map(|plan| match &plan.origin {
            PluginOrigin::File(file) => file.to_str().map(ToOwned::to_owned),
            PluginOrigin::Registry(_) => None,
        });
        self.lock.plugins().iter().flat_map(LockedPlugin::files).chain(files).collect()
    }

    /// What is told of an error: no file is named here but by `--plugins.dir`.
    fn advice(&self, error: ToolError) -> Advice {
        let told = error.advice();
        match error {
            ToolError::Registry(RegistryError::File { .. }) => Advice::new(
                told.problem,
                "see that you may write into the directory of --plugins.dir",
            ),
            _ => told,
        }
    }
}
