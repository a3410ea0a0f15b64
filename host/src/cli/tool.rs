//! What can be done instead of serving, as it was typed: `plugin …`, `config …`, `healthcheck`, `docs …`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::bundle::BundleTool;
use super::plugin::Tool;
use super::pods::Pods;
use super::selection::Configs;
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
    /// Make one artifact of a config and all that it needs, prove it, share it; needs no kernel
    Bundle {
        /// What to do with it.
        #[command(subcommand)]
        tool: BundleTool,
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
    /// Keep a list of this node's pods in a file, from its kubelet
    ///
    /// Plugins name pods by it. It needs no privilege: only to read its token, and to write into the file's
    /// directory. SIGTERM ends it.
    Pods(Pods),
    /// Let go of what --bpf.pin-dir has kept: programs are detached, and what they have counted is gone
    Unpin(Unpin),
    /// Say what a config may hold
    Config {
        /// What to say.
        #[command(subcommand)]
        tool: ConfigTool,
    },
    /// Ask an exporter whether it serves, and exit with 0 if it does
    Healthcheck(Healthcheck),

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

/// What is let go of.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Unpin {
    /// The directory, as the exporter has it
    #[arg(long = "bpf.pin-dir", value_name = "DIR")]
    pub dir: PathBuf,

    /// Configs to let go of
    #[arg(value_name = "CONFIG", required_unless_present = "all")]
    pub configs: Vec<String>,

    /// Let go of all configs that are there
    #[arg(long, conflicts_with = "configs")]
    pub all: bool,
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

    /// A bundle to load, as in serving; may be given again
    #[arg(long = "config.bundle", value_name = "BUNDLE")]
    pub bundles: Vec<String>,

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

    /// A bundle whose config takes the place of the recorded one of its name; may be given again
    #[arg(long = "config.bundle", value_name = "BUNDLE")]
    pub bundles: Vec<String>,

    /// Where to listen, as in serving
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":9435")]
    pub listen_address: Vec<String>,

    /// File with certificates, users and headers, as in serving
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<OsString>,
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
    /// The keys of a policy of signatures
    Policy,
    /// The keys of a web config
    Web,
    /// The variables of the environment
    Environment,
}

/// How to ask an exporter whether it serves.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Healthcheck {
    /// Where it listens, as in --web.listen-address, with https:// in front if it speaks TLS; may be several
    #[arg(value_name = "ADDRESS", default_value = ":9435")]
    pub addresses: Vec<String>,

    /// Believe a certificate of these authorities, and of no others; without it, of those of this host
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub ca_file: Option<PathBuf>,

    /// Believe any certificate
    #[arg(long)]
    pub insecure: bool,

    /// Certificate to show
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub cert_file: Option<PathBuf>,

    /// Its private key
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    pub key_file: Option<PathBuf>,
}
