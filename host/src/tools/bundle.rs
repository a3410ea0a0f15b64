//! `ebpf_wasm_exporter bundle …`: makes bundles, proves them, shows what is in them, and shares them.
//!
//! A bundle is proved without a kernel: its digests hold, its config fits its object and its plugins, and its
//! recording becomes what was packed. Guests run within the bounds that its config sets. `remote` alone uses
//! the network.

use std::path::{Path, PathBuf};

use super::points::{Broken, Points};
use super::{ToolError, policy_of, remote as registry, warn_without};
use crate::bundle::{Bundle, BundleError, BundleId, BundlePlace};
use crate::cli::{BundleTool, RegistryFlags};
use crate::plugin::{Compiler, Loader};
use crate::reference::SCHEME;
use crate::signature::{Policy, Signer};
use crate::startup::bundles;

mod inspect;
mod pack;
mod proof;
mod remote;

use proof::Subject;

/// What is said of who has made a bundle, if nobody has to have signed it.
const UNASKED: &str =
    "nobody was asked for a signature; say who may sign it in a file of --plugins.policy";

/// Does what was asked, and says what there is to be said.
///
/// # Errors
///
/// See [`ToolError`].
pub fn run(tool: &BundleTool, compiler: &Compiler) -> Result<String, ToolError> {
    match tool {
        BundleTool::Pack(order) => pack::pack(order, compiler),
        BundleTool::Verify { bundle, policy, registry } => {
            verify(bundle, policy_of(policy.as_deref())?.as_ref(), registry, compiler)
        }
        BundleTool::Inspect { bundle, json, registry } => {
            let manifest = match bundle.strip_prefix(SCHEME) {
                Some(reference) => remote::manifest(reference, registry)?,
                None => open(Path::new(bundle))?.manifest().clone(),
            };
            Ok(if *json { inspect::json(&manifest) } else { inspect::text(&manifest) })
        }
        BundleTool::Push { file, reference, move_tags, force, registry } => {
            let way = registry::Way::of(registry)?;
            let reference = reference.parse()?;
            let rules = registry::rules(registry::tag_of(&reference)?, *force, *move_tags)?;
            remote::push(&open(file)?, &reference, rules, &way)
        }
        BundleTool::Pull { reference, output, plugins_dir, policy, registry } => {
            let to = remote::Goal { output: output.as_deref(), store: plugins_dir.as_deref() };
            let policy = policy_of(policy.as_deref())?;
            let said = remote::pull(reference, &to, policy.as_ref(), registry)?;
            warn_without(policy.as_ref(), "bundles are pulled");
            Ok(said)
        }
    }
}

/// `bundle verify`.
fn verify(
    bundle: &str,
    policy: Option<&Policy>,
    registry: &RegistryFlags,
    compiler: &Compiler,
) -> Result<String, ToolError> {
    let timeout = registry::time_of(registry)?;
    let called = PathBuf::from(bundle.strip_prefix(SCHEME).unwrap_or(bundle));
    let (bundle, signer) = match bundle.strip_prefix(SCHEME) {
        Some(reference) => {
            let got = remote::fetch(reference, policy, None, registry)?;
            (got.bundle, got.signer)
        }
        None => {
            let bundle = open(&called)?;
            let (digest, version) = (bundle.digest(), bundle.manifest().version());
            let id = BundleId { digest, version, repository: None };
            let signer = policy.map(|policy| bundles::signer(policy, &called, &id));
            (bundle, signer.transpose().map_err(ToolError::Untrusted)?)
        }
    };
    if let (Some(policy), Some(Signer::Nobody)) = (policy, &signer) {
        trusted(&bundle, &called, policy)?;
    }
    let mut points = Points::default();
    let count = bundle.files().len();
    points.note("digests", Ok(format!("{count} files of {}", bundle.digest().tagged())));
    match signer {
        Some(signer) => points.note("signer", Ok(signer.to_string())),
        None => points.hint("signer", UNASKED.to_owned()),
    }
    let loader = Loader::new(compiler.clone(), None);
    Subject { bundle: &bundle, called: &called, loader, timeout }.prove(&mut points);
    points.finish().map_err(|Broken { report, faults, points }| ToolError::Proof {
        report,
        faults,
        points,
    })
}

/// Whether each plugin of a bundle that nobody vouches for is signed as the policy wants. None has been compiled yet.
fn trusted(bundle: &Bundle, called: &Path, policy: &Policy) -> Result<(), ToolError> {
    match bundles::untrusted(bundle.config(called, None), policy) {
        faults if faults.is_empty() => Ok(()),
        faults => Err(ToolError::Configs(faults)),
    }
}

/// The bundle in this file, whose digests were checked.
fn open(file: &Path) -> Result<Bundle, ToolError> {
    let place = BundlePlace { file: file.to_owned(), reference: None };
    place.open().map_err(|fault| refused(file, fault))
}

fn refused(called: &Path, fault: BundleError) -> ToolError {
    ToolError::Bundle { file: called.to_owned(), fault }
}
