//! What is asked of registries, as it was typed, and how they are asked.

use std::path::PathBuf;

use clap::Args;

use super::selection::Configs;

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

/// Which configs name newer plugins from now on, and how new.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Update {
    /// Directory of NAME.yaml
    #[arg(long = "config.dir", value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Configs, by name, comma separated
    #[arg(long = "config.names", value_name = "NAMES", value_delimiter = ',')]
    pub names: Vec<String>,

    /// Take the newest version, also where the first number of its version is another
    #[arg(long)]
    pub latest: bool,

    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,

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
