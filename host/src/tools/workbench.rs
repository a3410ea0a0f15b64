//! A plugin on the work bench of `plugin run`, `bench` and `check`: loaded as it was typed, and asked in one way whatever
//! it is. It runs within the bounds that a config would set.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::error::ToolError;
use super::{plain, policy_of, trusted};
use crate::advice::{self, Advice, Advise};
use crate::cli::{Compile, LimitFlags, Subject};
use crate::config::name::LabelName;
use crate::config::{self, ConfigFile, DataPlan};
use crate::decode::{Answers, Batch, Decoder, Outcome};
use crate::plugin::{
    CacheDir, Cause, CompileLimits, Compiler, Gauge, Limits, Loader, MetricShape, Plugin, Request,
    World,
};
use crate::signature::Signer;
use crate::transform::{LabelRows, RowAnswers, Transform};

/// A plugin on the work bench, and what it is to be asked.
pub(super) struct Bench<'a> {
    pub(super) subject: &'a Subject,
    pub(super) compiler: &'a Compiler,
    /// What the plugin's file holds, as it was signed.
    pub(super) held: Bytes,
    /// Who has signed it, if there is a policy.
    pub(super) signer: Option<Signer>,
    /// The text of the settings, and what they are.
    pub(super) file: ConfigFile,
    pub(super) settings: String,
    pub(super) data: Vec<DataPlan>,
    pub(super) limits: Limits,
    pub(super) labels: Vec<LabelName>,
    pub(super) inputs: Vec<Vec<u8>>,
}

impl<'a> Bench<'a> {
    pub(super) fn load(subject: &'a Subject, compiler: &'a Compiler) -> Result<Self, ToolError> {
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
        let policy = policy_of(subject.policy.as_deref())?;
        let (held, signer) = trusted(&subject.file, policy.as_ref())?;
        let held = held.into();
        Ok(Self { subject, compiler, held, signer, file, settings, data, limits, labels, inputs })
    }

    /// One that has compiled nothing yet.
    pub(super) fn loader(&self) -> Loader {
        let cache = CacheDir::chosen(self.subject.plugins_cache_dir.as_deref(), None);
        Loader::new(self.compiler.clone(), cache)
    }

    /// The plugin, compiled by `loader`, with counters of its own. Its settings are what it says that it takes.
    pub(super) fn plugin(&self, loader: &mut Loader, limits: Limits) -> Result<Plugin, ToolError> {
        let request = Request {
            config: "plugin",
            name: "plugin",
            file: &self.subject.file,
            places: &[],
            held: Some(&self.held),
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
    pub(super) fn start(&self, loader: &mut Loader) -> Result<Guest, ToolError> {
        self.start_within(loader, Limits { answers: 0, ..self.limits })
    }

    pub(super) fn start_within(
        &self,
        loader: &mut Loader,
        limits: Limits,
    ) -> Result<Guest, ToolError> {
        let mut plugin = self.plugin(loader, limits)?;
        let (step, labels) = match plugin.world() {
            World::Decoder => {
                self.check_bytes()?;
                (Step::Decoder(plugin.decoder()?), Vec::new())
            }
            World::Transform => {
                self.check_rows()?;
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

    /// Whether what was typed is for a decoder.
    fn check_bytes(&self) -> Result<(), ToolError> {
        if self.labels.is_empty() {
            return Ok(());
        }
        let problem = "--labels: the plugin is a decoder, which takes bytes";
        Err(ToolError::Usage(Advice::new(problem, "leave it out")))
    }

    /// Whether each input is a row with a value for each label.
    fn check_rows(&self) -> Result<(), ToolError> {
        let names: Vec<_> = self.labels.iter().map(LabelName::as_str).collect();
        let fits = |input: &Vec<u8>| match names.len() {
            0 => input.is_empty(),
            width => input.split(|byte| *byte == b',').count() == width,
        };
        let Some(n) = self.inputs.iter().position(|input| !fits(input)) else { return Ok(()) };
        let row = advice::quote(&plain(&self.subject.inputs[n]));
        Err(ToolError::Usage(match names.is_empty() {
            true => Advice::new(
                format!("the labels of {row} have no names"),
                "name them: `--labels a,b`",
            ),
            false => Advice::new(
                format!("{row} has more or fewer values than --labels names"),
                format!("write one for each of {}, with commas between them", names.join(", ")),
            ),
        }))
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

pub(super) fn compile_limits(compile: &Compile) -> Result<CompileLimits, ToolError> {
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
        let problem = format!("--hex: {} is not written in pairs of digits", advice::quote(input));
        let remedy = "write two for each byte, and nothing else: `0a00`";
        ToolError::Usage(Advice::new(problem, remedy))
    };
    let digits = input.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(problem());
    }
    let byte = |at| u8::from_str_radix(&input[at..at + 2], 16).map_err(|_| problem());
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// An instance, asked in one way whatever it is.
pub(super) struct Guest {
    pub(super) step: Step,
    /// Those that a transform agreed to.
    pub(super) labels: Vec<LabelName>,
    pub(super) gauge: Gauge,
}

pub(super) enum Step {
    Decoder(Box<dyn Decoder>),
    /// With the number of labels that rows come with.
    Transform(Box<dyn Transform>, usize),
}

/// What became of an input: one value, or one for each label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) outcome: Result<Outcome, String>,
    pub(super) values: Vec<String>,
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
    pub(super) fn ask(&mut self, inputs: &[Vec<u8>]) -> Vec<Answer> {
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
    pub(super) fn time(&mut self, inputs: &[Vec<u8>]) -> Duration {
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
    pub(super) fn failures(&self) -> u64 {
        self.gauge.read().failures.iter().sum()
    }

    /// Those of them that ran longer than they may.
    pub(super) fn late(&self) -> u64 {
        self.gauge.read().failures[Cause::Deadline as usize]
    }
}

impl Answer {
    pub(super) fn of<'v>(
        outcome: Result<Outcome, crate::decode::DecodeError>,
        values: impl Iterator<Item = &'v [u8]>,
    ) -> Self {
        let kept = outcome.as_ref().is_ok_and(|outcome| !outcome.leaves_out());
        let values = values.filter(|_| kept).map(|value| String::from_utf8_lossy(value).into());
        let error = |error: crate::decode::DecodeError| error.text().to_owned();
        Self { outcome: outcome.map_err(error), values: values.collect() }
    }
}
