//! What the exporter takes of the host, over the time of a soak.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::exporter::HANG;

/// What it takes at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    /// Memory that is its own, KiB.
    pub memory: u64,
    pub descriptors: u64,
    pub threads: u64,
}

impl Taken {
    /// What this process takes now; why not if it has ended.
    pub fn now(process: u32) -> Result<Self, String> {
        let place = format!("/proc/{process}");
        let ended = |error| format!("the exporter has ended: {error}");
        let status = fs::read_to_string(format!("{place}/status")).map_err(ended)?;
        let number = |begins: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(begins));
            let text = line.map(|line| line.trim().trim_end_matches(" kB"));
            let number = text.and_then(|text| text.parse().ok());
            number.ok_or_else(|| format!("the exporter has ended: it has no {begins}"))
        };
        let descriptors = fs::read_dir(format!("{place}/fd")).map_err(ended)?.count() as u64;
        Ok(Self { memory: number("RssAnon:")?, descriptors, threads: number("Threads:")? })
    }

    /// The most of both.
    pub fn or_more(self, other: Self) -> Self {
        Self {
            memory: self.memory.max(other.memory),
            descriptors: self.descriptors.max(other.descriptors),
            threads: self.threads.max(other.threads),
        }
    }
}

/// What it took in a quarter of the time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quarter {
    /// Memory that is its own, KiB: as much as half of the time at least, and no more for the other half.
    pub memory: u64,
    pub most: Taken,
}

impl Quarter {
    /// Of what it took at moments that lie as far from each other.
    pub fn of(mut moments: Vec<Taken>) -> Self {
        moments.sort_by_key(|taken| taken.memory);
        let memory = moments.get(moments.len() / 2).map_or(0, |taken| taken.memory);
        Self { memory, most: moments.into_iter().fold(Taken::default(), Taken::or_more) }
    }
}

/// How many children a process has, those that have ended and were not waited for too.
fn children(process: u32) -> usize {
    let parent = process.to_string();
    let entries = fs::read_dir("/proc").expect("a list of processes").flatten();
    let is_child = |path: &Path| {
        let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
        // Behind the name, which may have anything in it: the state, then the parent.
        let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind);
        behind.split(' ').nth(1) == Some(&parent)
    };
    entries.filter(|entry| is_child(&entry.path())).count()
}

/// What it takes once it has nothing to do: no child, and no more than `most` descriptors and threads. If it does not
/// come to rest, what it takes then, and why it is too much.
pub fn at_rest(process: u32, most: Option<Taken>) -> Result<Taken, String> {
    let (began, mut now) = (Instant::now(), Taken::default());
    while began.elapsed() < HANG {
        now = Taken::now(process)?;
        let more = most
            .is_some_and(|most| now.descriptors > most.descriptors || now.threads > most.threads);
        if !more && children(process) == 0 {
            return Ok(now);
        }
        thread::sleep(Duration::from_millis(20));
    }
    let children = children(process);
    Err(format!("it does not come to rest: {children} children, {now:?}, {:?}", open(process)))
}

/// How many descriptors it has of each kind.
fn open(process: u32) -> BTreeMap<String, usize> {
    let entries = fs::read_dir(format!("/proc/{process}/fd"));
    let mut kinds = BTreeMap::new();
    for target in
        entries.into_iter().flatten().flatten().filter_map(|entry| fs::read_link(entry.path()).ok())
    {
        let text = target.to_string_lossy().into_owned();
        let kind = text.split(":[").next().unwrap_or(&text);
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    kinds
}
