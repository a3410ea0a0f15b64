//! `unpin`: lets go of what an exporter has kept in the kernel.
//!
//! Never removes a file that an exporter has not put there.

use std::collections::BTreeSet;

use crate::advice::{self, Advise};
use crate::bpf::{NotUnpinned, PinDir, PinDirError, Unpinned};
use crate::cli::{Exit, Unpin};

/// Names in a line.
const MOST: usize = 16;

/// Why not all was let go of.
#[derive(Debug, thiserror::Error)]
pub enum UnpinError {
    /// The directory is of no use.
    #[error(transparent)]
    Directory(#[from] PinDirError),
    /// A config has nothing there.
    #[error("nothing is pinned of config `{config}` in {dir}")]
    Nothing {
        /// The config.
        config: String,
        /// The directory.
        dir: String,
        /// Those that have.
        others: Vec<String>,
    },
    /// The files of a config cannot be removed.
    #[error(transparent)]
    Refused(#[from] NotUnpinned),
}

impl UnpinError {
    /// The exit code that says so.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Directory(error) => exit_of_pins(error),
            Self::Nothing { .. } => Exit::Usage,
            Self::Refused(_) => Exit::Unexpected,
        }
    }
}

/// The exit code of who cannot have this directory.
pub fn exit_of_pins(error: &PinDirError) -> Exit {
    match error {
        PinDirError::InUse(_) => Exit::Unexpected,
        _ => Exit::Usage,
    }
}

impl Advise for UnpinError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Directory(error) => error.remedy(),
            Self::Nothing { others, .. } if others.is_empty() => {
                Some("see what --bpf.pin-dir the exporter has".to_owned())
            }
            Self::Nothing { others, .. } => {
                Some(format!("it has pins of {}", advice::few(others.clone(), MOST)))
            }
            Self::Refused(error) => error.remedy(),
        }
    }
}

/// Lets go of configs. What was let go of, a line each.
///
/// # Errors
///
/// See [`UnpinError`]. Those before the one that failed are let go of.
pub fn unpin(order: &Unpin) -> Result<String, UnpinError> {
    let (dir, in_use) = PinDir::look(&order.dir)?;
    let found = dir.configs()?;
    let configs: BTreeSet<_> = match order.all {
        true => found.iter().collect(),
        false => order.configs.iter().collect(),
    };
    if let Some(config) = configs.iter().find(|config| !found.contains(config)) {
        let (config, dir) = ((*config).clone(), dir.path().display().to_string());
        return Err(UnpinError::Nothing { config, dir, others: found });
    }
    let mut told = String::new();
    for config in configs {
        told.push_str(&line(config, dir.unpin(config)?));
    }
    if in_use {
        told.push_str("an exporter has this directory: what it serves goes when it ends\n");
    }
    Ok(told)
}

/// What was let go of.
fn line(config: &str, Unpinned { programs, maps }: Unpinned) -> String {
    let listed = |what: &str, names: Vec<String>| match names.len() {
        0 => format!("no {what}s"),
        1 => format!("{what} {}", advice::few(names, MOST)),
        _ => format!("{what}s {}", advice::few(names, MOST)),
    };
    format!("{config}: let go of {}; {}\n", listed("program", programs), listed("map", maps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_let_go_of_is_a_line() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let all = [
            Unpinned { programs: names(&["a"]), maps: names(&["x_total", ".rodata"]) },
            Unpinned { programs: names(&[]), maps: names(&[]) },
        ];
        let all = all.map(|unpinned| line("tcp", unpinned)).concat();
        insta::assert_snapshot!(all, @r"
        tcp: let go of program a; maps x_total, .rodata
        tcp: let go of no programs; no maps
        ");
    }

    #[test]
    fn a_config_that_is_not_there_is_said() {
        let said = |others: &[&str]| {
            let others = others.iter().map(|&name| name.to_owned()).collect();
            let (config, dir) = ("tpc".to_owned(), "/sys/fs/bpf/x".to_owned());
            UnpinError::Nothing { config, dir, others }.advice().to_string()
        };
        insta::assert_snapshot!(said(&["tcp", "udp"]), @"nothing is pinned of config `tpc` in /sys/fs/bpf/x; it has pins of tcp, udp");
        insta::assert_snapshot!(said(&[]), @"nothing is pinned of config `tpc` in /sys/fs/bpf/x; see what --bpf.pin-dir the exporter has");
    }
}
