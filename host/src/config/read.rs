//! Finding and reading the files of the configs that were asked for by name.

use std::cell::OnceCell;
use std::fs;
use std::io;
use std::path::Path;

use super::bounds;
use super::error::{ConfigFile, Fault, Severity};
use crate::advice::{self, Advice, near};
use crate::files::{self, Unread};

/// Reads `dir/NAME.yaml` for every name, in order; what cannot be read is a fault.
///
/// Only files are read: a pipe or a device would hold up the start.
pub fn read(dir: &Path, names: &[String]) -> (Vec<ConfigFile>, Vec<Fault>) {
    if let Err(error) = fs::read_dir(dir) {
        let problem = format!("failed to read the directory of configs: {}", advice::words(&error));
        return (Vec::new(), vec![fault(dir, problem, "name another with --config.dir")]);
    }
    let (mut files, mut faults) = (Vec::new(), Vec::new());
    let directory = Directory { path: dir, names: OnceCell::new() };
    let mut left = bounds::FILES;
    for name in names {
        match one(&directory, name) {
            Ok(file) => match left.checked_sub(file.text.len() as u64) {
                Some(rest) => {
                    left = rest;
                    files.push(file);
                }
                None => {
                    let problem = format!("the configs have more than {} bytes", bounds::FILES);
                    faults.push(fault(&file.path, problem, "serve fewer in one process"));
                }
            },
            Err(fault) => faults.push(*fault),
        }
    }
    (files, faults)
}

/// Where configs are looked for.
struct Directory<'a> {
    path: &'a Path,
    /// The configs that are there, looked for when one is not.
    names: OnceCell<Vec<String>>,
}

fn one(directory: &Directory<'_>, name: &str) -> Result<ConfigFile, Box<Fault>> {
    let dir = directory.path;
    let file = dir.join(format!("{name}.yaml"));
    if name.is_empty() || name.ends_with('/') {
        let remedy = "write --config.names as NAME,NAME without spaces or empty names";
        return Err(fault(dir, "a config's name is empty", remedy).into());
    }
    let found = |kind: &str| {
        let problem = format!("expected a config, found {kind}");
        fault(&file, problem, "put the config's YAML in its place")
    };
    let bytes = files::read(&file, bounds::FILE).map_err(|unread| match unread {
        Unread::Refused(error) if error.kind() == io::ErrorKind::NotFound => {
            missing(directory, name)
        }
        Unread::Refused(error) => {
            let problem = format!("failed to read the config: {}", advice::words(&error));
            fault(&file, problem, "make it a file that the exporter may read")
        }
        Unread::Directory => found("a directory"),
        Unread::NoFile => found("no regular file"),
        Unread::TooLarge(size) => {
            let problem = format!("the config has {size} bytes, more than {}", bounds::FILE);
            fault(&file, problem, "split it")
        }
    })?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(ConfigFile::new(file, text)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let newlines = error.as_bytes()[..valid].iter().filter(|b| **b == b'\n').count();
            let fault = fault(&file, "the text is not UTF-8", "save the file as UTF-8");
            Err(Fault { line: Some(newlines + 1), ..fault }.into())
        }
    }
}

/// The fault for a config that is not there, with the ones that are.
fn missing(directory: &Directory<'_>, name: &str) -> Fault {
    let dir = directory.path;
    let file = dir.join(format!("{name}.yaml"));
    if dir.join(format!("{name}.yml")).exists() {
        let problem = "the config is missing: configs end in .yaml, not .yml";
        return fault(&file, problem, format!("rename {name}.yml to {name}.yaml"));
    }
    let names = directory.names.get_or_init(|| names(dir));
    let stem = name.strip_suffix(".yaml").unwrap_or(name);
    let remedy = match near::nearest(stem, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "no .yaml is there; check --config.dir".to_owned(),
        None if names.len() > 20 => format!("{}, … are there", names[..20].join(", ")),
        None => format!("there are {}", names.join(", ")),
    };
    fault(&file, "the config is missing", remedy)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let name = |entry: fs::DirEntry| {
        entry.file_name().to_str().and_then(|name| name.strip_suffix(".yaml")).map(str::to_owned)
    };
    let mut names: Vec<_> = entries.filter_map(name).collect();
    names.sort_unstable();
    names
}

fn fault(file: &Path, problem: impl Into<String>, remedy: impl Into<String>) -> Fault {
    Fault {
        severity: Severity::Error,
        file: file.to_owned(),
        line: None,
        path: String::new(),
        advice: Advice::new(problem, remedy),
        count: 1,
    }
}
