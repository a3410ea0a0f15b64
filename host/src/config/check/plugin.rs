//! Plugins: their files' names or references, pins, settings and limits. What the files hold is looked at when
//! they are loaded.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::fmt::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use super::within::{between, bytes};
use super::{data, one_of};
use crate::advice::{self, Advice, quote};
use crate::config::bounds::{self, Bounds};
use crate::config::error::ConfigFile;
use crate::config::faults::Faults;
use crate::config::limits::{CompileLimits, LARGEST_SETTINGS, Limits};
use crate::config::plan::{DataPlan, PluginOrigin, PluginPlan, PluginSettings, PluginStep};
use crate::config::ranges::{self, Count};
use crate::config::raw::{self, Field, Setting};
use crate::digest::Digest;
use crate::files::{self, Unread};
use crate::reference::{ArtifactReference, PinnedReference};

/// What to do where a recorded config names files: a config in a directory is of whoever replays it.
const OWN_DIRECTORY: &str =
    "have the files read that your own config names: give its directory with --config.dir";

/// The plugins that a file has, be they faulty, and those that it uses.
pub(super) struct Names {
    /// In the file's order.
    known: Vec<String>,
    /// The same.
    all: HashSet<String>,
    used: RefCell<BTreeSet<String>>,
}

impl Names {
    pub(super) fn of(plugins: &[raw::Plugin]) -> Self {
        let known: Vec<_> = plugins.iter().map(|plugin| plugin.name.clone()).collect();
        Self { all: known.iter().cloned().collect(), known, used: RefCell::default() }
    }

    /// The plugin that is named at `path`; it stands for the step there.
    pub(super) fn step<E>(
        &self,
        name: Field<String>,
        path: &str,
        on_error: Option<E>,
        faults: &Faults<'_>,
    ) -> Option<PluginStep<E>> {
        if name.is_absent() {
            faults.error(path, "no plugin is named", "add `plugin:` with a name of `plugins`");
        }
        let name = name.given()?;
        if !self.all.contains(&name) {
            if !faults.shows_errors() {
                return None;
            }
            let known: Vec<_> = self.known.iter().map(String::as_str).collect();
            let remedy = match &*known {
                [] => "add it to `plugins`, with its `file`".to_owned(),
                known => one_of(&name, known),
            };
            let problem = format!("the file has no plugin {}", quote(&name));
            faults.error(&format!("{path}.plugin"), problem, remedy);
            return None;
        }
        self.used.borrow_mut().insert(name.clone());
        Some(PluginStep { plugin: name, path: path.to_owned(), on_error: on_error? })
    }

    /// The names of all plugins of the file.
    pub(super) fn known(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(String::as_str)
    }

    /// Warns of plugins that nothing uses.
    pub(super) fn unused(&self, faults: &Faults<'_>) {
        for name in self.known.iter().filter(|name| !self.used.borrow().contains(*name)) {
            let remedy = "name it as `plugin:` of a decoder `wasm` or of a transform, or remove it";
            faults.warning(&format!("plugins.{name}"), "nothing uses the plugin", remedy);
        }
    }
}

/// The plugins of a file. What is faulty is told and left out.
pub(super) fn all(
    raw: Vec<raw::Plugin>,
    file: &ConfigFile,
    faults: &Faults<'_>,
) -> Vec<PluginPlan> {
    raw.into_iter().filter_map(|raw| one(raw, file, faults)).collect()
}

fn one(raw: raw::Plugin, file: &ConfigFile, faults: &Faults<'_>) -> Option<PluginPlan> {
    let before = faults.errors();
    let path = raw.path;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if raw.name.is_empty() || !raw.name.bytes().all(plain) {
        let problem = format!("{} cannot be a plugin's name", quote(&raw.name));
        faults.error(&path, problem, "use letters, digits, `_`, `-` and `.`");
    }
    let origin = origin(raw.file, raw.oci, &path, faults);
    if file.is_recorded()
        && let Some(PluginOrigin::File(component)) = &origin
        && files::inner_name(component).is_none()
    {
        let problem = "the plugin of a recorded config is looked for in --plugins.dir, and this leads elsewhere";
        faults.error(&format!("{path}.file"), problem, OWN_DIRECTORY);
    }
    let sha256 = digest(raw.sha256, &format!("{path}.sha256"), faults);
    let settings = settings(raw.settings, &format!("{path}.settings"), file, faults);
    let data = data(raw.data, &format!("{path}.data"), file, faults);
    let limits = limits(&raw.limits, &|key, advice| {
        faults.refuse(&format!("{path}.limits.{key}"), advice);
    });
    let name = raw.name;
    let plugin = PluginPlan { name, path, origin: origin?, sha256, settings, data, limits };
    (faults.errors() == before).then_some(plugin)
}

/// The files that it reads while the exporter runs. A bundle holds none of them, and a recorded config reads none.
fn data(raw: Vec<raw::Data>, path: &str, file: &ConfigFile, faults: &Faults<'_>) -> Vec<DataPlan> {
    let folder = file.folder();
    let plans = data::all(raw, path, folder, faults);
    if file.is_recorded() && !plans.is_empty() {
        faults.warning(path, "no file of this host is read for a recorded config", OWN_DIRECTORY);
        return Vec::new();
    }
    for plan in plans.iter().filter(|plan| file.bundle().is_some() && plan.file.starts_with(folder))
    {
        let problem = "the file is in no directory, as the config is in a bundle";
        let remedy = "write its whole path, from / on: it is a file of the host";
        faults.error(&format!("{}.file", plan.path), problem, remedy);
    }
    plans
}

/// Where the component comes from: one of the two.
fn origin(
    file: Field<String>,
    oci: Field<String>,
    path: &str,
    faults: &Faults<'_>,
) -> Option<PluginOrigin> {
    match (file, oci) {
        (Field::Faulty, _) | (_, Field::Faulty) => None,
        (Field::Given(file), Field::Absent) => Some(PluginOrigin::File(file.into())),
        (Field::Absent, Field::Given(text)) => {
            let read = reference(&text);
            let refused = read.map_err(|advice| faults.refuse(&format!("{path}.oci"), advice));
            refused.ok().map(PluginOrigin::Registry)
        }
        (Field::Given(_), Field::Given(_)) => {
            let problem = "the plugin has a `file` and an `oci`";
            faults.error(&format!("{path}.oci"), problem, "leave one of them out");
            None
        }
        (Field::Absent, Field::Absent) => {
            let remedy = "add `file:` with its .wasm, or `oci:` with its reference in a registry";
            faults.error(path, "the plugin has no file", remedy);
            None
        }
    }
}

/// What stands behind `oci`.
fn reference(text: &str) -> Result<PinnedReference, Advice> {
    let reference: ArtifactReference = text.parse()?;
    PinnedReference::new(reference.clone()).ok_or_else(|| match reference.tag {
        Some(_) => {
            let problem = format!("{} has no digest, so it may become another plugin", quote(text));
            let ask = format!("`ebpf_wasm_exporter plugin inspect oci:{reference}`");
            Advice::new(problem, format!("write it with the digest that {ask} prints"))
        }
        None => {
            let problem = format!("{} has neither tag nor digest", quote(text));
            let list = format!("`ebpf_wasm_exporter plugin list {reference}`");
            Advice::new(problem, format!("write both behind it; {list} lists the tags"))
        }
    })
}

fn digest(raw: Field<String>, path: &str, faults: &Faults<'_>) -> Option<Digest> {
    let text = raw.given()?;
    let digest = Digest::parse(&text);
    if digest.is_none() {
        let problem = format!("{} is no SHA-256", quote(&text));
        faults.error(path, problem, "write the 64 hexadecimal digits that `sha256sum` prints");
    }
    digest
}

/// The limits that were typed, the others being the default. `refuse` gets the key and the fault of each that
/// cannot be.
pub(super) fn limits(raw: &raw::Limits, refuse: &dyn Fn(&str, Advice)) -> Limits {
    let default = Limits::default();
    let bytes = |key, text: &Option<String>, range| {
        bytes(text.as_deref()?, range).map_err(|fault| refuse(key, fault)).ok()
    };
    let time = |key, text: &Option<String>, read: fn(&str) -> Result<Duration, Advice>| {
        read(text.as_deref()?).map_err(|fault| refuse(key, fault)).ok()
    };
    let count = |key, number: Option<i128>, (least, most): Count| {
        let number = number?;
        let allowed = i128::from(least)..=i128::from(most);
        let count = usize::try_from(number).ok().filter(|_| allowed.contains(&number));
        if count.is_none() {
            let problem = format!("{number} is no number that this can have");
            refuse(key, Advice::new(problem, format!("write one from {least} to {most}")));
        }
        count
    };
    Limits {
        memory: bytes("memory", &raw.memory, ranges::MEMORY).unwrap_or(default.memory),
        deadline: time("deadline", &raw.deadline, self::time).unwrap_or(default.deadline),
        output: bytes("output", &raw.output, ranges::OUTPUT).unwrap_or(default.output),
        table: count("table", raw.table, ranges::TABLE).unwrap_or(default.table),
        instances: count("instances", raw.instances, ranges::INSTANCES)
            .unwrap_or(default.instances),
        answers: bytes("answers", &raw.answers, ranges::ANSWERS).unwrap_or(default.answers),
        text: bytes("text", &raw.text, ranges::TEXT).unwrap_or(default.text),
        hold: time("hold", &raw.hold, hold).unwrap_or(default.hold),
        compile: CompileLimits {
            time: time("compile.time", &raw.compile.time, compile_time),
            memory: bytes("compile.memory", &raw.compile.memory, ranges::COMPILE_MEMORY)
                .map_or(default.compile.memory, |bytes| bytes as u64),
        },
    }
}

pub(super) fn budget(text: &str) -> Option<Duration> {
    between(text, ranges::BUDGET, "").ok()
}

fn time(text: &str) -> Result<Duration, Advice> {
    between(text, ranges::DEADLINE, "a call can have")
}

fn hold(text: &str) -> Result<Duration, Advice> {
    between(text, ranges::HOLD, "an answer can hold")
}

/// What `limits.compile.time` says.
fn compile_time(text: &str) -> Result<Duration, Advice> {
    between(text, ranges::COMPILE_TIME, "compiling can have")
}

/// The settings as JSON text, with the files that they name.
pub(super) fn settings(
    raw: Field<Setting>,
    path: &str,
    file: &ConfigFile,
    faults: &Faults<'_>,
) -> PluginSettings {
    let (path_here, out, files) = (path.to_owned(), String::new(), Vec::new());
    let mut writer = Writer { config: file, faults, path: path_here, out, files };
    match raw {
        Field::Absent | Field::Faulty | Field::Given(Setting::Null) => writer.out.push_str("{}"),
        Field::Given(Setting::Map(entries)) => writer.map(&entries),
        Field::Given(_) => {
            let remedy = "write lines of `KEY: VALUE`, or `{KEY: VALUE}`";
            faults.error(path, "expected a mapping of settings", remedy);
        }
    }
    let Writer { out, files, .. } = writer;
    // What is too large took as long to read.
    let room = faults.bounds.settings(out.len());
    if out.len() > LARGEST_SETTINGS {
        let problem = format!("the settings are more than {LARGEST_SETTINGS} bytes of JSON");
        faults.error(path, problem, "leave some out, or shorten the files that they name");
    } else if room.is_err() {
        let problem =
            format!("the settings of all plugins are more than {} bytes of JSON", bounds::SETTINGS);
        faults.error(path, problem, "leave some out, or serve fewer configs in one process");
    }
    PluginSettings::new(out, files)
}

/// Writes settings as JSON, until they are larger than any may be.
struct Writer<'a> {
    config: &'a ConfigFile,
    faults: &'a Faults<'a>,
    /// Where it is.
    path: String,
    out: String,
    /// The files that were read.
    files: Vec<String>,
}

impl Writer<'_> {
    fn value(&mut self, setting: &Setting) {
        if self.is_full() {
            return;
        }
        match setting {
            Setting::Null => self.out.push_str("null"),
            Setting::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Setting::Number(number) => self.out.push_str(&number.to_string()),
            Setting::Text(text) => quoted(text, &mut self.out),
            Setting::List(items) => {
                self.out.push('[');
                for (index, item) in items.iter().enumerate() {
                    self.out.push_str(if index == 0 { "" } else { "," });
                    self.below(format_args!("[{index}]"), item);
                }
                self.out.push(']');
            }
            Setting::Map(entries) => match &**entries {
                [(key, Setting::Text(file))] if key == "file" => self.file(file),
                entries => self.map(entries),
            },
        }
    }

    fn map(&mut self, entries: &[(String, Setting)]) {
        self.out.push('{');
        for (index, (key, value)) in entries.iter().enumerate() {
            self.out.push_str(if index == 0 { "" } else { "," });
            quoted(key, &mut self.out);
            self.out.push(':');
            let dot = if self.path.is_empty() { "" } else { "." };
            self.below(format_args!("{dot}{key}"), value);
        }
        self.out.push('}');
    }

    /// Writes what is at this step below where it is.
    fn below(&mut self, step: fmt::Arguments<'_>, setting: &Setting) {
        let here = self.path.len();
        // Writing to a string does not fail.
        let _ = self.path.write_fmt(step);
        self.value(setting);
        self.path.truncate(here);
    }

    fn is_full(&self) -> bool {
        self.out.len() > LARGEST_SETTINGS || self.faults.bounds.settings_left() == 0
    }

    /// Writes what the file holds, without the line feed at its end.
    fn file(&mut self, name: &str) {
        if self.config.is_recorded() {
            let problem = "no file of this host is read for a recorded config";
            return self.faults.error(&format!("{}.file", self.path), problem, OWN_DIRECTORY);
        }
        match read(self.config, Path::new(name), self.faults.bounds) {
            Ok(text) => {
                quoted(text.strip_suffix('\n').unwrap_or(&text), &mut self.out);
                self.files.push(name.to_owned());
            }
            Err(_) if !self.faults.shows_errors() => {}
            Err(problem) => {
                let problem = format!("failed to read {}: {problem}", quote(name));
                let remedy = "put the file beside the config, as text that the exporter may read";
                self.faults.error(&format!("{}.file", self.path), problem, remedy);
            }
        }
    }
}

/// The text of a file. What is read of one that is no such text counts as settings.
fn read(config: &ConfigFile, name: &Path, bounds: &Bounds) -> Result<String, String> {
    let refused = |length: usize, why: String| {
        let _ = bounds.settings(length);
        why
    };
    let bytes =
        config.read_beside(name, LARGEST_SETTINGS as u64).map_err(|unread| match unread {
            Unread::Refused(error) => advice::words(&error),
            Unread::Directory | Unread::NoFile => "it is no regular file".to_owned(),
            Unread::TooLarge(_) => {
                refused(LARGEST_SETTINGS, format!("it has more than {LARGEST_SETTINGS} bytes"))
            }
        })?;
    let length = bytes.len();
    String::from_utf8(bytes.into()).map_err(|_| refused(length, "it is not UTF-8".to_owned()))
}

fn quoted(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}
