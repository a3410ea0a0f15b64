//! What this host allows: capabilities, lockdown, BTF, tracepoints. Asked only to explain a failure.
//!
//! Never fails: what cannot be read is not known, and an explanation does without it.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use caps::{CapSet, Capability};

use crate::advice::near::nearest;
use crate::files::{self, Unread};

#[cfg(test)]
pub(super) mod fake;

/// The capabilities that explain refusals.
const ASKED: [Capability; 5] = [
    Capability::CAP_BPF,
    Capability::CAP_PERFMON,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_SYS_ADMIN,
];

/// The host as seen by the calling thread.
#[derive(Debug)]
pub(super) struct Host {
    /// Where `/proc` and `/sys` are: `/`, or a test's directory.
    root: PathBuf,
    /// Which of [`ASKED`] the thread has.
    capabilities: Vec<Capability>,
}

impl Host {
    /// This host.
    pub(super) fn current() -> Self {
        let has = |capability: &Capability| {
            // What cannot be read is taken as granted: blaming it could send a person astray.
            caps::has_cap(None, CapSet::Effective, *capability).unwrap_or(true)
        };
        Self { root: "/".into(), capabilities: ASKED.into_iter().filter(has).collect() }
    }

    /// Whether `capability` and the one that stands in for it, CAP_SYS_ADMIN, are both missing.
    pub(super) fn lacks(&self, capability: Capability) -> bool {
        !self.capabilities.contains(&capability)
            && !self.capabilities.contains(&Capability::CAP_SYS_ADMIN)
    }

    /// The kernel's lockdown, if it can be read: `none`, `integrity` or `confidentiality`.
    pub(super) fn lockdown(&self) -> Option<String> {
        let modes = self.read("sys/kernel/security/lockdown")?;
        Some(modes.split_once('[')?.1.split_once(']')?.0.to_owned())
    }

    /// Whether lockdown keeps the kernel's memory from all programs.
    pub(super) fn is_confidential(&self) -> bool {
        self.lockdown().is_some_and(|mode| mode == "confidentiality")
    }

    /// Whether a filter decides which system calls this process may make, if that can be read.
    pub(super) fn has_seccomp_filter(&self) -> Option<bool> {
        let status = self.read("proc/self/status")?;
        let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"))?;
        Some(mode.trim() != "0")
    }

    /// The kernel's security modules that have rules of a site's own.
    pub(super) fn security_modules(&self) -> Vec<String> {
        const WITHOUT_RULES: [&str; 7] =
            ["capability", "lockdown", "yama", "bpf", "integrity", "ima", "evm"];
        let modules = self.read("sys/kernel/security/lsm").unwrap_or_default();
        let modules = modules.trim().split(',').filter(|name| !name.is_empty());
        modules.filter(|name| !WITHOUT_RULES.contains(name)).map(str::to_owned).collect()
    }

    /// The kernel's release: `6.12.1-amd64`.
    pub(super) fn release(&self) -> String {
        let release = self.read("proc/sys/kernel/osrelease").unwrap_or_default();
        let release = release.trim();
        if release.is_empty() { "of unknown release".to_owned() } else { release.to_owned() }
    }

    /// The kernel's version, as far as it counts.
    pub(super) fn version(&self) -> Option<(u32, u32)> {
        let release = self.read("proc/sys/kernel/osrelease")?;
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }

    /// Whether the kernel describes its own types.
    pub(super) fn has_btf(&self) -> bool {
        self.root.join("sys/kernel/btf/vmlinux").exists()
    }

    /// Whether kprobes are built in.
    pub(super) fn has_kprobes(&self) -> bool {
        self.root.join("sys/bus/event_source/devices/kprobe").exists()
            || self.events().is_some_and(|events| events.with_file_name("kprobe_events").exists())
    }

    /// Whether tracefs is mounted where this thread can read it.
    pub(super) fn has_tracefs(&self) -> bool {
        self.events().is_some()
    }

    /// The tracepoint groups (`sched`) or, of one group, the tracepoints, that resemble `name`.
    pub(super) fn tracepoints_like(&self, group: Option<&str>, name: &str) -> Option<String> {
        let dir = self.events()?.join(group.unwrap_or_default());
        let names = list(&dir);
        nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
    }

    /// The kernel's number of a tracepoint.
    pub(super) fn tracepoint_id(&self, group: &str, name: &str) -> Option<u64> {
        let file = self.events()?.join(group).join(name).join("id");
        fs::read_to_string(file).ok()?.trim().parse().ok()
    }

    /// Whether there is a tracepoint group of this name.
    pub(super) fn has_tracepoint_group(&self, group: &str) -> bool {
        self.events().is_some_and(|events| events.join(group).is_dir())
    }

    /// The tracepoint, of any group, whose name resembles `name`, as `group/name`.
    pub(super) fn tracepoint_anywhere_like(&self, name: &str) -> Option<String> {
        let events = self.events()?;
        let all: Vec<(String, String)> = list(&events)
            .into_iter()
            .flat_map(|group| {
                list(&events.join(&group)).into_iter().map(move |name| (group.clone(), name))
            })
            .collect();
        let near = nearest(name, all.iter().map(|(_, name)| name.as_str()))?;
        all.iter().find(|(_, name)| name == near).map(|(group, name)| format!("{group}/{name}"))
    }

    /// The names of all network interfaces.
    pub(super) fn interfaces(&self) -> Vec<String> {
        let mut all = list(&self.root.join("sys/class/net"));
        all.sort();
        all
    }

    /// Whether the kernel has a function of this name, and what the compiler called its copies
    /// (`name.isra.0`).
    pub(super) fn functions(&self, name: &str) -> Functions {
        let Some(symbols) = self.read("proc/kallsyms") else { return Functions::default() };
        let names = symbols.lines().filter_map(|line| line.split_ascii_whitespace().nth(2));
        let mut found = Functions::default();
        for symbol in names {
            match symbol.strip_prefix(name) {
                Some("") => found.exact = true,
                Some(suffix) if suffix.starts_with('.') => found.copies.push(symbol.to_owned()),
                _ => {}
            }
        }
        found
    }

    /// The first bytes of a file, enough to see what it is.
    pub(super) fn start_of(&self, file: &str) -> Result<Vec<u8>, Unread> {
        const START: u64 = 4096;
        // `join` would take the place of the root.
        let path = match file.strip_prefix('/') {
            Some(below) => self.root.join(below),
            None => file.into(),
        };
        let mut start = Vec::new();
        files::open(&path, u64::MAX)?.take(START).read_to_end(&mut start)?;
        Ok(start)
    }

    /// The `events` directory of tracefs, if it can be listed.
    fn events(&self) -> Option<PathBuf> {
        ["sys/kernel/tracing/events", "sys/kernel/debug/tracing/events"]
            .into_iter()
            .map(|dir| self.root.join(dir))
            .find(|dir| fs::read_dir(dir).is_ok())
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }
}

/// What `/proc/kallsyms` has of a function.
#[derive(Debug, Default)]
pub(super) struct Functions {
    /// The function itself.
    pub(super) exact: bool,
    /// What the compiler made of it, under other names.
    pub(super) copies: Vec<String>,
}

/// The names in a directory, sorted; none if it cannot be read.
fn list(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}
