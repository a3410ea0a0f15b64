//! Which configs to serve.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::advice::{Advise, near};
use crate::bundle::BundlePlace;

/// Where configs and plugins are.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Configs {
    /// Directory of NAME.yaml, and of NAME.bpf.o if programs are loaded
    #[arg(long = "config.dir", value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Configs, by name, comma separated
    #[arg(long = "config.names", value_name = "NAMES", value_delimiter = ',')]
    pub names: Vec<String>,

    /// Directory of plugins, for those that are not beside their config
    #[arg(long = "plugins.dir", value_name = "DIR")]
    pub plugins_dir: Option<PathBuf>,

    /// File that says who has to have signed plugins; without it, nobody
    #[arg(long = "plugins.policy", value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

/// The configs that `--config.dir` and `--config.names` ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The set that the binary carries, as far as this host has what its configs need.
    DefaultSet,
    /// Configs of the set that the binary carries, in the order asked for.
    BuiltIn(Vec<String>),
    /// `DIR/NAME.yaml` with `DIR/NAME.bpf.o` for each name, at least one. Whether they are there
    /// has not been looked at.
    Directory {
        /// The directory, as it was typed.
        dir: PathBuf,
        /// The names, in the order asked for, none of them twice.
        names: Vec<String>,
    },
    /// Configs of bundles, each with all that it names.
    Bundles {
        /// Where they are, at least one.
        bundles: Vec<BundlePlace>,
        /// What was asked for beside them.
        beside: Option<Box<Selection>>,
    },
}

/// What is wrong with `--config.dir` and `--config.names`.
#[derive(Debug, thiserror::Error)]
pub enum SelectionError {
    /// A directory without names.
    #[error("--config.dir={} needs --config.names", dir.display())]
    NoNames {
        /// The directory.
        dir: PathBuf,
        /// The names of the configs in it, sorted.
        found: Vec<String>,
    },
    /// The directory cannot be read.
    #[error("failed to read --config.dir={}", dir.display())]
    Unreadable {
        /// The directory.
        dir: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An empty name, as between two commas.
    #[error("--config.names has an empty name")]
    EmptyName,
    /// The same name twice.
    #[error("--config.names has {0:?} twice")]
    Twice(String),
    /// A name that the default set does not have.
    #[error(
        "the default set has no config {name:?}{}",
        near::hint(name, known.iter().map(String::as_str))
    )]
    NotBuiltIn {
        /// The name.
        name: String,
        /// The names of the default set.
        known: Vec<String>,
    },
}

impl Advise for SelectionError {
    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::NoNames { found, .. } => format!("it holds {}", list(found)),
            Self::Unreadable { .. } => "check the path and its permissions".to_owned(),
            Self::EmptyName => "separate names by one comma, without spaces".to_owned(),
            Self::Twice(_) => "name each config once".to_owned(),
            Self::NotBuiltIn { known, .. } => {
                format!("it holds {}, others need --config.dir", list(known))
            }
        })
    }
}

impl Selection {
    /// Where its configs are: a directory, and the files of bundles.
    pub fn places(&self) -> Vec<&Path> {
        match self {
            Self::DefaultSet | Self::BuiltIn(_) => Vec::new(),
            Self::Directory { dir, .. } => vec![dir],
            Self::Bundles { bundles, beside } => {
                let bundles = bundles.iter().map(|bundle| &*bundle.file);
                bundles.chain(beside.iter().flat_map(|beside| beside.places())).collect()
            }
        }
    }

    /// Settles what the two flags mean. `built_in` are the names that the binary carries.
    ///
    /// # Errors
    ///
    /// See [`SelectionError`]. The directory is only looked into for what to say when there are
    /// no names.
    pub fn new(
        dir: Option<PathBuf>,
        names: Vec<String>,
        built_in: &[&str],
    ) -> Result<Self, SelectionError> {
        check(&names)?;
        match dir {
            Some(dir) if names.is_empty() => Err(without_names(dir)),
            Some(dir) => Ok(Self::Directory { dir, names }),
            None if names.is_empty() => Ok(Self::DefaultSet),
            None => match names.iter().find(|name| !built_in.contains(&name.as_str())) {
                Some(name) => {
                    Err(SelectionError::NotBuiltIn { name: name.clone(), known: owned(built_in) })
                }
                None => Ok(Self::BuiltIn(names)),
            },
        }
    }
}

impl Selection {
    /// With these bundles too, if there are any. Nobody who asks for bundles alone has the default set too.
    #[must_use]
    pub fn with(self, bundles: Vec<BundlePlace>) -> Self {
        if bundles.is_empty() {
            return self;
        }
        let beside = (self != Self::DefaultSet).then(|| Box::new(self));
        Self::Bundles { bundles, beside }
    }
}

fn check(names: &[String]) -> Result<(), SelectionError> {
    if names.iter().any(|name| name.trim().is_empty()) {
        return Err(SelectionError::EmptyName);
    }
    let mut known = HashSet::new();
    let twice = names.iter().find(|name| !known.insert(*name));
    twice.map_or(Ok(()), |name| Err(SelectionError::Twice(name.clone())))
}

/// Refuses the value of `--config.file`, and says what the same config is called today.
pub(super) fn older_file(file: &str) -> Result<PathBuf, String> {
    let (dir, name) = match (Path::new(file).parent(), Path::new(file).file_stem()) {
        (Some(dir), Some(name)) if dir.as_os_str().is_empty() => (Path::new("."), name),
        (Some(dir), Some(name)) => (dir, name),
        _ => (Path::new("DIR"), "NAME".as_ref()),
    };
    let (dir, name) = (dir.display(), name.display());
    Err(format!(
        "it is a flag of ebpf_exporter 1.x, whose one file held the programs too; 2.x and this \
         exporter take --config.dir={dir} --config.names={name} for {name}.yaml with `metrics:` \
         and a compiled {name}.bpf.o"
    ))
}

fn without_names(dir: PathBuf) -> SelectionError {
    match names_in(&dir) {
        Ok(found) => SelectionError::NoNames { dir, found },
        Err(source) => SelectionError::Unreadable { dir, source },
    }
}

/// The names of the YAML files in a directory, sorted.
///
/// # Errors
///
/// When it cannot be read.
pub fn names_in(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in dir.read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn list(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| name.escape_debug().to_string()).collect();
    if names.is_empty() { "no .yaml file".to_owned() } else { names.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: [&str; 2] = ["syscalls", "timers"];

    fn select(dir: Option<&Path>, names: &[&str]) -> Result<Selection, SelectionError> {
        Selection::new(dir.map(Path::to_owned), owned(names), &SET)
    }

    fn refusal(dir: Option<&str>, names: &[&str]) -> String {
        select(dir.map(Path::new), names).unwrap_err().advice().to_string()
    }

    #[test]
    fn settles_what_is_asked_for() {
        assert_eq!(select(None, &[]).unwrap(), Selection::DefaultSet);
        assert_eq!(select(None, &["timers"]).unwrap(), Selection::BuiltIn(owned(&["timers"])));
        let dir = PathBuf::from("/etc/ebpf");
        assert_eq!(
            select(Some(&dir), &["b", "sub/a"]).unwrap(),
            Selection::Directory { dir, names: owned(&["b", "sub/a"]) }
        );
    }

    #[test]
    fn lists_what_a_directory_without_names_holds() {
        let dir = tempfile::tempdir().unwrap();
        let message = |dir: &Path| {
            let text = select(Some(dir), &[]).unwrap_err().advice().to_string();
            text.replace(dir.to_str().unwrap(), "DIR")
        };
        insta::assert_snapshot!(
            message(dir.path()),
            @"--config.dir=DIR needs --config.names; it holds no .yaml file"
        );
        for file in ["tcp.yaml", "bio.yaml", "bio.bpf.o", "notes.txt"] {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        insta::assert_snapshot!(
            message(dir.path()), @"--config.dir=DIR needs --config.names; it holds bio,tcp"
        );
    }

    #[test]
    fn says_what_is_wrong() {
        insta::assert_snapshot!(
            refusal(Some("/nowhere"), &[]),
            @"failed to read --config.dir=/nowhere: no such file or directory; check the path and its permissions"
        );
        insta::assert_snapshot!(
            refusal(Some("/etc"), &["a", ""]),
            @"--config.names has an empty name; separate names by one comma, without spaces"
        );
        insta::assert_snapshot!(
            refusal(None, &["timers", "syscalls", "timers"]),
            @r#"--config.names has "timers" twice; name each config once"#
        );
        insta::assert_snapshot!(
            refusal(None, &["timer"]),
            @r#"the default set has no config "timer", did you mean "timers"; it holds syscalls,timers, others need --config.dir"#
        );
        insta::assert_snapshot!(
            refusal(None, &["Timers"]),
            @r#"the default set has no config "Timers", did you mean "timers"; it holds syscalls,timers, others need --config.dir"#
        );
        insta::assert_snapshot!(
            refusal(None, &["tcp"]),
            @r#"the default set has no config "tcp"; it holds syscalls,timers, others need --config.dir"#
        );
    }
}
