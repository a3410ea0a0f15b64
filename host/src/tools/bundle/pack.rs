//! `bundle pack`: a config, and all that it names, as one artifact.
//!
//! What goes in is read once. What the recording becomes is found with those bytes, as `bundle verify` does it, so
//! nothing is written that does not prove itself here.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use semver::Version;

use super::proof::{Played, Subject};
use super::remote::write;
use super::trusted;
use crate::advice::{Advice, Advise as _, plain, words};
use crate::bundle::{Bundle, BundledFile, Part};
use crate::cli::{Pack, names_in};
use crate::config::{self, Config, PluginOrigin, PluginPlan, Severity};
use crate::files::{self, inner_name};
use crate::lock::{self, LockError, PluginLock};
use crate::manifest::Annotations;
use crate::plugin::{self, Compiler, Loader};
use crate::reference::PinnedReference;
use crate::registry::timestamp;
use crate::scrape;
use crate::startup::plugins;
use crate::tools::remote::{created, typed, usage};
use crate::tools::{ToolError, policy_of};

/// How long the recording of one's own bundle may be played.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Bytes of what was typed as a version that a message shows.
const LONGEST_VERSION: usize = 64;

/// What annotations of OCI begin with.
const OCI: &str = "org.opencontainers.image.";

/// `bundle pack`.
pub(super) fn pack(order: &Pack, compiler: &Compiler) -> Result<String, ToolError> {
    let name = name_of(order)?;
    let config = read(&order.dir, &name)?;
    let annotations = annotations(order, &config.file.name())?;
    let stem = config.file.name();
    let tar = format!("{stem}.tar");
    let file = match &order.output {
        None => tar.into(),
        Some(dir) if dir.is_dir() => dir.join(tar),
        Some(file) => file.clone(),
    };
    let mut packing = Packing { order, files: Vec::new() };
    packing.fill(&config)?;
    // What it becomes is found with a bundle that is whole but for that.
    packing.add(Part::Exposition, format!("{stem}.prom"), Bytes::new());
    let made = |files| {
        let bundle = Bundle::new(files, annotations.clone());
        bundle.map_err(|fault| ToolError::Bundle { file: file.clone(), fault })
    };
    let draft = made(packing.files.clone())?;
    if let Some(policy) = policy_of(order.policy.as_deref())? {
        trusted(&draft, &order.dir, &policy)?;
    }
    let loader = Loader::new(compiler.clone(), None);
    let mut subject = Subject { bundle: &draft, called: &order.dir, loader, timeout: PATIENCE };
    let maps = subject.maps().map_err(ToolError::Configs)?;
    let tape = subject.tape()?;
    let played = subject.play(tape, &maps)?;
    played.proves().map_err(|advice| ToolError::Unplayed(advice.about(&stem)))?;
    if let Some(last) = packing.files.last_mut() {
        last.bytes = Bytes::copy_from_slice(&played.text);
    }
    let bundle = made(packing.files)?;
    write(&bundle, &file)?;
    Ok(report(&bundle, &file, &played))
}

fn report(bundle: &Bundle, file: &Path, played: &Played) -> String {
    let digest = bundle.digest().tagged();
    let mut out = format!("packed {} with the digest {digest}\n", file.display());
    for BundledFile { part, name, .. } in bundle.files() {
        let _ = writeln!(out, "  {:10}  {name}", part.word());
    }
    let lines = played.text.iter().filter(|byte| **byte == b'\n').count();
    let _ = writeln!(out, "{} readings become {lines} lines", played.readings);
    out.extend(played.gaps().iter().map(|gap| format!("warning: {gap}\n")));
    out
}

/// The config that is packed: the one that was typed, else the only one.
fn name_of(order: &Pack) -> Result<String, ToolError> {
    if let Some(name) = &order.name {
        return Ok(name.clone());
    }
    let dir = order.dir.display();
    let unread = |source| ToolError::Unread {
        file: order.dir.clone(),
        why: format!("cannot be read: {}", words(&source)),
        remedy: "name a directory that can be read",
    };
    let names = names_in(&order.dir).map_err(unread)?;
    match &*names {
        [one] => Ok(one.clone()),
        [] => Err(usage(format!("{dir} has no NAME.yaml"), "name the directory of a config")),
        several => {
            let problem = format!("{dir} has several configs, {}", several.join(", "));
            Err(usage(problem, "name one of them with --config.names"))
        }
    }
}

/// The config of this name, if it is good.
fn read(dir: &Path, name: &str) -> Result<Config, ToolError> {
    let (files, mut faults) = config::read(dir, &[name.to_owned()]);
    let (mut configs, found) = config::load(files, &scrape::own_series());
    faults.extend(found);
    faults.retain(|fault| fault.severity == Severity::Error);
    match configs.pop() {
        Some(config) if faults.is_empty() => Ok(config),
        _ => Err(ToolError::Configs(config::shown(faults))),
    }
}

/// What is said of the bundle.
fn annotations(order: &Pack, name: &str) -> Result<Annotations, ToolError> {
    if let Some(version) = order.version.as_ref().filter(|it| Version::parse(it).is_err()) {
        let problem =
            format!("--version={}: it is no semantic version", plain(version, LONGEST_VERSION));
        return Err(usage(problem, "write a whole one, such as 1.2.0"));
    }
    let known = [
        ("title", Some(name.to_owned())),
        ("created", Some(timestamp(created()?))),
        ("version", order.version.clone()),
    ];
    let known = known.into_iter().filter_map(|(key, text)| Some((format!("{OCI}{key}"), text?)));
    let mut all: Annotations = known.collect();
    all.extend(typed(&order.annotations)?);
    Ok(all)
}

/// What goes into a bundle.
struct Packing<'a> {
    order: &'a Pack,
    files: Vec<BundledFile>,
}

impl Packing<'_> {
    /// Adds all but what the recording becomes.
    fn fill(&mut self, config: &Config) -> Result<(), ToolError> {
        let stem = config.file.name();
        let beside = |end: &str| config.file.path.with_file_name(format!("{stem}{end}"));
        self.add(
            Part::Config,
            format!("{stem}.yaml"),
            Bytes::copy_from_slice(config.file.text.as_bytes()),
        );
        self.add_file(Part::Object, format!("{stem}.bpf.o"), &beside(".bpf.o"))?;
        let mut lock = PluginLock::default();
        for plan in &config.plugins {
            self.plugin(config, plan, &mut lock).map_err(|(key, advice)| {
                ToolError::Configs(vec![config.refuse(&format!("{}.{key}", plan.path), advice)])
            })?;
        }
        if !lock.plugins().is_empty() {
            let unwritten = |source| ToolError::Unwritten { file: lock::NAME.into(), source };
            self.add(Part::Lock, lock::NAME.to_owned(), lock.text().map_err(unwritten)?.into());
        }
        let name = format!("{stem}.json");
        let is_else = self.files.iter().any(|file| file.name == name);
        let beside_it = Some(beside(".json")).filter(|file| !is_else && file.is_file());
        if let Some(dashboard) = self.order.dashboard.as_ref().or(beside_it.as_ref()) {
            let name = dashboard.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.add_file(Part::Dashboard, name, dashboard)?;
            self.files.last().map_or(Ok(()), |file| is_json(dashboard, &file.bytes))?;
        }
        let recording = self.order.recording.clone().unwrap_or_else(|| beside(".rec"));
        self.add_file(Part::Recording, format!("{stem}.rec"), &recording)
    }

    /// Adds a plugin, and the files that its settings name. What is wrong, and at which key of it.
    fn plugin(
        &mut self,
        config: &Config,
        plan: &PluginPlan,
        lock: &mut PluginLock,
    ) -> Result<(), (&'static str, Advice)> {
        let key = plan.origin.key();
        match &plan.origin {
            PluginOrigin::File(file) => {
                let name = inside(file).map_err(|advice| (key, advice))?;
                let places = [Some(config.file.folder()), self.order.plugins_dir.as_deref()];
                let places: Vec<_> = places.into_iter().flatten().collect();
                let found = plugin::find(file, &places).map_err(|error| (key, error.advice()))?;
                self.put(Part::Plugin, name.clone(), &found).map_err(|advice| (key, advice))?;
                self.signature(&name, &found).map_err(|advice| (key, advice))?;
            }
            PluginOrigin::Registry(reference) => {
                self.fetched(reference, lock).map_err(|advice| (key, advice))?;
            }
        }
        for file in plan.settings.files() {
            let name = inside(Path::new(file)).map_err(|advice| ("settings", advice))?;
            let path = config.file.folder().join(file);
            self.put(Part::Setting, name, &path).map_err(|advice| ("settings", advice))?;
        }
        Ok(())
    }

    /// Adds the signature beside a plugin's file, if there is one: who has a policy may want to see it. Nobody believes
    /// it here.
    fn signature(&mut self, name: &str, plugin: &Path) -> Result<(), Advice> {
        let beside = plugins::beside(plugin);
        // Of one that cannot be looked at it is told why.
        if !beside.try_exists().unwrap_or(true) {
            return Ok(());
        }
        let name = plugins::beside(Path::new(name)).to_string_lossy().into_owned();
        self.put(Part::Origin, name, &beside)
    }

    /// Adds a plugin of a registry, which was fetched, and what says that it is the one.
    fn fetched(
        &mut self,
        reference: &PinnedReference,
        lock: &mut PluginLock,
    ) -> Result<(), Advice> {
        let dir = self.order.plugins_dir.as_deref().ok_or(LockError::NoDirectory)?;
        let all = PluginLock::read(dir)?;
        let plugin = all.entry(dir, reference)?;
        lock.put(plugin.clone());
        // Whether it is the one that the config names is found in the proof.
        for name in plugin.files() {
            let part = if name == plugin.file_name() { Part::Plugin } else { Part::Origin };
            let path = dir.join(&name);
            self.put(part, name, &path)?;
        }
        Ok(())
    }

    /// Adds the file at this path, unless it is there by this name already.
    fn put(&mut self, part: Part, name: String, path: &Path) -> Result<(), Advice> {
        let bytes = files::read(path, part.largest()).map_err(|unread| {
            let problem = format!("{} {}", path.display(), unread.why());
            Advice::new(problem, "put it there as a file that can be read, or correct the config")
        })?;
        let is_there = |file: &BundledFile| file.name == name && file.bytes == bytes;
        if !self.files.iter().any(is_there) {
            self.add(part, name, bytes.into());
        }
        Ok(())
    }

    fn add_file(&mut self, part: Part, name: String, path: &Path) -> Result<(), ToolError> {
        let bytes = files::read(path, part.largest());
        let remedy = match part {
            Part::Recording => {
                "make it with `ebpf_wasm_exporter record`, or name another one with --recording"
            }
            Part::Object => "put the object that belongs to the config there",
            _ => "name a file that can be read",
        };
        let unread = |unread: files::Unread| {
            let (file, why) = (path.to_owned(), unread.why());
            ToolError::Unread { file, why, remedy }
        };
        self.add(part, name, bytes.map_err(unread)?.into());
        Ok(())
    }

    fn add(&mut self, part: Part, name: String, bytes: Bytes) {
        self.files.push(BundledFile { part, name, bytes });
    }
}

/// Whether a file could be a dashboard at all.
fn is_json(path: &Path, bytes: &[u8]) -> Result<(), ToolError> {
    let read: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(bytes);
    read.map(drop).map_err(|error| ToolError::Unread {
        file: path.to_owned(),
        why: format!("is no JSON: {error}"),
        remedy: "name what Grafana exports",
    })
}

/// What a file is called in the bundle that a config names so.
fn inside(file: &Path) -> Result<String, Advice> {
    inner_name(file).ok_or_else(|| {
        let problem = format!("{} is outside of what is packed", file.display());
        Advice::new(problem, "put the file beside the config, and name it without a directory")
    })
}
