//! What the tests of the decoders share: a host made of files, and tables run through a decoder.

use std::fs;

use super::{DecoderSettings, find};
use crate::decode::Outcome;
use crate::system::System;

/// A host whose files the test owns.
pub(super) struct Host {
    pub(super) root: tempfile::TempDir,
    system: System,
}

/// A host that has one of everything.
pub(super) fn host() -> Host {
    let host = empty_host();
    let files = [
        ("proc/kallsyms", "ffffffff81000100 t do_one\nffffffffc0201000 t commit_timeout\t[jbd2]\n"),
        (
            "proc/partitions",
            "major minor  #blocks  name\n\n 254 0 268435456 vda\n 259 1 1024 nvme0n1p1\n",
        ),
        ("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
        (
            "usr/share/misc/pci.ids",
            "8086  Intel Corporation\n\t1000  82542 Gigabit Ethernet Controller (Fiber)\n\
             C 01  Mass storage controller\n\t08  Non-Volatile memory controller\n",
        ),
        ("sys/fs/cgroup/a.slice/cgroup.procs", ""),
    ];
    for (path, text) in files {
        let path = host.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    host
}

/// A host that has no files at all.
pub(super) fn empty_host() -> Host {
    let root = tempfile::tempdir().unwrap();
    Host { system: System::at(root.path()), root }
}

impl Host {
    /// Runs a table of inputs and what is to come out through the decoder of this name.
    pub(super) fn check(&self, name: &str, table: &[(&[u8], &str)]) {
        run(&self.system, name, &DecoderSettings::default(), table);
    }
}

/// Runs a table through a decoder on this host.
pub(super) fn check(name: &str, table: &[(&[u8], &str)]) {
    run(&System::default(), name, &DecoderSettings::default(), table);
}

/// Runs a table through a decoder with settings.
pub(super) fn check_with(name: &str, settings: &DecoderSettings, table: &[(&[u8], &str)]) {
    run(&System::default(), name, settings, table);
}

/// What a decoder says to settings that it does not take, as a user would read it.
pub(super) fn refusal(name: &str, settings: &DecoderSettings) -> String {
    let errors = find(name).unwrap().with(settings).unwrap_err();
    let line = |error: &super::SettingsError| format!("{}: {}", error.path, error.advice);
    errors.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn run(system: &System, name: &str, settings: &DecoderSettings, table: &[(&[u8], &str)]) {
    let mut decoder = find(name).unwrap().with(settings).unwrap().decoder(system);
    for (input, expected) in table {
        let mut out = Vec::new();
        let answer = match decoder.decode(input, &mut out) {
            Ok(Outcome::Label | Outcome::LabelFor(_) | Outcome::NoName(_)) => {
                String::from_utf8(out).unwrap()
            }
            Ok(Outcome::Drop | Outcome::DropFor(_)) => "DROP".to_owned(),
            Err(error) => format!("ERROR {error}"),
        };
        assert_eq!(answer, *expected, "{name} of `{}`", input.escape_ascii());
    }
}
