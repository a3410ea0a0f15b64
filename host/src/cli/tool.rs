//! What can be done instead of serving, as it was typed: `plugin …`, `config …`, `healthcheck`, `docs …`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use componentize::Said;

use super::new::New;
use crate::plugin::Order;
use crate::surveyor::Charge;

/// What is done instead of serving.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum Command {
    /// Look at a plugin, try it, measure it, check it; needs no kernel and no privilege
    Plugin {
        /// What to do with it.
        #[command(subcommand)]
        tool: Tool,
    },
    /// Write what the maps of configs hold, reading after reading, into a file
    Record(Record),
    /// Serve, or print, what recorded maps become; needs no kernel and no privilege
    Replay(Replay),
    /// Show what all BPF programs and maps of this host cost, again and again; takes CAP_SYS_ADMIN
    ///
    /// The kernel measures while it runs, which costs every run of every program some 30 ns.
    /// A * marks what this program holds, in whichever process.
    Top(Top),
    /// Say what a config may hold
    Config {
        /// What to say.
        #[command(subcommand)]
        tool: ConfigTool,
    },
    /// Ask an exporter whether it serves, and exit with 0 if it does
    Healthcheck {
        /// Where it listens, as in --web.listen-address
        #[arg(default_value = ":9435")]
        address: String,
    },

    /// Print what the program knows of itself: a man page, completions for a shell, tables
    ///
    /// A package has them made when it is built:
    ///
    ///   ebpf_wasm_exporter docs man > ebpf_wasm_exporter.1
    ///
    ///   ebpf_wasm_exporter docs completions bash > ebpf_wasm_exporter
    #[command(hide = true)]
    Docs {
        /// What to print.
        #[command(subcommand)]
        page: DocsPage,
    },

    /// For the exporter itself, which starts itself anew to compile a plugin
    #[command(hide = true)]
    CompilePlugin(Order),

    /// For the exporter itself, which starts itself anew to look at all BPF programs of the host
    #[command(hide = true)]
    SurveyHost(Charge),
}

/// What is shown, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Top {
    /// Measure once, print it all, and exit
    #[arg(long)]
    pub once: bool,

    /// How long to measure each time
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub interval: String,

    /// What to sort programs by
    #[arg(long, value_name = "COLUMN", value_enum, default_value = "cpu")]
    pub sort: SortBy,

    /// Do not have the kernel measure: times are told only if somebody else has it do so
    #[arg(long = "no-bpf.stats")]
    pub no_bpf_stats: bool,
}

/// What programs are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SortBy {
    /// Time spent in it, most first
    Cpu,
    /// Runs, most first
    Runs,
    /// Memory of it, most first
    Memory,
    /// Its number, least first
    Id,
}

/// What is recorded, and how.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Record {
    /// The file to write
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,

    /// How long to record
    #[arg(long = "for", value_name = "TIME", default_value = "30s")]
    pub time: String,

    /// How often to read the maps
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub interval: String,

    /// Write no text of a key as it is: each becomes another one that says nothing
    #[arg(long)]
    pub redact: bool,

    /// What is loaded.
    #[command(flatten)]
    pub configs: Configs,

    /// File with the kernel's BTF, instead of /sys/kernel/btf/vmlinux
    #[arg(long = "btf.path", value_name = "FILE")]
    pub btf_path: Option<PathBuf>,
}

/// What is replayed, and how.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Replay {
    /// The recording
    pub file: PathBuf,

    /// Print what the maps become in the end, and exit
    #[arg(long)]
    pub once: bool,

    /// Print what they become at the N-th reading, and exit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub at: Option<u64>,

    /// What is made of it, if not what the recording says.
    #[command(flatten)]
    pub configs: Configs,

    /// Where to listen, as in serving
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":9435")]
    pub listen_address: String,
}

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
}

/// What can be said of configs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum ConfigTool {
    /// Print the JSON Schema of a config's YAML, for editors that complete and check it
    ///
    /// Editors with a language server for YAML read it where a config names its file in the first line:
    ///
    ///   # yaml-language-server: $schema=config.schema.json
    Schema,
}

/// What can be printed about the program.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum DocsPage {
    /// Print the man page, as roff
    Man {
        /// A subcommand, such as `plugin run`, to have its page
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Print a script that completes commands, flags and values
    Completions {
        /// Whose script
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print a table, as Markdown
    Reference {
        /// Which one
        #[arg(value_enum)]
        name: Reference,
    },
}

/// A shell that completes what is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "these are names")]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// A table of the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Reference {
    /// The flags, by what they are about
    Flags,
    /// The built-in decoders
    Decoders,
    /// The exit codes
    ExitCodes,
    /// The metrics about the exporter itself
    Metrics,
    /// The keys of a config
    Config,
}

/// What can be done with a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Tool {
    /// Begin one in a new directory: its source, what builds and tests it, and how it gets into a config
    New(New),
    /// Write the contract between the exporter and plugins, WIT, for bindings generators
    Wit {
        /// Where to, made if it is not there
        #[arg(default_value = "wit")]
        dir: PathBuf,

        /// Write one file instead: a WIT package in binary form, as registries take it
        #[arg(long, value_name = "FILE", conflicts_with = "dir")]
        package: Option<PathBuf>,
    },
    /// Say what a file is, and what it says of itself; runs nothing of it
    Inspect {
        /// The .wasm file, or oci:REGISTRY/REPOSITORY:TAG of one in a registry
        file: PathBuf,

        /// As JSON, with the schema of its settings
        #[arg(long)]
        json: bool,

        /// What looking at it may take.
        #[command(flatten)]
        compile: Compile,

        /// How a registry is asked.
        #[command(flatten)]
        registry: RegistryFlags,
    },
    /// Make a component of a core module, or say in a component what it is; runs nothing of it
    Componentize {
        /// The .wasm file: what a compiler wrote, or a component
        input: PathBuf,

        /// The component to write
        output: PathBuf,

        /// What is said of it.
        #[command(flatten)]
        said: Said,

        /// What making it may take.
        #[command(flatten)]
        compile: Compile,
    },
    /// Ask it and show what it answers
    Run {
        /// What is asked.
        #[command(flatten)]
        subject: Subject,
        /// Answers as JSON, one a line
        #[arg(long)]
        json: bool,
    },
    /// Measure what an input costs, by the size of batches
    Bench {
        /// What is asked.
        #[command(flatten)]
        subject: Subject,
    },
    /// Hold it against the contract: all answered, the same twice, nothing too much for it
    Check {
        /// What is asked.
        #[command(flatten)]
        subject: Subject,
    },
    /// Put a component into an OCI registry
    Push(Push),
    /// Get a component out of an OCI registry, into a file; what an earlier pull has left is used
    Pull {
        /// REGISTRY/REPOSITORY:TAG, or …@sha256:HEX
        reference: String,

        /// The file to write, or a directory for it; default: the repository's name with .wasm
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,

        /// How the registry is asked.
        #[command(flatten)]
        registry: RegistryFlags,
    },
    /// Get the plugins that configs name by `oci:` into a directory, for an exporter that asks no registry
    ///
    /// What is there already is not asked for again. plugins.lock in that directory says which file is which.
    Fetch(Fetch),
    /// Say what newer plugins there are than those that configs name by `oci:`
    ///
    /// What is printed can be put into a config.
    Outdated(Outdated),
    /// List the tags of a repository: versions, the newest first, then others
    List {
        /// REGISTRY/REPOSITORY
        repository: String,

        /// How the registry is asked.
        #[command(flatten)]
        registry: RegistryFlags,
    },
}

/// What is fetched, and how.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Fetch {
    /// Whose plugins, and where to.
    #[command(flatten)]
    pub configs: Configs,

    /// Remove what was fetched and these configs do not name
    #[arg(long)]
    pub prune: bool,

    /// How registries are asked.
    #[command(flatten)]
    pub registry: RegistryFlags,
}

/// What is looked at, and how.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Outdated {
    /// Directory of NAME.yaml
    #[arg(long = "config.dir", value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Configs, by name, comma separated
    #[arg(long = "config.names", value_name = "NAMES", value_delimiter = ',')]
    pub names: Vec<String>,

    /// How registries are asked.
    #[command(flatten)]
    pub registry: RegistryFlags,
}

/// What is pushed, where to and how.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Push {
    /// The .wasm file
    pub file: PathBuf,

    /// REGISTRY/REPOSITORY:TAG, where the tag is a version such as 1.2.0
    pub reference: String,

    /// A text about it, such as org.opencontainers.image.source=https://…; may be given again
    #[arg(long = "annotation", value_name = "KEY=VALUE")]
    pub annotations: Vec<String>,

    /// Have the tags 1.2 and 1 lead to version 1.2.0 too, each unless a newer version is there for it
    #[arg(long)]
    pub move_tags: bool,

    /// Put it in the place of another one that has the same version
    #[arg(long)]
    pub force: bool,

    /// How the registry is asked.
    #[command(flatten)]
    pub registry: RegistryFlags,
}

/// How a registry is asked.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct RegistryFlags {
    /// Ask the registry without TLS
    #[arg(long)]
    pub plain_http: bool,

    /// File of certificates of authorities to trust beside those of this host, in PEM format
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// How long all of it may take
    #[arg(long, value_name = "TIME", default_value = "2m")]
    pub timeout: String,
}

/// What compiling a plugin may take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct Compile {
    /// How much processor time compiling may take, as `limits.compile.time` of a config
    #[arg(long, value_name = "TIME")]
    pub compile_time: Option<String>,

    /// How much memory compiling may take, as `limits.compile.memory` of a config
    #[arg(long, value_name = "SIZE")]
    pub compile_memory: Option<String>,
}

/// What a plugin may use, each flag being a key of `limits` of a config.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct LimitFlags {
    /// How much memory it may have, as `limits.memory` of a config
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,

    /// How long a call may take, as `limits.deadline` of a config
    #[arg(long, value_name = "TIME")]
    pub deadline: Option<String>,

    /// How much text a call may return, as `limits.output` of a config
    #[arg(long, value_name = "SIZE")]
    pub output: Option<String>,

    /// How many elements its tables may have, as `limits.table` of a config
    #[arg(long, value_name = "N")]
    pub table: Option<String>,

    /// How many core instances it may have, as `limits.instances` of a config
    #[arg(long, value_name = "N")]
    pub instances: Option<String>,

    /// How much memory its answers may have, as `limits.answers` of a config; for `bench`
    #[arg(long, value_name = "SIZE")]
    pub answers: Option<String>,

    /// How much text its labels may have, as `limits.text` of a config; no tool has so much
    #[arg(long, value_name = "SIZE")]
    pub text: Option<String>,

    /// How long an answer holds at least, as `limits.hold` of a config; without it, as long as it says
    #[arg(long, value_name = "TIME")]
    pub hold: Option<String>,

    /// What compiling it may take.
    #[command(flatten)]
    pub compile: Compile,
}

impl LimitFlags {
    /// What was typed for a key of `limits`.
    pub fn text_of(&self, key: &str) -> Option<String> {
        let text = match key {
            "memory" => &self.memory,
            "deadline" => &self.deadline,
            "output" => &self.output,
            "table" => &self.table,
            "instances" => &self.instances,
            "answers" => &self.answers,
            "text" => &self.text,
            "hold" => &self.hold,
            "compile.time" => &self.compile.compile_time,
            "compile.memory" => &self.compile.compile_memory,
            _ => &None,
        };
        text.clone()
    }
}

/// A plugin and what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Subject {
    /// The .wasm file
    pub file: PathBuf,

    /// Inputs of a decoder; of a transform, the values of a row, separated by commas
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<String>,

    /// Inputs are written in hex
    #[arg(long)]
    pub hex: bool,

    /// Its settings, as YAML or JSON
    #[arg(long, value_name = "YAML", default_value = "{}", conflicts_with = "settings_file")]
    pub settings: String,

    /// File with its settings
    #[arg(long, value_name = "FILE")]
    pub settings_file: Option<PathBuf>,

    /// What it may use.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// Directory to keep it compiled in, as in serving
    #[arg(long = "plugins.cache-dir", value_name = "DIR")]
    pub plugins_cache_dir: Option<OsString>,

    /// For a transform: the names of the labels that rows come with, comma separated
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub labels: Vec<String>,

    /// For a transform: the name of the metric
    #[arg(long, value_name = "NAME", default_value = "ebpf_exporter_test_total")]
    pub metric: String,

    /// For a transform: rows are those of a histogram
    #[arg(long)]
    pub histogram: bool,
}
