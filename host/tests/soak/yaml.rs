//! What the configs are for that are soaked, and their YAML.

/// What a config is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All maps, and another YAML and another object now and then.
    Plain,
    /// All maps, and never touched.
    Still,
    /// Records of a ring buffer, and never touched.
    Events,
    /// A plugin that traps on some keys, and is another one now and then.
    Picky,
    /// A plugin that traps always.
    Panic,
    /// A plugin that transforms, and is another one now and then.
    Transform,
    /// A plugin that answers otherwise each time.
    Fickle,
    /// More rows than it may have series.
    Bounded,
    /// A family that two configs have, and that changes in both at once.
    Shared,
    /// Decoders that are built in, some of which have no answer.
    Decoded,
}

/// A map of `soak.bpf.c` by its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    Hash,
    Lru,
    PerCpuHash,
    Array,
    PerCpuArray,
    Mmap,
    Seconds,
    Events,
}

impl Map {
    /// What its name ends in.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Hash => "hash_total",
            Self::Lru => "lru_total",
            Self::PerCpuHash => "percpu_hash_total",
            Self::Array => "array_total",
            Self::PerCpuArray => "percpu_array_total",
            Self::Mmap => "mmap_total",
            Self::Seconds => "seconds",
            Self::Events => "events_total",
        }
    }
}

/// What writes one of them. Each version calls a label otherwise, and has another help.
pub struct Writer {
    /// What stands in the names of its maps.
    pub number: usize,
    pub version: usize,
}

impl Writer {
    pub fn config(&self, part: Part) -> String {
        let (hash, number, text) = (Map::Hash, self.number(8), self.text(""));
        let by_guest = self.text(", {name: wasm, plugin: guest}");
        let (guest, metrics) = match part {
            Part::Plain => (None, self.all_maps(&number)),
            Part::Still => (None, self.all_maps(ONE)),
            Part::Events => (None, self.counter(Map::Events, &number, ", ringbuf: true")),
            Part::Picky => (Some("picky"), self.counter(hash, &by_guest, "")),
            Part::Panic => (Some("panic"), self.counter(hash, &by_guest, "")),
            Part::Fickle => (Some("fickle"), self.counter(hash, &by_guest, "")),
            Part::Transform => {
                (Some("pass"), self.counter(hash, &text, ", transforms: [{plugin: guest}]"))
            }
            Part::Bounded => (None, self.counter(hash, &number, ", max_series: 50")),
            Part::Shared => (None, self.counter(hash, &number, "")),
            Part::Decoded => (None, self.counter(hash, &format!("{number}, {DECODED}"), "")),
        };
        let plugins = guest.map(plugins).unwrap_or_default();
        format!("{plugins}metrics:\n  counters:\n{metrics}")
    }

    /// Counters of all maps that hold entries, and the histogram. The LRU hash has this label.
    fn all_maps(&self, lru: &str) -> String {
        let (eight, four) = (self.number(8), self.number(4));
        let counters = [
            (Map::Hash, &*eight),
            (Map::Lru, lru),
            (Map::PerCpuHash, &*eight),
            (Map::Array, &*four),
            (Map::PerCpuArray, &*four),
            (Map::Mmap, &*four),
        ];
        let counters = counters.map(|(map, labels)| self.counter(map, labels, ""));
        format!("{}  histograms:\n{}", counters.concat(), self.histogram())
    }

    fn counter(&self, map: Map, labels: &str, more: &str) -> String {
        let (name, version) = (self.name(map), self.version);
        format!("    - {{name: {name}, help: Version {version}, labels: [{labels}]{more}}}\n")
    }

    fn histogram(&self) -> String {
        let buckets = "bucket_type: exp2, bucket_max: 4";
        let bucket = "{name: bucket, size: 8, decoders: [{name: uint}]}";
        let labels = format!("{}, {bucket}", self.number(8));
        self.counter(Map::Seconds, &labels, &format!(", {buckets}"))
    }

    fn name(&self, map: Map) -> String {
        format!("s{:02}_{}", self.number, map.suffix())
    }

    /// A label that is a number of so many bytes.
    fn number(&self, size: u64) -> String {
        format!("{{name: {}, size: {size}, decoders: [{{name: uint}}]}}", self.label())
    }

    /// A label that is a text of eight bytes, with more decoders behind.
    fn text(&self, more: &str) -> String {
        format!("{{name: {}, size: 8, decoders: [{{name: string}}{more}]}}", self.label())
    }

    fn label(&self) -> &'static str {
        ["id", "key"][self.version % 2]
    }
}

/// A label that is the same for all rows: no number has more than 32 bits.
const ONE: &str =
    "{name: high, size: 8, decoders: [{name: hex}, {name: regexp, regexps: ['(00000000)$']}]}";

/// Labels of the same bytes again: the last leaves out rows with even numbers, but for those that stay and a few more.
const DECODED: &str = "{name: hex, reuse: true, decoders: [{name: hex}]}, \
    {name: odd, reuse: true, decoders: [{name: uint}, {name: regexp, regexps: ['[13579]$', '^[1-9]$', '^100.$']}]}";

/// The plugin `guest`, of this file. On a slow machine too it has the time that it needs.
fn plugins(file: &str) -> String {
    format!("plugins: {{guest: {{file: {file}.wasm, limits: {{deadline: 10s, hold: 1s}}}}}}\n")
}
