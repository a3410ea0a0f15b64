//! A fault of a config: where it is, what is wrong, what to do.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::advice::{Advice, secrets};
use crate::files::{self, HeldFiles, Unread};

/// A file that holds a config, kept to say where a fault is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// The path as the user gave it, or `<built-in>/NAME.yaml`, or `BUNDLE/NAME.yaml` of one in a bundle.
    pub path: PathBuf,
    /// Its text.
    pub text: Arc<str>,
    /// What stands beside it.
    pub beside: Beside,
}

/// Where the files are that a config names, its object too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Beside {
    /// In its directory.
    #[default]
    Directory,
    /// The exporter carries the object, and there is nothing else.
    BuiltIn,
    /// In its bundle, and nowhere else.
    Bundle(Arc<HeldFiles>),
}

impl ConfigFile {
    /// One in a directory.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> Self {
        Self { path: path.into(), text: text.into(), beside: Beside::Directory }
    }

    /// The files of its bundle, if it is of one.
    pub fn bundle(&self) -> Option<&Arc<HeldFiles>> {
        match &self.beside {
            Beside::Bundle(held) => Some(held),
            Beside::Directory | Beside::BuiltIn => None,
        }
    }

    /// Where files are that it names, if it is in a directory; else what they are called behind in messages.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The bytes of a file that it names, if there are `most` of them at the most.
    ///
    /// # Errors
    ///
    /// See [`Unread`].
    pub(crate) fn read_beside(&self, name: &Path, most: u64) -> Result<Bytes, Unread> {
        match self.bundle() {
            Some(held) => held.read(name, most),
            None => files::read(&self.folder().join(name), most).map(Bytes::from),
        }
    }

    /// The config's name: the file's without `.yaml`.
    pub fn name(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// Whether a fault stops the exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Said and passed over; fatal under `--config.strict`.
    Warning,
    /// The exporter does not start.
    Error,
}

/// One fault of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whether it stops the exporter.
    pub severity: Severity,
    /// The file it is in: a YAML file or a BPF object.
    pub file: PathBuf,
    /// The line of the YAML file, from 1, where it can be had; `END` for what is told behind all
    /// others.
    pub line: Option<usize>,
    /// The place in the document: `metrics.counters[2].labels[0].size`; empty for the whole file.
    pub path: String,
    /// What is wrong and what to do.
    pub advice: Advice,
    /// How many faults it tells of: one, but for what stands for all that are not shown.
    pub count: u32,
}

impl Fault {
    /// One that stops the exporter, of a file as a whole.
    pub fn of_file(file: &Path, advice: Advice) -> Self {
        let (severity, file, path) = (Severity::Error, file.to_owned(), String::new());
        Self { severity, file, line: None, path, advice, count: 1 }
    }
}

impl fmt::Display for Fault {
    /// One line: `FILE:LINE: PATH: PROBLEM; REMEDY`, warnings marked as such.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Plain(&self.file.to_string_lossy(), usize::MAX))?;
        if let Some(line) = self.line.filter(|line| *line != END) {
            write!(f, ":{line}")?;
        }
        if self.severity == Severity::Warning {
            f.write_str(": warning")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", Plain(&self.path, LONGEST_PATH))?;
        }
        let Advice { problem, remedy, evidence } = &self.advice;
        write!(f, ": {}", Plain(problem, LONGEST))?;
        let mut more = remedy.iter().chain(evidence);
        more.try_for_each(|part| write!(f, "; {}", Plain(part, LONGEST)))
    }
}

/// Characters of a path, and of a problem or remedy, that a message shows.
pub(super) const LONGEST_PATH: usize = 300;
pub(super) const LONGEST: usize = 3000;

/// Behind the last line of any file.
pub(super) const END: usize = usize::MAX;

/// Faults of each severity that are shown of a file.
pub(crate) const SHOWN: usize = 100;

/// The first `SHOWN` faults of each severity of each file, in their order, and how many more
/// there are.
pub fn shown(faults: Vec<Fault>) -> Vec<Fault> {
    let mut counts: HashMap<(PathBuf, Severity), usize> = HashMap::new();
    let mut kept = Vec::new();
    for fault in faults {
        if fault.line == Some(END) {
            kept.push(fault);
            continue;
        }
        let count = counts.entry((fault.file.clone(), fault.severity)).or_default();
        *count += 1;
        if *count <= SHOWN {
            kept.push(fault);
        }
    }
    let mut more: Vec<_> = counts.into_iter().filter(|(_, count)| *count > SHOWN).collect();
    more.sort();
    let more = more.into_iter();
    kept.extend(more.map(|((file, severity), count)| hidden(file, severity, count - SHOWN)));
    kept
}

/// What stands for the faults of a file that are not shown.
pub(super) fn hidden(file: PathBuf, severity: Severity, count: usize) -> Fault {
    let what = match severity {
        Severity::Warning => "warning",
        Severity::Error => "fault",
    };
    let problem = match count {
        1 => format!("1 more {what} of this file is not shown"),
        _ => format!("{count} more {what}s of this file are not shown"),
    };
    let advice = Advice::new(problem, "correct those that are");
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    Fault { severity, file, line: Some(END), path: String::new(), advice, count }
}

/// Text of a file in a message, so many characters of it: what does not print is escaped, so that a
/// fault stays one line, no terminal obeys it, and it reads in the order in which it stands. No secret is shown.
struct Plain<'a>(&'a str, usize);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text, most) = self;
        let text = secrets::veiled(text);
        let mut chars = text.chars();
        for char in chars.by_ref().take(*most) {
            match char {
                '"' | '\'' | '\\' => f.write_char(char)?,
                _ => write!(f, "{}", char.escape_debug())?,
            }
        }
        if chars.next().is_some() { f.write_char('…') } else { Ok(()) }
    }
}
