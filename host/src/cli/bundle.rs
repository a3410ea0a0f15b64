//! What can be done with a bundle, as it was typed: `bundle …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::registry::RegistryFlags;

/// What can be done with a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum BundleTool {
    /// Make one of a config, its object and plugins, and a recording, and of what that becomes
    ///
    /// The same files give the same bundle, byte by byte. Nothing is written unless it proves itself.
    Pack(Pack),
    /// Check all digests, and that the recording becomes what was packed, by the bundle's own plugins
    ///
    /// Nothing is loaded into the kernel. Names of this host are not looked up.
    Verify {
        /// The file, or oci:REGISTRY/REPOSITORY:TAG of one in a registry
        bundle: String,

        /// Who has to have signed it: a file of rules
        #[arg(long = "plugins.policy", value_name = "FILE")]
        policy: Option<PathBuf>,

        /// How a registry is asked.
        #[command(flatten)]
        registry: RegistryFlags,
    },
    /// Say what is in one, from its manifest; runs nothing of it
    Inspect {
        /// The file, or oci:REGISTRY/REPOSITORY:TAG of one in a registry
        bundle: String,

        /// As JSON
        #[arg(long)]
        json: bool,

        /// How a registry is asked.
        #[command(flatten)]
        registry: RegistryFlags,
    },
    /// Put one into an OCI registry
    Push {
        /// The file
        file: PathBuf,

        /// REGISTRY/REPOSITORY:TAG, where the tag is a version such as 1.2.0
        reference: String,

        /// Have the tags 1.2 and 1 lead to version 1.2.0 too, each unless a newer version is there for it
        #[arg(long)]
        move_tags: bool,

        /// Put it in the place of another one that has the same version
        #[arg(long)]
        force: bool,

        /// How the registry is asked.
        #[command(flatten)]
        registry: RegistryFlags,
    },
    /// Get one out of an OCI registry, into a file, for an exporter that asks no registry
    Pull {
        /// REGISTRY/REPOSITORY:TAG, or …@sha256:HEX
        reference: String,

        /// The file to write, or a directory for it; default: the repository's name with .tar
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,

        /// Directory to put it into by its digest, where --config.bundle=oci:… looks for it
        #[arg(long = "plugins.dir", value_name = "DIR", conflicts_with = "output")]
        plugins_dir: Option<PathBuf>,

        /// Who has to have signed it: a file of rules
        #[arg(long = "plugins.policy", value_name = "FILE")]
        policy: Option<PathBuf>,

        /// How the registry is asked.
        #[command(flatten)]
        registry: RegistryFlags,
    },
}

/// What is packed.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Pack {
    /// Directory of NAME.yaml, NAME.bpf.o and NAME.rec
    pub dir: PathBuf,

    /// The file to write, or a directory for it; default: NAME.tar
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// The config, by name, if the directory has several
    #[arg(long = "config.names", value_name = "NAME")]
    pub name: Option<String>,

    /// What `record` has written of this config, instead of NAME.rec in the directory
    #[arg(long, value_name = "FILE")]
    pub recording: Option<PathBuf>,

    /// A dashboard for Grafana, as JSON; default: NAME.json in the directory, if it is there
    #[arg(long, value_name = "FILE")]
    pub dashboard: Option<PathBuf>,

    /// Directory of plugins, for those that are not beside the config
    #[arg(long = "plugins.dir", value_name = "DIR")]
    pub plugins_dir: Option<PathBuf>,

    /// Who has to have signed the plugins: a file of rules
    #[arg(long = "plugins.policy", value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// The bundle's version, such as 1.2.0
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,

    /// A text about it, such as org.opencontainers.image.source=https://…; may be given again
    #[arg(long = "annotation", value_name = "KEY=VALUE")]
    pub annotations: Vec<String>,
}
