//! `ebpf_wasm_exporter plugin …`: what a person who writes or is given a plugin wants to know;
//! `healthcheck`; and [`manual`], what the program knows of itself.
//!
//! Guests run within the bounds that a config would set. Nothing here touches the kernel, and
//! nothing prints: results are text for `main`. Of the verbs of plugins and [`bundle`]s those of `remote`,
//! `fetch`, `outdated` and `update` alone use the network; `pods` asks a kubelet.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::componentize::ComponentizeError;

use crate::advice::{self, Advice, Advise};
use crate::bundle::BundleError;
use crate::cli::{Compile, Exit, LimitFlags, Subject, Tool};
use crate::config::name::LabelName;
use crate::config::{self, ConfigFile, DataPlan, Fault};
use crate::decode::{Answers, Batch, Decoder, Outcome};
use crate::lock::LockError;
use crate::plugin::{
    self, CacheDir, CompileLimits, Compiler, Gauge, Limits, Loader, MetricShape, Plugin,
    PluginError, Request, World,
};
use crate::reference::ReferenceError;
use crate::registry::RegistryError;
use crate::signature::{Policy, SignatureError};
use crate::source::recording::PlayError;
use crate::startup::plugins;
use crate::transform::{LabelRows, RowAnswers, Transform};
use crate::trust::TrustError;

mod bench;
pub mod bundle;
mod check;
mod componentize;
mod contract;
mod fetch;
mod health;
mod inspect;
pub mod manual;
mod new;
mod outdated;
mod pods;
mod points;
pub mod record;
mod remote;
mod run;
pub mod top;
mod update;

pub use health::{HealthError, health};
pub use pods::PodsError;

/// Why a tool gives no result.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The plugin cannot be used.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The file with the settings cannot be read.
    #[error("failed to read {}", file.display())]
    NoSettings {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The settings are no YAML, name files that cannot be read, or are not what the plugin says that it takes.
    #[error("{}", lines(.0))]
    Settings(Vec<Fault>),
    /// Configs that cannot be served.
    #[error("{}", lines(.0))]
    Configs(Vec<Fault>),
    /// Some plugins cannot be had, or asked for.
    #[error("{}", lines(faults))]
    Unfetched {
        /// What is to be said of the others.
        report: String,
        /// What is wrong with each.
        faults: Vec<Fault>,
    },
    /// What was fetched before is not known.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Somebody else does it.
    #[error("{}", .0.problem)]
    Busy(Advice),
    /// What was typed names nothing in a registry.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A registry gives or takes nothing.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Nobody has signed it whom the policy trusts.
    #[error("{}", .0.problem)]
    Untrusted(Advice),
    /// What is said of a plugin cannot be.
    #[error(transparent)]
    Said(#[from] ComponentizeError),
    /// What was made cannot be written.
    #[error("failed to write {}", file.display())]
    Unwritten {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What was to be read cannot be.
    #[error("{} {why}", file.display())]
    Unread {
        /// The file, or a directory.
        file: PathBuf,
        /// The end of the sentence.
        why: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A recording that is none.
    #[error(transparent)]
    Play(#[from] PlayError),
    /// A recording that cannot be played to its end.
    #[error("{}", .0.problem)]
    Unplayed(Advice),
    /// Something is no bundle that can be used.
    #[error("{}: {fault}", file.display())]
    Bundle {
        /// The bundle, as it was typed.
        file: PathBuf,
        /// What is wrong with it.
        fault: BundleError,
    },
    /// A bundle does not prove itself.
    #[error("the bundle does not prove itself, in {faults} of {points} points")]
    Proof {
        /// What was found, as a table.
        report: String,
        /// How many points failed.
        faults: usize,
        /// Of how many.
        points: usize,
    },
    /// Limits that cannot be.
    #[error("{}", lines(.0))]
    Limits(Vec<Advice>),
    /// Files that the plugin is to read, and cannot.
    #[error("{}", lines(.0))]
    Data(Vec<Advice>),
    /// What was typed makes no sense for this plugin.
    #[error("{}", .0.problem)]
    Usage(Advice),
    /// The plugin breaks the contract.
    #[error("the plugin breaks the contract in {faults} of {points} points")]
    Contract {
        /// What was found, as a table.
        report: String,
        /// How many points failed.
        faults: usize,
        /// Of how many.
        points: usize,
    },
}

impl ToolError {
    /// With what the process is to end.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoSettings { .. } | Self::Settings(_) | Self::Data(_) => Exit::Usage,
            Self::Said(_) | Self::Limits(_) | Self::Usage(_) | Self::Reference(_) => Exit::Usage,
            Self::Plugin(_) | Self::Contract { .. } => Exit::Config,
            Self::Configs(_) | Self::Lock(_) | Self::Unread { .. } | Self::Untrusted(_) => {
                Exit::Config
            }
            Self::Play(_) | Self::Unplayed(_) => Exit::Config,
            Self::Bundle { .. } | Self::Proof { .. } => Exit::Config,
            Self::Unwritten { .. } | Self::Unfetched { .. } | Self::Busy(_) => Exit::Unexpected,
            Self::Registry(error) => match error {
                RegistryError::Unnamed(_) | RegistryError::Trust(TrustError::File { .. }) => {
                    Exit::Usage
                }
                RegistryError::Artifact { .. } | RegistryError::Taken { .. } => Exit::Config,
                _ => Exit::Unexpected,
            },
        }
    }

    /// What there is to be said although it failed.
    pub fn report(&self) -> &str {
        match self {
            Self::Contract { report, .. }
            | Self::Proof { report, .. }
            | Self::Unfetched { report, .. } => report,
            _ => "",
        }
    }
}

impl Advise for ToolError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Plugin(error) => error.remedy(),
            Self::Lock(error) => error.remedy(),
            Self::Reference(error) => error.remedy(),
            Self::Registry(error) => error.remedy(),
            Self::Play(error) => error.remedy(),
            Self::Bundle { fault, .. } => fault.remedy(),
            Self::Usage(advice)
            | Self::Busy(advice)
            | Self::Unplayed(advice)
            | Self::Untrusted(advice) => advice.remedy.clone(),
            Self::Unread { remedy, .. } => Some((*remedy).to_owned()),
            Self::Said(error) => Some(error.remedy().to_owned()),
            Self::Unwritten { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                Some("nothing is written over: remove it, or write elsewhere".to_owned())
            }
            Self::Unwritten { .. } => Some("name a file that you may write".to_owned()),
            // Each fault has its own.
            Self::NoSettings { .. }
            | Self::Settings(_)
            | Self::Configs(_)
            | Self::Unfetched { .. }
            | Self::Limits(_)
            | Self::Data(_)
            | Self::Contract { .. }
            | Self::Proof { .. } => None,
        }
    }
}

impl From<SignatureError> for ToolError {
    fn from(error: SignatureError) -> Self {
        Self::Untrusted(error.advice())
    }
}

/// Faults, one a line.
fn lines<T: ToString>(faults: &[T]) -> String {
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    faults.join("\n  ")
}

/// A text on one line, nothing in it that a terminal obeys.
fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|char| match char {
            '"' | '\'' | '\\' => char.to_string().chars().collect::<Vec<_>>(),
            _ => char.escape_debug().collect(),
        })
        .collect()
}

/// Does what was asked, and says what there is to be said.
///
/// # Errors
///
/// See [`ToolError`].
pub fn run(tool: &Tool, compiler: &Compiler) -> Result<String, ToolError> {
    let load = |subject| Bench::load(subject, compiler);
    match tool {
        Tool::New(order) => new::begin(order, Path::new("")),
        Tool::Wit { package: Some(file), .. } => contract::pack(file),
        Tool::Wit { dir, package: None } => contract::unpack(dir),
        Tool::Inspect { file, json, policy, compile, registry } => {
            let (limits, policy) = (compile_limits(compile)?, policy_of(policy.as_deref())?);
            let (found, artifact, signer) = match remote::reference(file) {
                None => {
                    let bytes = plugin::read_file(file)?;
                    let signer =
                        policy.map(|policy| plugins::signer_of_file(&policy, file, &bytes));
                    let signer = signer.transpose().map_err(ToolError::Untrusted)?;
                    (plugin::inspect_bytes(&bytes, compiler, limits)?, None, signer)
                }
                Some(reference) => {
                    let (artifact, bytes) = remote::fetch(reference, policy.as_ref(), registry)?;
                    let signer = artifact.signer.clone();
                    (plugin::inspect_bytes(&bytes, compiler, limits)?, Some(artifact), signer)
                }
            };
            Ok(match json {
                true => inspect::json(&found, artifact.as_ref(), signer.as_ref()),
                false => inspect::text(&found, artifact.as_ref(), signer.as_ref()),
            })
        }
        Tool::Componentize { input, output, said, compile } => {
            componentize::Order { input, output, said }.make(compiler, compile_limits(compile)?)
        }
        Tool::Run { subject, json } => run::run(&load(subject)?, *json),
        Tool::Bench { subject } => bench::bench(&load(subject)?),
        Tool::Check { subject } => check::check(&load(subject)?),
        Tool::Push(push) => remote::push(push, compiler),
        Tool::Pull { reference, output, policy, registry } => {
            let policy = policy_of(policy.as_deref())?;
            remote::pull(reference, output.as_deref(), policy.as_ref(), registry)
        }
        Tool::Fetch(order) => fetch::fetch(order, compiler),
        Tool::Outdated(order) => outdated::outdated(order),
        Tool::Update(order) => update::update(order),
        Tool::List { repository, registry } => remote::list(repository, registry),
    }
}

/// The policy of a file, if there is one.
fn policy_of(file: Option<&Path>) -> Result<Option<Policy>, ToolError> {
    plugins::policy(file).map_err(|faults| ToolError::Configs(config::shown(faults)))
}

/// A plugin on the work bench, and what it is to be asked.
struct Bench<'a> {
    subject: &'a Subject,
    compiler: &'a Compiler,
    /// The text of the settings, and what they are.
    file: ConfigFile,
    settings: String,
    data: Vec<DataPlan>,
    limits: Limits,
    labels: Vec<LabelName>,
    inputs: Vec<Vec<u8>>,
}

impl<'a> Bench<'a> {
    fn load(subject: &'a Subject, compiler: &'a Compiler) -> Result<Self, ToolError> {
        let label = |name: &String| {
            let of = format_args!("--labels: `{name}` is no label's name");
            LabelName::new(name).map_err(|error| ToolError::Usage(error.advice().about(of)))
        };
        let labels = subject.labels.iter().map(label).collect::<Result<_, _>>()?;
        let inputs = subject.inputs.iter().map(|input| bytes(input, subject.hex));
        let inputs = inputs.collect::<Result<_, _>>()?;
        let limits = limits(&subject.limits)?;
        let data = data(subject)?;
        let file = settings_file(subject)?;
        let settings = config::settings(&file).map_err(ToolError::Settings)?;
        Ok(Self { subject, compiler, file, settings, data, limits, labels, inputs })
    }

    /// One that has compiled nothing yet.
    fn loader(&self) -> Loader {
        let cache = CacheDir::chosen(self.subject.plugins_cache_dir.as_deref(), None);
        Loader::new(self.compiler.clone(), cache)
    }

    /// The plugin, compiled by `loader`, with counters of its own. Its settings are what it says that it takes.
    fn plugin(&self, loader: &mut Loader, limits: Limits) -> Result<Plugin, ToolError> {
        let request = Request {
            config: "plugin",
            name: "plugin",
            file: &self.subject.file,
            places: &[Path::new("")],
            held: None,
            pin: None,
            settings: &self.settings,
            data: &self.data,
            limits,
        };
        let plugin = loader.load(&request)?;
        if !self.data.is_empty() && !plugin.inspection().reads_data() {
            return Err(ToolError::Usage(Advice::new(
                "--data: the plugin reads no data",
                "leave it out",
            )));
        }
        let unread = plugin.data_faults(|_, error| {
            Advice::new(format!("--data: {error}"), "name a file that can be read")
        });
        if !unread.is_empty() {
            return Err(ToolError::Data(unread));
        }
        let misfits = plugin.misfits().into_iter();
        let misfits: Vec<_> = misfits
            .map(|(path, advice)| (path.trim_start_matches('.').to_owned(), advice))
            .collect();
        match misfits.is_empty() {
            true => Ok(plugin),
            false => Err(ToolError::Settings(config::located(&self.file, misfits))),
        }
    }

    /// An instance of it, whose answers are not remembered: whatever is asked is asked of the guest.
    fn start(&self, loader: &mut Loader) -> Result<Guest, ToolError> {
        self.start_within(loader, Limits { answers: 0, ..self.limits })
    }

    fn start_within(&self, loader: &mut Loader, limits: Limits) -> Result<Guest, ToolError> {
        let mut plugin = self.plugin(loader, limits)?;
        let (step, labels) = match plugin.world() {
            World::Decoder => (Step::Decoder(plugin.decoder()?), Vec::new()),
            World::Transform => {
                let shape = MetricShape {
                    name: self.subject.metric.clone(),
                    histogram: self.subject.histogram,
                    labels: self.labels.clone(),
                };
                let (transform, labels) = plugin.transform(shape)?;
                (Step::Transform(transform, self.labels.len()), labels)
            }
        };
        Ok(Guest { step, labels, gauge: plugin.gauge() })
    }
}

/// The limits that were typed. What a guest says of how long its answers hold is shown as it says it, unless
/// that was typed too.
fn limits(flags: &LimitFlags) -> Result<Limits, ToolError> {
    let text = |key: &str| match (key, flags.text_of(key)) {
        ("hold", None) => Some("0s".to_owned()),
        (_, text) => text,
    };
    let about =
        |(key, advice): (String, Advice)| advice.about(format_args!("--{}", key.replace('.', "-")));
    let refused = |found: Vec<_>| ToolError::Limits(found.into_iter().map(about).collect());
    config::limits(text).map_err(refused)
}

/// The files that were typed, as `NAME=FILE`.
fn data(subject: &Subject) -> Result<Vec<DataPlan>, ToolError> {
    let one = |text: &String| match text.split_once('=') {
        Some((name, file)) => config::data_file(name, file),
        None => {
            let problem = format!("{} names no file", advice::quote(text));
            Err(Advice::new(problem, "write what the plugin calls it, `=`, and the file"))
        }
    };
    let all = subject.data.iter().map(one).collect::<Result<Vec<_>, _>>();
    all.map_err(|advice| ToolError::Usage(advice.about("--data")))
}

fn compile_limits(compile: &Compile) -> Result<CompileLimits, ToolError> {
    let flags = LimitFlags { compile: compile.clone(), ..LimitFlags::default() };
    Ok(limits(&flags)?.compile)
}

fn settings_file(subject: &Subject) -> Result<ConfigFile, ToolError> {
    let Some(path) = &subject.settings_file else {
        let text = subject.settings.as_str();
        return Ok(ConfigFile::new("--settings", text));
    };
    let failed = |source| ToolError::NoSettings { file: path.clone(), source };
    let text = fs::read_to_string(path).map_err(failed)?;
    Ok(ConfigFile::new(path, text))
}

fn bytes(input: &str, hex: bool) -> Result<Vec<u8>, ToolError> {
    if !hex {
        return Ok(input.as_bytes().to_vec());
    }
    let problem = || {
        let problem = format!("--hex: `{input}` is not written in pairs of digits");
        ToolError::Usage(Advice::plain(problem))
    };
    let digits = input.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(problem());
    }
    let byte = |at| u8::from_str_radix(&input[at..at + 2], 16).map_err(|_| problem());
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// An instance, asked in one way whatever it is.
struct Guest {
    step: Step,
    /// Those that a transform agreed to.
    labels: Vec<LabelName>,
    gauge: Gauge,
}

enum Step {
    Decoder(Box<dyn Decoder>),
    /// With the number of labels that rows come with.
    Transform(Box<dyn Transform>, usize),
}

/// What became of an input: one value, or one for each label.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    outcome: Result<Outcome, String>,
    values: Vec<String>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(Outcome::Drop) => f.write_str("drop"),
            Ok(Outcome::DropFor(time)) => write!(f, "drop for {} s", time.as_secs()),
            Ok(outcome) => match outcome.holds() {
                None => write!(f, "label {:?}", self.values),
                Some(time) => write!(f, "label {:?} for {} s", self.values, time.as_secs()),
            },
            Err(error) => write!(f, "error: {error}"),
        }
    }
}

impl Guest {
    fn ask(&mut self, inputs: &[Vec<u8>]) -> Vec<Answer> {
        match &mut self.step {
            Step::Decoder(decoder) => {
                let (mut batch, mut answers) = (Batch::default(), Answers::default());
                inputs.iter().for_each(|input| batch.push(input));
                decoder.decode_batch(&batch, &mut answers);
                let answer = |(text, outcome): (&[u8], &Result<_, _>)| {
                    Answer::of(outcome.clone(), std::iter::once(text))
                };
                answers.iter().map(answer).collect()
            }
            Step::Transform(transform, width) => {
                let (mut rows, mut answers) = (LabelRows::default(), RowAnswers::default());
                rows.reset(*width);
                inputs.iter().for_each(|input| rows.push(input.split(|byte| *byte == b',')));
                answers.reset(self.labels.len());
                transform.transform(&rows, &mut answers);
                let answer = |n| {
                    let (outcome, values) = answers.get(n);
                    Answer::of(outcome.clone(), values)
                };
                (0..answers.len()).map(answer).collect()
            }
        }
    }

    /// How long it takes to answer, with nothing made of the answers.
    fn time(&mut self, inputs: &[Vec<u8>]) -> Duration {
        let (mut batch, mut rows) = (Batch::default(), LabelRows::default());
        let (mut answers, mut row_answers) = (Answers::default(), RowAnswers::default());
        match &mut self.step {
            Step::Decoder(decoder) => {
                inputs.iter().for_each(|input| batch.push(input));
                let start = Instant::now();
                decoder.decode_batch(&batch, &mut answers);
                start.elapsed()
            }
            Step::Transform(transform, width) => {
                rows.reset(*width);
                inputs.iter().for_each(|input| rows.push(input.split(|byte| *byte == b',')));
                row_answers.reset(self.labels.len());
                let start = Instant::now();
                transform.transform(&rows, &mut row_answers);
                start.elapsed()
            }
        }
    }

    /// Calls that failed so far.
    fn failures(&self) -> u64 {
        self.gauge.read().failures.iter().sum()
    }
}

impl Answer {
    fn of<'v>(
        outcome: Result<Outcome, crate::decode::DecodeError>,
        values: impl Iterator<Item = &'v [u8]>,
    ) -> Self {
        let kept = outcome.as_ref().is_ok_and(|outcome| !outcome.leaves_out());
        let values = values.filter(|_| kept).map(|value| String::from_utf8_lossy(value).into());
        let error = |error: crate::decode::DecodeError| error.text().to_owned();
        Self { outcome: outcome.map_err(error), values: values.collect() }
    }
}

#[cfg(test)]
mod tests;
