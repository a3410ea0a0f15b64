//! Every key that a config may have, and what it means: the one list that the reader, the JSON
//! Schema and the manual are made from.
//!
//! Nothing is read here. [`Fields`](super::fields::Fields) looks for no key that its section lacks.

use super::section::{key, section};
use crate::config::plan::{CgroupMapKind, WASM};
use crate::config::{buckets, ranges};
use crate::decode::builtin;

pub(in crate::config) use super::section::{Choice, Key, Only, Section, Unwritten, ValueKind};

use Unwritten::{Needed, NeededWithout, Nothing, Said, Written};

pub(in crate::config) static FILE: Section = Section {
    any_of: &["metrics", "tracing"],
    ..section(
        "file",
        "A config of ebpf_wasm_exporter: what the maps of the BPF object NAME.bpf.o beside it mean.",
        &[
            key(
                "metrics",
                ValueKind::Section(&METRICS),
                Nothing,
                "The metrics. A file that has neither any nor spans is refused.",
            ),
            key(
                "kaddrs",
                ValueKind::Identifiers,
                Nothing,
                "Kernel symbols. For each, the object's `const volatile __u64 kaddr_SYMBOL` is set to its address before the object is loaded.",
            ),
            key(
                "plugins",
                ValueKind::Named(&PLUGIN),
                Nothing,
                "Plugins, WebAssembly components, by the names that decoders and transforms of this file call them. Names are made of letters, digits, `_`, `-` and `.`.",
            ),
            key("tracing", ValueKind::Section(&TRACING), Nothing, "The spans, in `spans`."),
            key(
                "cgroup_id_map",
                ValueKind::Optional(&CGROUP_ID_MAP),
                Nothing,
                "A map of the object that is kept filled with the cgroups whose paths match.",
            ),
        ],
    )
};

pub(in crate::config) static METRICS: Section = Section {
    any_of: &["counters", "histograms"],
    ..section(
        "metrics",
        "The metrics of a file, `metrics`.",
        &[
            key("counters", ValueKind::Items(&COUNTER), Nothing, "The counters."),
            key("histograms", ValueKind::Items(&HISTOGRAM), Nothing, "The histograms."),
        ],
    )
};

const NAME: Key = key(
    "name",
    ValueKind::Name,
    Needed,
    "The name of its map in the object. The metric is called `ebpf_exporter_` and this.",
);
const HELP: Key =
    key("help", ValueKind::Word, Needed, "What it counts: the metric's `# HELP` line. Not empty.");
const LABELS: Key = key(
    "labels",
    ValueKind::Items(&LABEL),
    Nothing,
    "The parts of the map's key, in order. A counter without labels is the one entry whose `u32` key is 0.",
);
const BUCKET_LABELS: Key = key(
    "labels",
    ValueKind::Items(&LABEL),
    Needed,
    "The parts of the map's key, in order. The last one, before `cpu`, is the bucket.",
);
const MAX_SERIES: Key = key(
    "max_series",
    ValueKind::Whole(ranges::SERIES),
    Said("that of `--metrics.max-series`, else any number"),
    "How many series it may have. Rows with labels beyond them go into one more, whose labels all are `other`.",
);
const TRANSFORMS: Key = key(
    "transforms",
    ValueKind::Items(&TRANSFORM),
    Nothing,
    "Plugins that change a row's labels after all decoders, one after the other.",
);

pub(in crate::config) static COUNTER: Section = section(
    "counter",
    "A counter, an item of `metrics.counters`.",
    &[
        NAME,
        HELP,
        LABELS,
        key(
            "perf_event_array",
            ValueKind::Boolean,
            Written("false"),
            "Whether its map is a perf event array: each record counts 1. Its first bytes are the labels, and what comes behind them does not matter.",
        ),
        key(
            "ringbuf",
            ValueKind::Boolean,
            Written("false"),
            "Whether its map is a ring buffer: each record counts 1, as of a perf event array.",
        ),
        key(
            "flush_interval",
            ValueKind::Duration(None),
            Written("1h"),
            "Of records: a key that none came of for so long, and at most twice as long, is forgotten.",
        ),
        MAX_SERIES,
        TRANSFORMS,
    ],
);

/// The types of histograms whose buckets are a range of keys.
const RANGED: &[&str] = &["exp2", "exp2zero", "linear", "native"];
/// Those whose buckets end where a multiplier says.
const MULTIPLIED: &[&str] = &["exp2", "exp2zero", "linear", "fixed"];

fn bucket_types() -> Vec<Choice> {
    buckets::TYPES.map(|word| Choice { word, says: String::new() }).to_vec()
}

pub(in crate::config) static HISTOGRAM: Section = section(
    "histogram",
    "A histogram, an item of `metrics.histograms`.",
    &[
        NAME,
        HELP,
        BUCKET_LABELS,
        key(
            "bucket_type",
            ValueKind::Choice(bucket_types),
            Needed,
            "Where buckets end. `exp2`: the bucket with key k ends at 2^k. `exp2zero`: key 0 ends at 0, key k at 2^(k-1). `linear`: key k ends at k. `fixed`: those of `bucket_keys`, each at itself. `native`: key k ends at 2^(k/2^`bucket_schema` - 30) seconds, as a native histogram has it.",
        ),
        key("bucket_min", ValueKind::Whole(ranges::BUCKET), Written("0"), "The first bucket's key. Not for `fixed`.")
            .only("bucket_type", RANGED),
        key(
            "bucket_max",
            ValueKind::Whole(ranges::BUCKET),
            Needed,
            "The last bucket's key. Not for `fixed`. At most 64 for `exp2`, 65 for `exp2zero` and 64 · 2^`bucket_schema` for `native`; 10,000 buckets at most.",
        )
        .only("bucket_type", RANGED),
        key(
            "bucket_schema",
            ValueKind::Whole(ranges::SCHEMA),
            Needed,
            "How fine buckets of `native` are: there are 2^`bucket_schema` from a power of two to the next.",
        )
        .only("bucket_type", &["native"]),
        key(
            "bucket_keys",
            ValueKind::Numbers,
            Needed,
            "The keys of all buckets, ascending, none twice, each below 2^53; 10,000 at most.",
        )
        .only("bucket_type", &["fixed"]),
        key(
            "bucket_multiplier",
            ValueKind::Number,
            Written("1"),
            "What bounds and sum are multiplied with, such as 1e-6 for keys in microseconds. 0 is 1. Not for `native`, whose programs count nanoseconds.",
        )
        .only("bucket_type", MULTIPLIED),
        key(
            "native",
            ValueKind::Boolean,
            Said("`true` for `native`, else `false`"),
            "Whether it is a native histogram too, for clients that take protobuf. Of `exp2` and `exp2zero` it can be one if `bucket_multiplier` is a power of two.",
        ),
        key(
            "classic",
            ValueKind::Boolean,
            Written("true"),
            "Whether a native histogram has classic buckets beside it. In text it has them always.",
        ),
        MAX_SERIES,
        TRANSFORMS,
    ],
);

pub(in crate::config) static LABEL: Section = Section {
    any_of: &["size", "reuse"],
    ..section(
        "label",
        "A label, an item of `labels`.",
        &[
            key(
                "name",
                ValueKind::Name,
                Needed,
                "What it is called: any name that Prometheus 3 takes, without `__` in front.",
            ),
            key(
                "size",
                ValueKind::Whole(ranges::LABEL_SIZE),
                NeededWithout("reuse"),
                "How many bytes of the map's key, or of the record, it takes.",
            ),
            key(
                "padding",
                ValueKind::Whole(ranges::PADDING),
                Written("0"),
                "How many bytes to pass over behind it.",
            ),
            key(
                "reuse",
                ValueKind::Boolean,
                Written("false"),
                "Whether it takes no bytes of its own and decodes those of the label before it once more.",
            ),
            key(
                "decoders",
                ValueKind::Items(&DECODER),
                Nothing,
                "The chain that makes a text of the bytes: the first gets the bytes, each further one the text of the one before. Without decoders the label is the bytes as they are.",
            ),
        ],
    )
};

/// What a label is called that cannot be decoded.
const ERROR: Unwritten = Written("{label: error}");

pub(in crate::config) static DECODER: Section = section(
    "decoder",
    "A decoder, an item of `decoders`.",
    &[
        key(
            "name",
            ValueKind::Choice(decoders),
            Needed,
            "A built-in decoder, or `wasm` for one that is a plugin.",
        ),
        key(
            "static_map",
            ValueKind::Pairs,
            Needed,
            "For `static_map`: the text for each input. `010`, `8` and `0x8` are three inputs.",
        )
        .only("name", &["static_map"]),
        key(
            "allow_unknown",
            ValueKind::Boolean,
            Written("false"),
            "For `static_map`: whether to pass on what is not in the map, instead of `unknown:TEXT`.",
        )
        .only("name", &["static_map"]),
        key(
            "regexps",
            ValueKind::Texts,
            Needed,
            "For `regexp`: patterns in RE2's syntax, each with one group at most. The first that matches counts; a row that none matches is left out.",
        )
        .only("name", &["regexp"]),
        key(
            "on_error",
            ValueKind::OnError(&["drop", "raw"]),
            ERROR,
            "What becomes of a label that cannot be decoded. `{label: TEXT}`: it becomes TEXT. `raw`: it becomes the hex of the decoder's input. `drop`: the row is left out.",
        ),
        key("plugin", ValueKind::Word, Needed, "For `wasm`: the plugin, by its name in `plugins`.")
            .only("name", &[WASM]),
    ],
);

/// What a decoder may be called.
fn decoders() -> Vec<Choice> {
    let builtin = |builtin: &builtin::Builtin| Choice {
        word: builtin.name,
        says: format!("{} → {}", builtin.about.input, builtin.about.gives),
    };
    let wasm = |word: &&'static str| Choice { word, says: "what the plugin gives".to_owned() };
    builtin::ALL.iter().map(builtin).chain([&WASM].map(wasm)).collect()
}

pub(in crate::config) static ON_ERROR: Section = section(
    "on_error",
    "What a label is to be, the mapping form of `on_error`.",
    &[key("label", ValueKind::Text, Needed, "The label's text. It may be empty.")],
);

pub(in crate::config) static TRANSFORM: Section = section(
    "transform",
    "A transform, an item of `transforms`.",
    &[
        key("plugin", ValueKind::Word, Needed, "The plugin, by its name in `plugins`."),
        key(
            "on_error",
            ValueKind::OnError(&["drop"]),
            ERROR,
            "What becomes of a row that it cannot answer. `{label: TEXT}`: all labels become TEXT. `drop`: the row is left out.",
        ),
    ],
);

pub(in crate::config) static PLUGIN: Section = Section {
    one_of: &["file", "oci"],
    ..section(
        "plugin",
        "A plugin, `plugins.NAME`.",
        &[
            key(
                "file",
                ValueKind::Word,
                NeededWithout("oci"),
                "The component's file. It is looked for in the config's directory, then in that of `--plugins.dir`; an absolute path is taken as it is.",
            ),
            key(
                "oci",
                ValueKind::Reference,
                NeededWithout("file"),
                "The component in a registry, REGISTRY/REPOSITORY:TAG@sha256:HEX. `plugin fetch` gets it into the directory of `--plugins.dir`; the exporter itself asks no registry.",
            ),
            key(
                "sha256",
                ValueKind::Digest,
                Nothing,
                "The file's SHA-256, as `sha256sum` prints it. A file with another is refused before anything is compiled.",
            ),
            key(
                "settings",
                ValueKind::Settings,
                Written("{}"),
                "What the plugin is told, as JSON. What goes in is the plugin's to say. `{file: PATH}` below it stands for the text of that file, relative to the config's directory.",
            ),
            key(
                "data",
                ValueKind::NamedOrOne(&DATA),
                Nothing,
                "Files of the host that the plugin reads while the exporter runs, 8 at most, by the names that the plugin calls them. One file without a name, `{file: PATH}`, is called `data`.",
            ),
            key(
                "limits",
                ValueKind::Section(&LIMITS),
                Nothing,
                "What the plugin may use. Each has a default.",
            ),
        ],
    )
};

pub(in crate::config) static DATA: Section = section(
    "data",
    "A file of the host that a plugin reads, `plugins.NAME.data.NAME`.",
    &[
        key(
            "file",
            ValueKind::Word,
            Needed,
            "The file, relative to the config's directory. It is replaced by renaming another to it, and may come later. All of its directory is readable for the exporter.",
        ),
        key(
            "refresh",
            ValueKind::Duration(Some(ranges::DATA_REFRESH)),
            Written("10s"),
            "How often the exporter looks whether the file has changed.",
        ),
        key(
            "size",
            ValueKind::Size(ranges::DATA_SIZE),
            Written("4MiB"),
            "The most that the file may have. A larger one is not read.",
        ),
    ],
);

pub(in crate::config) static LIMITS: Section = section(
    "limits",
    "What a plugin may use, `plugins.NAME.limits`.",
    &[
        key(
            "memory",
            ValueKind::Size(ranges::MEMORY),
            Written("16MiB"),
            "Memory of an instance: its linear memories, tables, globals and contexts together.",
        ),
        key(
            "deadline",
            ValueKind::Duration(Some(ranges::DEADLINE)),
            Written("100ms"),
            "How long one call may take. The first `configure`, at the exporter's start, has at least 2s.",
        ),
        key(
            "output",
            ValueKind::Size(ranges::OUTPUT),
            Written("1MiB"),
            "Text that one call may return.",
        ),
        key(
            "table",
            ValueKind::Whole(ranges::TABLE),
            Written("100000"),
            "Elements of all tables of an instance together.",
        ),
        key(
            "instances",
            ValueKind::Whole(ranges::INSTANCES),
            Written("128"),
            "Core instances of an instance. A guest whose libraries are modules of their own has many.",
        ),
        key(
            "answers",
            ValueKind::Size(ranges::ANSWERS),
            Written("4MiB"),
            "Memory for what it has answered. 0 remembers nothing.",
        ),
        key(
            "text",
            ValueKind::Size(ranges::TEXT),
            Written("32MiB"),
            "Text of all labels that it makes in one metric, as it stands in the lines of the metric's series.",
        ),
        key(
            "hold",
            ValueKind::Duration(Some(ranges::HOLD)),
            Written("5s"),
            "The least time that an answer holds which does not hold for ever.",
        ),
        key(
            "compile",
            ValueKind::Section(&COMPILE),
            Nothing,
            "What compiling the plugin may use. Each has a default.",
        ),
    ],
);

pub(in crate::config) static COMPILE: Section = section(
    "compile",
    "What compiling a plugin may use, `plugins.NAME.limits.compile`.",
    &[
        key(
            "time",
            ValueKind::Duration(Some(ranges::COMPILE_TIME)),
            Said("10s, and 4s for each MiB of the file beyond 8, at most 60s"),
            "Processor time that compiling may take; by the clock, six times that.",
        ),
        key(
            "memory",
            ValueKind::Size(ranges::COMPILE_MEMORY),
            Written("448MiB"),
            "Memory that compiling may take.",
        ),
    ],
);

pub(in crate::config) static TRACING: Section = Section {
    any_of: &["spans"],
    ..section(
        "tracing",
        "Spans that programs make, `tracing`.",
        &[key("spans", ValueKind::Items(&SPAN), Nothing, "The spans.")],
    )
};

pub(in crate::config) static SPAN: Section = section(
    "span",
    "Spans of one kind, an item of `tracing.spans`: each record of a ring buffer is one.",
    &[
        key(
            "name",
            ValueKind::Word,
            Said("the name of `ringbuf`"),
            "What the spans are called, unless their label `span_name` says otherwise.",
        ),
        key("ringbuf", ValueKind::Word, Needed, "The name of its ring buffer in the object."),
        key(
            "service",
            ValueKind::Word,
            Said("`OTEL_SERVICE_NAME`, else `ebpf_exporter`"),
            "The service that the spans are of, `service.name`.",
        ),
        key(
            "labels",
            ValueKind::Items(&LABEL),
            Nothing,
            "The parts of a record, in order. Those called `trace_id`, `span_id`, `parent_span_id`, `span_monotonic_timestamp_ns`, `span_duration_ns` and `span_name` say what the span is; each other one is an attribute.",
        ),
    ],
);

pub(in crate::config) static CGROUP_ID_MAP: Section = section(
    "cgroup_id_map",
    "A map that is kept filled with cgroups, `cgroup_id_map`.",
    &[
        key("name", ValueKind::Word, Needed, "The name of the map in the object."),
        key(
            "type",
            ValueKind::Choice(cgroup_map_types),
            Written("hash"),
            "Its type. Each cgroup has 1 for its value.",
        ),
        key(
            "regexps",
            ValueKind::Texts,
            Needed,
            "Patterns in RE2's syntax. A cgroup is in the map if any of them matches anywhere in its path, such as `/sys/fs/cgroup/system.slice/ssh.service`.",
        ),
    ],
);

fn cgroup_map_types() -> Vec<Choice> {
    let about = |kind: CgroupMapKind| Choice { word: kind.word(), says: kind.says().to_owned() };
    CgroupMapKind::ALL.map(about).to_vec()
}
