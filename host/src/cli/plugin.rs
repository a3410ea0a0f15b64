//! What can be done with a plugin, as it was typed: `plugin …`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use componentize::Said;

use super::new::New;
use super::registry::{Fetch, Outdated, Push, RegistryFlags, Update};

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

        /// File that says who has to have signed it
        #[arg(long = "plugins.policy", value_name = "FILE")]
        policy: Option<PathBuf>,

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
        #[arg(required_unless_present = "to", conflicts_with = "to")]
        output: Option<PathBuf>,

        /// The same
        #[arg(id = "to", long = "output", short = 'o', value_name = "FILE")]
        to: Option<PathBuf>,

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

        /// File that says who has to have signed it
        #[arg(long = "plugins.policy", value_name = "FILE")]
        policy: Option<PathBuf>,

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
    /// Nothing is changed.
    Outdated(Outdated),
    /// Write newer plugins into configs in the place of those that they name by `oci:`
    ///
    /// Versions that promise the same are taken: 1.9.0 for 1.2.0. All but the references stays as it is written. What
    /// they name then is still to be fetched.
    Update(Update),
    /// List the tags of a repository: versions, the newest first, then others
    List {
        /// REGISTRY/REPOSITORY
        repository: String,

        /// How the registry is asked.
        #[command(flatten)]
        registry: RegistryFlags,
    },
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

    /// A file that it reads, and what it calls it; may come again
    #[arg(long, value_name = "NAME=FILE")]
    pub data: Vec<String>,

    /// What it may use.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// File that says who has to have signed it
    #[arg(long = "plugins.policy", value_name = "FILE")]
    pub policy: Option<PathBuf>,

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
