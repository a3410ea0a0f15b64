//! `ebpf_wasm_exporter plugin …`: what a person who writes or is given a plugin wants to know;
//! `healthcheck`; and [`manual`], what the program knows of itself.
//!
//! Guests run within the bounds that a config would set. Nothing here touches the kernel, and
//! nothing prints: results are text for `main`. Of the verbs of plugins and [`bundle`]s those of `remote`,
//! `fetch`, `outdated` and `update` alone use the network; `pods` asks a kubelet.

use std::io::ErrorKind;
use std::path::Path;

use tracing::warn;

use crate::cli::Tool;
use crate::config;
use crate::plugin::{self, Compiler, PluginError};
use crate::reference::ArtifactReference;
use crate::signature::{Policy, Signer};
use crate::startup::plugins;

mod bench;
pub mod bundle;
mod check;
mod componentize;
mod contract;
mod error;
mod fetch;
mod health;
mod inspect;
pub mod manual;
mod new;
mod outdated;
mod pods;
mod points;
pub mod record;
mod remote;
mod run;
pub mod top;
mod unpin;
mod update;
mod workbench;

pub use error::ToolError;
pub use health::HealthError;
pub use pods::PodsError;
pub use unpin::{UnpinError, exit_of_pins, unpin};

use error::{lines, plain};
use workbench::{Answer, Bench, Guest, compile_limits};

/// Does what was asked, and says what there is to be said.
///
/// # Errors
///
/// See [`ToolError`].
pub fn run(tool: &Tool, compiler: &Compiler) -> Result<String, ToolError> {
    let load = |subject| Bench::load(subject, compiler);
    match tool {
        Tool::New(order) => new::begin(order, Path::new("")),
        Tool::Wit { package: Some(file), .. } => contract::pack(file),
        Tool::Wit { dir, package: None } => contract::unpack(dir),
        Tool::Inspect { file, json, policy, compile, registry } => {
            let (limits, policy) = (compile_limits(compile)?, policy_of(policy.as_deref())?);
            let (found, artifact, signer) = match remote::reference(file) {
                None => {
                    let (bytes, signer) = trusted(file, policy.as_ref())?;
                    (plugin::inspect_bytes(&bytes, compiler, limits)?, None, signer)
                }
                Some(reference) => {
                    let (artifact, bytes) = remote::fetch(reference, policy.as_ref(), registry)?;
                    let signer = artifact.signer.clone();
                    (plugin::inspect_bytes(&bytes, compiler, limits)?, Some(artifact), signer)
                }
            };
            Ok(match json {
                true => inspect::json(&found, artifact.as_ref(), signer.as_ref()),
                false => inspect::text(&found, artifact.as_ref(), signer.as_ref()),
            })
        }
        Tool::Componentize { input, output, to, said, compile } => {
            let output = output.as_ref().or(to.as_ref()).unwrap_or(input);
            componentize::Order { input, output, said }.make(compiler, compile_limits(compile)?)
        }
        Tool::Run { subject, json } => run::run(&load(subject)?, *json),
        Tool::Bench { subject } => bench::bench(&load(subject)?),
        Tool::Check { subject } => check::check(&load(subject)?),
        Tool::Push(push) => remote::push(push, compiler),
        Tool::Pull { reference, output, policy, registry } => {
            let policy = policy_of(policy.as_deref())?;
            let pulling = remote::Pulling { policy: policy.as_ref(), compiler };
            let said = pulling.pull(reference, output.as_deref(), registry)?;
            warn_without(policy.as_ref(), "plugins are pulled");
            Ok(said)
        }
        Tool::Fetch(order) => fetch::fetch(order, compiler),
        Tool::Outdated(order) => outdated::outdated(order),
        Tool::Update(order) => update::update(order),
        Tool::List { repository, registry } => remote::list(repository, registry),
    }
}

/// The policy of a file, if there is one.
fn policy_of(file: Option<&Path>) -> Result<Option<Policy>, ToolError> {
    plugins::policy(file).map_err(|faults| ToolError::Configs(config::shown(faults)))
}

/// Says that nobody is asked who has signed what comes from a registry, if there is no policy.
fn warn_without(policy: Option<&Policy>, what: &str) {
    if policy.is_none() {
        warn!("{what} whoever has signed them; say who may in a file of --plugins.policy");
    }
}

/// What a plugin's file holds, and who has signed it, if there is a policy. Nothing of what it refuses is looked into.
fn trusted(file: &Path, policy: Option<&Policy>) -> Result<(Vec<u8>, Option<Signer>), ToolError> {
    let bytes = plugin::read_file(file).map_err(|error| misread(file, error))?;
    let signer = policy.map(|policy| plugins::signer_of_file(policy, file, &bytes));
    let signer = signer.transpose().map_err(ToolError::Untrusted)?;
    Ok((bytes, signer))
}

/// Why a file is not read. A reference that was typed as one is told of.
fn misread(file: &Path, error: PluginError) -> ToolError {
    let is_there =
        !matches!(&error, PluginError::Read { source, .. } if source.kind() == ErrorKind::NotFound);
    let named = file.to_str().and_then(|text| text.parse::<ArtifactReference>().ok());
    if is_there || named.is_none() {
        return error.into();
    }
    let why = "is no file that is there".to_owned();
    let remedy = "name one, or write `oci:` before it if it is a reference of a registry";
    ToolError::Unread { file: file.to_owned(), why, remedy }
}

#[cfg(test)]
mod tests;
