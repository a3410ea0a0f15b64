//! The configs that are soaked: what each is for, and what is counted for it.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::configs::Configs;
use crate::guests;
use crate::ledger::{Book, Ledger, MOST, Tally};
use crate::workload::Session;
use crate::yaml::{Map, Part, Writer};

/// How many there are.
pub const CONFIGS: usize = 20;

/// Rows of each metric that stay: those with the numbers from 1 to this.
const STAY: u64 = 4;

/// The first of those that come and go.
const OTHERS: u64 = 1000;

const PARTS: [Part; CONFIGS] = {
    use Part::{Bounded, Decoded, Events, Fickle, Panic, Picky, Plain, Shared, Still, Transform};
    [
        Plain, Plain, Plain, Plain, Plain, Plain, Still, Still, Still, Still, Events, Events,
        Picky, Panic, Transform, Fickle, Bounded, Shared, Shared, Decoded,
    ]
};

/// Which rows beside those that stay are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Others {
    None,
    /// So many, which stay too.
    Stay(u64),
    /// So many, which are deleted and come again.
    Come(u64),
    /// New ones for ever: the map forgets.
    New,
}

/// A metric of a config, and what is counted for it.
#[derive(Debug)]
pub struct Metric {
    map: Map,
    /// Whether its keys are texts of eight bytes, for plugins.
    texts: bool,
    others: Others,
    book: Book,
    next: AtomicU64,
}

#[derive(Debug)]
pub struct Config {
    pub name: String,
    part: Part,
    metrics: Vec<Metric>,
    number: usize,
    session: Session,
    /// Held while its object changes: for a moment then no program is attached, and what is counted is lost.
    changing: RwLock<()>,
}

/// The directory of configs, and what was counted for each of them.
pub struct Site {
    pub dir: Configs,
    pub configs: Vec<Config>,
    pub ledger: Ledger,
    /// Rows that were counted or deleted, those that stay and all others.
    pub stayed: AtomicU64,
    pub churned: AtomicU64,
}

impl Site {
    pub fn new() -> Self {
        let (mut dir, mut ledger) = (Configs::new(), Ledger::default());
        for guest in ["picky", "panic", "pass", "fickle"] {
            fs::write(dir.path().join(format!("{guest}.wasm")), guests::component(guest)).unwrap();
        }
        let mut configs = Vec::new();
        for (at, part) in PARTS.into_iter().enumerate() {
            // Both that share a family have maps of one name.
            let number = if part == Part::Shared { 99 } else { at };
            let name = format!("{}-{at}", format!("{part:?}").to_lowercase());
            let session = Session::new();
            let config = Config {
                metrics: metrics(part, (&name, number), &mut ledger),
                changing: RwLock::default(),
                name,
                part,
                number,
                session,
            };
            dir.add(&config.name, &config.yaml(0), &config.object());
            configs.push(config);
        }
        let zero = AtomicU64::default;
        Self { dir, configs, ledger, stayed: zero(), churned: zero() }
    }

    /// Those of this part.
    pub fn of(&self, part: Part) -> impl Iterator<Item = &Config> {
        self.configs.iter().filter(move |config| config.part == part)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Counts once for each row that stays.
    pub fn settle(&self) {
        for (config, metric) in self.configs.iter().flat_map(Config::each) {
            (1..=STAY).for_each(|row| self.count(config, metric, row, 1));
        }
    }

    /// Counts for some rows of each metric, and deletes others. `random` gives any number.
    pub fn churn(&self, random: &mut impl FnMut() -> u64) {
        for config in &self.configs {
            let Ok(_still) = config.changing.try_read() else { continue };
            for metric in &config.metrics {
                self.count(config, metric, 1 + random() % STAY, 1 + random() % MOST);
                self.stayed.fetch_add(1, Ordering::Relaxed);
                for _ in 0..3 {
                    self.other(config, metric, random());
                }
            }
        }
    }

    fn other(&self, config: &Config, metric: &Metric, random: u64) {
        let row = match metric.others {
            Others::None => return,
            Others::Stay(many) | Others::Come(many) => OTHERS + (random >> 8) % many,
            Others::New => OTHERS + metric.next.fetch_add(1, Ordering::Relaxed),
        };
        self.churned.fetch_add(1, Ordering::Relaxed);
        if matches!(metric.others, Others::Come(_)) && random.is_multiple_of(3) {
            config.tell(metric, row, 0);
        } else {
            self.count(config, metric, row, 1 + random % MOST);
        }
    }

    fn count(&self, config: &Config, metric: &Metric, row: u64, add: u64) {
        // A record counts one.
        let add = if metric.map == Map::Events { 1 } else { add };
        self.ledger.count(metric.book, row, add, || config.tell(metric, row, add));
    }
}

impl Config {
    fn each(&self) -> impl Iterator<Item = (&Self, &Metric)> {
        self.metrics.iter().map(move |metric| (self, metric))
    }

    /// How the names of its families begin.
    pub fn family(&self) -> String {
        format!("ebpf_exporter_s{:02}_", self.number)
    }

    /// Its object, under names of its own.
    pub fn object(&self) -> Vec<u8> {
        let mut object = self.session.object_of("soak");
        let name = format!("s{:02}_", self.number);
        let places: Vec<_> =
            (0..object.len() - 3).filter(|&at| &object[at..at + 4] == b"s00_").collect();
        assert!(places.len() >= 16, "each map has a symbol and a type: {}", places.len());
        for at in places {
            object[at..at + 4].copy_from_slice(name.as_bytes());
        }
        object
    }

    /// Has its program add to an entry, or delete it.
    fn tell(&self, metric: &Metric, row: u64, add: u64) {
        /// The prctl that `soak.bpf.c` waits for, and no kernel knows.
        const SOAK: libc::c_int = 0x6562_7069;
        let key = metric.key(row, add);
        // SAFETY: the kernel knows no such option and touches nothing.
        unsafe { libc::prctl(SOAK, metric.map as usize, key, add, self.session.number()) };
    }

    /// The YAML, of which there is another for each number.
    pub fn yaml(&self, version: usize) -> String {
        Writer { number: self.number, version }.config(self.part)
    }

    /// Has nobody count for it while `change` goes on.
    pub fn still<T>(&self, change: impl FnOnce() -> T) -> T {
        let _still = self.changing.write().unwrap_or_else(PoisonError::into_inner);
        change()
    }
}

impl Metric {
    /// The key of a row. Of a histogram each row has five buckets.
    fn key(&self, row: u64, add: u64) -> u64 {
        if self.map == Map::Seconds {
            return (row << 8) | (add % 5);
        }
        if !self.texts {
            return row;
        }
        // A plugin traps on what begins with a `t`.
        let kind = match row {
            OTHERS.. if row.is_multiple_of(10) => "trp",
            OTHERS.. => "new",
            _ => "row",
        };
        let text = format!("{kind}-{row:04}");
        u64::from_ne_bytes(text.as_bytes().try_into().expect("eight bytes"))
    }
}

/// What is counted for a config of this part, by its name and the number of its maps.
fn metrics(part: Part, (config, number): (&str, usize), ledger: &mut Ledger) -> Vec<Metric> {
    let rows = Tally::Rows(STAY);
    let of_maps = |lru: Tally| {
        vec![
            (Map::Hash, Others::Come(50), rows),
            (Map::Lru, Others::New, lru),
            (Map::PerCpuHash, Others::Come(50), rows),
            (Map::Array, Others::None, rows),
            (Map::PerCpuArray, Others::None, rows),
            (Map::Mmap, Others::None, rows),
            (Map::Seconds, Others::Come(20), rows),
        ]
    };
    let all = match part {
        Part::Plain => of_maps(Tally::Nothing),
        Part::Still => of_maps(Tally::AtMost),
        Part::Events => vec![(Map::Events, Others::Stay(50), Tally::Sum)],
        Part::Picky | Part::Panic => vec![(Map::Hash, Others::Stay(50), Tally::Sum)],
        Part::Fickle => vec![(Map::Hash, Others::Come(50), Tally::Nothing)],
        Part::Bounded => vec![(Map::Hash, Others::Stay(500), Tally::Sum)],
        Part::Transform | Part::Shared | Part::Decoded => vec![(Map::Hash, Others::Come(50), rows)],
    };
    let texts = matches!(part, Part::Picky | Part::Panic | Part::Fickle | Part::Transform);
    let booked = |(map, others, tally): (Map, Others, Tally)| {
        let count = if map == Map::Seconds { "_count" } else { "" };
        let series = format!("ebpf_exporter_s{number:02}_{}{count}", map.suffix());
        let book = ledger.open(config, &series, tally);
        Metric { map, texts, others, book, next: AtomicU64::new(0) }
    };
    all.into_iter().map(booked).collect()
}
